"""Usage events: one finished unit of use (a call), as it arrives, and what may be done with it.

A platform's adapter reads a payload into a `Report`. `UsageEvent.from_report` weighs the two witnesses for time, and
`judge` says whether the event can be posted.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import get_args, get_type_hints

from chalicelib.domain.errors import Malformed
from chalicelib.domain.rating import VOICE

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LONGEST_CALL_MS = DAY_MS
OLDEST_EVENT_MS = 36 * DAY_MS
CLOCK_SKEW_MS = 300_000
WITNESS_TOLERANCE_MS = 2_000
WITNESS_TOLERANCE_PERCENT = 2


class Status(StrEnum):
    """What became of a usage event."""

    QUEUED = "queued"
    POSTED = "posted"
    NOT_BILLABLE = "not_billable"
    UNMATCHED = "unmatched"
    NEEDS_REVIEW = "needs_review"
    CONFLICT = "conflict"
    DISMISSED = "dismissed"


WAITS_FOR_A_PERSON = frozenset({Status.UNMATCHED, Status.NEEDS_REVIEW, Status.CONFLICT})


@dataclass(frozen=True)
class Report:
    """What a voice platform says about one finished call (or another unit of use).

    Either `agent_id` or `sub_account_id` says whose it is. Times are epoch milliseconds of the call's own clock, never
    of the delivery, so that every delivery of one call says the same. `reported_ms` is the platform's own duration,
    the second witness. `quantity` counts meters other than voice.
    """

    source: str
    event_id: str
    connected: bool
    agent_id: str | None = None
    sub_account_id: str | None = None
    answered_at_ms: int | None = None
    ended_at_ms: int | None = None
    reported_ms: int | None = None
    outcome: str | None = None
    meter: str = VOICE
    quantity: int | None = None


@dataclass(frozen=True)
class UsageEvent:
    """One usage event on its way to the ledger.

    `quantity` is milliseconds of talk for voice, a count for other meters, and None where the times do not tell.
    `remarks` are flags for people, such as `durations_disagree`.
    """

    workspace_id: str
    source: str
    event_id: str
    meter: str
    agent_id: str | None
    sub_account_id: str | None
    connected: bool
    answered_at_ms: int | None
    ended_at_ms: int | None
    quantity: int | None
    outcome: str | None
    remarks: tuple[str, ...]
    received_at_ms: int

    @classmethod
    def from_report(cls, report: Report, workspace_id: str, received_at_ms: int) -> "UsageEvent":
        """Weigh the witnesses and fill in the missing end of the call where the other two tell it."""
        answered_at_ms, ended_at_ms = _complete(report)
        remarks: tuple[str, ...] = ()
        quantity = report.quantity
        if report.meter == VOICE:
            quantity, remarks = _talk_ms(answered_at_ms, ended_at_ms, report.reported_ms)
        return cls(
            workspace_id=workspace_id,
            source=report.source,
            event_id=report.event_id,
            meter=report.meter,
            agent_id=report.agent_id,
            sub_account_id=report.sub_account_id,
            connected=report.connected,
            answered_at_ms=answered_at_ms,
            ended_at_ms=ended_at_ms,
            quantity=quantity,
            outcome=report.outcome,
            remarks=remarks,
            received_at_ms=received_at_ms,
        )

    @property
    def occurred_at_ms(self) -> int:
        """When the use ended; when it was received, if nobody said."""
        return self.ended_at_ms if self.ended_at_ms is not None else self.received_at_ms

    @property
    def rated_at_ms(self) -> int:
        """The moment whose rate card counts: the answer of a call, the end of anything else."""
        return self.answered_at_ms if self.answered_at_ms is not None else self.occurred_at_ms

    @property
    def fingerprint(self) -> str:
        """Equal for two deliveries that say the same of the same event, whenever and wherever they arrive.

        Only what moves money counts: a repeat with another wording of its outcome is still a repeat.
        """
        whose = self.agent_id or self.sub_account_id
        times = (self.answered_at_ms, self.ended_at_ms)
        facts = (self.source, self.event_id, self.meter, whose, self.connected, *times, self.quantity)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """The event as one line for the queue."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "UsageEvent":
        """Read an event back from the queue.

        Raises:
            Malformed: the text is not an event of ours.
        """
        try:
            values = json.loads(text)
            event = cls(**{**values, "remarks": _tuple(values["remarks"])})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Malformed("unreadable_message", f"Not a usage event: {error}") from error
        _check_types(event)
        return event


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_TYPES = {**get_type_hints(UsageEvent), "remarks": tuple}


def _check_types(event: UsageEvent) -> None:
    for item in fields(event):
        value, name = getattr(event, item.name), item.name
        allowed = get_args(_TYPES[name]) or (_TYPES[name],)
        if type(value) not in allowed or (name == "remarks" and not all(type(each) is str for each in value)):
            raise Malformed("unreadable_message", f"Not a usage event: {name} is {value!r}"[:200], name)


def _complete(report: Report) -> tuple[int | None, int | None]:
    answered, ended, told = report.answered_at_ms, report.ended_at_ms, report.reported_ms
    if told is not None and ended is not None and answered is None:
        answered = ended - told
    if told is not None and answered is not None and ended is None:
        ended = answered + told
    return answered, ended


def _talk_ms(answered: int | None, ended: int | None, told: int | None) -> tuple[int | None, tuple[str, ...]]:
    """The talk time and what to remark: of two witnesses who disagree, the smaller is billed."""
    if answered is None or ended is None:
        return told, ()
    measured = ended - answered
    if told is None or measured < 0:
        return measured, ()
    apart, longer = abs(measured - told), max(measured, told)
    if apart > max(WITNESS_TOLERANCE_MS, longer * WITNESS_TOLERANCE_PERCENT // 100):
        return min(measured, told), ("durations_disagree",)
    return measured, ()


def judge(event: UsageEvent) -> tuple[Status, str | None]:
    """Whether the event's own contents allow it to be posted: `posted`, or another status and its reason.

    Age is measured when the event was received, so that a replay after weeks in a dead-letter queue still posts.
    """
    if not event.connected:
        return Status.NOT_BILLABLE, event.outcome or "never_connected"
    if event.quantity is None:
        return Status.NEEDS_REVIEW, "times_missing"
    if event.quantity < 0 or _ended_before_answered(event):
        return Status.NEEDS_REVIEW, "ended_before_answered"
    if event.meter == VOICE and max(event.quantity, _span_ms(event)) > LONGEST_CALL_MS:
        return Status.NEEDS_REVIEW, "longer_than_24_hours"
    if event.occurred_at_ms > event.received_at_ms + CLOCK_SKEW_MS:
        return Status.NEEDS_REVIEW, "from_the_future"
    if event.received_at_ms - event.occurred_at_ms >= OLDEST_EVENT_MS:
        return Status.NEEDS_REVIEW, "too_old"
    if event.quantity == 0 and event.remarks:  # the times say that somebody talked, the duration says that nobody did
        return Status.NEEDS_REVIEW, event.remarks[0]
    if event.quantity == 0:
        return Status.NOT_BILLABLE, event.outcome or ("no_talk_time" if event.meter == VOICE else "nothing_used")
    return Status.POSTED, None


def _span_ms(event: UsageEvent) -> int:
    if event.answered_at_ms is None or event.ended_at_ms is None:
        return 0
    return event.ended_at_ms - event.answered_at_ms


def _ended_before_answered(event: UsageEvent) -> bool:
    return _span_ms(event) < 0
