"""Each difference is planted behind the product's back, and is found as what it is, and nothing else with it."""

import json
from typing import Any

import pytest
from ulid import ULID

from chalicelib.domain.payments import fingerprint_of
from chalicelib.domain.reconcile import Cause
from chalicelib.storage.entries import usage_from_item
from chalicelib.storage.tables import EntryItem
from tests.payments.conftest import BRIGHT, NORTH
from tests.reconcile.bookkeeping import Bookkeeping, Item

CENT = 10_000


def leg(row: Item, side: str, amount_micros: int) -> str:
    """A leg as the entry holds it, with another amount."""
    return json.dumps({**json.loads(row[f"{side}_leg"]["S"]), "amount_micros": amount_micros})


def new_sort_id() -> str:
    return str(ULID())


def test_a_payment_that_nobody_told_us_of(books: Bookkeeping) -> None:
    intent = books.buy(books.sibling, "40.00", "second", settle=False)

    found = books.only()

    assert (found.cause, found.owner_id, found.account_id) == (Cause.CREDIT_MISSING, books.sibling, BRIGHT)
    assert (found.ours_micros, found.theirs_micros, found.currency) == (0, 4000 * CENT, "usd")
    assert intent in found.ids
    assert found.ids[0].startswith("top_")


def test_a_payment_of_this_minute_is_on_its_way(books: Bookkeeping) -> None:
    books.buy(books.sibling, "40.00", "second", settle=False)

    assert books.look(hours=0.1).differences == []


def test_the_platforms_own_account_is_looked_at_as_well(books: Bookkeeping) -> None:
    intent = books.buy(books.workspace, "50.00", "second", settle=False)

    found = books.only()

    assert (found.cause, found.owner_id, found.account_id) == (Cause.CREDIT_MISSING, books.workspace, None)
    assert intent in found.ids


def test_a_payment_that_was_credited_twice(books: Bookkeeping) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    books.put("entries", row, pk=row["pk"]["S"].replace("top_up#", "refill#"), sort_id=new_sort_id())
    books.move_balance(books.client, 2500 * CENT)

    found = books.only()

    assert (found.cause, found.owner_id) == (Cause.CREDITED_TWICE, books.client)
    assert (found.ours_micros, found.theirs_micros) == (5000 * CENT, 2500 * CENT)
    assert books.payment in found.ids


def test_the_same_entry_twice_and_the_balance_only_once(books: Bookkeeping) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    books.put("entries", row, pk=row["pk"]["S"].replace("top_up#", "refill#"), sort_id=new_sort_id())

    assert books.only().cause is Cause.CREDITED_TWICE


def test_a_foreign_payment_that_carries_our_mark(books: Bookkeeping) -> None:
    intent = books.pay_a_stranger(metadata={"rebill": "top_01JZZZZZZZZZZZZZZZZZZZZZZZ"})

    found = books.only()

    assert (found.cause, found.account_id, found.theirs_micros) == (Cause.FOREIGN_PAYMENT, BRIGHT, 4200 * CENT)
    assert found.ids == (intent, "top_01JZZZZZZZZZZZZZZZZZZZZZZZ")


def test_a_foreign_payment_by_a_client_of_ours(books: Bookkeeping) -> None:
    customer = next(each["id"] for each in books.at_stripe("customer").values())
    intent = books.pay_a_stranger(customer=customer)

    found = books.only()

    assert (found.cause, found.ids) == (Cause.FOREIGN_PAYMENT, (intent,))


def test_the_agencys_other_business_is_counted_and_left_alone(books: Bookkeeping) -> None:
    for _ in range(3):
        books.pay_a_stranger(metadata={"shop": "t-shirts"})

    found = books.look()

    assert (found.differences, found.foreign) == ([], 3)


def test_a_refund_that_was_not_followed(books: Bookkeeping) -> None:
    books.pretend.control.refund(books.payment, 1000)
    books.pretend.control.take()

    found = books.only()

    assert (found.cause, found.owner_id) == (Cause.REFUND_UNSEEN, books.client)
    assert (found.ours_micros, found.theirs_micros) == (0, -1000 * CENT)
    assert books.payment in found.ids


def test_a_refund_of_this_minute_is_on_its_way(books: Bookkeeping) -> None:
    books.pretend.control.refund(books.payment, 1000)
    books.pretend.control.take()

    assert books.look(hours=0.1).differences == []


def test_a_dispute_that_was_not_followed(books: Bookkeeping) -> None:
    books.pretend.control.open_dispute(books.siblings_payment)
    books.pretend.control.take()

    found = books.only()

    assert (found.cause, found.owner_id) == (Cause.DISPUTE_UNSEEN, books.sibling)
    assert (found.ours_micros, found.theirs_micros) == (0, -3000 * CENT)


def test_a_dispute_that_was_won_and_not_given_back(books: Bookkeeping) -> None:
    dispute = books.pretend.control.open_dispute(books.siblings_payment)
    books.paying.deliver()
    books.pretend.control.close_dispute(dispute["id"], "won")
    books.pretend.control.take()

    found = books.only()

    assert (found.cause, found.ours_micros, found.theirs_micros) == (Cause.DISPUTE_UNSEEN, -3000 * CENT, 0)


@pytest.mark.parametrize(
    ("prefix", "side", "amount"),
    [
        ("usage#", "sub_account", -1),
        ("usage#", "workspace", -1),
        ("credit#sa_", "sub_account", 99 * CENT),
        ("top_up#acct_", "sub_account", 99 * CENT),
        ("refill#", "sub_account", 99 * CENT),
    ],
)
def test_an_entry_that_was_edited_by_hand(books: Bookkeeping, prefix: str, side: str, amount: int) -> None:
    row = books.entry(prefix)
    books.put("entries", row, **{f"{side}_leg": leg(row, side, amount)})

    found = books.only()

    assert found.cause is Cause.ENTRY_EDITED
    assert found.ids[0] == f"ent_{row['sort_id']['S']}"


def test_an_entry_that_was_edited_together_with_its_balance_and_its_day(books: Bookkeeping) -> None:
    row = books.entry("usage#")
    real = json.loads(row["sub_account_leg"]["S"])["amount_micros"]
    books.put("entries", row, sub_account_leg=leg(row, "sub_account", 0))
    books.move_balance(books.client, -real)
    for day in books.rows("day-totals"):
        books.put("day-totals", day, revenue_micros=0)

    found = books.only()

    assert (found.cause, found.ours_micros, found.theirs_micros) == (Cause.ENTRY_EDITED, 0, real)


def test_the_length_of_a_call_that_was_edited(books: Bookkeeping) -> None:
    books.put("entries", books.entry("usage#"), quantity=1000)

    assert books.only().cause is Cause.ENTRY_EDITED


def test_a_call_whose_entry_is_gone(books: Bookkeeping) -> None:
    books.refilling.use(books.client, 100)
    row = books.entry("usage#", 1)
    books.delete("entries", row)

    found = books.only()

    assert found.cause is Cause.ENTRY_MISSING
    assert books.client in found.ids
    assert found.theirs_micros == json.loads(row["workspace_leg"]["S"])["amount_micros"]


def test_a_top_up_whose_entry_is_gone(books: Bookkeeping) -> None:
    books.delete("entries", books.entry(f"top_up#{BRIGHT}#{books.payment}"))

    found = books.only()

    assert (found.cause, found.owner_id, found.theirs_micros) == (Cause.ENTRY_MISSING, books.client, 2500 * CENT)
    assert books.payment in found.ids


def test_a_refund_whose_entry_is_gone(books: Bookkeeping) -> None:
    books.pretend.control.refund(books.payment, 1000)
    books.paying.deliver()
    books.delete("entries", books.entry("refund#"))

    found = books.only()

    assert (found.cause, found.theirs_micros) == (Cause.ENTRY_MISSING, -1000 * CENT)


def test_a_call_that_was_never_posted_and_stands_in_the_statement(books: Bookkeeping) -> None:
    row = books.entry("usage#")
    other = {**row, "pk": {"S": "usage#my-platform#call_planted"}, "sort_id": {"S": new_sort_id()}}
    seal = usage_from_item(EntryItem.from_raw_data(other)).fingerprint
    books.put("entries", other, fingerprint=seal)

    found = books.only()

    assert (found.cause, books.client in found.ids) == (Cause.ENTRY_NOT_COUNTED, True)
    assert found.ours_micros == json.loads(row["workspace_leg"]["S"])["amount_micros"]


@pytest.mark.parametrize("micros", [1, -5_000_000])
def test_a_balance_that_was_edited_by_hand(books: Bookkeeping, micros: int) -> None:
    books.move_balance(books.sibling, micros)

    found = books.only()

    assert (found.cause, found.owner_id) == (Cause.BALANCE_EDITED, books.sibling)
    assert (found.ours_micros, found.theirs_micros) == (3000 * CENT + micros, 3000 * CENT)


def test_a_workspaces_balance_that_was_edited_by_hand(books: Bookkeeping) -> None:
    books.move_balance(books.workspace, 7)

    assert (books.only().cause, books.only().owner_id) == (Cause.BALANCE_EDITED, books.workspace)


@pytest.mark.parametrize(
    ("name", "cause"), [("headroom_micros", Cause.HEADROOM_EDITED), ("balance_micros", Cause.BALANCE_EDITED)]
)
def test_a_wallet_of_which_one_number_was_edited_by_hand(books: Bookkeeping, name: str, cause: Cause) -> None:
    row = next(row for row in books.rows("wallets") if row["owner_id"]["S"] == books.client)
    edited: dict[str, Any] = {name: int(row[name]["N"]) + 5}
    books.put("wallets", row, **edited)

    found = books.only()

    assert (found.cause, found.owner_id) == (cause, books.client)


@pytest.mark.parametrize("name", ["calls", "talk_ms", "cost_micros", "revenue_micros"])
def test_a_day_total_that_was_edited_by_hand(books: Bookkeeping, name: str) -> None:
    row = next(row for row in books.rows("day-totals") if row["owner_id"]["S"] == books.client)
    aws_row: dict[str, Any] = {name: int(row[name]["N"]) + 5}
    books.put("day-totals", row, **aws_row)

    found = books.only()

    assert (found.cause, found.owner_id, found.day) == (Cause.DAY_TOTAL_EDITED, books.client, row["day"]["S"])


def test_a_day_that_is_gone(books: Bookkeeping) -> None:
    row = next(row for row in books.rows("day-totals") if row["owner_id"]["S"] == books.workspace)
    books.delete("day-totals", row, "owner_id", "day")

    assert (books.only().cause, books.only().owner_id) == (Cause.DAY_TOTAL_EDITED, books.workspace)


@pytest.mark.parametrize("with_balances", [True, False])
def test_a_payment_that_was_credited_to_the_wrong_wallet(books: Bookkeeping, with_balances: bool) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    seal = fingerprint_of(books.sibling, books.payment, 2500 * CENT)
    books.put("entries", row, sub_account_wallet=books.sibling, fingerprint=seal)
    if with_balances:
        books.move_balance(books.client, -2500 * CENT)
        books.move_balance(books.sibling, 2500 * CENT)

    found = books.only()

    assert (found.cause, found.owner_id, found.ours_micros) == (Cause.WRONG_WALLET, books.sibling, 2500 * CENT)
    assert books.client in found.ids


@pytest.mark.parametrize("change", [{"amount": 2400}, {"currency": "eur"}])
def test_a_payment_of_another_amount_or_currency_at_stripe(books: Bookkeeping, change: dict[str, Any]) -> None:
    for paid in books.at_stripe("charge").values():
        if paid["payment_intent"] == books.payment:
            paid.update(change)

    found = books.only()

    assert (found.cause, found.owner_id, found.ours_micros) == (Cause.AMOUNT_DIFFERS, books.client, 2500 * CENT)
    assert found.theirs_micros == change.get("amount", 2500) * CENT
    assert found.currency == change.get("currency", "usd")


def test_a_payment_on_an_account_that_was_never_the_agencys(books: Bookkeeping) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    books.delete("entries", row)
    books.put("entries", row, pk=row["pk"]["S"].replace(BRIGHT, NORTH))

    found = books.only()

    assert (found.cause, found.owner_id, found.account_id) == (Cause.WRONG_ACCOUNT, books.client, NORTH)


def test_a_payment_that_was_taken_on_another_account_than_the_one_we_asked(books: Bookkeeping) -> None:
    top_up = books.paying.top_up(books.sibling, "42.00", "second")
    books.paying.connect(books.workspace, NORTH)
    intent = books.pay_a_stranger(account=NORTH, metadata={"rebill": top_up["id"]})

    found = books.only()

    assert (found.cause, found.owner_id, found.account_id) == (Cause.WRONG_ACCOUNT, books.sibling, NORTH)
    assert found.ids == (top_up["id"], intent)


def test_a_clients_payment_on_the_platforms_account(books: Bookkeeping) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    books.delete("entries", row)
    books.put("entries", row, pk=row["pk"]["S"].replace(BRIGHT, "platform"))

    assert (books.only().cause, books.only().account_id) == (Cause.WRONG_ACCOUNT, None)


@pytest.mark.parametrize("with_balance", [True, False])
def test_an_entry_without_a_payment(books: Bookkeeping, with_balance: bool) -> None:
    row = books.entry(f"top_up#{BRIGHT}#{books.payment}")
    invented = "pi_3Invented"
    seal = fingerprint_of(books.client, invented, 2500 * CENT)
    books.put("entries", row, pk=f"top_up#{BRIGHT}#{invented}", sort_id=new_sort_id(), fingerprint=seal)
    if with_balance:
        books.move_balance(books.client, 2500 * CENT)

    found = books.only()

    assert (found.cause, found.owner_id, found.ours_micros) == (Cause.ENTRY_WITHOUT_PAYMENT, books.client, 2500 * CENT)
    assert invented in found.ids


def test_an_entry_whose_payment_stripe_does_not_have(books: Bookkeeping) -> None:
    for kind in ("charge", "balance_transaction", "payment_intent"):
        known = books.at_stripe(kind)
        paid = {each["id"] for each in books.at_stripe("charge").values() if each["payment_intent"] == books.payment}
        gone = [
            name
            for name, each in known.items()
            if name == books.payment or each.get("payment_intent") == books.payment or each.get("source") in paid
        ]
        if kind == "charge":
            moved = [t for t, each in books.at_stripe("balance_transaction").items() if each["source"] in paid]
            for name in moved:
                del books.at_stripe("balance_transaction")[name]
        for name in gone:
            del known[name]

    found = books.only()

    assert (found.cause, found.owner_id, found.theirs_micros) == (Cause.ENTRY_WITHOUT_PAYMENT, books.client, 0)


def test_a_payment_that_was_refused_until_it_is_given_back(books: Bookkeeping) -> None:
    top_up = books.paying.top_up(books.sibling, "40.00", "second")
    intent = books.paying.pay(top_up)
    books.at_stripe("payment_intent")[intent]["amount_received"] = 3900
    books.paying.deliver()

    found = books.only()
    assert (found.cause, found.owner_id) == (Cause.PAYMENT_REFUSED, books.sibling)

    books.pretend.control.refund(intent)
    books.paying.deliver()
    assert books.look().differences == []


def test_a_top_up_that_stays_open_for_more_than_a_day(books: Bookkeeping) -> None:
    top_up = books.paying.top_up(books.sibling, "40.00", "second")
    assert books.look(hours=24).differences == []

    found = books.only(hours=26)

    assert (found.cause, found.ids, found.owner_id) == (Cause.LEFT_OPEN, (top_up["id"],), books.sibling)


def test_two_differences_at_once_are_two(books: Bookkeeping) -> None:
    books.move_balance(books.sibling, 7)
    books.pretend.control.refund(books.payment, 1000)
    books.pretend.control.take()

    causes = sorted(each.cause for each in books.look().differences)

    assert causes == [Cause.BALANCE_EDITED, Cause.REFUND_UNSEEN]


def test_every_difference_says_what_it_means_and_what_to_do(books: Bookkeeping) -> None:
    books.move_balance(books.sibling, 7)

    found = books.only()

    assert found.detail == "A balance is not the sum of its entries, and no entry explains it."
    assert found.advice.startswith("The entries count")
