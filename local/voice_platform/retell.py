"""Retell: call_started, call_ended, call_analyzed; signed with the workspace's API key at Retell."""

import json
import time
from typing import Any

from local.voice_platform.call import Call, hex_hmac, hex_id

CONTENT_TYPE = "application/json"
COST_CENTS_PER_MINUTE = 11.2


def new_secret() -> str:
    """The API key with the webhook badge."""
    return f"key_{hex_id(28)}"


def new_agent_id() -> str:
    """An agent's id."""
    return f"agent_{hex_id(26)}"


def deliveries(call: Call) -> list[bytes]:
    """What Retell sends about a call; one that never connected was never started."""
    connected = call.answered_at_ms is not None
    started = {**_call(call), "call_status": "ongoing", "start_timestamp": call.answered_at_ms}
    ended = {**_call(call), **_end(call)}
    analysis = {"call_summary": "An appointment was moved.", "user_sentiment": "Neutral", "call_successful": connected}
    events: list[tuple[str, dict[str, Any]]] = [("call_started", started)] if connected else []
    events += [("call_ended", ended), ("call_analyzed", {**ended, "call_analysis": analysis})]
    return [json.dumps({"event": event, "call": about}).encode() for event, about in events]


def listed(call: Call, running: bool = False) -> dict[str, Any]:
    """The call as `list-calls` lists it: without its transcript."""
    if running:
        return {**_call(call), "call_status": "ongoing", "start_timestamp": call.answered_at_ms}
    return {name: value for name, value in {**_call(call), **_end(call)}.items() if name != "transcript"}


def _call(call: Call) -> dict[str, Any]:
    return {
        "call_type": "phone_call",
        "from_number": call.caller,
        "to_number": "+13125550164",
        "direction": "inbound" if call.talk_seconds is not None else "outbound",
        "call_id": f"call_{call.id}",
        "agent_id": call.agent_id,
        "agent_version": 3,
        "metadata": {},
        "retell_llm_dynamic_variables": {},
        "opt_out_sensitive_data_storage": False,
    }


def _end(call: Call) -> dict[str, Any]:
    if call.talk_seconds is None:
        status = {"call_status": "not_connected", "disconnection_reason": "dial_no_answer"}
        return {**status, "end_timestamp": call.ended_at_ms}
    return {
        "call_status": "ended",
        "start_timestamp": call.answered_at_ms,
        "end_timestamp": call.ended_at_ms,
        "duration_ms": call.talk_seconds * 1000,
        "disconnection_reason": "user_hangup",
        "transcript": "Agent: How can I help?\nUser: I would like to come on Friday instead.\n",
        "call_cost": {
            "combined_cost": round(call.talk_seconds / 60 * COST_CENTS_PER_MINUTE, 2),
            "total_duration_seconds": call.talk_seconds,
        },
    }


def sign(body: bytes, secret: str, url: str) -> dict[str, str]:
    """`v={ms},d={hex}` over body and timestamp."""
    stamp = str(time.time_ns() // 1_000_000)
    return {"x-retell-signature": f"v={stamp},d={hex_hmac(secret, body + stamp.encode())}"}
