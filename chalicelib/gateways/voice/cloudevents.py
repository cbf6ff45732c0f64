"""CloudEvents 1.0 in JSON, signed as Standard Webhooks.

POST /v1/usage-events reads the same events without a signature: `read_events`.
"""

from base64 import b64decode
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from chalicelib.domain import strict_json
from chalicelib.domain.errors import Invalid
from chalicelib.domain.rating import VOICE
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import fields, signatures
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.validation import validate

ACCEPTED_STATUS = 202
SECRET_IS_OURS = True
LARGEST_BATCH = 500
SECRET_BYTES = range(16, 65)
_SUB_ACCOUNT_PREFIX = "sa_"
_NUMBER_SCHEMA = {"type": "number", "minimum": 0, "maximum": fields.LARGEST_NUMBER}
_VOICE_ONLY = ("answered_at", "ended_at", "duration_seconds")


class UsageData(BaseModel):
    """What was used: the times of a call for `voice`, a count for every other meter."""

    model_config = ConfigDict(extra="forbid", strict=True)

    meter: str = Field(
        default=VOICE,
        pattern=r"^[a-z][a-z0-9_]{0,31}$",
        description="What is measured; `voice` counts talk time, every other meter counts pieces.",
        examples=["voice", "chat"],
    )
    answered_at: fields.Moment | None = Field(
        default=None,
        description="When the call was answered, RFC 3339 with a zone. Required for a connected call.",
        examples=["2026-07-14T19:00:00Z"],
    )
    ended_at: fields.Moment | None = Field(
        default=None,
        description="When the call ended, RFC 3339 with a zone. Required for a connected call.",
        examples=["2026-07-14T19:00:42Z"],
    )
    connected: bool = Field(default=True, description="False for a call that was never answered: it costs nothing.")
    outcome: str | None = Field(
        default=None,
        pattern=r"^[^\x00-\x1f\x7f]{1,128}$",
        description="Why it ended, in your own words; shown, never interpreted.",
        examples=["hangup", "no_answer"],
    )
    duration_seconds: Annotated[fields.Duration, WithJsonSchema(_NUMBER_SCHEMA)] | None = Field(
        default=None,
        description="Your own measure of the talk time, a second witness beside the times. The smaller one is billed.",
        examples=[42, 41.87],
    )
    quantity: int | None = Field(
        default=None,
        ge=0,
        le=fields.LARGEST_NUMBER,
        description="How many pieces were used. Required for every meter but `voice`.",
        examples=[3],
    )


class CloudEvent(BaseModel):
    """One finished unit of use, as a CloudEvents 1.0 event. Extension attributes are allowed, and ignored."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "specversion": "1.0",
                    "id": "call_7f3a",
                    "source": "my-platform",
                    "type": "rebill.usage",
                    "subject": "sa_k3v9_m2x7",
                    "time": "2026-07-14T19:00:42Z",
                    "data": {"answered_at": "2026-07-14T19:00:00Z", "ended_at": "2026-07-14T19:00:42Z"},
                }
            ]
        },
    )

    specversion: Literal["1.0"] = Field(description="The version of CloudEvents.", examples=["1.0"])
    id: fields.EventId = Field(
        description="The call's own id. The same source and id are the same call, however often it is sent.",
        examples=["call_7f3a"],
    )
    source: fields.Source = Field(description="Which of your systems reports.", examples=["my-platform"])
    type: Literal["rebill.usage"] = Field(description="The kind of event.", examples=["rebill.usage"])
    subject: fields.AgentId = Field(
        description="Whose use it is: a sub-account's id (`sa_...`), or the id of an agent that is assigned to one.",
        examples=["sa_k3v9_m2x7", "agent_12"],
    )
    time: fields.Moment | None = Field(
        default=None,
        description="The moment of use, RFC 3339 with a zone. Required for every meter but `voice`.",
        examples=["2026-07-14T19:00:42Z"],
    )
    data: UsageData = Field(description="What was used.")


def verify(delivery: Delivery, secret: str, now_ms: int) -> None:
    """Check the Standard Webhooks headers. Several signatures may stand in one header while secrets are rotated.

    Raises:
        Unauthenticated: the signature is missing, too old, too new, or not made with this secret.
    """
    message_id = signatures.header(delivery, "webhook-id")
    seconds = signatures.timestamp(signatures.header(delivery, "webhook-timestamp"), "webhook-timestamp")
    given = signatures.header(delivery, "webhook-signature")
    signatures.check_age(seconds * 1000, now_ms)
    expected = _signature(secret, message_id, seconds, delivery.body)
    if not any(signatures.matches(expected, candidate) for candidate in given.split(" ")):
        raise signatures.mismatch("webhook-signature", "the one that it was signed with")


def check_secret(secret: str) -> None:
    """Refuse a secret with which no delivery could ever be verified.

    Raises:
        Invalid: not `whsec_` and the base64 of 16 to 64 bytes; names `secret`.
    """
    try:
        length = len(b64decode(secret.removeprefix("whsec_"), validate=True))
    except ValueError:
        length = 0
    if length not in SECRET_BYTES:
        raise Invalid("secret", "secret must be whsec_ and the base64 of 16 to 64 bytes, or be left out: we make one.")


def _signature(secret: str, message_id: str, seconds: int, body: bytes) -> str:
    """The library signs; its own `verify` is not used, because it asks the real clock."""
    try:
        return Webhook(secret).sign(message_id, datetime.fromtimestamp(seconds, UTC), body.decode("utf-8"))
    except (ValueError, OverflowError, OSError, EmptyWebhookSecretError) as error:
        raise signatures.refused("Headers and body have to be UTF-8, and the endpoint's secret base64.") from error


def read(delivery: Delivery) -> list[Report]:
    """The usage events in a verified delivery.

    Raises:
        Malformed: not JSON. Invalid: a field has a value it may not have.
    """
    return read_events(delivery.body)


def read_events(body: bytes) -> list[Report]:
    """Read one event, or a batch of 1 to 500.

    Raises:
        Malformed: not JSON. Invalid: names the field, with its place in the batch: `[3].data.ended_at`.
    """
    value = strict_json.load(body, names_once=True)
    if not isinstance(value, list):
        return [_read_event(value, "")]
    if not 1 <= len(value) <= LARGEST_BATCH:
        raise Invalid("body", f"A batch holds 1 to {LARGEST_BATCH} events, and this one {len(value)}.")
    return [_read_event(item, f"[{place}]") for place, item in enumerate(value)]


def _read_event(value: Any, place: str) -> Report:
    event = validate(CloudEvent, value, place)
    prefix = f"{place}." if place else ""
    if event.data.meter == VOICE:
        _check_call(event.data, f"{prefix}data")
    else:
        _check_count(event, prefix)
    return _report(event)


def _check_call(data: UsageData, path: str) -> None:
    if data.quantity is not None:
        raise Invalid(f"{path}.quantity", f"{path}.quantity: voice is measured by its times, and has no quantity.")
    for name in ("answered_at", "ended_at"):
        if data.connected and getattr(data, name) is None:
            raise Invalid(f"{path}.{name}", f"{path}.{name}: a connected call says when it was answered and ended.")


def _check_count(event: CloudEvent, prefix: str) -> None:
    path, meter = f"{prefix}data", event.data.meter
    if event.data.quantity is None:
        raise Invalid(f"{path}.quantity", f"{path}.quantity: the meter {meter} is counted, and needs a quantity.")
    if event.time is None:
        raise Invalid(f"{prefix}time", f"{prefix}time: the moment of use is needed to know which price was in force.")
    for name in _VOICE_ONLY:
        if getattr(event.data, name) is not None:
            raise Invalid(f"{path}.{name}", f"{path}.{name}: belongs to voice; the meter {meter} is counted.")


def _report(event: CloudEvent) -> Report:
    """A call's times are its own: the envelope's `time` may differ from one delivery to the next."""
    data, told = event.data, event.data.duration_seconds
    names_sub_account = event.subject.startswith(_SUB_ACCOUNT_PREFIX)
    return Report(
        source=event.source,
        event_id=event.id,
        connected=data.connected,
        agent_id=None if names_sub_account else event.subject,
        sub_account_id=event.subject if names_sub_account else None,
        answered_at_ms=_epoch_ms(data.answered_at),
        ended_at_ms=_epoch_ms(data.ended_at if data.meter == VOICE else event.time),
        reported_ms=fields.to_ms(told, fields.SECOND_MS) if told is not None else None,
        outcome=data.outcome,
        meter=data.meter,
        quantity=data.quantity,
    )


def _epoch_ms(when: datetime | None) -> int | None:
    return None if when is None else fields.to_epoch_ms(when)
