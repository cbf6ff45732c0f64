"""An agency with clients that call, pay, refill, are given back to, and close: everything that books can hold."""

import pytest

from chalicelib.flows import reconcile_books
from tests import embedded
from tests.payments.conftest import Paying, alarms, paying, pretend  # noqa: F401 - pytest finds fixtures by name
from tests.reconcile.bookkeeping import Bookkeeping

_remembered: list[tuple[Bookkeeping, bytes, bytes]] = []


@pytest.fixture
def books(paying: Paying, monkeypatch: pytest.MonkeyPatch) -> Bookkeeping:  # noqa: F811 - a fixture asks for another
    """The product with Stripe, and what this agency's day has written into its books: lived through once, and gone back
    to for every other test.
    """
    monkeypatch.setattr(reconcile_books, "PAUSE_SECONDS", 0.0)  # MiniStack's indexes do not lag
    if not _remembered:
        books = Bookkeeping(paying)
        _remembered.append((books, embedded.remember(), paying.pretend.remember()))
        return books
    books, in_store, at_stripe = _remembered[0]
    embedded.go_back(in_store)
    paying.pretend.go_back(at_stripe)
    return books.again(paying)
