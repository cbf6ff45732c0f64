"""Statements: a wallet's entries, newest first."""

from typing import Any

from chalicelib.domain.errors import NotFound
from chalicelib.domain.wallet import Entry
from chalicelib.storage.entries import ENTRY_ID_PREFIX, entry_from_item, entry_key, row_from_raw
from chalicelib.storage.tables import EntryItem, connection, store_trouble_is_ours


def statement(owner_id: str, limit: int, after: str | None = None) -> tuple[list[Entry], bool]:
    """Up to `limit` entries of one wallet, newest first, older than the entry id `after`; and whether there are more.

    A sub-account's come from an index that holds no cost.
    """
    rows = [entry_from_item(row_from_raw(raw)) for raw in _newest(owner_id, limit + 1, after)]
    return rows[:limit], len(rows) > limit


def _newest(owner_id: str, limit: int, after: str | None) -> list[dict[str, Any]]:
    whose = "workspace" if owner_id.startswith("ws_") else "sub_account"
    asked: dict[str, Any] = {
        "TableName": EntryItem.Meta.table_name,
        "IndexName": f"by_{whose}",
        "KeyConditionExpression": f"{whose}_wallet = :owner" + (" AND sort_id < :after" if after else ""),
        "ExpressionAttributeValues": {":owner": {"S": owner_id}},
        "ScanIndexForward": False,
    }
    if after:
        asked["ExpressionAttributeValues"][":after"] = {"S": after.removeprefix(ENTRY_ID_PREFIX)}
    found: list[dict[str, Any]] = []
    while len(found) < limit:  # an answer is cut at a megabyte
        with store_trouble_is_ours():
            answer: dict[str, Any] = connection().dispatch("Query", {**asked, "Limit": limit - len(found)})
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            break
        asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    return found


def read_entry(owner_id: str, entry_id: str) -> Entry:
    """One entry of one wallet by its id. A sub-account's comes from the index that holds no cost.

    Raises:
        NotFound: there is no such entry in this wallet.
    """
    index = EntryItem.by_workspace if owner_id.startswith("ws_") else EntryItem.by_sub_account
    sort_id = entry_id.removeprefix(ENTRY_ID_PREFIX) or "-"  # the store takes no empty key
    with store_trouble_is_ours():
        for item in index.query(owner_id, EntryItem.sort_id == sort_id, limit=1):
            return entry_from_item(item)
    raise NotFound("not_found", "There is no such entry.")


def find_entry(like: Entry) -> Entry:
    """The entry that was posted under the same key as this one."""
    with store_trouble_is_ours():
        key = entry_key(like.kind, like.source, like.event_id)
        return entry_from_item(EntryItem.get(key, like.workspace_id, consistent_read=True))
