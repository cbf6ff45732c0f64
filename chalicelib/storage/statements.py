"""Statements: a wallet's entries, newest first."""

from chalicelib.domain.errors import NotFound
from chalicelib.domain.wallet import Entry
from chalicelib.storage.entries import ENTRY_ID_PREFIX, entry_from_item, entry_key
from chalicelib.storage.tables import EntryItem, store_trouble_is_ours


def statement(owner_id: str, limit: int, after: str | None = None) -> tuple[list[Entry], bool]:
    """Up to `limit` entries of one wallet, newest first, older than the entry id `after`; and whether there are more.

    A sub-account's come from an index that holds no cost.
    """
    index = EntryItem.by_workspace if owner_id.startswith("ws_") else EntryItem.by_sub_account
    older = EntryItem.sort_id < after.removeprefix(ENTRY_ID_PREFIX) if after else None
    with store_trouble_is_ours():
        found = index.query(owner_id, older, scan_index_forward=False, limit=limit + 1)
        rows = [entry_from_item(item) for item in found]
    return rows[:limit], len(rows) > limit


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
