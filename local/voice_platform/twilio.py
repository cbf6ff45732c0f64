"""Twilio: status callbacks as forms, signed over the public address and the fields. The agent is the called number."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode

from local.voice_platform.call import Call, hex_id, phone_number

CONTENT_TYPE = "application/x-www-form-urlencoded"
RING_MS = 4_000


def new_secret() -> str:
    """The account's auth token."""
    return hex_id(32)


def new_agent_id() -> str:
    """A number of the workspace."""
    return phone_number()


def deliveries(call: Call) -> list[bytes]:
    """The callbacks of one call, from the first ring to its end."""
    steps: list[tuple[str, int, dict[str, str]]] = [("initiated", RING_MS, {}), ("ringing", RING_MS - 500, {})]
    if call.talk_seconds is None:
        steps.append(("no-answer", 0, {"SipResponseCode": "487"}))
    else:
        talk = {"CallDuration": str(call.talk_seconds), "Duration": str(-(-call.talk_seconds // 60))}
        steps += [("in-progress", 1000 * call.talk_seconds, {}), ("completed", 0, {**talk, "SipResponseCode": "200"})]
    return [_callback(call, number, status, before, more) for number, (status, before, more) in enumerate(steps)]


def _callback(call: Call, number: int, status: str, ms_before_end: int, more: dict[str, str]) -> bytes:
    form = {
        "CallSid": f"CA{call.id}",
        "AccountSid": "AC4b1f6a0d2c9e48a7b35d8e7f60a1c2d3",
        "From": call.caller,
        "To": call.agent_id,
        "CallStatus": status,
        "ApiVersion": "2010-04-01",
        "Direction": "inbound",
        "CallerName": "",
        "Timestamp": format_datetime(datetime.fromtimestamp((call.ended_at_ms - ms_before_end) // 1000, UTC)),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(number),
        **more,
    }
    return urlencode(form).encode()


def sign(body: bytes, secret: str, url: str) -> dict[str, str]:
    """HMAC-SHA1 over the address and every field, sorted."""
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    text = url + "".join(name + value for name, value in fields)
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
