"""Which calls have never reached us."""

from collections.abc import Sequence

from chalicelib.domain.usage import Report
from chalicelib.domain.wallet import EntryKind
from chalicelib.storage.entries import entry_key
from chalicelib.storage.tables import EntryItem, store_trouble_is_ours


def never_seen(workspace_id: str, reports: Sequence[Report]) -> list[Report]:
    """Those of these calls that a workspace has neither an entry of, nor anything kept, nor a receipt."""
    keys = {entry_key(EntryKind.USAGE, each.source, each.event_id): each for each in reports}
    wanted = [(key, sk) for key in keys for sk in (workspace_id, f"{workspace_id}#receipt")]
    with store_trouble_is_ours():
        seen = {item.pk for item in EntryItem.batch_get(wanted, consistent_read=True)}
    return [each for key, each in keys.items() if key not in seen]
