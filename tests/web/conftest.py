"""One pretend Stripe for all tests of a file; every scene begins on it anew."""

from collections.abc import Iterator

import pytest

from local.pretend_stripe import PretendStripe
from local.stack import Stack
from tests.aws import begin_anew
from tests.conftest import STAGE
from tests.stripe_stand import addressed
from tests.web.checks import STORE
from tests.web.examples import Scene
from tests.world import World


@pytest.fixture(scope="module")
def pretend() -> Iterator[PretendStripe]:
    """The pretend Stripe, which the product takes for Stripe until another file's tests have their turn."""
    with PretendStripe() as server, addressed(server):
        yield server


@pytest.fixture(scope="session", autouse=True)
def _store_is_watched() -> Iterator[None]:
    with STORE.listening():
        yield


@pytest.fixture(scope="module")
def scene(stack: Stack, pretend: PretendStripe) -> Scene:
    """One for all tests of this file: what is refused leaves it as it was."""
    begin_anew(stack, STAGE)
    return Scene.build(World(), pretend)
