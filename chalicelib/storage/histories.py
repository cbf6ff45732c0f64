"""What a person asks after weeks later: a wallet's entries over a stretch of time, and what belongs to one of them."""

from collections.abc import Iterator

from ulid import ULID

from chalicelib.domain.errors import NotFound
from chalicelib.domain.notices import Notice
from chalicelib.domain.refill import Refill
from chalicelib.domain.wallet import Entry, EntryKind
from chalicelib.storage import activity
from chalicelib.storage.entries import ENTRY_ID_PREFIX, entry_from_item, entry_key
from chalicelib.storage.refills import get_refill
from chalicelib.storage.tables import AccountItem, EntryItem, PaymentItem, store_trouble_is_ours

USAGE_KEYS = f"{EntryKind.USAGE.value}#"


def entries_since(owner_id: str, from_ms: int, with_usage: bool = True) -> Iterator[Entry]:
    """A wallet's entries that were posted at a moment or later, the oldest first, read a page at a time.

    A sub-account's come from an index that holds no cost.
    """
    index = EntryItem.by_workspace if owner_id.startswith("ws_") else EntryItem.by_sub_account
    wanted = None if with_usage else ~EntryItem.pk.startswith(USAGE_KEYS)
    with store_trouble_is_ours():
        for item in index.query(owner_id, EntryItem.sort_id >= _first_id(from_ms), wanted):
            yield entry_from_item(item)


def amounts_after(owner_id: str, entry_id: str, most: int) -> list[int] | None:
    """What has moved a wallet since an entry, in micros; None where that are more than `most` entries."""
    whole = owner_id.startswith("ws_")
    index, leg = (EntryItem.by_workspace, "workspace_leg") if whole else (EntryItem.by_sub_account, "sub_account_leg")
    newer = EntryItem.sort_id > entry_id.removeprefix(ENTRY_ID_PREFIX)
    with store_trouble_is_ours():
        found = list(index.query(owner_id, newer, limit=most + 1, attributes_to_get=[leg]))
    return None if len(found) > most else [int(getattr(item, leg)["amount_micros"]) for item in found]


def entry_of(kind: EntryKind, source: str, event_id: str, workspace_id: str) -> Entry | None:
    """The entry under a key, with both its legs; None if nothing was posted under it."""
    with store_trouble_is_ours():
        for item in EntryItem.query(entry_key(kind, source, event_id), EntryItem.sk == workspace_id):
            return entry_from_item(item) if item.posted_at_ms else None
    return None


def refills_since(owner_id: str, from_ms: int, most: int) -> list[Refill]:
    """A wallet's refills that were opened at a moment or later, the oldest first, up to so many."""
    first, last = f"rfl_{_first_id(from_ms)}", "rfl_~"
    with store_trouble_is_ours():
        ids = [item.sk for item in PaymentItem.query(owner_id, PaymentItem.sk.between(first, last), limit=most)]
    return [get_refill(owner_id, refill_id) for refill_id in ids]


def notices_between(owner_id: str, from_ms: int, to_ms: int, most: int) -> list[Notice]:
    """What was told of an owner from one moment to another, the oldest first; of more than `most`, the latest."""
    told, _ = activity.list_notices(owner_id, most, after=f"evt_{_first_id(to_ms + 1)}")
    return [notice for notice in reversed(told) if notice.occurred_at_ms >= from_ms]


def agent_assigned_at_ms(workspace_id: str, agent_key: str) -> int | None:
    """When somebody last said whose a voice agent is; None for one that nobody has assigned."""
    with store_trouble_is_ours():
        for item in AccountItem.query(workspace_id, AccountItem.sk == agent_key):
            return int(item.created_at_ms)
    return None


def place_of(owner_ids: list[str], entry_id: str) -> tuple[str, Entry]:
    """The first of these wallets that an entry has moved, and the entry as that wallet's index has it.

    Raises:
        NotFound: it has moved none of them.
    """
    sort_id = entry_id.removeprefix(ENTRY_ID_PREFIX) or "-"  # the store takes no empty key
    for owner_id in owner_ids:
        index = EntryItem.by_workspace if owner_id.startswith("ws_") else EntryItem.by_sub_account
        with store_trouble_is_ours():
            for item in index.query(owner_id, EntryItem.sort_id == sort_id, limit=1):
                return owner_id, entry_from_item(item)
    raise NotFound("not_found", "There is no such entry in these wallets.")


def _first_id(at_ms: int) -> str:
    """The first of all ids that could be made at a moment: they sort by time."""
    return str(ULID.from_int(at_ms << 80))
