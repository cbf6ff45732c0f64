"""A snapshot is applied to accounts that exist, on request: seen before, account by account, and undone if need be.

Each account's trouble is its own: it changes with the note of what it had in one transaction, or stays as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import AccountStatus, Workspace
from chalicelib.domain.errors import Conflict, Invalid, Unavailable
from chalicelib.domain.rating import RateCard
from chalicelib.domain.snapshot import (
    NOTHING,
    Application,
    Defaults,
    Result,
    ResultState,
    Snapshot,
    changes,
    only,
    same_prices,
)
from chalicelib.flows import redrive_usage
from chalicelib.flows.configure import check_card
from chalicelib.flows.watch_balances import watch
from chalicelib.storage import accounts, snapshots
from chalicelib.storage.accounts import MOST_CARDS
from chalicelib.storage.snapshots import Seen
from chalicelib.telemetry import logger

ATTEMPTS = 5


@dataclass(frozen=True)
class Preview:
    """What applying a snapshot would change in one account: `had` and `has` name only that, `detail` why it cannot."""

    sub_account_id: str
    had: Defaults = NOTHING
    has: Defaults = NOTHING
    detail: str | None = None


def preview(workspace_id: str, sub_account_ids: list[str]) -> tuple[Snapshot, list[Preview]]:
    """What applying the snapshot of now would change. Changes nothing.

    Raises:
        NotFound: no such workspace.
    """
    workspace, snapshot = accounts.get_workspace(workspace_id), snapshots.get_snapshot(workspace_id)
    return snapshot, [_look(workspace, snapshot, each)[0] for each in sub_account_ids]


def apply(workspace_id: str, sub_account_ids: list[str], version: int, key: str, by: str) -> Application:
    """Apply a version to these accounts; the same key goes on with, or answers, the same application.

    Raises:
        NotFound: no such workspace. Conflict: it is not the version of now.
        Invalid: the key was used for something else. Unavailable: say it again with the same key.
    """
    workspace, snapshot = accounts.get_workspace(workspace_id), snapshots.get_snapshot(workspace_id)
    asked = Application(f"sna_{ULID()}", workspace_id, version, tuple(sub_account_ids), by, now_ms())
    application = snapshots.find_application(workspace_id, key)
    if application is None:
        if version != snapshot.version:
            raise Conflict("snapshot_changed", f"The snapshot is at version {snapshot.version}. Look again.", "version")
        application = snapshots.open_application(asked, key)
    if (application.version, application.sub_account_ids) != (version, asked.sub_account_ids):
        detail = "This Idempotency-Key was used for another application."
        raise Invalid("Idempotency-Key", detail, "idempotency_key_reused")
    snapshot = snapshots.get_snapshot(workspace_id, application.version)
    _each(application, ResultState.PENDING, lambda result: _apply(workspace, snapshot, application, result))
    redrive_usage.ask_for_price(workspace_id)
    watch(sub_account_ids)
    logger.info("snapshot_applied", extra={"application_id": application.id, "version": version, "by": by})
    return application


def undo(workspace_id: str, application_id: str, by: str) -> Application:
    """Give each account back what it had, from now on; one that somebody has changed since is left alone.

    Raises:
        NotFound: no such application. Unavailable: say it again, it does no harm.
    """
    application = snapshots.get_application(workspace_id, application_id)
    _each(application, ResultState.APPLIED, lambda result: _undo(application, result))
    redrive_usage.ask_for_price(workspace_id)
    watch(application.sub_account_ids)
    logger.info("snapshot_undone", extra={"application_id": application.id, "by": by})
    return application


def _look(workspace: Workspace, snapshot: Snapshot, sub_account_id: str) -> tuple[Preview, Seen | None]:
    known = accounts.sub_accounts_by_id([sub_account_id]).get(sub_account_id)
    if known is None or known.workspace_id != workspace.id:
        return Preview(sub_account_id, detail="There is no such sub-account."), None
    now = now_ms()
    seen = snapshots.see(known, now)
    wanted = changes(seen.has, snapshot.defaults)
    if known.status is AccountStatus.CLOSED:
        return Preview(sub_account_id, detail="This sub-account is closed."), seen
    if wanted.rebilling is not None:
        if len(seen.cards) >= MOST_CARDS:
            return Preview(sub_account_id, detail=f"It has had {MOST_CARDS} price changes."), seen
        try:
            check_card(workspace, wanted.rebilling, now, snapshot.below_cost)
        except Invalid as refused:
            return Preview(sub_account_id, detail=refused.detail), seen
    return Preview(sub_account_id, only(seen.has, wanted.named), wanted), seen


def _apply(workspace: Workspace, snapshot: Snapshot, application: Application, result: Result) -> bool:
    found, seen = _look(workspace, snapshot, result.sub_account_id)
    if found.detail is not None or seen is None:
        return snapshots.note(application, replace(result, state=ResultState.REFUSED, detail=found.detail), None)
    if not found.has.named:
        return snapshots.note(application, replace(result, state=ResultState.UNCHANGED), None)
    version = seen.cards_version + (found.has.rebilling is not None)
    applied = replace(result, state=ResultState.APPLIED, had=found.had, has=found.has, cards_version=version)
    return snapshots.change(seen, _from_now(found.has), application, applied, None)


def _undo(application: Application, result: Result) -> bool:
    known = accounts.get_sub_account(result.sub_account_id)
    seen = snapshots.see(known, now_ms())
    if known.status is AccountStatus.CLOSED or not _is_untouched(seen, result):
        detail = "It was changed by somebody since, and stays as it is."
        left = replace(result, state=ResultState.LEFT_ALONE, detail=detail)
        return snapshots.note(application, left, ResultState.APPLIED)
    had = result.had
    if "rebilling" in result.has.named and had.rebilling is None:
        had = replace(had, rebilling=RateCard(0, enabled=False))
    undone = replace(result, state=ResultState.UNDONE)
    return snapshots.change(seen, _from_now(had), application, undone, ResultState.APPLIED)


def _is_untouched(seen: Seen, result: Result) -> bool:
    """Whether an account still has all that the application gave it."""
    names = result.has.named
    if "rebilling" in names and seen.cards_version != result.cards_version:
        return False
    has = only(seen.has, names)
    return same_prices(has.rebilling, result.has.rebilling) and replace(has, rebilling=None) == replace(
        result.has, rebilling=None
    )


def _from_now(defaults: Defaults) -> Defaults:
    card = defaults.rebilling
    return replace(defaults, rebilling=card and replace(card, effective_at_ms=now_ms()))


def _each(application: Application, state: ResultState, move: Callable[[Result], bool]) -> None:
    """Move each account that is in this state; again where something changed between the look and the write."""
    for _ in range(ATTEMPTS):
        left = [result for result in snapshots.results_of(application) if result.state is state]
        if not [result for result in left if not move(result)]:
            return
    raise Unavailable("The account store")
