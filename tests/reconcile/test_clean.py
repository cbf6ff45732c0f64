"""Where nothing is wrong nothing is found, whatever has happened, and although calls are posted meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.domain.reconcile import Cause
from chalicelib.flows import reconcile_books
from chalicelib.flows.reconcile import reconcile
from chalicelib.storage import reconciling
from tests.calls import call
from tests.payments.conftest import BRIGHT, NORTH
from tests.reconcile.bookkeeping import DAY_MS, HOUR_MS, Bookkeeping


def test_a_busy_day_agrees_with_itself_and_with_stripe(books: Bookkeeping) -> None:
    found = books.look()

    assert found.differences == []
    assert (found.workspaces, found.wallets, found.entries, found.payments) == (1, 4, 7, 4)
    assert (found.foreign, found.unreachable, found.unsettled) == (0, [], [])


def test_refunds_disputes_and_what_comes_back_agree(books: Bookkeeping) -> None:
    control = books.pretend.control
    control.refund(books.payment, 1000)
    refund = control.refund(books.siblings_payment, 500)
    books.paying.deliver()
    control.fail_refund(refund["id"])
    lost, won = control.open_dispute(books.siblings_payment), control.open_dispute(books.workspaces_payment)
    books.paying.deliver()
    control.close_dispute(lost["id"], "lost")
    control.close_dispute(won["id"], "won")
    books.paying.deliver()

    found = books.look()

    assert found.differences == []
    assert found.entries > 10


@pytest.mark.parametrize("settle", ["refund", "transfer", "forfeit"])
def test_a_closed_client_agrees(books: Bookkeeping, settle: str) -> None:
    more = {"transfer_to": books.client} if settle == "transfer" else {}
    body = {"settle": settle, "note": "moved away", **more}
    path = f"/v1/sub-accounts/{books.sibling}/close"
    books.world.post(path, body, 200, headers={"Idempotency-Key": "close-1"})
    books.paying.deliver()

    assert books.look().differences == []
    assert books.world.balance(books.sibling) == "0.000000"


def test_credits_of_every_kind_agree(books: Bookkeeping) -> None:
    for kind in ("goodwill", "external_payment", "promo", "correction"):
        body = {"amount": "1.00", "note": "für später", "kind": kind}
        path = f"/v1/sub-accounts/{books.client}/wallet/credits"
        books.world.post(path, body, headers={"Idempotency-Key": kind})

    assert books.look().differences == []


@pytest.mark.parametrize(
    "voice",
    [
        {"price_type": "markup", "markup_percent": "33.33"},
        {"price_type": "absorb"},
        {"price_type": "fixed", "price_per_minute": "0.21", "initial_increment_seconds": 30, "increment_seconds": 6},
    ],
)
def test_calls_at_every_kind_of_price_agree(books: Bookkeeping, voice: dict[str, Any]) -> None:
    client = books.world.sub_account(books.workspace, name="Cedar Legal")
    path = f"/v1/sub-accounts/{client}/rebilling"
    books.world.put(path, {"enabled": True, "voice": {"enabled": True, **voice}})
    books.world.report([call(client, f"call_{number}", seconds=7.123 * number) for number in range(1, 30)])
    books.world.drain()

    found = books.look()

    assert found.differences == []
    assert found.entries == 7 + 29


def test_calls_of_a_client_that_is_not_rebilled_agree(books: Bookkeeping) -> None:
    client = books.world.sub_account(books.workspace, name="Alder Realty")
    books.world.report(call(client, "call_unbilled"))
    books.world.report(call("agent_of_nobody", "call_unmatched"), expect=422)
    books.world.drain()

    assert books.look().differences == []


def test_an_account_that_was_left_for_another_is_still_looked_at(books: Bookkeeping) -> None:
    books.paying.connect(books.workspace, NORTH)
    books.paying.deliver()

    found = books.look()

    assert (found.differences, found.unreachable) == ([], [])


def test_an_account_that_does_not_let_us_in_any_more_is_named(books: Bookkeeping) -> None:
    books.pretend.control.deauthorize(BRIGHT)
    books.paying.deliver()

    found = books.look()

    assert (found.differences, found.unreachable) == ([], [BRIGHT])


def test_an_account_that_went_to_another_workspace_is_each_ones_for_its_own_payments(books: Bookkeeping) -> None:
    unsettled = books.buy(books.sibling, "40.00", "second", settle=False)
    gone = books.world.call("DELETE", f"/v1/workspaces/{books.workspace}/stripe")
    assert gone.status == 200, gone.text
    books.paying.deliver()
    other = books.world.workspace(name="Fernhill AI")
    assert "Stripe is connected" in books.paying.connect(other, BRIGHT).text
    at_ms = now_ms() + HOUR_MS

    found = reconcile([books.workspace, other], at_ms - DAY_MS, at_ms)

    assert (found.foreign, found.unreachable) == (0, [])
    assert [(each.cause, each.workspace_id, each.ids[1]) for each in found.differences] == [
        (Cause.CREDIT_MISSING, books.workspace, unsettled)
    ]


def test_pages_of_stripes_list_are_turned(books: Bookkeeping, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.gateways.stripe import movements

    monkeypatch.setattr(movements, "PAGE", 1)
    books.buy(books.sibling, "40.00", "second", settle=False)

    assert len(books.look().differences) == 1


def test_what_stripe_booked_before_the_days_asked_for_is_not_listed(books: Bookkeeping) -> None:
    books.buy(books.sibling, "40.00", "second", settle=False)

    assert books.look(hours=24 * 5, days=2).differences[0].cause == "left_open"


def test_balances_that_move_while_they_are_read_are_no_difference(
    books: Bookkeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before every read of the wallets another call is posted, for a while."""
    monkeypatch.setattr(reconcile_books, "LOOKS", 8)
    real, left = reconciling.wallets_of, list(range(6))

    def after_another_call(owner_ids: Any) -> Any:
        if left:
            books.refilling.use(books.client, 10 * left.pop() + 10)
        return real(owner_ids)

    monkeypatch.setattr(reconciling, "wallets_of", after_another_call)

    found = books.look()

    assert (found.differences, found.unsettled) == ([], [])
    assert not left


def test_a_wallet_that_never_stands_still_is_named_and_not_accused(
    books: Bookkeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reconciling.wallets_of

    def after_another_call(owner_ids: Any) -> Any:
        books.refilling.use(books.client, 10)
        return real(owner_ids)

    monkeypatch.setattr(reconciling, "wallets_of", after_another_call)

    found = books.look()

    assert (found.differences, found.unsettled) == ([], sorted([books.workspace, books.client]))


@pytest.mark.parametrize("read", ["purchases_of", "payments_by_key", "accounts_of"])
def test_a_payment_that_is_settled_while_the_books_are_read_is_no_difference(
    books: Bookkeeping, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """Between the first read of the entries and the next read of anything else, events come in."""
    books.paying.pay(books.paying.top_up(books.sibling, "40.00", "second"))
    books.pretend.control.refund(books.payment, 1000)
    real, left = getattr(reconciling, read), [books.pretend.control.take()]

    def after_the_events(*asked: Any) -> Any:
        while left:
            books.paying.deliver(left.pop())
        return real(*asked)

    monkeypatch.setattr(reconciling, read, after_the_events)

    assert books.look().differences == []
    assert not left


def test_two_hundred_calls_beside_the_reading(books: Bookkeeping) -> None:
    def post() -> None:
        for number in range(40):
            books.world.report([call(books.client, f"busy-{number}-{each}", seconds=1) for each in range(5)])
            books.world.drain()

    with ThreadPoolExecutor(1) as other:
        posting = other.submit(post)
        looks = [books.look() for _ in range(3)]
        posting.result()

    assert [found.differences for found in [*looks, books.look()]] == [[], [], [], []]


def test_reading_changes_nothing(books: Bookkeeping) -> None:
    tables = ("accounts", "wallets", "day-totals", "entries", "payments", "activity")
    before = {table: books.rows(table) for table in tables}
    books.move_balance(books.sibling, 7)
    after_the_plant = {table: books.rows(table) for table in tables}

    books.look()

    assert {table: books.rows(table) for table in tables} == after_the_plant != before
