"""The pretend Stripe beside the pages, one of its own for every test that pays."""

from tests.payments.conftest import paying, pretend

__all__ = ["paying", "pretend"]
