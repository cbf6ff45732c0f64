"""The main job, told from the outside: what is reported, what both wallets pay, what the gate says next."""

from datetime import timedelta

import pytest
import time_machine

from tests.calls import call, changed, moment
from tests.world import World


def test_a_finished_call_costs_both_wallets_once_however_often_it_is_reported(world: World) -> None:
    workspace, client = _agency_and_client(world)
    finished = call(client, seconds=42)

    for _ in range(3):
        world.report(finished)
    world.drain()
    world.report(finished)
    world.drain()

    # 42 s at 0.07 a minute are 0.049; at 0.15 a minute they are 0.105.
    assert world.balance(workspace) == "99.951000"
    assert world.balance(client) == "19.895000"
    assert [entry["amount"] for entry in world.entries(client)] == ["-0.105000", "20.000000"]
    assert [entry["amount"] for entry in world.entries(workspace)] == ["-0.049000", "100.000000"]


def test_a_client_that_is_not_re_billed_pays_nothing_and_its_agency_pays_the_platform(world: World) -> None:
    workspace, client = _agency_and_client(world, price=None)

    world.report(call(client, seconds=60))
    world.drain()

    assert world.balance(workspace) == "99.930000"
    assert world.balance(client) == "20.000000"
    assert world.usage("my-platform", "call_1")["charges"]["sub_account"] is None


def test_a_queued_call_can_be_asked_after_and_later_tells_its_whole_story(world: World) -> None:
    workspace, client = _agency_and_client(world)

    accepted = world.report(call(client, seconds=90.5))
    queued = world.usage("my-platform", "call_1")
    world.drain()
    posted = world.usage("my-platform", "call_1")

    assert accepted["data"][0]["status"] == "queued"
    assert queued["status"] == "queued"
    assert posted["status"] == "posted"
    assert posted["workspace"] == workspace
    assert posted["sub_account"] == client
    # 90.5 s are billed as 91 s: 0.07 * 91 / 60 = 0.1061666... and 0.15 * 91 / 60 = 0.2275.
    own, clients = posted["charges"]["workspace"], posted["charges"]["sub_account"]
    assert (own["amount"], own["billed_seconds"], own["price_per_minute"]) == ("0.106167", "91.000", "0.07")
    assert (clients["amount"], clients["billed_seconds"], clients["price_per_minute"]) == ("0.227500", "91.000", "0.15")
    assert posted["entry"] == world.entries(client)[0]["id"] == world.entries(workspace)[0]["id"]


def test_a_price_that_changed_while_the_call_was_on_its_way_does_not_change_the_call(world: World) -> None:
    workspace, client = _agency_and_client(world, price="0.15")
    answered_under_the_old_prices = call(client, seconds=60)

    with time_machine.travel(_later(minutes=10)):
        world.rebill(client, "0.30")
        world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})
        world.rebill(client, None)
    with time_machine.travel(_later(minutes=20)):
        world.rebill(client, "0.45")
        world.report(answered_under_the_old_prices)
        world.drain()

    assert world.usage("my-platform", "call_1")["charges"]["workspace"]["amount"] == "0.070000"
    assert world.usage("my-platform", "call_1")["charges"]["sub_account"]["amount"] == "0.150000"


def test_a_call_answered_while_re_billing_was_off_is_not_re_billed_though_it_arrives_after_it_was_turned_on(
    world: World,
) -> None:
    _, client = _agency_and_client(world, price="0.15")

    with time_machine.travel(_later(minutes=10)):
        world.rebill(client, None)
    with time_machine.travel(_later(minutes=11)):
        answered_while_off = call(client, seconds=60)
    with time_machine.travel(_later(minutes=20)):
        world.rebill(client, "0.45")
        world.report(answered_while_off)
        world.drain()

    assert world.usage("my-platform", "call_1")["charges"]["sub_account"] is None
    assert world.balance(client) == "20.000000"


def test_a_price_from_tomorrow_on_rates_tomorrows_calls_only(world: World) -> None:
    _, client = _agency_and_client(world, price="0.15")
    voice = {"price_per_minute": "0.60"}
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice, "effective_at": moment(86_400)})

    world.report(call(client, "today", seconds=60))
    with time_machine.travel(_later(hours=25)):
        world.report(call(client, "tomorrow", seconds=60))
        world.drain()

    assert world.usage("my-platform", "today")["charges"]["sub_account"]["amount"] == "0.150000"
    assert world.usage("my-platform", "tomorrow")["charges"]["sub_account"]["amount"] == "0.600000"


@pytest.mark.parametrize(
    ("voice", "seconds", "amount"),
    [
        # cost 0.07 and half of it on top: 0.105 a minute
        ({"price_type": "markup", "markup_percent": 50}, 42, "0.073500"),
        ({"price_type": "absorb"}, 42, "0.000000"),
        # 61 s under 60/60 are two minutes
        ({"price_per_minute": "0.15", "initial_increment_seconds": 60, "increment_seconds": 60}, 61, "0.300000"),
        # 31 s under 30/6 are 36 s: 0.15 * 36 / 60, and 0.02 for connecting
        (
            {
                "price_per_minute": "0.15",
                "initial_increment_seconds": 30,
                "increment_seconds": 6,
                "connect_fee": "0.02",
            },
            31,
            "0.110000",
        ),
        ({"price_per_minute": "0.15", "minimum_seconds": 20}, 5, "0.050000"),
    ],
)
def test_the_agency_sells_minutes_the_way_telecom_does(
    world: World, voice: dict[str, object], seconds: int, amount: str
) -> None:
    _, client = _agency_and_client(world, price=None)
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice})

    world.report(call(client, seconds=seconds))
    world.drain()

    assert world.usage("my-platform", "call_1")["charges"]["sub_account"]["amount"] == amount


def test_other_meters_are_counted_not_timed(world: World) -> None:
    workspace, client = _agency_and_client(world, price=None)
    world.put(
        f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.07", "meters": {"chat": {"cost_per_unit": "0.01"}}}
    )
    chat = {"chat": {"price_per_unit": "0.025"}}
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": {"enabled": False}, "meters": chat})
    messages = call(client)
    messages["data"] = {"meter": "chat", "quantity": 7}

    world.report(messages)
    world.drain()

    charges = world.usage("my-platform", "call_1")["charges"]
    assert (charges["workspace"]["amount"], charges["sub_account"]["amount"]) == ("0.070000", "0.175000")
    assert charges["sub_account"]["price_per_unit"] == "0.025"


def test_a_meter_nobody_priced_waits_for_its_price_and_is_posted_once_there_is_one(world: World) -> None:
    workspace, client = _agency_and_client(world, price="0.15")
    messages = call(client)
    messages["data"] = {"meter": "chat", "quantity": 7}

    world.report(messages)
    world.drain()
    waiting = world.usage("my-platform", "call_1")
    costs = {"cost_per_minute": "0.07", "meters": {"chat": {"cost_per_unit": "0.01"}}}
    world.put(f"/v1/workspaces/{workspace}/cost", costs)
    chat = {"voice": {"enabled": False}, "meters": {"chat": {"price_type": "absorb"}}}
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, **chat})
    world.drain()

    assert (waiting["status"], waiting["reason"]) == ("needs_review", "price_missing")
    assert world.usage("my-platform", "call_1")["status"] == "posted"
    assert world.balance(workspace) == "99.930000"


def test_a_duplicate_with_other_contents_is_refused_and_told_and_moves_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    workspace, client = _agency_and_client(world)
    first = call(client, seconds=42)
    world.report(first)
    world.drain()

    world.report(changed(first, ended_at=moment(200)))
    world.drain()

    assert world.balance(workspace) == "99.951000"
    assert world.balance(client) == "19.895000"
    told = world.usage("my-platform", "call_1")
    assert told["status"] == "conflict"
    assert told["charges"]["sub_account"]["amount"] == "0.105000"
    assert len(told["conflicts"]) == 1
    waiting = world.get(f"/v1/workspaces/{workspace}/usage-events?status=conflict")["data"]
    assert [event["id"] for event in waiting] == ["call_1"]
    assert "usage_conflict" in [getattr(line, "alarm", None) for line in caplog.records]


def test_two_deliveries_that_contradict_each_other_in_one_batch_post_one_and_keep_the_other(world: World) -> None:
    _, client = _agency_and_client(world)
    first = call(client, seconds=42)

    world.report([first, changed(first, ended_at=moment(200)), first])
    world.drain()

    assert len(world.entries(client)) == 2  # the credit and one of the calls
    assert len(world.usage("my-platform", "call_1")["conflicts"]) == 1


def _agency_and_client(world: World, price: str | None = "0.15") -> tuple[str, str]:
    """An agency with 100 in its wallet, and a client of its with 20."""
    workspace = world.workspace()
    client = world.sub_account(workspace, price)
    world.credit(workspace, "100.00")
    world.credit(client, "20.00")
    return workspace, client


def _later(**interval: float) -> timedelta:
    return timedelta(**interval)
