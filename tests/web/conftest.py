"""One pretend Stripe for all tests of the HTTP surface; every scene begins on it anew."""

from collections.abc import Iterator

import pytest

from local.pretend_stripe import PretendStripe
from tests.stripe_stand import addressed


@pytest.fixture(scope="session")
def pretend() -> Iterator[PretendStripe]:
    """The pretend Stripe, which the product takes for Stripe."""
    with PretendStripe() as server, addressed(server):
        yield server
