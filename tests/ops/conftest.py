"""The stage of the operator's commands: the product, a pretend Stripe, an agency whose clients refill themselves."""

import pytest

from tests.payments.conftest import Paying, paying, pretend  # noqa: F401 - pytest finds fixtures by name
from tests.refills.refilling import Refilling


@pytest.fixture
def refilling(paying: Paying) -> Refilling:  # noqa: F811 - a fixture asks for another by its name
    """An agency with a Stripe account and plenty of balance."""
    return Refilling(paying)
