"""ElevenLabs: the transcription after a call, or the failure to start one; its times are whole seconds."""

import json
import time
from typing import Any

from local.voice_platform.call import Call, hex_hmac, hex_id

CONTENT_TYPE = "application/json"
CREDITS_PER_SECOND = 13


def new_secret() -> str:
    """The secret that ElevenLabs shows when a webhook is made."""
    return f"wsec_{hex_id(64)}"


def new_agent_id() -> str:
    """An agent's id."""
    return f"agent_01j{hex_id(23)}"


def deliveries(call: Call) -> list[bytes]:
    """One webhook, of one of two kinds."""
    if call.talk_seconds is None:
        kind, data = "call_initiation_failure", {**_ids(call), **_failure(call)}
    else:
        kind, data = "post_call_transcription", {**_ids(call), **_conversation(call, call.talk_seconds)}
    return [json.dumps({"type": kind, "event_timestamp": call.ended_at_ms // 1000, "data": data}).encode()]


def _ids(call: Call) -> dict[str, Any]:
    return {"agent_id": call.agent_id, "conversation_id": f"conv_{call.id}"}


def _failure(call: Call) -> dict[str, Any]:
    dialled = {"CallSid": f"CA{call.id}", "CallStatus": "no-answer", "To": call.caller}
    return {"failure_reason": "no-answer", "metadata": {"type": "twilio", "body": dialled}}


def _conversation(call: Call, talk_seconds: int) -> dict[str, Any]:
    return {
        "status": "done",
        "user_id": call.caller,
        "transcript": [{"role": "agent", "message": "How can I help?", "time_in_call_secs": 0}],
        "metadata": {
            "start_time_unix_secs": call.ended_at_ms // 1000 - talk_seconds,
            "call_duration_secs": talk_seconds,
            "cost": talk_seconds * CREDITS_PER_SECOND,
            "charging": {"dev_discount": False},
            "termination_reason": "end_call tool was called",
        },
        "analysis": {"call_successful": "success", "transcript_summary": "An appointment was moved."},
        "has_audio": True,
    }


def sign(body: bytes, secret: str, url: str) -> dict[str, str]:
    """`t={seconds},v0={hex}` over timestamp and body."""
    stamp = str(int(time.time()))
    return {"ElevenLabs-Signature": f"t={stamp},v0={hex_hmac(secret, f'{stamp}.'.encode() + body)}"}
