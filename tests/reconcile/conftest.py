"""An agency with clients that call, pay, refill, are given back to, and close: everything that books can hold."""

import pytest

from chalicelib.flows import reconcile_books
from tests.payments.conftest import Paying, alarms, paying, pretend  # noqa: F401 - pytest finds fixtures by name
from tests.reconcile.bookkeeping import Bookkeeping


@pytest.fixture
def books(paying: Paying, monkeypatch: pytest.MonkeyPatch) -> Bookkeeping:  # noqa: F811 - a fixture asks for another
    """The product with Stripe, and what this agency's day has written into its books."""
    monkeypatch.setattr(reconcile_books, "PAUSE_SECONDS", 0.0)  # MiniStack's indexes do not lag
    return Bookkeeping(paying)
