"""A finished call comes in: it is read, put on the queue, and only then acknowledged."""

from collections.abc import Sequence

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Invalid, Malformed, NotFound, Unauthenticated, Unavailable
from chalicelib.domain.usage import Report, UsageEvent
from chalicelib.gateways import queue
from chalicelib.gateways.voice import ADAPTERS, cloudevents
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.storage import accounts, usage_events
from chalicelib.telemetry import alarm, logger


def ingest_events(body: bytes) -> list[UsageEvent]:
    """Accept CloudEvents, one or a batch, from the platform itself; each names its sub-account.

    Raises:
        Malformed, Invalid: the body, or a field of an event, is wrong: then none of them is accepted.
        Unavailable: they are not all on the queue; sending them again does no harm.
    """
    reports = cloudevents.read_events(body)
    for number, report in enumerate(reports):
        if report.sub_account_id is None:
            raise _unknown_subject(number, body)
    known = _known_sub_accounts(reports, body)
    received_at_ms = now_ms()
    return accept([UsageEvent.from_report(report, known[_subject(report)], received_at_ms) for report in reports])


def ingest_delivery(provider: str, endpoint_id: str, delivery: Delivery) -> tuple[list[UsageEvent], int]:
    """Accept what a voice platform sends to one of its endpoints: the events in it, and the status it wants to see.

    Raises:
        NotFound: no such endpoint for this provider. Unauthenticated: not signed with the endpoint's secret.
        Malformed, Invalid: signed, but it cannot be read. Unavailable: not on the queue.
    """
    endpoint = accounts.get_endpoint(endpoint_id)
    if endpoint.provider != provider:
        raise NotFound("not_found", "There is no such voice endpoint.")
    adapter = ADAPTERS[endpoint.provider]
    received_at_ms = now_ms()
    try:
        adapter.verify(delivery, endpoint.secret, received_at_ms)
    except Unauthenticated as refusal:
        logger.warning("signature_invalid", extra={"endpoint_id": endpoint_id, "detail": refusal.detail})
        raise
    try:
        reports = adapter.read(delivery)
    except (Malformed, Invalid) as unreadable:  # signed, so it is real: some platforms never send it again
        alarm("signed_webhook_unreadable", endpoint_id=endpoint_id, code=unreadable.code, param=unreadable.param)
        raise
    _known_sub_accounts(reports, delivery.body, endpoint.workspace_id)
    events = [UsageEvent.from_report(report, endpoint.workspace_id, received_at_ms) for report in reports]
    return accept(events), adapter.ACCEPTED_STATUS


def _known_sub_accounts(reports: Sequence[Report], body: bytes, workspace_id: str | None = None) -> dict[str, str]:
    """The workspace of each sub-account that these reports name; an agent's name is looked up when it is posted.

    With a `workspace_id` only its own sub-accounts count: a signature speaks for one workspace.

    Raises:
        Invalid: one of them does not exist, or is somebody else's; names the event.
    """
    found = accounts.sub_accounts_by_id({_subject(report) for report in reports if report.sub_account_id})
    known = {each.id: each.workspace_id for each in found.values() if workspace_id in (None, each.workspace_id)}
    for number, report in enumerate(reports):
        if report.sub_account_id and report.sub_account_id not in known:
            raise _unknown_subject(number, body)
    return known


def _unknown_subject(number: int, body: bytes) -> Invalid:
    """Named as its sender wrote it: with its place where the body is a list, even of one."""
    param = f"[{number}].subject" if body.lstrip()[:1] == b"[" else "subject"
    return Invalid(param, f"{param} must be the id of a sub-account (sa_...).", "unknown_sub_account")


def _subject(report: Report) -> str:
    return report.sub_account_id or ""


def accept(events: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Put usage events on the queue, and note that they are there.

    Raises:
        Unavailable: they are not all on the queue; sending them again does no harm.
    """
    queue.send([event.to_json() for event in events])
    try:
        usage_events.give_receipts(events)
    except Unavailable:  # a receipt is a courtesy: the events themselves are safely queued
        logger.warning("receipts_not_written", extra={"events": len(events)})
    return list(events)
