"""A pretend Stripe of its own for every test, and the official SDK that talks to it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stripe
from stripe import StripeClient

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.people import BRIGHT, Shop

# One for all tests: each new one reads the machine's certificates, which nobody needs here.
HTTP = stripe.RequestsClient(timeout=5)


@pytest.fixture
def pretend() -> Iterator[PretendStripe]:
    """The server."""
    with PretendStripe() as server:
        yield server


def make_client(pretend: PretendStripe, **options: Any) -> StripeClient:
    """The SDK as the product uses it."""
    values: dict[str, Any] = {
        "api_key": pretend.platform_key,
        "base_addresses": pretend.base_addresses,
        "client_id": pretend.client_id,
        "http_client": HTTP,
    }
    return StripeClient(**{**values, **options})


@pytest.fixture
def platform(pretend: PretendStripe) -> Iterator[StripeClient]:
    """The platform on its own account."""
    yield make_client(pretend)


@pytest.fixture
def agency(pretend: PretendStripe) -> Iterator[StripeClient]:
    """The platform on a connected account."""
    pretend.control.connect(BRIGHT)
    yield make_client(pretend, stripe_account=BRIGHT)


@pytest.fixture
def shop(pretend: PretendStripe, platform: StripeClient) -> Shop:
    """Shortcuts on the platform's own account."""
    return Shop(pretend, platform)


@pytest.fixture
def browser(pretend: PretendStripe) -> Iterator[httpx.Client]:
    """A person with a browser."""
    with httpx.Client(base_url=pretend.url, trust_env=False, verify=False) as client:
        yield client
