"""The app's handlers other than routes, found by their name as Lambda finds them, and what Lambda hands them."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from chalice.app import BaseEventSourceConfig
from chalice.local import LambdaContext

REGION = "us-east-1"

Handler = Callable[[dict[str, Any], LambdaContext], Any]


def handler_of(source: BaseEventSourceConfig) -> Handler:
    """The function behind an event source: `app.post_usage_batch`."""
    module, _, name = source.handler_string.rpartition(".")
    handler: Handler = getattr(import_module(module), name)
    return handler


def context_of(source: BaseEventSourceConfig, seconds: float) -> LambdaContext:
    """A Lambda's context: the handler may ask it how much time is left."""
    return LambdaContext(source.name, memory_size=512, max_runtime_ms=round(seconds * 1000))
