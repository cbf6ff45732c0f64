"""A platform of one's own: one CloudEvent a call, signed as Standard Webhooks."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

from local.voice_platform.call import Call, hex_id

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "parlor"


def new_secret() -> None:
    """Rebill makes the secret."""


def new_agent_id() -> str:
    """An agent's id."""
    return f"agent_{hex_id(12)}"


def deliveries(call: Call) -> list[bytes]:
    """The call as one event; its subject is the agent."""
    event = {
        "specversion": "1.0",
        "id": f"call_{call.id}",
        "source": SOURCE,
        "type": "rebill.usage",
        "subject": call.agent_id,
        "time": _rfc_3339(call.ended_at_ms),
        "datacontenttype": "application/json",
        "data": _data(call),
    }
    return [json.dumps(event).encode()]


def _data(call: Call) -> dict[str, Any]:
    if call.answered_at_ms is None:
        return {"meter": "voice", "connected": False, "outcome": "no_answer"}
    return {
        "meter": "voice",
        "answered_at": _rfc_3339(call.answered_at_ms),
        "ended_at": _rfc_3339(call.ended_at_ms),
        "duration_seconds": call.talk_seconds,
        "outcome": "hangup",
    }


def _rfc_3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def sign(body: bytes, secret: str, url: str) -> dict[str, str]:
    """`webhook-signature` over id, timestamp and body, with the secret's base64 decoded."""
    message_id, stamp = f"msg_{hex_id(24)}", str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}
