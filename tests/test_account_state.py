"""Accounts are paused, resumed and closed; balance that is given says what kind it is, and who gave it."""

from typing import Any

import pytest

from tests.calls import call
from tests.payments.conftest import BRIGHT, Paying, paying, pretend  # noqa: F401 - pytest finds fixtures by name
from tests.payments.money import REFUND_FAILS, paid_fifty
from tests.refills.refilling import Refilling
from tests.world import Answer, World

OWNER, CLIENT = "owner@acme.example", "reception@bright.example"


@pytest.fixture
def refilling(paying: Paying) -> Refilling:  # noqa: F811 - a fixture asks for another by its name
    """An agency with a Stripe account and plenty of balance."""
    return Refilling(paying)


def session(world: World, email: str, account: str) -> str:
    """A person comes in by a link: the token of their session."""
    where = "workspace" if account.startswith("ws_") else "sub_account"
    link = world.post("/v1/dashboard-sessions", {"email": email, where: account})["url"]
    token = link.rpartition("token=")[2]
    entered: str = world.post("/v1/dashboard-sessions/redeem", {"token": token})["token"]
    return entered


def close(world: World, client: str, settle: str, key: str = "close-1", **more: Any) -> Answer:
    body = {"settle": settle, "note": "moved to another provider", **more}
    return world.call("POST", f"/v1/sub-accounts/{client}/close", body, headers={"Idempotency-Key": key})


def closed(world: World, client: str, settle: str, key: str = "close-1", **more: Any) -> Any:
    answer = close(world, client, settle, key, **more)
    assert answer.status == 200, answer.text
    return answer.json


def state(world: World, account: str, do: str, expect: int = 200, **body: Any) -> Any:
    kind = "workspaces" if account.startswith("ws_") else "sub-accounts"
    return world.post(f"/v1/{kind}/{account}/{do}", body, expect)


def gate(world: World, client: str) -> tuple[int, str | None]:
    answer = world.call("GET", f"/v1/sub-accounts/{client}/access")
    return answer.status, answer.json.get("code")


def agency(world: World) -> tuple[str, str]:
    """An agency and a client, both with balance."""
    workspace = world.workspace()
    client = world.sub_account(workspace, "6.00")
    world.credit(workspace, "100.00")
    world.credit(client, "20.00")
    return workspace, client


def talk(world: World, client: str, event_id: str, seconds: int) -> None:
    """A call, at 6.00 a minute."""
    world.report(call(client, event_id, seconds=seconds))
    world.drain()


# Paused and resumed


def test_a_paused_client_starts_no_calls_until_it_is_resumed(world: World) -> None:
    _, client = agency(world)

    paused = state(world, client, "pause", note="invoice overdue")
    during = gate(world, client)
    resumed = state(world, client, "resume")

    assert (paused["status"], paused["status_change"]["note"]) == ("paused", "invoice overdue")
    assert paused["status_change"]["by"] == "the platform's"
    assert during == (403, "sub_account_paused")
    assert (resumed["status"], gate(world, client)) == ("active", (200, None))


def test_a_paused_workspace_stops_the_calls_of_all_its_clients(world: World) -> None:
    workspace, client = agency(world)

    state(world, workspace, "pause", note="contract ended")
    during = gate(world, client)
    state(world, workspace, "resume")

    assert during == (403, "workspace_paused")
    assert gate(world, client) == (200, None)


def test_pausing_or_resuming_twice_changes_nothing_more(world: World) -> None:
    _, client = agency(world)
    first = state(world, client, "pause", note="invoice overdue")

    assert state(world, client, "pause", note="said again") == first
    state(world, client, "resume")
    assert state(world, client, "resume")["status"] == "active"


def test_a_call_that_ran_while_its_client_was_paused_is_still_paid(world: World) -> None:
    _, client = agency(world)
    state(world, client, "pause")

    talk(world, client, "late", 60)

    assert world.balance(client) == "14.000000"


def test_no_card_is_asked_for_a_client_that_is_paused(refilling: Refilling) -> None:
    owner = refilling.client()
    state(refilling.world, owner, "pause")
    refilling.use(owner, 500)

    refilling.tick()

    assert (refilling.taken(), refilling.state(owner)) == ([], "held")


def test_an_admin_of_the_workspace_may_pause_a_client_but_not_the_workspace(world: World) -> None:
    workspace, client = agency(world)
    token = session(world, OWNER, workspace)

    paused = world.call("POST", f"/v1/sub-accounts/{client}/pause", {}, key=token)
    refused = world.call("POST", f"/v1/workspaces/{workspace}/pause", {}, key=token)

    assert (paused.status, paused.json["status_change"]["by"]) == (200, OWNER)
    assert (refused.status, refused.json["code"]) == (403, "platform_only")


# Closed


def test_a_closed_client_starts_no_calls_and_is_never_resumed(world: World) -> None:
    _, client = agency(world)

    closed(world, client, "forfeit")

    assert gate(world, client) == (403, "sub_account_closed")
    assert state(world, client, "resume", expect=409)["code"] == "sub_account_closed"
    assert state(world, client, "pause", expect=409)["code"] == "sub_account_closed"


def test_a_closed_client_can_still_be_read_but_is_given_no_more_balance(world: World) -> None:
    _, client = agency(world)
    closed(world, client, "forfeit")

    path, body = f"/v1/sub-accounts/{client}/wallet/credits", {"amount": "1.00", "note": "a present"}
    refused = world.call("POST", path, body, headers={"Idempotency-Key": "late"})

    assert world.get(f"/v1/sub-accounts/{client}")["status"] == "closed"
    assert [entry["amount"] for entry in world.entries(client)] == ["-20.000000", "20.000000"]
    assert (refused.status, refused.json["code"]) == (409, "sub_account_closed")


def test_forfeited_balance_leaves_by_an_entry_that_says_why(world: World) -> None:
    _, client = agency(world)

    shown = closed(world, client, "forfeit")

    entry = world.entries(client)[0]
    assert (shown["forfeited"], shown["balance"], world.balance(client)) == ("20.000000", "0.000000", "0.000000")
    assert (entry["kind"], entry["amount"], entry["note"]) == ("correction", "-20.000000", "moved to another provider")


def test_transferred_balance_arrives_at_the_neighbour_in_full(world: World) -> None:
    workspace, client = agency(world)
    neighbour = world.sub_account(workspace)

    shown = closed(world, client, "transfer", transfer_to=neighbour)

    assert (shown["transferred"], shown["transfer_to"]) == ("20.000000", neighbour)
    assert (world.balance(client), world.balance(neighbour)) == ("0.000000", "20.000000")
    received = world.entries(neighbour)[0]
    assert (received["kind"], received["amount"]) == ("correction", "20.000000")
    assert client not in str(received)


def test_balance_is_transferred_within_the_workspace_only(world: World) -> None:
    workspace, client = agency(world)
    foreign = world.sub_account(world.workspace())
    gone = world.sub_account(workspace)
    closed(world, gone, "forfeit")

    answers = [close(world, client, "transfer", transfer_to=other) for other in (foreign, client, "sa_x_y", gone)]

    assert [answer.status for answer in answers] == [422, 422, 422, 409]
    assert gate(world, client) == (200, None)
    assert world.balance(foreign) == "0.000000"


def test_a_negative_balance_can_only_be_written_off(world: World) -> None:
    workspace, client = agency(world)
    talk(world, client, "long", 300)
    neighbour = world.sub_account(workspace)

    refused = [close(world, client, "refund"), close(world, client, "transfer", transfer_to=neighbour)]
    still = gate(world, client)
    shown = closed(world, client, "forfeit")

    assert [answer.json["code"] for answer in refused] == ["balance_below_zero"] * 2
    assert still == (403, "sub_account_wallet_empty")
    assert (shown["forfeited"], world.balance(client)) == ("-10.000000", "0.000000")


def test_a_call_that_ends_after_the_close_is_still_posted_and_can_be_written_off(world: World) -> None:
    _, client = agency(world)
    closed(world, client, "forfeit")

    talk(world, client, "late", 60)
    after_the_call = world.balance(client)
    closed(world, client, "forfeit", key="close-2")

    assert (after_the_call, world.balance(client)) == ("-6.000000", "0.000000")


def test_the_same_close_again_answers_the_same_and_moves_nothing_more(world: World) -> None:
    _, client = agency(world)
    first = closed(world, client, "forfeit")

    again = closed(world, client, "forfeit")
    other = close(world, client, "refund")

    assert again == first
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
    assert len(world.entries(client)) == 2


def test_closing_needs_an_idempotency_key(world: World) -> None:
    _, client = agency(world)

    answer = world.call("POST", f"/v1/sub-accounts/{client}/close", {"settle": "forfeit", "note": "gone"})

    assert (answer.status, answer.json["code"]) == (400, "idempotency_key_missing")
    assert gate(world, client) == (200, None)


def test_the_refill_rule_of_a_closed_client_is_off(refilling: Refilling) -> None:
    owner = refilling.client()

    closed(refilling.world, owner, "forfeit")
    refilling.tick()

    assert refilling.state(owner) == "off"
    assert (refilling.taken(), refilling.balance(owner)) == ([], "0.000000")


# The balance is given back


def refunded(paying: Paying) -> dict[str, int]:  # noqa: F811 - the stage, not the fixture
    """What Stripe gave back, in cents, payment by payment."""
    back: dict[str, int] = {}
    for refund in paying.pretend.control.state()["spaces"][f"{BRIGHT}:test"].get("refund", {}).values():
        intent = str(refund["payment_intent"])
        back[intent] = back.get(intent, 0) + refund["amount"]
    return back


def test_the_newest_payments_are_given_back_first(paying: Paying) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    first, second = paid_fifty(paying, client, "one"), paid_fifty(paying, client, "two")
    paying.world.rebill(client, "6.00")
    talk(paying.world, client, "used", 240)

    shown = closed(paying.world, client, "refund")

    assert refunded(paying) == {second: 5000, first: 2600}
    assert (shown["refunded"], shown["forfeited"], shown["balance"]) == ("76.000000", "0.000000", "0.000000")
    assert {each["payment"]: each["amount"] for each in shown["refunds"]} == {second: "50.000000", first: "26.000000"}
    assert paying.amounts(client)[-2:] == [("refund", "-50.000000"), ("refund", "-26.000000")]


def test_what_no_card_has_paid_is_forfeited_and_said(paying: Paying) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    paying.world.credit(client, "7.50")

    shown = closed(paying.world, client, "refund")

    assert refunded(paying) == {intent: 5000}
    assert (shown["refunded"], shown["forfeited"], shown["balance"]) == ("50.000000", "7.500000", "0.000000")


def test_what_went_back_before_is_not_given_back_again(paying: Paying) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    paying.pretend.control.refund(intent, 2000)  # in Stripe's own dashboard; we have not heard of it

    shown = closed(paying.world, client, "refund")
    paying.deliver()

    assert refunded(paying) == {intent: 5000}
    assert (shown["refunded"], paying.world.balance(client)) == ("30.000000", "0.000000")


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "conflict_409", "rate_limit_429"])
def test_a_close_that_broke_off_comes_to_the_same_end(paying: Paying, fault: str) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    first, second = paid_fifty(paying, client, "one"), paid_fifty(paying, client, "two")
    paying.pretend.control.plan_fault(fault, path="/v1/refunds", times=2)

    statuses = [close(paying.world, client, "refund").status for _ in range(4)]
    shown = closed(paying.world, client, "refund")
    paying.deliver()

    assert 503 in statuses
    assert statuses[-1] == 200
    assert refunded(paying) == {first: 5000, second: 5000}
    assert (shown["refunded"], shown["balance"]) == ("100.000000", "0.000000")
    assert paying.world.balance(client) == "0.000000"


def test_another_close_waits_until_the_one_that_broke_off_has_ended(paying: Paying) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    paid_fifty(paying, client)
    paying.pretend.control.plan_fault("lost_before", path="/v1/refunds", times=2)
    assert close(paying.world, client, "refund").status == 503

    other = close(paying.world, client, "forfeit", key="close-2")

    assert (other.status, other.json["code"]) == (409, "closing_under_way")
    assert paying.world.balance(client) == "50.000000"


def test_a_balance_that_stripe_does_not_give_back_is_settled_another_way(paying: Paying) -> None:  # noqa: F811
    workspace, client = paying.agency()
    paid_fifty(paying, client)
    paying.pretend.control.deauthorize(BRIGHT)  # the agency's owner has shut us out; we have not heard of it

    refused = [close(paying.world, client, "refund") for _ in range(2)]
    balance = paying.world.balance(client)
    neighbour = paying.world.sub_account(workspace)
    closed(paying.world, client, "transfer", key="close-2", transfer_to=neighbour)

    assert [(answer.status, answer.json["code"]) for answer in refused] == [(409, "stripe_access_lost")] * 2
    assert (balance, paying.world.balance(client), paying.world.balance(neighbour)) == (
        "50.000000",
        "0.000000",
        "50.000000",
    )


def test_a_refund_that_a_bank_sends_back_is_in_the_wallet_again(paying: Paying) -> None:  # noqa: F811 - a fixture
    _, client = paying.agency()
    paid_fifty(paying, client, number=REFUND_FAILS)
    closed(paying.world, client, "refund")

    paying.pretend.control.advance(60)
    paying.deliver()
    came_back = paying.world.balance(client)
    closed(paying.world, client, "forfeit", key="close-2")

    assert (came_back, paying.world.balance(client)) == ("50.000000", "0.000000")


def test_a_payment_page_that_is_still_open_cannot_be_paid_after_the_close(paying: Paying) -> None:  # noqa: F811
    _, client = paying.agency()
    page = paying.top_up(client)

    closed(paying.world, client, "refund")

    path = f"/v1/sub-accounts/{client}/wallet/top-ups/{page['id']}"
    assert paying.world.get(path)["state"] == "expired"


# Credits and their kind


def test_a_credit_says_what_kind_it_is_and_why(world: World) -> None:
    _, client = agency(world)
    path, body = f"/v1/sub-accounts/{client}/wallet/credits", {"amount": "5", "note": "welcome", "kind": "promo"}

    given = world.post(path, body, headers={"Idempotency-Key": "promo"})

    assert (given["credit_kind"], given["note"], given["kind"]) == ("promo", "welcome", "credit")
    assert [entry["credit_kind"] for entry in world.entries(client)] == ["promo", "goodwill"]


def test_the_same_key_with_another_kind_is_another_credit(world: World) -> None:
    _, client = agency(world)
    path = f"/v1/sub-accounts/{client}/wallet/credits"
    body = {"amount": "20.00", "note": "paid by bank transfer", "kind": "external_payment"}

    refused = world.call("POST", path, body, headers={"Idempotency-Key": "first"})

    assert (refused.status, refused.json["code"]) == (422, "idempotency_key_reused")
    assert world.balance(client) == "20.000000"


def test_the_client_reads_why_balance_was_given_and_only_the_agency_by_whom(world: World) -> None:
    workspace, client = agency(world)
    agent_token = session(world, OWNER, workspace)
    body = {"amount": "5.00", "note": "sorry for the outage"}
    path = f"/v1/sub-accounts/{client}/wallet"
    world.post(f"{path}/credits", body, headers={"Idempotency-Key": "sorry"}, key=agent_token)
    world.put(f"/v1/sub-accounts/{client}/authorized-users/{CLIENT}")

    theirs = world.call("GET", f"{path}/entries", key=session(world, CLIENT, client))
    agencys = world.call("GET", f"{path}/entries", key=agent_token)

    assert [entry["by"] for entry in agencys.json["data"]] == [OWNER, "the platform's"]
    assert theirs.json["data"][0]["note"] == "sorry for the outage"
    assert [entry["by"] for entry in theirs.json["data"]] == [None, None]
    assert OWNER not in theirs.text
