"""Who changed which setting, when, from what and to what: an item for each change, under its workspace."""

from dataclasses import dataclass
from typing import Any

from chalicelib.storage.tables import AccountItem, store_trouble_is_ours

PLATFORM = "platform"  # in place of a workspace: settings that hold for everybody


@dataclass(frozen=True)
class Change:
    """One change. `old` and `new` hold what differs, as the API shows it; None where there was, or is, nothing."""

    id: str  # `aud_` and a ULID: in the order of time
    workspace_id: str
    at_ms: int
    by_kind: str
    by: str
    action: str
    on: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


def add_change(change: Change) -> None:
    """Keep a change."""
    facts: dict[str, Any] = {"by_kind": change.by_kind, "by": change.by, "action": change.action, "on": change.on}
    facts |= {"old": change.old, "new": change.new}
    with store_trouble_is_ours():
        AccountItem(_key(change.workspace_id), change.id, created_at_ms=change.at_ms, facts=facts).save()


def list_changes(workspace_id: str, limit: int, after: str | None = None) -> tuple[list[Change], bool]:
    """Up to `limit` changes, the newest first, and whether there are more."""
    start = {"pk": {"S": _key(workspace_id)}, "sk": {"S": after}} if after else None
    with store_trouble_is_ours():
        found = AccountItem.query(
            _key(workspace_id), limit=limit + 1, scan_index_forward=False, last_evaluated_key=start
        )
        rows = [Change(item.sk, workspace_id, int(item.created_at_ms), **(item.facts or {})) for item in found]
    return rows[:limit], len(rows) > limit


def _key(workspace_id: str) -> str:
    return f"audit#{workspace_id}"
