"""Retell: billed on `call_ended`, signed with the workspace's own API key at Retell."""

import re
from typing import Any

from chalicelib.domain import strict_json
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import fields, signatures
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.validation import validate

ACCEPTED_STATUS = 202
SECRET_IS_OURS = False
SOURCE = "retell"
BILLED_ON = "call_ended"
NOT_CONNECTED = "not_connected"
ONGOING = "ongoing"
# Retell's reasons for a call that was never answered. `call_status` alone does not tell: its own example of a
# finished call says `registered`.
NEVER_CONNECTED_REASONS = frozenset(
    {
        "invalid_destination",
        "telephony_provider_permission_denied",
        "telephony_provider_unavailable",
        "sip_routing_error",
        "marked_as_spam",
        "user_declined",
        "registered_call_timeout",
        "error_user_not_joined",
    }
)
_HEADER = re.compile(r"v=(?P<timestamp>[^,]*),d=(?P<digest>[0-9a-fA-F]{64})")


class _Call(fields.Payload):
    call_id: fields.EventId
    agent_id: fields.AgentId | None = None
    call_status: str | None = None
    disconnection_reason: fields.Outcome | None = None
    start_timestamp: fields.EpochMilliseconds | None = None
    end_timestamp: fields.EpochMilliseconds | None = None
    duration_ms: fields.Duration | None = None


class _Envelope(fields.Payload):
    event: str | None = None


class _CallEnded(fields.Payload):
    call: _Call


def verify(delivery: Delivery, secret: str, now_ms: int) -> None:
    """Check `v={ms},d={hex}`, made over the body and the timestamp.

    Raises:
        Unauthenticated: the signature is missing, too old, too new, or not made with this API key.
    """
    parts = _HEADER.fullmatch(signatures.header(delivery, "x-retell-signature"))
    if not parts:
        raise signatures.refused("x-retell-signature does not have the form v={milliseconds},d={64 hex digits}.")
    signed_at_ms = signatures.timestamp(parts["timestamp"], "x-retell-signature")
    signatures.check_age(signed_at_ms, now_ms)
    expected = signatures.hex_hmac_sha256(secret, delivery.body + parts["timestamp"].encode())
    if not signatures.matches(expected, parts["digest"].lower()):
        raise signatures.mismatch("x-retell-signature", "the API key that carries the webhook badge at Retell")


def read(delivery: Delivery) -> list[Report]:
    """The finished call of `call_ended`; none for any other event.

    Raises:
        Malformed: not JSON. Invalid: a field has a value it may not have.
    """
    payload = strict_json.load(delivery.body)
    if validate(_Envelope, payload).event != BILLED_ON:
        return []
    return [_report(validate(_CallEnded, payload).call)]


def read_listed(call: Any) -> Report | None:
    """A call as `list-calls` lists it; None while it is not over.

    Raises:
        Invalid: a field has a value it may not have.
    """
    known = validate(_CallEnded, {"call": call}).call
    return None if known.end_timestamp is None or known.call_status == ONGOING else _report(known)


def _report(call: _Call) -> Report:
    connected = _connected(call)
    started, ended, told = call.start_timestamp, call.end_timestamp, call.duration_ms
    return Report(
        source=SOURCE,
        event_id=call.call_id,
        connected=connected,
        agent_id=call.agent_id,
        # What never connected was never answered, even where the platform stamps the dialling.
        answered_at_ms=int(started) if started is not None and connected else None,
        ended_at_ms=int(ended) if ended is not None else None,
        reported_ms=fields.to_ms(told) if told is not None and connected else None,
        outcome=call.disconnection_reason or (None if connected else NOT_CONNECTED),
    )


def _connected(call: _Call) -> bool:
    reason = call.disconnection_reason or ""
    if call.call_status == NOT_CONNECTED or reason.startswith("dial_") or reason in NEVER_CONNECTED_REASONS:
        return False
    return call.start_timestamp is not None or bool(call.duration_ms)
