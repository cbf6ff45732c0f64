"""What each function of the product may do in AWS, and what it does: recorded at the one place every call goes through.

As a pytest plugin (`-p tests.rights --record-rights FILE`) it writes what the chosen tests made the functions do.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.parameters import SSMProvider
from botocore.client import BaseClient

HOUSE = Path(__file__).resolve().parents[1]
PRODUCT = f"{HOUSE}/chalicelib/"

# The doors of each function: where AWS lets it in, and the parts of it that tests call by themselves.
DOORS = {
    "web": "api_handler",
    "flows.post_usage.post_usage": "post_usage",
    "flows.follow_stripe.follow": "settle_payments",
    "flows.tick.tick": "tick",
    "flows.follow_stripe.sweep_top_ups": "tick",
    "flows.refill_wallets.refill_wallets": "tick",
    "flows.deliver_notices.deliver_due": "tick",
    "flows.reconcile.reconcile_tonight": "reconcile",
    "flows.sweep_calls.sweep_tonight": "sweep",
}
IN_TRANSACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}

Right = tuple[str, str]  # ("dynamodb:Query", "entries/by_workspace"): an action, and the thing without its stage


def rights_for(service: str, operation: str, asked: dict[str, Any]) -> Iterator[Right]:
    """The rights that AWS asks for before it answers this call."""
    if service == "dynamodb":
        yield from _of_a_table(operation, asked)
    elif service == "sqs":
        queue = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
        # There is no right to send a batch: it is the one to send. Its address is asked for once by each process.
        yield f"sqs:{operation.removesuffix('Batch')}", _without_stage(queue)
        yield "sqs:GetQueueUrl", _without_stage(queue)
    elif service == "ssm":
        yield f"ssm:{operation}", asked["Path"].strip("/").split("/", 2)[2]
    elif service == "sesv2":
        yield f"ses:{operation}", "sender"
    else:
        yield f"{service}:{operation}", json.dumps(asked, default=str)


def _of_a_table(operation: str, asked: dict[str, Any]) -> Iterator[Right]:
    if operation.startswith("Transact"):
        for action in asked["TransactItems"]:
            ((kind, what),) = action.items()
            yield f"dynamodb:{IN_TRANSACTIONS[kind]}", _without_stage(what["TableName"])
    elif operation.startswith("Batch"):
        for table in asked["RequestItems"]:
            yield f"dynamodb:{operation}", _without_stage(table)
    else:
        index = f"/{asked['IndexName']}" if "IndexName" in asked else ""
        yield f"dynamodb:{operation}", _without_stage(asked["TableName"]) + index


def _without_stage(name: str) -> str:
    return re.sub(r"^rebill-[a-z0-9]+-", "", name)


_thread = threading.local()


def hand_over(submit: Callable[..., Any]) -> Callable[..., Any]:
    """What a function hands to threads of its own is still that function's work."""

    def submitted(pool: Executor, work: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        function = function_on_the_stack()

        def worked(*given: Any, **named: Any) -> Any:
            _thread.function = function
            return work(*given, **named)

        return submit(pool, worked, *given, **named)

    return submitted


def function_on_the_stack() -> str | None:
    """Which function of the product is calling: the outermost door before a test's own hand. None without a door."""
    found: str | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith((f"{HOUSE}/tests/", f"{HOUSE}/local/")) and file != __file__:
            return found
        if file.startswith(PRODUCT):
            module = file.removeprefix(PRODUCT).removesuffix(".py").replace("/", ".")
            door = "web" if module.startswith("web.") else f"{module}.{frame.f_code.co_name}"
            found = DOORS.get(door, found)
        frame = frame.f_back
    return found or getattr(_thread, "function", None)


# As a plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-rights", type=Path, help="Write the rights that each function needed to this file.")


_needed: dict[str, set[Right]] = {}


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--record-rights"):
        return
    client_type: Any = BaseClient  # its types do not tell of the one method that every call goes through
    send, read = client_type._make_api_call, SSMProvider.get_multiple

    def sent(client: BaseClient, operation: str, asked: dict[str, Any]) -> Any:
        note(client.meta.service_model.service_name, operation, asked)
        return send(client, operation, asked)

    def read_parameters(store: SSMProvider, path: str, **how: Any) -> Any:
        note("ssm", "GetParametersByPath", {"Path": path})  # also where a process has them already
        return read(store, path, **how)

    client_type._make_api_call = sent
    threads, parameters = cast(Any, ThreadPoolExecutor), cast(Any, SSMProvider)
    threads.submit, parameters.get_multiple = hand_over(ThreadPoolExecutor.submit), read_parameters


def pytest_sessionstart(session: pytest.Session) -> None:
    """What is recorded is a stage that writes e-mails: more is read there."""
    if session.config.getoption("--record-rights"):
        from chalicelib.settings import settings  # reads the environment, which conftest.py sets first

        os.environ["REBILL_EMAIL_FROM"] = "billing@rebill.example"
        settings.cache_clear()


def note(service: str, operation: str, asked: dict[str, Any]) -> None:
    if function := function_on_the_stack():
        _needed.setdefault(function, set()).update(rights_for(service, operation, asked))


def pytest_unconfigure(config: pytest.Config) -> None:
    if file := config.getoption("--record-rights"):
        file.write_text(json.dumps({function: sorted(rights) for function, rights in _needed.items()}, indent=1))
