"""Calls that a voice platform lists and that never reached us: their webhook was lost, and they are owed.

What is found goes the way of every webhook: the same reading, the same queue, the same key, under which it is posted
once however often it comes. Only what we have never heard of is sent, so that what did come is contradicted by nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import Provider, VoiceEndpoint
from chalicelib.domain.errors import RebillError
from chalicelib.domain.usage import Report, UsageEvent
from chalicelib.flows.ingest_usage import accept
from chalicelib.flows.nightly import Check, Night
from chalicelib.gateways.voice.listing import LISTINGS, list_calls
from chalicelib.storage import accounts, missed_calls
from chalicelib.storage.nightly import all_workspaces
from chalicelib.telemetry import alarm, logger

WORK = "sweep"
DAY_MS = 86_400_000
WINDOW_DAYS = 3
LATEST_MS = 3_600_000  # what ended after that may still be on its way: platforms try again for minutes
CHUNK = 100


@dataclass(frozen=True)
class Missed:
    """A call that never reached us."""

    workspace_id: str
    endpoint_id: str
    report: Report


@dataclass
class Swept:
    """What was looked through, and what was missed. `strangers` were made with agents that nobody has assigned.

    `refused` are the endpoints whose platform did not let us look, with the code of why.
    """

    workspaces: int = 0
    endpoints: int = 0
    calls: int = 0
    strangers: int = 0
    missed: list[Missed] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def sweep_tonight(seconds: float) -> Swept | None:
    """This night's work, as far as it can be done in so many seconds; None where it has been done already."""
    night = Night(WORK, seconds)
    if night.is_over:
        return None
    now = now_ms()
    sweep = Sweep(now, now - WINDOW_DAYS * DAY_MS, post=True, check=night.check)
    finished = night.each(all_workspaces(), sweep.see_to)
    swept = sweep.swept
    for endpoint_id, code in swept.refused:
        alarm("calls_not_listed", endpoint_id=endpoint_id, code=code)
    for endpoint_id in sorted({each.endpoint_id for each in swept.missed}):
        ids = [each.report.event_id for each in swept.missed if each.endpoint_id == endpoint_id]
        alarm("calls_missed", endpoint_id=endpoint_id, missed=len(ids), first=ids[0])
    logger.info("swept", extra={"calls": swept.calls, "missed": len(swept.missed), "finished": finished})
    return swept


class Sweep:
    """One look through the lists of calls that were begun from a moment (epoch ms) on, and ended an hour ago or more.

    With `post` what was missed is put on the queue; without, it is only told.
    """

    def __init__(self, now_ms: int, since_ms: int, post: bool, check: Check = lambda: None) -> None:
        self.swept = Swept()
        self._now_ms, self._since_ms, self._post, self._check = now_ms, since_ms, post, check

    def see_to(self, workspace_id: str) -> None:
        """Look through all lists of one workspace. One that cannot be read keeps no other from its turn."""
        looked_at: set[tuple[Provider, str]] = set()
        for endpoint in accounts.endpoints_of(workspace_id):
            api_key = _api_key(endpoint)
            if api_key is None or (endpoint.provider, api_key) in looked_at:
                continue
            looked_at.add((endpoint.provider, api_key))
            try:
                self._look_through(endpoint, api_key)
            except RebillError as refused:
                logger.warning("calls_not_listed", extra={"endpoint_id": endpoint.id, "code": refused.code})
                self.swept.refused.append((endpoint.id, refused.code))
        self.swept.workspaces += 1

    def _look_through(self, endpoint: VoiceEndpoint, api_key: str) -> None:
        since_ms = max(self._since_ms, endpoint.created_at_ms)  # what was before us is none of ours
        self.swept.endpoints += 1
        some: list[Report] = []
        for report in list_calls(endpoint.provider, api_key, since_ms, self._now_ms):
            self._check()
            if (report.answered_at_ms or report.ended_at_ms or 0) < since_ms:
                continue
            if report.ended_at_ms is None or report.ended_at_ms > self._now_ms - LATEST_MS:
                continue
            self.swept.calls += 1
            some.append(report)
            if len(some) == CHUNK:
                self._send_missed(endpoint, some)
                some = []
        self._send_missed(endpoint, some)

    def _send_missed(self, endpoint: VoiceEndpoint, reports: Sequence[Report]) -> None:
        """An account at the platform may serve several workspaces: only calls of this one's agents are this one's."""
        keys = {accounts.agent_key(endpoint.provider, each.agent_id or "") for each in reports}
        assigned = accounts.sub_accounts_of_agents(endpoint.workspace_id, keys)
        mine = [each for each in reports if accounts.agent_key(endpoint.provider, each.agent_id or "") in assigned]
        self.swept.strangers += len(reports) - len(mine)
        missed = missed_calls.never_seen(endpoint.workspace_id, mine)
        if missed and self._post:
            accept([UsageEvent.from_report(each, endpoint.workspace_id, now_ms()) for each in missed])
        self.swept.missed += [Missed(endpoint.workspace_id, endpoint.id, each) for each in missed]


def _api_key(endpoint: VoiceEndpoint) -> str | None:
    """Retell signs its webhooks with an API key, so that one does where no other is given."""
    if endpoint.provider not in LISTINGS:
        return None
    return endpoint.api_key or (endpoint.secret if endpoint.provider is Provider.RETELL else None)


def sweep_calls(
    workspace_ids: Sequence[str],
    since_ms: int,
    post: bool,
    at_ms: int | None = None,
    progress: Callable[[str], None] = lambda workspace_id: None,
) -> Swept:
    """Look through these workspaces' lists, however long it takes; `progress` is told each that has been seen to."""
    sweep = Sweep(now_ms() if at_ms is None else at_ms, since_ms, post)
    for workspace_id in workspace_ids:
        sweep.see_to(workspace_id)
        progress(workspace_id)
    return sweep.swept
