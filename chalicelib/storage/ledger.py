"""Posting: entries and balances move together, in one transaction, or not at all.

An entry's key is its idempotency record, for ever: a repeat with the same contents is success, with other contents a
contradiction for a person to look at. A batch that holds one is refused whole, so it is taken out and the rest is
written again. A lost answer needs no special care: the repeat finds its own entries and succeeds.
"""

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pynamodb.exceptions import CancellationReason, TransactWriteError

from chalicelib.clock import utc_day
from chalicelib.domain.rating import VOICE
from chalicelib.domain.wallet import Entry, EntryKind
from chalicelib.storage.entries import IS_NEW, entry_values, to_attributes
from chalicelib.storage.tables import DayTotalItem, EntryItem, WalletItem, connection

Actions = Sequence[dict[str, Any]]

MOST_ACTIONS = 100  # of one TransactWriteItems
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.8


class Outcome(StrEnum):
    """What became of one entry."""

    POSTED = "posted"
    REPEAT = "repeat"
    CONTRADICTION = "contradiction"
    NO_WALLET = "no_wallet"
    OVERTAKEN = "overtaken"  # what was to happen together with it has changed meanwhile: look again
    UNSETTLED = "unsettled"  # the store gave no answer in time: ask again, nothing is lost by it


@dataclass
class _DayTotal:
    calls: int = 0
    talk_ms: int = 0
    cost_micros: int = 0
    revenue_micros: int = 0


def post(entries: Sequence[Entry], give_up_at: float) -> dict[str, Outcome]:
    """Write entries and move their wallets and day totals, as many to a transaction as it carries.

    `give_up_at` is a `time.monotonic()` moment; what is not settled by then comes back as `UNSETTLED`. No two of the
    entries may have the same key. Answers each entry's outcome by its id.
    """
    outcomes: dict[str, Outcome] = {}
    for batch in batches(entries):
        outcomes |= _post_batch(batch, give_up_at)
    return outcomes


def post_with(entry: Entry, puts: Actions, updates: Actions, give_up_at: float) -> Outcome:
    """Post one entry in the same transaction as other writes: all of it happens, or nothing.

    `puts` and `updates` are DynamoDB's own request parts. Answers `OVERTAKEN` where a condition of theirs fails.
    """
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            _write([entry], puts, updates)
            return Outcome.POSTED
        except TransactWriteError as error:
            reasons = error.cancellation_reasons
        if (refused := _refused([entry], [reasons[0], *reasons[1 + len(puts) :]] if reasons else [])).get(entry.id):
            return refused[entry.id]
        if any(reason is not None and reason.code == "ConditionalCheckFailed" for reason in reasons):
            return Outcome.OVERTAKEN
        if time.monotonic() + pause_seconds > give_up_at:
            return Outcome.UNSETTLED
        pause_seconds = pause(pause_seconds)


def batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut entries into batches of at most `MOST_ACTIONS` actions. Those of one wallet stand together: it moves once."""
    batch: list[Entry] = []
    touched: set[object] = set()
    for entry in sorted(entries, key=lambda each: each.sub_account_id or ""):
        more = touched | _touches(entry)
        if batch and len(batch) + 1 + len(more) > MOST_ACTIONS:
            yield batch
            batch, more = [], _touches(entry)
        batch.append(entry)
        touched = more
    if batch:
        yield batch


def _touches(entry: Entry) -> set[object]:
    """The wallets and day totals that an entry moves."""
    wallets: set[object] = {leg.owner_id for leg in entry.legs}
    return wallets | {(owner_id, utc_day(entry.occurred_at_ms)) for owner_id in _day_owners(entry)}


def _day_owners(entry: Entry) -> list[str]:
    if entry.kind is not EntryKind.USAGE:
        return []
    return [owner for owner in (entry.workspace_id, entry.sub_account_id) if owner]


def _post_batch(batch: list[Entry], give_up_at: float) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    pending, pause_seconds = batch, FIRST_PAUSE_SECONDS
    while pending:
        try:
            _write(pending)
            return outcomes | {entry.id: Outcome.POSTED for entry in pending}
        except TransactWriteError as error:
            refused = _refused(pending, error.cancellation_reasons)
        outcomes |= refused
        pending = [entry for entry in pending if entry.id not in refused]
        if refused:
            continue
        if time.monotonic() + pause_seconds > give_up_at:
            return outcomes | {entry.id: Outcome.UNSETTLED for entry in pending}
        pause_seconds = pause(pause_seconds)
    return outcomes


def pause(seconds: float) -> float:
    """Wait up to so long, at random so that rivals do not meet again; answers how long the next wait may be."""
    time.sleep(random.uniform(0, seconds))  # noqa: S311 - it parts rivals, and guards no secret
    return min(2 * seconds, LONGEST_PAUSE_SECONDS)


def _write(entries: Sequence[Entry], more_puts: Actions = (), more_updates: Actions = ()) -> None:
    """One transaction: the entries, then each wallet once, then each owner's day once; and what belongs to them.

    The requests are written out by hand. Through pynamodb's models they cost twice the processor time, and this is
    the one path on which that counts: `make bench` shows it.
    """
    puts = [
        {
            "TableName": EntryItem.Meta.table_name,
            "Item": to_attributes(entry_values(entry)),
            "ConditionExpression": IS_NEW,
            "ExpressionAttributeValues": {":fingerprint": {"S": entry.fingerprint}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        for entry in entries
    ]
    updates = [_move_wallet(owner_id, amount_micros) for owner_id, amount_micros in _movements(entries).items()]
    updates += [_move_day(owner_id, day, total) for (owner_id, day), total in _day_totals(entries).items()]
    connection().transact_write_items([], [], [*puts, *more_puts], [*updates, *more_updates])


def _move_wallet(owner_id: str, amount_micros: int) -> dict[str, Any]:
    return {
        "TableName": WalletItem.Meta.table_name,
        "Key": to_attributes({"owner_id": owner_id}),
        "UpdateExpression": "ADD balance_micros :amount, headroom_micros :amount",
        "ConditionExpression": "attribute_exists(owner_id)",
        "ExpressionAttributeValues": to_attributes({":amount": amount_micros}),
    }


def _move_day(owner_id: str, day: str, total: "_DayTotal") -> dict[str, Any]:
    return {
        "TableName": DayTotalItem.Meta.table_name,
        "Key": to_attributes({"owner_id": owner_id, "day": day}),
        "UpdateExpression": "ADD calls :calls, talk_ms :talk, cost_micros :cost, revenue_micros :revenue",
        "ExpressionAttributeValues": to_attributes(
            {
                ":calls": total.calls,
                ":talk": total.talk_ms,
                ":cost": total.cost_micros,
                ":revenue": total.revenue_micros,
            }
        ),
    }


def _movements(entries: Sequence[Entry]) -> dict[str, int]:
    """Wallet -> the sum of what these entries move in it, in the order in which the transaction names them."""
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        for leg in entry.legs:
            sums[leg.owner_id] += leg.amount_micros
    return sums


def _day_totals(entries: Sequence[Entry]) -> dict[tuple[str, str], _DayTotal]:
    totals: dict[tuple[str, str], _DayTotal] = defaultdict(_DayTotal)
    for entry in entries:
        for owner_id in _day_owners(entry):
            total = totals[owner_id, utc_day(entry.occurred_at_ms)]
            if entry.usage is not None and entry.usage.meter == VOICE:
                total.calls += 1
                total.talk_ms += entry.usage.quantity or 0
            total.cost_micros -= entry.workspace_leg.amount_micros if entry.workspace_leg else 0
            total.revenue_micros -= entry.sub_account_leg.amount_micros if entry.sub_account_leg else 0
    return totals


def _refused(entries: Sequence[Entry], reasons: Sequence[CancellationReason | None]) -> dict[str, Outcome]:
    """Which entries can never be written as they are; empty where only the moment was wrong."""
    refused: dict[str, Outcome] = {}
    for entry, reason in zip(entries, reasons, strict=False):
        if reason is not None and reason.code == "ConditionalCheckFailed":
            old = EntryItem.from_raw_data(reason.raw_item or {})
            same = old.fingerprint == entry.fingerprint
            refused[entry.id] = Outcome.REPEAT if same else Outcome.CONTRADICTION
    for owner_id, reason in zip(_movements(entries), reasons[len(entries) :], strict=False):
        if reason is not None and reason.code == "ConditionalCheckFailed":
            refused |= {e.id: Outcome.NO_WALLET for e in entries if owner_id in {leg.owner_id for leg in e.legs}}
    return refused
