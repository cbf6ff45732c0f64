"""The pretend Stripe beside the product, one of its own for every test."""

import logging
from collections.abc import Callable, Iterator

import pytest

from local.pretend_stripe import PretendStripe
from tests.stripe_stand import BRIGHT, DOORS, INACTIVE, LIVE, NORTH, SECRETS, Paying, addressed, give_keys
from tests.world import World

__all__ = ["BRIGHT", "DOORS", "INACTIVE", "LIVE", "NORTH", "SECRETS", "Paying"]


@pytest.fixture
def pretend() -> Iterator[PretendStripe]:
    """The pretend Stripe."""
    with PretendStripe() as server:
        yield server


@pytest.fixture
def paying(world: World, pretend: PretendStripe) -> Iterator[Paying]:
    """The product with a pretend Stripe that it knows the keys of."""
    give_keys(pretend)
    with addressed(pretend):
        yield Paying(world, pretend)


@pytest.fixture
def alarms(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The alarms since the last look."""

    def look() -> list[str]:
        seen = [getattr(line, "alarm", "") for line in caplog.records if line.levelno >= logging.ERROR]
        caplog.clear()
        return [name for name in seen if name]

    return look
