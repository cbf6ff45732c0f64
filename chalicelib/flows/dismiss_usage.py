"""A usage event that waits for a person is set aside: it is not billed, now or later, and no list shows it any more."""

from chalicelib.domain.errors import Conflict, Forbidden, NotFound
from chalicelib.domain.people import Caller, Person
from chalicelib.domain.usage import WAITS_FOR_A_PERSON, Status
from chalicelib.storage import usage_events
from chalicelib.storage.usage_events import KeptEvent
from chalicelib.telemetry import logger


def dismiss_usage(workspace_id: str, source: str, event_id: str, caller: Caller, note: str | None) -> KeptEvent:
    """What became of the event. Where it was billed once and contradicted later, the bill stands.

    The agency's people may only say that they have seen a contradiction: what is never billed costs the platform.

    Raises:
        NotFound: no such event in this workspace. Conflict: it waits for nobody.
        Forbidden: a person of the agency would have it never billed.
    """
    kept = _find(workspace_id, source, event_id)
    is_person = isinstance(caller, Person)
    if is_person and kept.status in WAITS_FOR_A_PERSON - {Status.CONFLICT}:
        raise Forbidden("platform_only", "Only your platform can say that a call is never billed. Ask it to.")
    by = caller.email if isinstance(caller, Person) else caller.name
    if kept.status not in WAITS_FOR_A_PERSON or not usage_events.dismiss(kept, is_person, by, note):
        status = _find(workspace_id, source, event_id).status
        raise Conflict("nothing_waits", f"This event waits for nobody: it is {status.value}.")
    ids = {"workspace_id": workspace_id, "source": source, "event_id": event_id}
    logger.info("usage_dismissed", extra={**ids, "was": kept.status.value, "by": by})
    return _find(workspace_id, source, event_id)


def _find(workspace_id: str, source: str, event_id: str) -> KeptEvent:
    found = usage_events.find_usage_of(workspace_id, source, event_id)
    if found is None:
        raise NotFound("not_found", "There is no such usage event.")
    return found
