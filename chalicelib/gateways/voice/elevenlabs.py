"""ElevenLabs: billed on `post_call_transcription`. Its `cost` counts credits, which are not money, and is not read."""

from chalicelib.domain import strict_json
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import fields, signatures
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.validation import validate

# Anything but exactly 200 counts as a failure, and ten of those in a row switch the webhook off.
ACCEPTED_STATUS = 200
SECRET_IS_OURS = False
SOURCE = "elevenlabs"
FINISHED = "post_call_transcription"
NEVER_CONNECTED = "call_initiation_failure"
FAILED = "failed"
TOLERANCE_PAST_MS = 1_800_000


class _Metadata(fields.Payload):
    start_time_unix_secs: fields.EpochSeconds | None = None
    call_duration_secs: fields.Duration | None = None
    termination_reason: fields.Outcome | None = None


class _Conversation(fields.Payload):
    conversation_id: fields.EventId
    agent_id: fields.AgentId | None = None
    status: fields.Outcome | None = None
    metadata: _Metadata = _Metadata()


class _Failure(fields.Payload):
    conversation_id: fields.EventId
    agent_id: fields.AgentId | None = None
    failure_reason: fields.Outcome | None = None


class _Envelope(fields.Payload):
    type: str | None = None


class _Finished(fields.Payload):
    data: _Conversation


class _NeverConnected(fields.Payload):
    data: _Failure


def verify(delivery: Delivery, secret: str, now_ms: int) -> None:
    """Check `t={s},v0={hex}`, made over the timestamp and the body.

    Raises:
        Unauthenticated: the signature is missing, older than 30 minutes, too new, or not made with this secret.
    """
    name = "ElevenLabs-Signature"
    pairs = [part.strip().partition("=") for part in signatures.header(delivery, name).split(",")]
    stamps = [value for key, _, value in pairs if key == "t"]
    digests = [value.lower() for key, _, value in pairs if key == "v0"]
    if len(stamps) != 1 or not digests:
        raise signatures.refused(f"{name} does not have the form t={{seconds}},v0={{hex digits}}.")
    signatures.check_age(signatures.timestamp(stamps[0], name) * 1000, now_ms, past_ms=TOLERANCE_PAST_MS)
    expected = signatures.hex_hmac_sha256(secret, stamps[0].encode() + b"." + delivery.body)
    if not any(signatures.matches(expected, digest) for digest in digests):
        raise signatures.mismatch(name, "the one that ElevenLabs showed when the webhook was made")


def read(delivery: Delivery) -> list[Report]:
    """The finished or failed call; none for any other event.

    Raises:
        Malformed: not JSON. Invalid: a field has a value it may not have.
    """
    payload = strict_json.load(delivery.body)
    kind = validate(_Envelope, payload).type
    if kind == FINISHED:
        return [_finished(validate(_Finished, payload).data)]
    if kind == NEVER_CONNECTED:
        return [_never_connected(validate(_NeverConnected, payload).data)]
    return []


def _finished(call: _Conversation) -> Report:
    started, told = call.metadata.start_time_unix_secs, call.metadata.call_duration_secs
    answered_at_ms = fields.to_ms(started, fields.SECOND_MS) if started is not None else None
    told_ms = fields.to_ms(told, fields.SECOND_MS) if told is not None else None
    # A conversation that failed after two minutes did talk for two minutes; one that failed at once did not.
    connected = call.status != FAILED or bool(told_ms)
    return Report(
        source=SOURCE,
        event_id=call.conversation_id,
        connected=connected,
        agent_id=call.agent_id,
        answered_at_ms=answered_at_ms if connected else None,
        ended_at_ms=answered_at_ms + told_ms if answered_at_ms is not None and told_ms is not None else None,
        # The end is made of start and duration, so there is one witness only; without a start it is this one.
        reported_ms=told_ms if answered_at_ms is None and connected else None,
        outcome=call.metadata.termination_reason or (FAILED if call.status == FAILED else None),
    )


def _never_connected(failure: _Failure) -> Report:
    return Report(
        source=SOURCE,
        event_id=failure.conversation_id,
        connected=False,
        agent_id=failure.agent_id,
        outcome=failure.failure_reason,
    )
