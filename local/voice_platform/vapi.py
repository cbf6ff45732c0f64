"""Vapi: a status update, then the end-of-call report; HMAC over timestamp and body."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from local.voice_platform.call import Call, hex_hmac, hex_id

CONTENT_TYPE = "application/json"
COST_PER_MINUTE = 0.0758
RINGING_MS = 4_000


def new_secret() -> None:
    """Rebill makes the secret, and it is pasted into Vapi."""


def new_api_key() -> str:
    """The private key that the account's calls are listed with."""
    return str(uuid.UUID(hex_id()))


def new_agent_id() -> str:
    """An assistant's id."""
    return str(uuid.UUID(hex_id()))


def deliveries(call: Call) -> list[bytes]:
    """What Vapi sends when a call has ended."""
    reason = "customer-did-not-answer" if call.talk_seconds is None else "customer-ended-call"
    about = _call(call)
    status = {"timestamp": call.ended_at_ms, "type": "status-update", "status": "ended", "endedReason": reason}
    report = {"timestamp": call.ended_at_ms + 900, "type": "end-of-call-report", "endedReason": reason}
    messages = [{**status, "call": about}, {**report, **_times(call), **_contents(call), "call": about}]
    return [json.dumps({"message": message}).encode() for message in messages]


def _call(call: Call) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(call.id)),
        "orgId": "5f1d0f5e-7a40-4a47-9d0e-6a3a0a6f0c11",
        "type": "inboundPhoneCall" if call.talk_seconds is not None else "outboundPhoneCall",
        "status": "ended",
        "assistantId": call.agent_id,
        "customer": {"number": call.caller},
    }


def listed(call: Call, running: bool = False) -> dict[str, Any]:
    """The call as `GET /call` lists it, with its times in it."""
    created = _iso((call.answered_at_ms or call.ended_at_ms) - RINGING_MS)
    about = {**_call(call), "createdAt": created, "updatedAt": created}
    if running:
        return {**about, "status": "in-progress", "startedAt": _iso(call.answered_at_ms or call.ended_at_ms)}
    times = {name: value for name, value in _times(call).items() if name.endswith("At")}
    reason = "customer-did-not-answer" if call.talk_seconds is None else "customer-ended-call"
    return {**about, **times, "endedReason": reason, **_contents(call)}


def _times(call: Call) -> dict[str, Any]:
    if call.talk_seconds is None or call.answered_at_ms is None:
        return {}
    return {
        "startedAt": _iso(call.answered_at_ms),
        "endedAt": _iso(call.ended_at_ms),
        "durationMs": call.talk_seconds * 1000,
        "durationSeconds": call.talk_seconds,
        "durationMinutes": round(call.talk_seconds / 60, 4),
    }


def _contents(call: Call) -> dict[str, Any]:
    cost = round((call.talk_seconds or 0) / 60 * COST_PER_MINUTE, 4)
    return {
        "cost": cost,
        "costBreakdown": {"stt": 0.0, "llm": 0.0, "tts": 0.0, "vapi": cost, "total": cost},
        "summary": "The caller moved an appointment." if call.talk_seconds else "",
        "transcript": "AI: How can I help?\nUser: I would like to come on Friday instead.\n",
        "analysis": {"successEvaluation": "true" if call.talk_seconds else "false"},
        "assistant": {"id": call.agent_id},
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sign(body: bytes, secret: str, url: str) -> dict[str, str]:
    """`x-signature` over `{timestamp}.{body}`."""
    stamp = str(int(time.time()))
    return {"x-timestamp": stamp, "x-signature": hex_hmac(secret, f"{stamp}.".encode() + body)}
