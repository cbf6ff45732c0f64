"""Top-ups whose account does not let us look any more: a person is told once, and nobody else has to wait for them."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.flows import follow_stripe
from chalicelib.flows.follow_stripe import sweep_top_ups
from tests.payments.conftest import BRIGHT, NORTH, Paying
from tests.payments.connecting import disconnect

Alarms = Callable[[], list[str]]
OUT_OF_REACH = "top_up_out_of_reach"
DAY_OF_A_PAGE_MS = 25 * 3_600_000


def gone(paying: Paying, account: str = BRIGHT) -> None:
    """The account's owner shuts us out, and nobody tells us."""
    paying.pretend.control.deauthorize(account)
    paying.pretend.control.take()


def state(paying: Paying, top_up: Any) -> str:
    return str(paying.world.get(f"/v1/sub-accounts/{top_up['owner']}/wallet/top-ups/{top_up['id']}")["state"])


def test_more_top_ups_out_of_reach_than_one_sweep_reads_do_not_keep_the_next_one_from_being_settled(
    paying: Paying, alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_stripe, "MOST_OPEN_TOP_UPS", 3)  # for the 100 of which 101 would be too many
    workspace, first = paying.agency(BRIGHT)
    clients = [first, *(paying.world.sub_account(workspace, "0.15") for _ in range(3))]
    lost = [paying.top_up(client) for client in clients]
    _, patient = paying.agency(NORTH)
    paying.pay(paying.top_up(patient))
    gone(paying)

    for _ in range(4):
        sweep_top_ups()

    assert len(lost) == follow_stripe.MOST_OPEN_TOP_UPS + 1
    assert paying.world.balance(patient) == "50.000000"
    assert alarms().count(OUT_OF_REACH) == len(lost)


def test_a_person_is_told_once_of_a_top_up_out_of_reach_whoever_asks_after_it(paying: Paying, alarms: Alarms) -> None:
    _, client = paying.agency(BRIGHT)
    top_up = paying.top_up(client)
    paying.pay(top_up)
    paid = paying.pretend.control.take()
    gone(paying)

    for _ in range(3):
        sweep_top_ups()
        paying.return_to(top_up)
        paying.deliver(paid)
        assert state(paying, top_up) == "open"
        paying.top_up(client, "20.00", key="another", expect=409)

    assert alarms().count(OUT_OF_REACH) == 1
    assert sweep_top_ups() == 0


@pytest.mark.parametrize("by_another_workspace", [False, True])
def test_a_payment_out_of_reach_is_credited_once_its_account_lets_us_in_again(
    paying: Paying, by_another_workspace: bool
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.pay(paying.top_up(client))
    paying.pretend.control.take()
    disconnect(paying, workspace)
    sweep_top_ups()
    before = paying.amounts(client)

    paying.connect(paying.world.workspace() if by_another_workspace else workspace, BRIGHT)
    sweep_top_ups()

    assert (before, paying.amounts(client)) == ([], [("top_up", "50.000000")])


def test_another_account_that_is_connected_brings_nothing_back(paying: Paying, alarms: Alarms) -> None:
    workspace, client = paying.agency(BRIGHT)
    top_up = paying.top_up(client)
    gone(paying)
    sweep_top_ups()
    alarms()

    paying.connect(workspace, NORTH)
    asked_after = sweep_top_ups()

    assert asked_after == 0
    assert alarms() == []
    assert state(paying, top_up) == "open"


def test_an_account_that_goes_out_of_reach_again_is_told_of_again(paying: Paying, alarms: Alarms) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.top_up(client)
    for _ in range(2):
        gone(paying)
        sweep_top_ups()
        sweep_top_ups()
        paying.connect(workspace, BRIGHT)

    assert alarms().count(OUT_OF_REACH) == 2
    assert sweep_top_ups() == 1


def test_a_page_that_nobody_paid_on_is_closed_once_its_account_lets_us_in_again(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    top_up = paying.top_up(client)
    disconnect(paying, workspace)
    sweep_top_ups()
    paying.connect(workspace, BRIGHT)
    paying.pretend.control.advance(25 * 3600)

    sweep_top_ups()

    assert state(paying, top_up) == "expired"
    assert paying.world.wallet(client)["pending_top_up"] is None


def test_after_a_day_it_blocks_no_new_top_up_and_what_was_paid_is_still_credited_when_the_account_comes_back(
    paying: Paying, time_machine: Any
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.pay(paying.top_up(client, "50.00", key="left"))
    paying.pretend.control.take()
    disconnect(paying, workspace)
    paying.connect(workspace, NORTH)
    refused = paying.top_up(client, "20.00", key="second", expect=409)
    time_machine.move_to((now_ms() + DAY_OF_A_PAGE_MS) / 1000)
    paying.pay(paying.top_up(client, "20.00", key="second"))
    sweep_top_ups()
    before = paying.amounts(client)

    paying.connect(paying.world.workspace(), BRIGHT)
    sweep_top_ups()

    assert refused["code"] == "top_up_pending"
    assert before == [("top_up", "20.000000")]
    assert paying.amounts(client) == [("top_up", "20.000000"), ("top_up", "50.000000")]


def test_a_top_up_that_was_let_go_of_does_not_close_the_one_that_took_its_place(
    paying: Paying, time_machine: Any
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.pay(paying.top_up(client, "50.00", key="left"))
    paying.pretend.control.take()
    disconnect(paying, workspace)
    paying.connect(workspace, NORTH)
    time_machine.move_to((now_ms() + DAY_OF_A_PAGE_MS) / 1000)
    second = paying.top_up(client, "20.00", key="second")

    paying.connect(paying.world.workspace(), BRIGHT)
    sweep_top_ups()

    assert paying.world.balance(client) == "50.000000"
    assert paying.world.wallet(client)["pending_top_up"]["id"] == second["id"]
