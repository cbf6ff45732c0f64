"""Holds our books against themselves and against Stripe, one workspace after the other, and changes nothing."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.differences import compare, key_of
from chalicelib.domain.errors import AccessLost, Conflict, NotFound, Unavailable
from chalicelib.domain.payment_facts import PaymentFacts
from chalicelib.domain.payments import PLATFORM
from chalicelib.domain.reconcile import Books, Difference, Movement, PaymentKey, Seen
from chalicelib.flows.nightly import Check, Night
from chalicelib.flows.reconcile_books import Reading, read_books
from chalicelib.gateways import stripe
from chalicelib.storage import reconciling
from chalicelib.storage.nightly import all_workspaces
from chalicelib.telemetry import alarm, logger

WORK = "reconcile"
DAY_MS = 86_400_000
WINDOW_DAYS = 3  # as long as Stripe repeats an event that was not received


@dataclass
class Report:
    """What was read, and what does not agree.

    `foreign` counts payments on the accounts that are other business of their owners. `unreachable` are accounts that
    Stripe did not show, `unsettled` wallets that moved whenever they were looked at: neither could be held against
    anything.
    """

    workspaces: int = 0
    wallets: int = 0
    entries: int = 0
    payments: int = 0
    foreign: int = 0
    unreachable: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


def reconcile_tonight(seconds: float) -> Report | None:
    """This night's work, as far as it can be done in so many seconds; None where it has been done already."""
    night = Night(WORK, seconds)
    if night.is_over:
        return None
    now = now_ms()
    reconciling_now = Reconciliation(now, now - WINDOW_DAYS * DAY_MS, night.check)
    finished = night.each([PLATFORM, *all_workspaces()], reconciling_now.see_to)
    report = reconciling_now.report
    for difference in report.differences:
        alarm("reconcile_difference", **asdict(difference), detail=difference.detail)
    counted = {name: value for name, value in asdict(report).items() if name != "differences"}
    logger.info("reconciled", extra={**counted, "differences": len(report.differences), "finished": finished})
    return report


class Reconciliation:
    """One look at everything, from a moment (epoch ms) on at Stripe, and from the beginning in our own tables.

    Differences are those that there are at `now_ms`; what has only just happened is left to the next look.
    """

    def __init__(self, now_ms: int, since_ms: int, check: Check = lambda: None) -> None:
        self.report = Report()
        self._now_ms, self._since_ms, self._check = now_ms, since_ms, check
        self._platform: dict[str, list[Movement]] | None = None

    def see_to(self, workspace_id: str) -> list[Difference]:
        """All differences of one workspace; of `platform`, what is on its own account and belongs to no workspace."""
        if workspace_id == PLATFORM:
            return self._see_to_strangers()
        reading = self._read(workspace_id)
        movements, missing = self._movements(reading.books)
        found = self._compare(reading.books, movements, missing)
        if found:  # a payment may have been settled between one read and the next: what stays is a difference
            reading = self._read(workspace_id)
            told = {(each.cause, each.ids) for each in found}
            again = self._compare(reading.books, movements, missing)
            found = [each for each in again if (each.cause, each.ids) in told]
        self.report.workspaces += 1
        self.report.wallets += len(reading.books.wallets)
        self.report.entries += reading.entries
        self.report.payments += len(reading.books.credits)
        self.report.unsettled += reading.unsettled
        self._count_foreign(movements, reading.books)
        self.report.differences += found
        return found

    def _read(self, workspace_id: str) -> Reading:
        return read_books(workspace_id, self._now_ms, self._check)

    def _movements(self, books: Books) -> tuple[list[Movement], set[str | None]]:
        """What Stripe shows of a workspace, and the accounts that it does not show."""
        movements = list(self._of_platform().get(books.workspace_id, ()))
        missing: set[str | None] = {None} if PLATFORM in self.report.unreachable else set()
        for account_id in sorted(books.accounts):
            listed = self._listed(account_id)
            if listed is None:
                missing.add(account_id)
            else:
                movements += self._not_of_others(listed, books.workspace_id)
        return movements, missing

    def _compare(self, books: Books, movements: list[Movement], missing: set[str | None]) -> list[Difference]:
        looked_up = self._look_up(books, movements, missing)
        return compare(books, Seen(movements, looked_up, _customers(movements)), self._now_ms)

    def _see_to_strangers(self) -> list[Difference]:
        strangers = self._of_platform().get(PLATFORM, [])
        found = compare(Books(PLATFORM), Seen(strangers), self._now_ms)
        self._count_foreign(strangers, Books(PLATFORM))
        self.report.differences += found
        return found

    def _count_foreign(self, movements: Sequence[Movement], books: Books) -> None:
        known = {key_of(entry) for entry in books.credits} | books.payments.keys()
        ours = _customers(movements)
        self.report.foreign += sum(
            not each.is_back and each.mark is None and each.key not in known and each.customer_id not in ours
            for each in movements
        )

    def _of_platform(self) -> dict[str, list[Movement]]:
        """What moved on the platform's own account, by workspace; what is nobody's under `platform`."""
        if self._platform is None:
            self._platform = defaultdict(list)
            movements = self._listed(None) or []
            payments = reconciling.payments_by_key({each.key for each in movements})
            holders = reconciling.owners_of_customers(each.customer_id for each in movements if each.customer_id)
            for movement in movements:
                payment, holder = payments.get(movement.key), holders.get(movement.customer_id or "")
                workspace_id = payment.workspace_id if payment else _workspace_of(holder)
                self._platform[workspace_id or PLATFORM].append(movement)
        return self._platform

    def _listed(self, account_id: str | None) -> list[Movement] | None:
        """What moved on an account, the oldest first; None where Stripe does not show it."""
        listed: list[Movement] = []
        try:
            for movement in stripe.list_movements(account_id, self._since_ms, self._now_ms):
                self._check()
                listed.append(movement)
        except (AccessLost, Conflict, NotFound, Unavailable) as lost:
            logger.warning("account_not_listed", extra={"account_id": account_id or PLATFORM, "code": lost.code})
            self.report.unreachable.append(account_id or PLATFORM)
            return None
        return listed[::-1]

    def _not_of_others(self, movements: Sequence[Movement], workspace_id: str) -> list[Movement]:
        """An account may have been another workspace's before: what its clients paid is looked at there."""
        holders = reconciling.owners_of_customers(each.customer_id for each in movements if each.customer_id)
        owners = [_workspace_of(holders.get(each.customer_id or "")) for each in movements]
        return [each for each, owner in zip(movements, owners, strict=True) if owner in (None, workspace_id)]

    def _look_up(
        self, books: Books, movements: Sequence[Movement], missing: set[str | None]
    ) -> dict[PaymentKey, PaymentFacts | None]:
        """How the payments are now of which something has gone back, and those that we credited and nobody listed."""
        shown = {each.key for each in movements if not each.is_back}
        wanted = {each.key for each in movements if each.is_back and each.key in books.payments}
        wanted |= {
            key_of(entry)
            for entry in books.credits
            if self._since_ms <= entry.posted_at_ms < self._now_ms and key_of(entry) not in shown
        }
        found: dict[PaymentKey, PaymentFacts | None] = {}
        for key in sorted(wanted & books.payments.keys(), key=str):
            self._check()
            if key[0] in missing:
                continue
            try:
                found[key] = stripe.read_payment(*key)
            except NotFound:
                found[key] = None
            except (AccessLost, Conflict, Unavailable) as lost:
                logger.warning("payment_not_read", extra={"payment_intent_id": key[1], "code": lost.code})
        return found


def _customers(movements: Sequence[Movement]) -> frozenset[str]:
    """The customers among those who paid that are ours."""
    return frozenset(reconciling.owners_of_customers(each.customer_id for each in movements if each.customer_id))


def _workspace_of(owner_id: str | None) -> str | None:
    return owner_id if owner_id is None or owner_id.startswith("ws_") else owning_workspace(owner_id)


def reconcile(
    workspace_ids: Sequence[str],
    since_ms: int,
    at_ms: int | None = None,
    progress: Callable[[str], None] = lambda workspace_id: None,
) -> Report:
    """Reconcile these workspaces (and `platform`, if it is among them), however long it takes.

    `progress` is told each that has been seen to.
    """
    reconciling_now = Reconciliation(now_ms() if at_ms is None else at_ms, since_ms)
    for workspace_id in workspace_ids:
        reconciling_now.see_to(workspace_id)
        progress(workspace_id)
    return reconciling_now.report
