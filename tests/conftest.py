"""What every test may ask for: one MiniStack for each process, emptied and filled with our tables for each test.

The environment is set here, before anything imports our code: settings and pynamodb read it once and keep it.
"""

import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from local.stack import Stack
from tests import embedded
from tests.aws import begin_anew

if TYPE_CHECKING:
    from tests.world import World

STAGE = "test"

# The address is known before the process runs, so one address serves the whole session.
_stack = Stack()

# A developer's own settings must neither help nor disturb a test.
for _name in [name for name in os.environ if name.startswith(("AWS_", "REBILL_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ.update(_stack.environment(), REBILL_STAGE=STAGE)
embedded.install(_stack.endpoint_url)


pytest_plugins = ("tests.packaged",)


def pytest_collection_finish() -> None:
    """What was imported stays: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Give the address back, also where no test has needed it."""
    _stack.stop()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """MiniStack, started by the first test that needs it."""
    with _stack:
        yield _stack


@pytest.fixture
def store(stack: Stack) -> Stack:
    """MiniStack with our empty tables and queues, and nothing of the test before."""
    begin_anew(stack, STAGE)
    return stack


@pytest.fixture
def world(store: Stack, monkeypatch: pytest.MonkeyPatch) -> "World":
    """The app and its queue on an empty store, with an API key."""
    from chalicelib.flows import redrive_usage
    from tests.world import World  # imports the app, which reads the environment that is set above

    # The delay waits for an index that lags; MiniStack's does not.
    monkeypatch.setattr(redrive_usage, "DELAY_SECONDS", 0)
    return World()
