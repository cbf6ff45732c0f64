"""A client buys balance: once paid, once credited, on the agency's own account."""

import itertools
from typing import Any

import pytest

from chalicelib.storage import customers
from tests.payments.conftest import BRIGHT, NORTH, Paying


def test_a_client_tops_up_fifty_and_the_money_lands_on_its_agencys_own_account(paying: Paying) -> None:
    _, client = paying.agency()

    top_up = paying.top_up(client, "50.00")
    intent = paying.pay(top_up)
    page = paying.return_to(top_up)

    assert paying.world.balance(client) == "50.000000"
    assert paying.amounts(client) == [("top_up", "50.000000")]
    assert "Payment received" in page.text
    assert "50.000000 USD" in page.text
    state = paying.pretend.control.state()
    holders = [key for key, kinds in state["spaces"].items() if intent in kinds.get("payment_intent", {})]
    assert len(holders) == 1
    assert BRIGHT in holders[0]


def test_a_workspace_pays_the_platform(paying: Paying) -> None:
    workspace, _ = paying.agency(account=None)

    top_up = paying.top_up(workspace, "100.00")
    paying.pay(top_up)
    paying.deliver()

    assert paying.world.balance(workspace) == "100.000000"
    assert paying.amounts(workspace) == [("top_up", "100.000000")]


@pytest.mark.parametrize("order", list(itertools.permutations(["webhooks", "return", "sweep"])))
def test_webhooks_the_browsers_return_and_the_sweep_in_any_order_credit_once(
    paying: Paying, order: tuple[str, ...]
) -> None:
    from chalicelib.flows.follow_stripe import sweep_top_ups

    _, client = paying.agency()
    top_up = paying.top_up(client)
    paying.pay(top_up)
    said = paying.pretend.control.take()
    doings: dict[str, Any] = {
        "webhooks": lambda: paying.deliver(said[::-1]),
        "return": lambda: paying.return_to(top_up),
        "sweep": sweep_top_ups,
    }

    for doing in (*order, *order):
        doings[doing]()

    assert paying.amounts(client) == [("top_up", "50.000000")]


def test_a_top_up_that_was_never_paid_is_ended_before_another_is_opened(paying: Paying) -> None:
    _, client = paying.agency()
    left = paying.top_up(client, "50.00", key="first")

    second = paying.top_up(client, "20.00", key="second")
    paying.pay(second)
    paying.deliver()

    assert paying.world.balance(client) == "20.000000"
    first = paying.world.get(f"/v1/sub-accounts/{client}/wallet/top-ups/{left['id']}")
    assert (first["state"], first["url"]) == ("expired", None)


def test_a_payment_that_was_made_but_not_yet_seen_is_credited_before_another_is_asked_for(paying: Paying) -> None:
    _, client = paying.agency()
    paying.pay(paying.top_up(client, "50.00", key="first"))

    paying.top_up(client, "20.00", key="second")

    assert paying.amounts(client) == [("top_up", "50.000000")]


def test_a_payment_that_stripe_still_works_on_blocks_a_second_one(paying: Paying) -> None:
    _, client = paying.agency()
    paying.pretend.control.hold_payments()
    paying.pay(paying.top_up(client, "50.00", key="first"))

    refused = paying.top_up(client, "20.00", key="second", expect=409)

    assert refused["code"] == "top_up_pending"
    assert paying.world.balance(client) == "0.000000"


def test_the_same_key_answers_the_same_page_and_another_amount_under_it_is_refused(paying: Paying) -> None:
    _, client = paying.agency()

    first = paying.top_up(client, "50.00")
    again = paying.top_up(client, "50.00")
    other = paying.top_up(client, "60.00", expect=422)

    assert again == first
    assert other["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("owner", "amount"), [("client", "4.99"), ("client", "10000.01"), ("workspace", "9.99"), ("workspace", "5000.01")]
)
def test_an_amount_outside_the_limits_is_refused_by_name(paying: Paying, owner: str, amount: str) -> None:
    workspace, client = paying.agency()

    refused = paying.top_up(client if owner == "client" else workspace, amount, expect=422)

    assert refused["param"] == "amount"


def test_without_a_connection_a_client_cannot_pay_and_is_told_why(paying: Paying) -> None:
    _, client = paying.agency(account=None)

    assert paying.top_up(client, expect=409)["code"] == "stripe_not_connected"


def test_a_declined_card_credits_nothing_and_the_page_can_be_paid_with_another(paying: Paying) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client)
    session = top_up["url"].rpartition("/")[2].partition("#")[0]

    declined = paying.pretend.control.pay(session, "4000000000000002")
    paying.deliver()
    before = paying.world.balance(client)
    paying.pay(top_up)
    paying.deliver()

    assert declined["error"]["code"] == "card_declined"
    assert before == "0.000000"
    assert paying.world.balance(client) == "50.000000"


def test_two_clients_of_one_agency_never_share_a_customer(paying: Paying) -> None:
    workspace, first = paying.agency()
    second = paying.world.sub_account(workspace, "0.15")

    for client in (first, second):
        paying.pay(paying.top_up(client))
    paying.deliver()

    found = {customers.customer_of(client, 1) for client in (first, second)}
    assert len(found) == 2
    assert None not in found


def test_after_another_account_is_connected_no_old_customer_or_card_is_met(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.pay(paying.top_up(client, key="old"))
    paying.deliver()

    paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    paying.connect(workspace, NORTH)
    paying.pay(paying.top_up(client, key="new"))
    paying.deliver()

    assert paying.world.balance(client) == "100.000000"
    assert customers.customer_of(client, 1) != customers.customer_of(client, 2)


def test_a_saved_card_is_known_afterwards(paying: Paying) -> None:
    _, client = paying.agency()
    path = f"/v1/sub-accounts/{client}/wallet/payment-method"
    page = paying.world.post(path, None, headers={"Idempotency-Key": "card"})["url"]

    paying.pretend.control.pay(page.rpartition("/")[2].partition("#")[0])
    paying.deliver()

    card = customers.card_of(client, 1)
    assert card is not None
    assert (card.brand, card.last4) == ("visa", "4242")
    assert paying.world.balance(client) == "0.000000"
