"""Vapi: billed on `end-of-call-report`, signed by a bearer token, its older header, or an HMAC."""

from typing import Any

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from chalicelib.domain import strict_json
from chalicelib.domain.errors import Invalid
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import fields, signatures
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.validation import validate

ACCEPTED_STATUS = 202
SECRET_IS_OURS = True
SOURCE = "vapi"
BILLED_ON = "end-of-call-report"
ENDED = "ended"

# The list of reasons has 595 entries and grows: these classes say that nobody ever talked. Every other reason is
# billed by its times, faults of Vapi in the middle of a call included: until then the line was used.
NEVER_CONNECTED_PREFIXES = (
    "call.start.",
    "call-start-error-",
    "call.ringing.",
    "assistant-request-",
    "assistant-not-",
    "customer-busy",
    "customer-did-not-",
    "phone-call-provider-bypass-enabled-but-no-call-received",
    "scheduled-call-deleted",
    "twilio-reported-customer-misdialed",
    "vonage-rejected",
    "call.in-progress.error-providerfault-outbound-sip-",
)
NEVER_CONNECTED_SUFFIXES = (
    "-failed-to-connect-call",
    "-call-failed-to-connect",
    "-transport-never-connected",
    "-worker-not-available",
)


class _Camel(fields.Payload):
    model_config = ConfigDict(alias_generator=to_camel)


class _Call(_Camel):
    id: fields.EventId | None = None
    assistant_id: fields.AgentId | None = None
    phone_number_id: fields.AgentId | None = None


class _Kind(_Camel):
    type: str | None = None


class _Message(_Camel):
    call: _Call | None = None
    started_at: fields.Moment | None = None
    ended_at: fields.Moment | None = None
    ended_reason: fields.Outcome | None = None
    duration_ms: fields.Duration | None = None
    duration_seconds: fields.Duration | None = None
    duration_minutes: fields.Duration | None = None


class _Listed(_Camel):
    status: str | None = None


class _Envelope(_Camel):
    message: _Kind | None = None


class _EndOfCall(_Camel):
    message: _Message
    call: _Call | None = None


def verify(delivery: Delivery, secret: str, now_ms: int) -> None:
    """Check the HMAC where there is one, the shared secret otherwise.

    Raises:
        Unauthenticated: the signature is missing, too old, too new, or not made with this secret.
    """
    # A signature that is there has to be right: nobody may fall back from it to a weaker way.
    if "x-signature" in delivery.headers:
        _check_hmac(delivery, secret, now_ms)
    elif "authorization" in delivery.headers:
        _check_token(_bearer(signatures.header(delivery, "Authorization")), secret, "Authorization")
    else:
        _check_token(signatures.header(delivery, "X-Vapi-Secret"), secret, "X-Vapi-Secret")


def _check_hmac(delivery: Delivery, secret: str, now_ms: int) -> None:
    given = signatures.header(delivery, "x-signature").lower().removeprefix("sha256=")
    stamp = signatures.header(delivery, "x-timestamp")
    signatures.check_age(_signed_at_ms(stamp), now_ms)
    expected = signatures.hex_hmac_sha256(secret, stamp.encode() + b"." + delivery.body)
    if not signatures.matches(expected, given):
        raise signatures.mismatch("x-signature", "the secret of Vapi's HMAC credential")


def _signed_at_ms(stamp: str) -> int:
    """Vapi does not say which unit it uses; ten digits are seconds until the year 2286, thirteen are milliseconds."""
    value = signatures.timestamp(stamp, "x-timestamp")
    if len(stamp) not in (10, 13):
        raise signatures.refused("The timestamp in x-timestamp has neither 10 digits (seconds) nor 13 (milliseconds).")
    return value * 1000 if len(stamp) == 10 else value


def _bearer(value: str) -> str:
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer":
        raise signatures.refused("Authorization has to be 'Bearer' and the endpoint's secret.")
    return token.strip()


def _check_token(given: str, secret: str, name: str) -> None:
    expected = signatures.key_of(secret).decode()
    if not signatures.matches(expected, given):
        raise signatures.refused(f"{name} does not carry this endpoint's secret.")


def read(delivery: Delivery) -> list[Report]:
    """The finished call of an end-of-call report; none for any other message.

    Raises:
        Malformed: not JSON. Invalid: a field has a value it may not have.
    """
    payload = strict_json.load(delivery.body)
    kind = validate(_Envelope, payload).message
    if kind is None or kind.type != BILLED_ON:
        return []
    return [_report(validate(_EndOfCall, payload))]


def read_listed(call: Any) -> Report | None:
    """A call as `GET /call` lists it; None while it is not over. What its report says beside it, the list says in it.

    Raises:
        Invalid: a field has a value it may not have.
    """
    if validate(_Listed, call).status != ENDED:
        return None
    return _report(validate(_EndOfCall, {"message": {**call, "call": call}}))


def _report(end: _EndOfCall) -> Report:
    message, call = end.message, end.message.call or end.call or _Call()
    call_id = call.id or (end.call.id if end.call else None)
    if call_id is None:
        raise Invalid("message.call.id", "message.call.id: a call without an id cannot be billed only once.")
    reported_ms = _reported_ms(message)
    connected = _connected(message, reported_ms)
    return Report(
        source=SOURCE,
        event_id=call_id,
        connected=connected,
        agent_id=call.assistant_id or call.phone_number_id,
        # What never connected was never answered, even where the platform stamps the dialling.
        answered_at_ms=fields.to_epoch_ms(message.started_at) if message.started_at and connected else None,
        ended_at_ms=fields.to_epoch_ms(message.ended_at) if message.ended_at else None,
        reported_ms=reported_ms if connected else None,
        outcome=message.ended_reason,
    )


def _reported_ms(message: _Message) -> int | None:
    """Vapi's own duration, from the finest unit that it sends."""
    if message.duration_ms is not None:
        return fields.to_ms(message.duration_ms)
    if message.duration_seconds is not None:
        return fields.to_ms(message.duration_seconds, fields.SECOND_MS)
    if message.duration_minutes is not None:
        return fields.to_ms(message.duration_minutes, fields.MINUTE_MS)
    return None


def _connected(message: _Message, reported_ms: int | None) -> bool:
    reason = message.ended_reason or ""
    if reason.startswith(NEVER_CONNECTED_PREFIXES) or reason.endswith(NEVER_CONNECTED_SUFFIXES):
        return False
    return message.started_at is not None or bool(reported_ms)
