"""The same account is connected again: clients keep their cards. Whoever comes at the same moment breaks nothing."""

from typing import Any

import pytest
import stripe as sdk

from chalicelib.domain.errors import AccessLost
from chalicelib.gateways import stripe
from chalicelib.storage import connections, customers
from tests.payments.conftest import BRIGHT, NORTH, Paying
from tests.payments.connecting import connection, disconnect, refused, save_card
from tests.payments.money import paid_fifty


@pytest.mark.parametrize("by", ["us", "the owner"])
def test_who_connects_the_same_account_again_finds_its_clients_cards_there(paying: Paying, by: str) -> None:
    workspace, client = paying.agency(BRIGHT)
    paid_fifty(paying, client, "before")
    card, customer = paying.world.wallet(client)["card"], customers.customer_of(client, 1)
    if by == "us":
        disconnect(paying, workspace)
    else:
        paying.pretend.control.deauthorize(BRIGHT)
        paying.deliver()

    paying.connect(workspace, BRIGHT)
    paid_fifty(paying, client, "after")

    assert card is not None
    assert paying.world.wallet(client)["card"] == card
    assert customers.customer_of(client, 1) == customer
    assert [customers.customer_of(client, version) for version in (2, 3)] == [None, None]
    assert paying.world.balance(client) == "100.000000"


def test_who_connects_the_same_account_twice_over_changes_nothing_for_its_clients(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paid_fifty(paying, client)
    before = paying.world.wallet(client)

    paying.connect(workspace, BRIGHT)

    assert paying.world.wallet(client) == before
    assert paying.top_up(client, key="after")["state"] == "open"


def test_an_account_that_comes_back_after_another_one_was_connected_starts_without_cards(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paid_fifty(paying, client)
    paying.connect(workspace, NORTH)

    paying.connect(workspace, BRIGHT)

    assert connection(paying, workspace)["account"] == BRIGHT
    assert paying.world.wallet(client)["card"] is None


@pytest.mark.parametrize("page", ["top-up", "card", "portal"])
def test_a_client_whose_customer_was_deleted_while_the_agency_was_away_gets_a_new_one(
    paying: Paying, page: str
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paid_fifty(paying, client)
    gone = customers.customer_of(client, 1)
    disconnect(paying, workspace)
    token = paying.pretend.control.connect(BRIGHT)
    addresses: Any = paying.pretend.base_addresses
    sdk.StripeClient(token, base_addresses=addresses).v1.customers.delete(str(gone))
    paying.pretend.control.take()  # nobody tells us
    paying.connect(workspace, BRIGHT)

    if page == "top-up":
        paying.pay(paying.top_up(client, "20.00", key="after"))
        paying.deliver()
        assert paying.world.balance(client) == "70.000000"
    elif page == "card":
        assert save_card(paying, client).status == 201
    else:
        assert paying.world.post(f"/v1/sub-accounts/{client}/wallet/portal", None)["url"]
    assert customers.customer_of(client, 1) not in (None, gone)


def test_a_look_at_the_account_from_before_does_not_end_the_connection_that_was_made_since(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.deliver()
    read = stripe.read_account

    def connected_again_meanwhile(account_id: str) -> Any:
        monkeypatch.setattr(stripe, "read_account", read)
        paying.connect(workspace, BRIGHT)
        raise AccessLost

    paying.pretend.control.deauthorize(BRIGHT)
    monkeypatch.setattr(stripe, "read_account", connected_again_meanwhile)
    paying.deliver()

    assert connection(paying, workspace)["state"] == "connected"
    assert paying.top_up(client)["state"] == "open"


def test_who_disconnects_slowly_does_not_say_of_the_next_connection_that_stripe_was_told_of_its_end(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = paying.agency(BRIGHT)
    deauthorize = stripe.deauthorize

    def connected_and_left_again_meanwhile(account_id: str) -> None:
        monkeypatch.setattr(stripe, "deauthorize", deauthorize)
        deauthorize(account_id)
        paying.connect(workspace, BRIGHT)
        for _ in range(2):  # the second meets the SDK's own repeat
            paying.pretend.control.plan_fault("lost_before", path="/oauth/deauthorize")
        assert paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe").status == 503

    monkeypatch.setattr(stripe, "deauthorize", connected_and_left_again_meanwhile)
    slow = disconnect(paying, workspace)

    assert slow["state"] == "disconnecting"
    assert disconnect(paying, workspace)["state"] == "disconnected"


def test_of_two_accounts_that_are_connected_at_the_same_moment_the_last_one_counts_and_the_other_is_free(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client = paying.agency(account=None)
    read = connections.get_connection

    def overtaken(workspace_id: str) -> Any:
        monkeypatch.setattr(connections, "get_connection", read)
        seen = read(workspace_id)
        paying.connect(workspace, NORTH)
        return seen

    monkeypatch.setattr(connections, "get_connection", overtaken)
    page = paying.connect(workspace, BRIGHT)
    other, _ = paying.agency(NORTH)

    assert "Stripe is connected" in page.text
    assert connection(paying, workspace)["account"] == BRIGHT
    assert connection(paying, other)["account"] == NORTH
    assert paying.top_up(client)["state"] == "open"


def test_an_account_that_another_workspace_took_meanwhile_is_not_taken_back(paying: Paying) -> None:
    first, _ = paying.agency(BRIGHT)
    disconnect(paying, first)
    second, client = paying.agency(BRIGHT)

    page = paying.connect(first, BRIGHT)

    refused(page, "This Stripe account is linked to another workspace already. Choose another account.")
    assert connection(paying, first)["state"] == "disconnected"
    assert connection(paying, second)["state"] == "connected"
    assert paying.top_up(client)["state"] == "open"
