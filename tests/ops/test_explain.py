"""`python -m ops explain`: the whole story of one id, as it was stored."""

import json
from collections import defaultdict
from typing import Any

import pytest
from time_machine import Traveller, travel

from chalicelib.clock import now_ms
from chalicelib.domain.money import format_amount
from chalicelib.domain.wallet import EntryKind
from chalicelib.flows import authenticate
from chalicelib.storage import tables
from local.voice_platform import PLATFORMS
from tests.calls import call, changed
from tests.ops.commands import done, refused, told
from tests.ops.hour import an_hour
from tests.refills.refilling import DECLINES, Refilling
from tests.stripe_stand import BRIGHT, Paying
from tests.world import World

HOUR = 3_600


def explained(what: str, *more: str) -> Any:
    """The story of an id, as programs read it."""
    (story,) = told("explain", what, *more)
    return story


def said(story: Any) -> str:
    """Everything that happened, in one text."""
    return "\n".join(moment["what"] for moment in story["timeline"])


def agency_and_client(world: World) -> tuple[str, str]:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.credit(workspace, "100.00")
    world.credit(client, "20.00")
    return workspace, client


def newest(world: World, owner: str) -> str:
    entry: str = world.entries(owner)[0]["id"]
    return entry


def later(seconds: float) -> Any:
    return travel(now_ms() / 1000 + seconds)


def stored_legs(item: Any) -> dict[str, dict[str, Any]]:
    sides = (item.workspace_wallet, item.workspace_leg), (item.sub_account_wallet, item.sub_account_leg)
    return {wallet: leg for wallet, leg in sides if leg is not None}


def test_every_entry_of_an_hour_tells_its_whole_story_with_the_amounts_that_are_stored(refilling: Refilling) -> None:
    an_hour(refilling)
    everything = list(tables.EntryItem.scan())
    items = sorted((each for each in everything if each.posted_at_ms), key=lambda each: each.sort_id)
    assert {each.pk.partition("#")[0] for each in items} == {kind.value for kind in EntryKind}
    assert len(items) > 100

    held: dict[str, int] = defaultdict(int)
    for number, item in enumerate(items):
        story = explained(f"ent_{item.sort_id}", "--workspace", item.sk)
        legs, stored = {leg["wallet"]: leg for leg in story["legs"]}, stored_legs(item)
        assert set(legs) == set(stored)
        for wallet, leg in stored.items():
            held[wallet] += leg["amount_micros"]
            shown = legs[wallet]
            assert shown["amount"] == format_amount(leg["amount_micros"])
            assert shown["balance_after"] == format_amount(held[wallet])
            assert shown.get("price", "").split(" ")[0] == leg.get("price_per_unit", "")
        assert [each["at"] for each in story["timeline"]] == sorted(each["at"] for each in story["timeline"])
        kind, source, event = item.pk.split("#")
        assert ("received, and put on the queue" in said(story)) == (kind == "usage")
        assert f"posted: moved {' and '.join(legs)}" in said(story)
        if kind == "usage" and number % 10 == 0:
            assert explained(f"{source}/{event}") == story
    for wallet in tables.WalletItem.scan():
        assert held[wallet.owner_id] == wallet.balance_micros
    unpaid = [each for each in everything if each.status in ("not_billable", "unmatched")]
    assert {each.status for each in unpaid} == {"not_billable", "unmatched"}
    for item in unpaid:
        _, source, event = item.pk.split("#")
        status = item.status.replace("_", " ")
        assert explained(f"{source}/{event}")["says"].startswith(
            f"It moved no wallet. Its state is: {status}, because of "
        )


def test_use_that_waited_for_its_price_says_so(world: World) -> None:
    workspace, client = agency_and_client(world)
    messages = call(client)
    messages["data"] = {"meter": "chat", "quantity": 7}
    world.report(messages)
    world.drain()
    waiting = explained("my-platform/call_1")
    with later(HOUR):
        costs = {"cost_per_minute": "0.07", "meters": {"chat": {"cost_per_unit": "0.01"}}}
        world.put(f"/v1/workspaces/{workspace}/cost", costs)
        chat = {"voice": {"enabled": False}, "meters": {"chat": {"price_per_unit": "0.02"}}}
        world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, **chat})
        world.drain()
        posted = explained("my-platform/call_1")

    assert waiting["says"] == "It moved no wallet. Its state is: needs review, because of price missing."
    assert said(posted).count(": the call waited for it") == 2
    assert [(leg["billed"], leg["price"]) for leg in posted["legs"]] == [("7", "0.01 each"), ("7", "0.02 each")]


def test_a_call_is_told_from_its_answer_to_what_both_wallets_held(world: World) -> None:
    workspace, client = agency_and_client(world)
    world.report(call(client, seconds=90.5))
    world.drain()

    story = explained("my-platform/call_1")

    own, clients = story["legs"]
    assert own["wallet"] == workspace
    assert clients["wallet"] == client
    assert (own["amount"], own["balance_after"], own["billed"]) == ("-0.106167", "99.893833", "91.000 s")
    assert (clients["amount"], clients["balance_after"], clients["price"]) == (
        "-0.227500",
        "19.772500",
        "0.15 a minute",
    )
    moments = [each["what"] for each in story["timeline"]]
    assert any(each.startswith("the price came into force, set by the platform's at ") for each in moments)
    assert "ended, my-platform says: 90.500 s of talk" in moments
    assert moments.index("answered, my-platform says") < moments.index("ended, my-platform says: 90.500 s of talk")


def test_people_read_it_as_tables_that_line_up(world: World) -> None:
    workspace, client = agency_and_client(world)
    world.report(call(client, seconds=60))
    world.drain()

    lines = done("explain", newest(world, client), "--workspace", client).splitlines()

    assert lines[0] == f"{newest(world, client)}  usage"
    head = next(line for line in lines if line.startswith("  wallet "))
    rows = [lines[lines.index(head) + number] for number in (1, 2)]
    for column, cells in (("amount", ("-0.070000", "-0.150000")), ("balance after", ("99.930000", "19.850000"))):
        assert [row[head.index(column) :].split(" ")[0] for row in rows] == list(cells)
    assert {row.split()[0] for row in rows} == {workspace, client}
    moments = [line for line in lines if line.startswith("  20") and "Z  " in line]
    assert len(moments) >= 5
    assert all(line[26:28] == "  " for line in moments)


def test_an_entry_is_found_without_its_workspace_too(world: World) -> None:
    _, client = agency_and_client(world)
    entry = newest(world, client)

    assert explained(entry) == explained(entry, "--workspace", client)


def test_of_two_prices_that_were_set_at_the_same_moment_each_client_is_told_its_own(world: World) -> None:
    workspace, client = agency_and_client(world)
    other = world.sub_account(workspace)
    body = {"enabled": True, "voice": {"price_per_minute": "0.20"}}
    with travel(now_ms() / 1000 + HOUR, tick=False):
        for owner, name in ((other, "the other's key"), (client, "its own key")):
            key = authenticate.issue_api_key(name)
            assert world.call("PUT", f"/v1/sub-accounts/{owner}/rebilling", body, key=key).status == 200
        world.report(call(client))
        world.drain()
        story = said(explained("my-platform/call_1"))

    assert "the price came into force, set by its own key at " in story


def test_a_price_that_changes_later_does_not_change_the_story(world: World) -> None:
    workspace, client = agency_and_client(world)
    world.report(call(client, seconds=60))
    world.drain()
    before = explained("my-platform/call_1")

    with later(HOUR):
        world.rebill(client, "9.99")
        world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.50"})
        world.credit(client, "5.00", key="second")
        after = explained("my-platform/call_1")

    assert after == before


def test_a_call_that_waits_for_its_agent_says_so_and_once_posted_how_long_it_has_waited(world: World) -> None:
    workspace, client = agency_and_client(world)
    endpoint = world.endpoint(workspace, "cloudevents")
    _deliver(world, endpoint, call("front-desk", "call_9"))

    waiting = explained("my-platform/call_9", "--workspace", workspace)
    with later(HOUR):
        world.put(f"/v1/sub-accounts/{client}/voice-agents/cloudevents/front-desk")
        world.drain()
        posted = explained("my-platform/call_9")

    assert waiting["says"] == "It moved no wallet. Its state is: unmatched, because of agent not assigned."
    assert "its voice agent was assigned: until then the call waited for that" in said(posted)
    assert posted["legs"][1]["wallet"] == client


def _deliver(world: World, endpoint: Any, event: Any) -> None:
    body = json.dumps(event).encode()
    url = f"/webhooks/voice/cloudevents/{endpoint['id']}"
    headers = PLATFORMS["cloudevents"].sign(body, endpoint["secret"], f"https://rebill.example{url}")
    answer = world.call("POST", url, raw=body, headers={"content-type": "application/cloudevents+json", **headers})
    assert answer.status == 202, answer.text
    world.drain()


def test_a_delivery_that_said_something_else_is_part_of_the_story(world: World) -> None:
    _, client = agency_and_client(world)
    first = call(client, seconds=60)
    world.report(first)
    world.drain()
    with later(600):
        world.report(changed(first, ended_at=call(client, seconds=200)["data"]["ended_at"]))
        world.drain()

    story = explained("my-platform/call_1")

    assert "another delivery said something else" in said(story)
    assert story["legs"][1]["amount"] == "-0.150000"


def test_the_call_that_emptied_a_wallet_tells_the_notice_and_the_refill_that_it_set_off(refilling: Refilling) -> None:
    client = refilling.client(balance="12.00")
    refilling.use(client, 700)
    refilling.tick()

    (usage,) = [each["id"] for each in refilling.world.entries(client) if each["kind"] == "usage"]
    story = said(explained(usage, "--workspace", client))

    assert f"told {client}: The balance was told to be low, balance 5.000000" in story
    assert f"of 45.00 usd opened for {client}" in story
    assert f"told {client}: An automatic refill came in, amount 45.00" in story


def test_a_declined_refill_tells_the_banks_words_and_its_tries(refilling: Refilling, time_machine: Traveller) -> None:
    client = refilling.client(card=DECLINES, balance="12.00")
    refilling.use(client, 700)
    refilling.tick()
    time_machine.move_to(now_ms() / 1000 + HOUR + 60)
    refilling.tick()
    refilling.tick()
    ids = sorted(item.sk for item in tables.PaymentItem.query(client, tables.PaymentItem.sk.startswith("rfl_")))

    first, second = (explained(each) for each in ids)

    assert first["says"] == "The card was declined. No money has moved."
    assert "(card_declined, generic_decline)" in said(first)
    assert f"a later refill of the wallet: {second['id']} of 45.00 usd, declined" in said(first)
    assert f"an earlier refill of the wallet: {first['id']} of 45.00 usd, declined" in said(second)
    assert second["facts"]["refills_now"].startswith("retrying: The card was declined")
    assert explained(first["facts"]["payment_intent"]) == first


def test_a_paid_refill_names_its_card_its_account_and_its_entry(refilling: Refilling) -> None:
    client = refilling.client(balance="12.00")
    refilling.use(client, 700)
    refilling.tick()
    entry = newest(refilling.world, client)

    whole = explained(entry, "--workspace", client)
    story = explained(whole["facts"]["paid_for"], "--workspace", client)

    assert story["says"] == "It was paid, and is in the balance."
    assert story["facts"]["card"].endswith("(visa 4242)")
    assert story["facts"]["stripe_account"] == BRIGHT
    assert f"refill entry {entry}: 45.000000 usd" in said(story)
    assert "after which the wallet held 5.000000" in said(story)
    assert "the card was asked (time 1 for this payment)" in said(whole)


def test_a_top_up_tells_what_went_back_and_each_of_those_entries_tells_the_top_up(paying: Paying) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client)
    intent = paying.pay(top_up)
    paying.deliver()
    paying.pretend.control.refund(intent, 1000)
    paying.deliver()
    paying.pretend.control.open_dispute(intent, amount=2000)
    paying.deliver()

    story = explained(top_up["id"])

    assert explained(intent) == story
    assert story["facts"]["gone_back"] == "30.000000 usd"
    assert story["facts"]["refills_held"]
    assert [entry["amount"] in said(story) for entry in paying.world.entries(client)] == [True] * 3
    for entry in paying.world.entries(client):
        of_entry = explained(entry["id"], "--workspace", client)
        assert of_entry["facts"]["paid_for"] == top_up["id"]
        assert of_entry["facts"]["payment_intent"] == intent
        assert "a person asked to buy 50.00 usd" in said(of_entry)


def test_a_no_of_the_gate_is_told_as_it_was_then_and_not_as_it_would_be_now(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.credit(workspace, "100.00")
    answer = world.call("GET", f"/v1/sub-accounts/{client}/access")
    with later(HOUR):
        world.credit(client, "20.00")
        allowed = world.get(f"/v1/sub-accounts/{client}/access")
        then = explained(answer.json["decision_id"], "--workspace", client)
    with later(2 * HOUR):
        world.report(call(client, seconds=600, answered=-700))
        world.drain()
        world.post(f"/v1/sub-accounts/{client}/pause", {"note": "unpaid"}, 200)
        yes = explained(allowed["decision_id"], "--workspace", client)

    assert answer.json["code"] == "sub_account_wallet_empty"
    assert then["facts"]["answer"] == "403 sub_account_wallet_empty"
    assert [leg["balance_then"] for leg in then["legs"]] == ["100.000000", "0.000000"]
    assert (yes["facts"]["answer"], yes["facts"]["max_seconds"]) == ("200 allowed", str(allowed["max_seconds"]))
    assert yes["legs"][1]["balance_then"] == "20.000000"


def test_a_credit_names_who_gave_it_why_and_under_which_key(world: World) -> None:
    _, client = agency_and_client(world)

    story = explained(newest(world, client), "--workspace", client)

    assert story["facts"]["by"] == "the platform's"
    assert story["facts"]["note"] == "paid by bank transfer"
    assert (story["facts"]["given_as"], story["facts"]["idempotency_key"]) == ("goodwill", "first")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("nonsense", "'nonsense' has no story"),
        ("pi_3SomebodyElses", "No record of ours knows pi_3SomebodyElses"),
        ("my-platform/nothing", "No call nothing of my-platform was received."),
        ("ent_01KB2V6E6CZJ5Q7M3W8K1XN4TD", "There is no entry ent_01KB2V6E6CZJ5Q7M3W8K1XN4TD on this stage."),
        ("rfl_01KB2V6E6CZJ5Q7M3W8K1XN4TD", "There is no rfl_01KB2V6E6CZJ5Q7M3W8K1XN4TD on this stage."),
        ("gte_01KB2V6E6CZJ5Q7M3W8K1XN4TD", "A decision does not say whose it is."),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(world: World, what: str, sentence: str) -> None:
    assert sentence in refused("explain", what)
