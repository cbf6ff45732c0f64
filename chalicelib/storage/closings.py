"""Closings of sub-accounts: one at a time, and every step of one only if nobody else has taken it."""

import json
import time
from dataclasses import asdict
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.accounts import AccountStatus, StatusChange, SubAccount
from chalicelib.domain.closings import Closing, Refund, Settle
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.wallet import Entry
from chalicelib.storage import ledger
from chalicelib.storage.entries import entry_values, to_attributes
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.tables import AccountItem, EntryItem, WalletItem, connection, store_trouble_is_ours

CLOSING = "closing"
SECONDS_TO_TRY = 8.0

_Update = tuple[AccountItem, list[Action], Condition]


def find_closing(sub_account: SubAccount, key: str) -> Closing | None:
    """What was asked for under this key; None if nothing was."""
    with store_trouble_is_ours():
        try:
            item = AccountItem.get(sub_account.workspace_id, _sk(sub_account.id, key), consistent_read=True)
        except DoesNotExist:
            return None
    facts: dict[str, Any] = dict(item.facts)
    refunds = tuple(Refund(**refund) for refund in facts["refunds"])
    trouble = tuple(facts["trouble"]) if facts["trouble"] else None
    return Closing(**{**facts, "settle": Settle(facts["settle"]), "refunds": refunds, "trouble": trouble})


def open_closing(sub_account: SubAccount, closing: Closing) -> bool:
    """Close an account and begin to settle it; False if another closing is under way, or the account has changed."""
    account = AccountItem(sub_account.workspace_id, sub_account.id)
    change = StatusChange(closing.opened_at_ms, closing.by, closing.note)
    actions: list[Action] = [
        AccountItem.status.set(AccountStatus.CLOSED.value),
        AccountItem.status_change.set(asdict(change)),
        AccountItem.closing_key.set(closing.key),
    ]
    free = AccountItem.closing_key.does_not_exist() & (AccountItem.status == sub_account.status.value)
    return _write(_item(closing), AccountItem.pk.does_not_exist(), (account, actions, free))


def save_step(before: Closing, after: Closing) -> bool:
    """Note a step before it is taken; False if somebody else has taken one."""
    return _write(_item(after), AccountItem.version == before.version)


def end(before: Closing, after: Closing) -> bool:
    """Note the end, so that the next closing may begin; False if somebody else has taken a step."""
    account = AccountItem(after.workspace_id, after.sub_account_id)
    mine = AccountItem.closing_key == after.key
    freed: _Update = (account, [AccountItem.closing_key.remove()], mine)
    return _write(_item(after), AccountItem.version == before.version, freed)


def post_step(before: Closing, after: Closing, entry: Entry, received: Entry | None) -> Outcome:
    """Post what a step moves together with the step; `received` is the same money in a neighbour's wallet."""
    puts: list[dict[str, Any]] = [
        {
            "TableName": AccountItem.Meta.table_name,
            "Item": to_attributes(_values(after)),
            "ConditionExpression": "#version = :seen",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_attributes({":seen": before.version}),
        }
    ]
    updates: list[dict[str, Any]] = []
    for leg in received.legs if received else ():
        values = to_attributes(entry_values(received)) if received else {}
        new = "attribute_not_exists(pk)"
        puts.append({"TableName": EntryItem.Meta.table_name, "Item": values, "ConditionExpression": new})
        updates.append(
            {
                "TableName": WalletItem.Meta.table_name,
                "Key": to_attributes({"owner_id": leg.owner_id}),
                "UpdateExpression": "ADD balance_micros :amount, headroom_micros :amount",
                "ConditionExpression": "attribute_exists(owner_id)",
                "ExpressionAttributeValues": to_attributes({":amount": leg.amount_micros}),
            }
        )
    return ledger.post_with(entry, puts, updates, time.monotonic() + SECONDS_TO_TRY)


def _sk(sub_account_id: str, key: str) -> str:
    return f"{CLOSING}#{sub_account_id}#{key}"


def _values(closing: Closing) -> dict[str, Any]:
    return {
        "pk": closing.workspace_id,
        "sk": _sk(closing.sub_account_id, closing.key),
        "created_at_ms": closing.opened_at_ms,
        "version": closing.version,
        "facts": json.dumps(asdict(closing)),
    }


def _item(closing: Closing) -> AccountItem:
    return AccountItem(**{**_values(closing), "facts": asdict(closing)})


def _write(item: AccountItem, condition: Condition, *account: _Update) -> bool:
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(item, condition=condition)
            for known, actions, free in account:
                transaction.update(known, actions=actions, condition=free)
    except TransactWriteError as error:
        if any(reason is not None and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons):
            return False
        raise Unavailable("The wallet store") from error
    return True
