"""The yardstick: a well-written posting that writes one transaction per event.

It leaves the store with exactly what `ledger.post` leaves: the entry with both legs and its two statements, both
wallets, both day totals; five actions, and nothing that the ledger does without. It talks to the store through the
plain boto3 client, and it is given its entry items ready-made and for free, so that no library is its handicap.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.clock import utc_day
from chalicelib.domain.rating import VOICE
from chalicelib.domain.wallet import Entry
from chalicelib.storage.entries import entry_values, to_attributes
from chalicelib.storage.tables import DayTotalItem, EntryItem, WalletItem

Item = dict[str, dict[str, Any]]

ENTRIES = EntryItem.Meta.table_name
WALLETS = WalletItem.Meta.table_name
DAY_TOTALS = DayTotalItem.Meta.table_name

MOVE = "ADD balance_micros :amount, headroom_micros :amount"
TOTAL = "ADD calls :calls, talk_ms :talk, cost_micros :cost, revenue_micros :revenue"


def entry_items(entries: Sequence[Entry]) -> list[Item]:
    """The very items that the ledger would write. Made outside of any measured time."""
    return [to_attributes(entry_values(entry)) for entry in entries]


def post(dynamodb: Any, entries: Sequence[Entry], items: Sequence[Item]) -> None:
    """Write each entry in a transaction of its own. A duplicate would be refused: its key exists already."""
    for entry, item in zip(entries, items, strict=True):
        dynamodb.transact_write_items(TransactItems=actions(entry, item))


def actions(entry: Entry, item: Item) -> list[dict[str, Any]]:
    """One event's transaction."""
    new = {"TableName": ENTRIES, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
    moves = [_move(leg.owner_id, leg.amount_micros) for leg in entry.legs]
    day = utc_day(entry.occurred_at_ms)
    totals = [_total(owner_id, day, entry) for owner_id in (entry.workspace_id, entry.sub_account_id) if owner_id]
    return [{"Put": new}, *moves, *totals]


def _move(owner_id: str, amount_micros: int) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": WALLETS,
            "Key": {"owner_id": {"S": owner_id}},
            "UpdateExpression": MOVE,
            "ConditionExpression": "attribute_exists(owner_id)",
            "ExpressionAttributeValues": {":amount": {"N": str(amount_micros)}},
        }
    }


def _total(owner_id: str, day: str, entry: Entry) -> dict[str, Any]:
    is_call = entry.usage is not None and entry.usage.meter == VOICE
    talk_ms = (entry.usage.quantity or 0) if entry.usage is not None and is_call else 0
    cost_micros = -entry.workspace_leg.amount_micros if entry.workspace_leg else 0
    revenue_micros = -entry.sub_account_leg.amount_micros if entry.sub_account_leg else 0
    values = {":calls": int(is_call), ":talk": talk_ms, ":cost": cost_micros, ":revenue": revenue_micros}
    return {
        "Update": {
            "TableName": DAY_TOTALS,
            "Key": {"owner_id": {"S": owner_id}, "day": {"S": day}},
            "UpdateExpression": TOTAL,
            "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
        }
    }
