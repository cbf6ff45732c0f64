"""What the nightly work goes through, and how far it has come: a night's work may take several runs."""

from pynamodb.exceptions import DoesNotExist

from chalicelib.storage.accounts import WORKSPACE
from chalicelib.storage.tables import AccountItem, PaymentItem, store_trouble_is_ours

NIGHTLY = "nightly"
THE_END = "~"  # after every id


def all_workspaces() -> list[str]:
    """The ids of all workspaces, in their order. It reads the table of accounts from end to end, once a run: no index
    names them, and what is read of each workspace afterwards is far more.
    """
    with store_trouble_is_ours():
        found = AccountItem.scan(AccountItem.sk == WORKSPACE, attributes_to_get=["pk"])
        return sorted(item.pk for item in found)


def reached(work: str, day: str) -> str:
    """The last workspace that this day's work has seen to: all later ones are left. Empty before the first run."""
    with store_trouble_is_ours():
        try:
            item = PaymentItem.get(NIGHTLY, work, consistent_read=True)
        except DoesNotExist:
            return ""
    return item.reference or "" if item.state == day else ""


def note_reached(work: str, day: str, workspace_id: str) -> None:
    """Remember how far this day's work has come. Told twice, or out of order, a workspace is only seen to again."""
    with store_trouble_is_ours():
        PaymentItem(NIGHTLY, work, state=day, reference=workspace_id).save()
