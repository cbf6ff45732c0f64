"""Usage events: reported by the platform, and what became of them."""

from http import HTTPStatus

from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.people import Person
from chalicelib.domain.usage import Status
from chalicelib.flows.dismiss_usage import dismiss_usage
from chalicelib.flows.ingest_usage import ingest_events
from chalicelib.storage import accounts, usage_events
from chalicelib.web import account_requests, requests
from chalicelib.web.answers import ListOf, ShownUsageEvent, ShownWaitingEvent
from chalicelib.web.doors import Call, door
from chalicelib.web.show import show_queued, show_usage_event


@door(
    "POST",
    "/v1/usage-events",
    summary="Report usage",
    body="CloudEvents 1.0, one or a batch of up to 500",
    answers=ListOf[ShownUsageEvent],
    status=HTTPStatus.ACCEPTED,
)
def report_usage(call: Call[None]) -> ListOf[ShownUsageEvent]:
    """One CloudEvent, or an array of up to 500; `subject` is the sub-account. 202 means: kept, and will be posted once,
    however often you send it. If a field of one event is wrong, none of the batch is taken.
    """
    accepted = ingest_events(call.raw_body)
    return ListOf[ShownUsageEvent](data=[show_queued(event) for event in accepted])


@door(
    "GET",
    "/v1/usage-events/{source}/{event_id}",
    summary="What became of a usage event",
    query=requests.WhichWorkspace,
    answers=ShownUsageEvent,
)
def read_usage_event(call: Call[None], source: str, event_id: str) -> ShownUsageEvent:
    """Its state, and once posted both charges with everything they were rated with."""
    workspace_id = call.query_as(requests.WhichWorkspace).workspace
    if isinstance(call.caller, Person):
        workspace_id = call.caller.workspace_id  # of other workspaces' events nobody is told
    found = usage_events.find_usage(source, event_id)
    found = [kept for kept in found if workspace_id in (None, kept.workspace_id)]
    if not found:
        raise NotFound("not_found", "There is no such usage event.")
    if len(found) > 1:
        raise Invalid("workspace", "Two workspaces reported this event: say which, as ?workspace=ws_...")
    return show_usage_event(found[0])


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/usage-events",
    summary="Usage events that wait for a person",
    query=requests.WaitingPage,
    answers=ListOf[ShownWaitingEvent],
)
def list_waiting_events(call: Call[None], workspace_id: str) -> ListOf[ShownWaitingEvent]:
    """Those whose agent nobody assigned (`unmatched`), whose contents cannot be billed as they are (`needs_review`),
    or that contradict what was posted (`conflict`). Newest first.
    """
    page = call.query_as(requests.WaitingPage)
    accounts.get_workspace(workspace_id)
    found, has_more = usage_events.waiting_events(workspace_id, Status(page.status), page.limit, page.starting_after)
    shown = [ShownWaitingEvent(**show_usage_event(kept).model_dump(), cursor=cursor) for cursor, kept in found]
    return ListOf[ShownWaitingEvent](data=shown, has_more=has_more)


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/usage-events/{source}/{event_id}/dismiss",
    summary="Dismiss a usage event that waits for a person",
    body=account_requests.StatusNote,
    answers=ShownUsageEvent,
)
def dismiss_event(
    call: Call[account_requests.StatusNote], workspace_id: str, source: str, event_id: str
) -> ShownUsageEvent:
    """It is never billed, whoever sends it again, and listed no more. Of one that was billed and then contradicted, the
    bill stands; that is all that the agency's own people can dismiss.
    """
    return show_usage_event(dismiss_usage(workspace_id, source, event_id, call.caller, call.body.note))
