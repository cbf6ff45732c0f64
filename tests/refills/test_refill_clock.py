"""Days, queues and crowds: whatever comes late, twice or all at once, a shortage is paid for once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.flows.follow_stripe import follow
from chalicelib.flows.post_usage import Message, post_usage
from chalicelib.storage import refills
from tests.calls import call
from tests.payments.conftest import BRIGHT
from tests.refills.refilling import Refilling

DAY = 86_400


def later(time_machine: Any, seconds: float) -> None:
    time_machine.move_to(now_ms() / 1000 + seconds)


def test_a_hundred_calls_at_once_across_the_threshold_make_one_refill(refilling: Refilling) -> None:
    client = refilling.client(balance="60.00")
    calls = [call(client, f"call_{number}", seconds=10) for number in range(100)]  # one dollar each
    refilling.world.report(calls)
    messages = [Message(each["MessageId"], each["Body"]) for each in _taken(refilling)]
    with ThreadPoolExecutor(8) as consumers, ThreadPoolExecutor(3) as clocks:
        posted = [consumers.submit(post_usage, [message], 60.0) for message in messages]
        ticks = [clocks.submit(refilling.tick) for _ in range(9)]
        assert [each.result() for each in posted] == [[]] * len(messages)
        for each in ticks:
            each.result()
    for _ in range(3):
        refilling.tick()
    (taken,) = refilling.taken(owner=client)
    assert refilling.balance(client) == f"{60 - 100 + taken / 100:.6f}"
    assert taken >= 4000


def _taken(refilling: Refilling) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while some := refilling.world.messages():
        found += some
    return found


def test_three_overlapping_ticks_pay_once_for_each_of_ten_wallets(refilling: Refilling) -> None:
    clients = [refilling.client() for _ in range(10)]
    for client in clients:
        refilling.use(client, 700)
    with ThreadPoolExecutor(3) as clocks:
        opened = [clocks.submit(refilling.tick) for _ in range(3)]
        assert sum(each.result() for each in opened) == 10
    for client in clients:
        assert (refilling.taken(owner=client), refilling.balance(client)) == ([4500], "50.000000")
    assert refilling.asked() == 10


@pytest.mark.parametrize("delay", [DAY + 3_600, 8 * DAY, 60 * DAY], ids=["25 hours", "8 days", "60 days"])
def test_events_that_come_again_after_days_pay_and_credit_nothing(
    refilling: Refilling, time_machine: Any, delay: int
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.tick()
    for each in refilling.pretend.control.take():
        assert refilling.paying.knock(each.endpoint, each.body, each.headers) == 200
    queued: list[tuple[str, str]] = []
    while some := refilling.paying.take_waiting():
        queued += some
    assert follow(queued) == []
    before = (refilling.paying.amounts(client), refilling.taken(owner=client))
    later(time_machine, delay)
    assert follow(queued) == []
    refilling.tick()
    assert (refilling.paying.amounts(client), refilling.taken(owner=client)) == before


def test_a_clock_that_was_silent_for_three_hours_finds_what_it_had_begun(
    refilling: Refilling, time_machine: Any
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.pretend.control.hold_payments()
    refilling.tick()
    assert refilling.state(client) == "charging"
    (intent,) = refilling.intents()
    refilling.pretend.control.finish_payment(intent)
    refilling.use(client, 700)
    later(time_machine, 3 * 3_600)
    for _ in range(3):
        refilling.tick()
    assert refilling.taken(owner=client) == [4500]
    assert refilling.balance(client) == "43.000000"


def test_a_payment_that_processes_for_days_blocks_a_second_and_raises_an_alarm(
    refilling: Refilling, time_machine: Any, alarms: Any
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.pretend.control.hold_payments()
    refilling.tick()
    later(time_machine, DAY + 60)
    refilling.tick()
    assert "refill_open_too_long" in alarms()
    assert (refilling.state(client), refilling.asked()) == ("charging", 1)
    refilling.pretend.control.finish_payment(refilling.intents()[0], succeeds=False)
    refilling.tick()
    assert refilling.state(client) == "retrying"


def test_a_refill_whose_account_left_is_put_aside_loudly_once_and_found_when_it_is_back(
    refilling: Refilling, alarms: Any
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.pretend.control.hold_payments()
    refilling.tick()
    refilling.pretend.control.finish_payment(refilling.intents()[0])
    refilling.pretend.control.deauthorize(BRIGHT)
    for _ in range(3):
        refilling.tick()
    assert alarms().count("refill_out_of_reach") == 1
    held = refilling.refill(client)
    assert (held["state"], held["cause"]) == ("held", "out_of_reach")
    refilling.paying.deliver()
    refilling.paying.connect(refilling.workspace, BRIGHT)
    for _ in range(2):
        refilling.tick()
    assert refilling.taken(owner=client) == [4500]
    assert (refilling.balance(client), refilling.state(client)) == ("50.000000", "ok")
    assert refills.open_refills(10) == []
