"""Money goes back: the wallet ends exactly where the money did."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.flows import reverse_payment as reversing
from chalicelib.storage import payments
from tests.calls import call
from tests.payments.conftest import BRIGHT, NORTH, Paying
from tests.payments.money import own_sale, paid_fifty, said_again

REFUND_FAILS, REFUND_PENDS = "4000000000005126", "4000000000007726"


@pytest.mark.parametrize(("disputed", "order"), [(2500, 1), (5000, 2)], ids=["the rest", "the whole"])
def test_refunds_and_a_lost_dispute_and_everything_said_twice_leave_the_wallet_where_the_money_is(
    paying: Paying, disputed: int, order: int
) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    balances = []
    paying.pretend.control.refund(intent, 1000)
    paying.deliver()
    balances.append(paying.world.balance(client))
    paying.pretend.control.refund(intent, 1500)
    paying.deliver()
    balances.append(paying.world.balance(client))
    dispute = paying.pretend.control.open_dispute(intent, amount=disputed)
    paying.pretend.control.close_dispute(dispute["id"], "lost")
    paying.deliver()
    said_again(paying, order)

    # 50 - 10 = 40; 40 - 15 = 25. Then the bank takes the rest, 25, or the whole, 50: of a payment of 50 no more than
    # 50 can leave the wallet, and 25 of that has gone before. Either way it takes 25 from it, and nothing is left.
    assert balances == ["40.000000", "25.000000"]
    assert paying.amounts(client) == [
        ("top_up", "50.000000"),
        ("refund", "-10.000000"),
        ("refund", "-15.000000"),
        ("dispute", "-25.000000"),
    ]
    assert paying.world.balance(client) == "0.000000"


@pytest.mark.parametrize("order", range(3))
def test_whatever_stripe_says_first_and_however_often_the_wallet_ends_in_the_same_place(
    paying: Paying, order: int
) -> None:
    _, client = paying.agency()
    intent = paying.pay(paying.top_up(client))
    paying.pretend.control.refund(intent, 1000)
    paying.pretend.control.refund(intent, 1500)
    paying.pretend.control.open_dispute(intent, amount=2000)
    said = paying.pretend.control.take()
    random.Random(order).shuffle(said)

    for each in [*said, *said[::-1]]:
        paying.deliver([each])

    # 50 - 10 - 15 - 20 = 5, however it was told.
    assert paying.world.balance(client) == "5.000000"
    assert [amount for kind, amount in paying.amounts(client) if kind == "top_up"] == ["50.000000"]


def test_a_refund_that_fails_later_gives_the_balance_back(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client, number=REFUND_FAILS)

    paying.pretend.control.refund(intent, 2000)
    paying.deliver()
    meanwhile = paying.world.balance(client)
    paying.pretend.control.advance(60)
    paying.deliver()
    said_again(paying, 1)

    assert meanwhile == "30.000000"
    assert paying.amounts(client) == [("top_up", "50.000000"), ("refund", "-20.000000"), ("refund", "20.000000")]
    assert paying.world.balance(client) == "50.000000"


def test_a_refund_on_its_way_is_gone_already_and_its_arrival_takes_nothing_more(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client, number=REFUND_PENDS)

    paying.pretend.control.refund(intent, 2000)
    paying.deliver()
    meanwhile = paying.world.balance(client)
    paying.pretend.control.advance(60)
    paying.deliver()

    assert (meanwhile, paying.world.balance(client)) == ("30.000000", "30.000000")


def test_a_refund_that_happens_before_the_payment_was_seen_is_taken_off_all_the_same(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paying.pay(paying.top_up(client))
    first = paying.pretend.control.take()
    paying.pretend.control.refund(intent, 1000)

    paying.deliver()
    paying.deliver(first)

    # 50 came in and 10 went back, whichever of the two is told first.
    assert paying.world.balance(client) == "40.000000"


def test_a_refund_made_while_its_payment_is_being_credited_is_not_forgotten(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client)
    intent = paying.pay(top_up)
    paid = paying.pretend.control.take()
    settle = payments.settle

    def refunded_just_now(*args: Any) -> Any:
        monkeypatch.setattr(payments, "settle", settle)
        paying.pretend.control.refund(intent, 1000)
        paying.deliver()
        return settle(*args)

    monkeypatch.setattr(payments, "settle", refunded_just_now)
    paying.deliver(paid)

    # The refund was told between the look at Stripe and the credit: 50 - 10.
    assert paying.world.balance(client) == "40.000000"


def test_a_dispute_that_is_won_brings_the_balance_back(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    dispute = paying.pretend.control.open_dispute(intent)
    paying.deliver()
    meanwhile = paying.world.balance(client)
    paying.pretend.control.close_dispute(dispute["id"], "won")
    paying.deliver()
    said_again(paying, 2)

    assert meanwhile == "0.000000"
    assert paying.amounts(client) == [("top_up", "50.000000"), ("dispute", "-50.000000"), ("dispute", "50.000000")]


def test_after_a_dispute_that_was_won_a_refund_is_called_a_refund(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    dispute = paying.pretend.control.open_dispute(intent)
    paying.deliver()
    paying.pretend.control.close_dispute(dispute["id"], "won")
    paying.deliver()

    state = paying.pretend.control.state()["spaces"][f"{BRIGHT}:test"]
    for charge in state["charge"].values():
        paying.pretend.control.state()["hidden"][charge["id"]]["refundable"] = True
    paying.pretend.control.refund(intent, 1000)
    paying.deliver()

    assert paying.amounts(client)[-1] == ("refund", "-10.000000")


def test_a_dispute_over_a_part_takes_that_part(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    paying.pretend.control.open_dispute(intent, amount=1234)
    paying.deliver()

    assert paying.amounts(client) == [("top_up", "50.000000"), ("dispute", "-12.340000")]


def test_several_disputes_over_one_payment_are_added_up_and_netted(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    first = paying.pretend.control.open_dispute(intent, amount=1000)
    second = paying.pretend.control.open_dispute(intent, amount=2500)
    paying.deliver()
    meanwhile = paying.world.balance(client)
    paying.pretend.control.close_dispute(second["id"], "won")
    paying.pretend.control.close_dispute(first["id"], "lost")
    paying.deliver()
    said_again(paying, 3)

    # 50 - 10 - 25 = 15; of that the 25 come back, the 10 do not.
    assert (meanwhile, paying.world.balance(client)) == ("15.000000", "40.000000")


def test_an_inquiry_moves_no_money_but_holds_refills_until_it_is_closed(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    inquiry = paying.pretend.control.open_dispute(intent, inquiry=True)
    paying.deliver()
    held = payments.refills_are_held(client)
    paying.pretend.control.close_dispute(inquiry["id"], "won")
    paying.deliver()

    assert (held, payments.refills_are_held(client)) == (True, False)
    assert paying.amounts(client) == [("top_up", "50.000000")]


@pytest.mark.parametrize(("end", "held_after"), [("won", False), ("lost", True)])
def test_a_dispute_holds_refills_until_it_is_won(paying: Paying, end: str, held_after: bool) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    before = payments.refills_are_held(client)
    dispute = paying.pretend.control.open_dispute(intent)
    paying.deliver()
    meanwhile = payments.refills_are_held(client)
    paying.pretend.control.close_dispute(dispute["id"], end)
    paying.deliver()

    assert (before, meanwhile, payments.refills_are_held(client)) == (False, True, held_after)


def test_a_dispute_keeps_holding_refills_whatever_becomes_of_another_payment(paying: Paying) -> None:
    _, client = paying.agency()
    disputed, other = paid_fifty(paying, client, "one"), paid_fifty(paying, client, "two")
    paying.pretend.control.open_dispute(disputed)
    paying.deliver()

    paying.pretend.control.refund(other, 1000)
    paying.deliver()

    assert payments.refills_are_held(client)


def test_of_two_disputed_payments_one_that_is_won_does_not_let_refills_go_on(paying: Paying) -> None:
    _, client = paying.agency()
    first, second = paid_fifty(paying, client, "one"), paid_fifty(paying, client, "two")
    won = paying.pretend.control.open_dispute(first)
    paying.pretend.control.open_dispute(second)
    paying.deliver()

    paying.pretend.control.close_dispute(won["id"], "won")
    paying.deliver()

    assert payments.refills_are_held(client)
    assert paying.world.balance(client) == "50.000000"


def test_a_refund_of_what_was_used_already_takes_the_wallet_below_zero_and_no_new_call_starts(paying: Paying) -> None:
    workspace, client = paying.agency()
    paying.world.credit(workspace, "100.00")
    intent = paid_fifty(paying, client)
    paying.world.rebill(client, "9.00")
    paying.world.report([call(client, f"call_{number}", seconds=60) for number in range(5)])
    paying.world.drain()
    paying.world.rebill(client, "0.15")

    before = paying.world.call("GET", f"/v1/sub-accounts/{client}/access")
    paying.pretend.control.refund(intent)
    paying.deliver()
    after = paying.world.call("GET", f"/v1/sub-accounts/{client}/access")

    # 5 minutes at 9 were used: 50 - 45 = 5 were left, and the person has all of the 50 back.
    assert paying.world.balance(client) == "-45.000000"
    assert (before.status, after.status) == (200, 403)
    assert after.json["code"] == "sub_account_wallet_empty"


def test_a_refund_to_a_workspace_moves_its_wallet_and_nobody_elses(paying: Paying) -> None:
    workspace, client = paying.agency()
    intent = paid_fifty(paying, workspace)
    paid_fifty(paying, client)

    paying.pretend.control.refund(intent, 2000)
    dispute = paying.pretend.control.open_dispute(intent, amount=3000)
    paying.pretend.control.close_dispute(dispute["id"], "lost")
    paying.deliver()
    said_again(paying, 4)

    # 50 - 20 - 30 = 0 at the platform; the client's own 50 lie on the agency's account.
    assert (paying.world.balance(workspace), paying.world.balance(client)) == ("0.000000", "50.000000")
    assert payments.refills_are_held(workspace)
    assert not payments.refills_are_held(client)


@pytest.mark.parametrize("senders", [2, 8])
def test_deliveries_of_one_refund_handled_at_the_same_moment_take_it_off_once(
    paying: Paying, senders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    paying.pretend.control.refund(intent, 1000)
    together, looked, read = threading.Barrier(senders), threading.local(), reversing.stripe.read_payment

    def all_have_read(account_id: str | None, payment_intent_id: str) -> Any:
        facts = read(account_id, payment_intent_id)
        if not getattr(looked, "once", False):
            looked.once = True
            together.wait(timeout=10)
        return facts

    monkeypatch.setattr(reversing.stripe, "read_payment", all_have_read)
    with ThreadPoolExecutor(senders) as pool:
        list(pool.map(lambda _: reversing.reverse_payment(BRIGHT, intent), range(senders)))

    assert paying.amounts(client) == [("top_up", "50.000000"), ("refund", "-10.000000")]
    assert paying.world.balance(client) == "40.000000"


def test_a_newer_look_at_the_money_wins_over_an_older_one(paying: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    paying.pretend.control.refund(intent, 1000)
    read = reversing.stripe.read_payment

    def overtaken(account_id: str | None, payment_intent_id: str) -> Any:
        seen = read(account_id, payment_intent_id)
        monkeypatch.setattr(reversing.stripe, "read_payment", read)
        paying.pretend.control.refund(intent, 1500)
        paying.deliver()
        return seen

    monkeypatch.setattr(reversing.stripe, "read_payment", overtaken)
    reversing.reverse_payment(BRIGHT, intent)

    # One saw 10 gone, the other 25: 50 - 25.
    assert paying.world.balance(client) == "25.000000"


def test_a_refund_of_somebody_elses_payment_on_the_same_account_is_none_of_ours(
    paying: Paying, alarms: Callable[[], list[str]]
) -> None:
    _, client = paying.agency()
    paid_fifty(paying, client)
    theirs = own_sale(paying, BRIGHT)
    alarms()

    paying.pretend.control.refund(theirs, 4000)
    paying.pretend.control.open_dispute(theirs)
    paying.deliver()

    assert paying.amounts(client) == [("top_up", "50.000000")]
    assert not payments.refills_are_held(client)
    assert alarms() == []


def test_after_the_agency_moved_to_another_account_a_refund_on_the_old_one_still_reaches_the_wallet(
    paying: Paying,
) -> None:
    workspace, client = paying.agency(BRIGHT)
    intent = paid_fifty(paying, client)
    assert "Stripe is connected" in paying.connect(workspace, NORTH).text

    paying.pretend.control.refund(intent, 1000)
    paying.deliver()

    assert paying.world.balance(client) == "40.000000"


def test_a_payment_that_was_made_before_the_agency_left_is_credited_when_it_comes_back(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.pay(paying.top_up(client))
    paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    paying.deliver()

    before = paying.amounts(client)
    paying.connect(workspace, BRIGHT)
    paying.top_up(client, "20.00", key="second")

    assert (before, paying.amounts(client)) == ([], [("top_up", "50.000000")])


def test_late_news_of_an_end_does_not_end_the_connection_that_was_made_since(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    late = paying.pretend.control.take()
    paying.connect(workspace, BRIGHT)

    paying.deliver(late)
    paid_fifty(paying, client)

    assert paying.world.get(f"/v1/workspaces/{workspace}/stripe")["state"] == "connected"
    assert paying.world.balance(client) == "50.000000"


def test_a_payment_page_that_was_left_on_an_old_account_does_not_keep_a_client_from_paying_on_the_new_one(
    paying: Paying, time_machine: Any
) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.top_up(client, "50.00", key="left")
    paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    paying.connect(workspace, NORTH)
    time_machine.move_to((now_ms() + 25 * 3_600_000) / 1000)  # a payment page lives for a day

    paying.pay(paying.top_up(client, "20.00", key="second"))
    paying.deliver()

    assert paying.amounts(client) == [("top_up", "20.000000")]
