"""The new-account snapshot: what new sub-accounts begin with, and how it comes to those that exist."""

from http import HTTPStatus

from chalicelib.flows import apply_snapshot
from chalicelib.flows.set_snapshot import set_snapshot
from chalicelib.storage import accounts, snapshots
from chalicelib.web import account_requests
from chalicelib.web.account_answers import (
    ShownApplication,
    ShownSnapshot,
    ShownSnapshotPreview,
    caller_name,
    show_application,
    show_preview,
    show_snapshot,
)
from chalicelib.web.doors import Call, door
from chalicelib.web.idempotency import IDEMPOTENCY_HEADER, idempotency_key

SNAPSHOT = "/v1/workspaces/{workspace_id}/snapshot"


@door("GET", SNAPSHOT, summary="Read the snapshot for new sub-accounts", answers=ShownSnapshot)
def read_snapshot(call: Call[None], workspace_id: str) -> ShownSnapshot:
    """What new sub-accounts begin with, as it is now."""
    return show_snapshot(snapshots.get_snapshot(accounts.get_workspace(workspace_id).id))


@door(
    "PUT",
    SNAPSHOT,
    summary="Set the snapshot for new sub-accounts",
    body=account_requests.NewSnapshot,
    answers=ShownSnapshot,
)
def put_snapshot(call: Call[account_requests.NewSnapshot], workspace_id: str) -> ShownSnapshot:
    """Another version, for sub-accounts made from now on; those that exist stay as they are until it is applied to
    them. A refill rule is filled in for the client and never switched on. Prices below cost need `accept_below_cost`.
    """
    defaults, by = call.body.to_defaults(), caller_name(call.caller)
    return show_snapshot(set_snapshot(workspace_id, defaults, call.body.below_cost(), call.body.version, by))


@door(
    "POST",
    f"{SNAPSHOT}/preview",
    summary="See what applying the snapshot would change",
    body=account_requests.SnapshotPreview,
    answers=ShownSnapshotPreview,
)
def preview_snapshot(call: Call[account_requests.SnapshotPreview], workspace_id: str) -> ShownSnapshotPreview:
    """From what to what, account by account. Changes nothing."""
    return show_preview(*apply_snapshot.preview(workspace_id, call.body.sub_accounts))


@door(
    "POST",
    f"{SNAPSHOT}/apply",
    summary="Apply the snapshot to sub-accounts that exist",
    body=account_requests.NewSnapshotApplication,
    answers=ShownApplication,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def apply(call: Call[account_requests.NewSnapshotApplication], workspace_id: str) -> ShownApplication:
    """Each account's trouble is its own: `state` and `detail` say what became of it. A refill rule that a client has
    switched on is not touched. The same Idempotency-Key and body go on with, or answer, the same application.
    """
    key, by = idempotency_key(call), caller_name(call.caller)
    made = apply_snapshot.apply(workspace_id, call.body.sub_accounts, call.body.version, key, by)
    return show_application(made, snapshots.results_of(made))


@door(
    "GET",
    f"{SNAPSHOT}/applications/{{application_id}}",
    summary="What became of an application of the snapshot",
    answers=ShownApplication,
)
def read_application(call: Call[None], workspace_id: str, application_id: str) -> ShownApplication:
    """Account by account, with what it had and what it was given."""
    made = snapshots.get_application(workspace_id, application_id)
    return show_application(made, snapshots.results_of(made))


@door(
    "POST",
    f"{SNAPSHOT}/applications/{{application_id}}/undo",
    summary="Undo an application of the snapshot",
    answers=ShownApplication,
)
def undo(call: Call[None], workspace_id: str, application_id: str) -> ShownApplication:
    """Gives each account back what it had, from now on: calls that were answered meanwhile keep their price. An account
    that somebody has changed since is left alone. Undoing again does no harm.
    """
    made = apply_snapshot.undo(workspace_id, application_id, caller_name(call.caller))
    return show_application(made, snapshots.results_of(made))
