"""A workspace sets what its new sub-accounts begin with. Those that exist stay as they are."""

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.domain.snapshot import Defaults, Snapshot
from chalicelib.flows.configure import check_card
from chalicelib.storage import accounts, snapshots


def set_snapshot(
    workspace_id: str, defaults: Defaults, below_cost: tuple[str, ...], version: int | None, by: str
) -> Snapshot:
    """Make another version. `version`, if it is given, is the one that the caller has seen.

    Raises:
        NotFound: no such workspace. Conflict: somebody else has made a version meanwhile.
        Invalid: re-billing that bills nothing, or a price below cost that was not accepted; names the field.
    """
    workspace, before = accounts.get_workspace(workspace_id), snapshots.get_snapshot(workspace_id)
    now = now_ms()
    if defaults.rebilling is not None:
        try:
            check_card(workspace, defaults.rebilling, now, below_cost)
        except Invalid as refused:
            raise Invalid(f"rebilling.{refused.param}", f"rebilling.{refused.detail}", refused.code) from None
    made = Snapshot(workspace_id, before.version + 1, defaults, below_cost, now, by)
    if version not in (None, before.version) or not snapshots.add_snapshot(made):
        detail = "Somebody else has changed the snapshot meanwhile. Read it again, then set it."
        raise Conflict("snapshot_changed", detail, "version")
    return made
