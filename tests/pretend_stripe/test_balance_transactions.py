"""The account's books: what moved, what it was for, and when, in the shapes of the installed SDK."""

import json
from typing import Any

import pytest
from stripe import StripeClient

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.people import Shop
from tests.pretend_stripe.walker import problems


def booked(shop: Shop, **params: Any) -> list[Any]:
    """The account's books with what each line was for, the oldest first."""
    listed = shop.client.v1.balance_transactions.list({"expand": ["data.source"], "limit": 100, **params})  # type: ignore[typeddict-item]  # what a test adds
    assert problems(json.loads(json.dumps(listed.to_dict(), default=str))) == []
    return listed.data[::-1]


def test_every_line_leads_to_its_payment(pretend: PretendStripe, agency: StripeClient) -> None:
    shop = Shop(pretend, agency)
    paid = shop.paid()
    refund = pretend.control.refund(paid.id, 1000)
    pretend.control.fail_refund(refund["id"])
    dispute = pretend.control.open_dispute(paid.id)
    pretend.control.close_dispute(dispute["id"], "won")

    lines = booked(shop)

    assert [(line.type, line.amount) for line in lines] == [
        ("charge", 5000),
        ("refund", -1000),
        ("refund_failure", 1000),
        ("adjustment", -5000),
        ("adjustment", 5000),
    ]
    assert {line.source.payment_intent for line in lines} == {paid.id}
    assert [line.source.object for line in lines] == ["charge", "refund", "refund", "dispute", "dispute"]


def test_a_payments_mark_is_on_its_charge(shop: Shop) -> None:
    created = shop.client.v1.payment_intents.create(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "metadata": {"rebill": "rfl_1"},
            "confirm": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )

    (line,) = booked(shop)

    assert (line.source.payment_intent, line.source.metadata["rebill"]) == (created.id, "rfl_1")


@pytest.mark.parametrize(("bounds", "count"), [({"gte": 0}, 2), ({"gte": 1}, 1), ({"lt": 1}, 1), ({"lt": 0}, 0)])
def test_lines_are_found_by_when_they_were_booked(shop: Shop, bounds: dict[str, int], count: int) -> None:
    shop.paid()
    first = shop.pretend.control.clock()
    shop.pretend.control.advance(3600)
    shop.paid()

    found = booked(shop, created={name: first + 60 * value for name, value in bounds.items()} | {"gt": first - 60})

    assert len(found) == count


def test_pages_are_turned_until_the_last(shop: Shop) -> None:
    for _ in range(5):
        shop.paid()

    listed = shop.client.v1.balance_transactions.list({"limit": 2, "expand": ["data.source"]})

    assert len({line.id for line in listed.auto_paging_iter()}) == 5
