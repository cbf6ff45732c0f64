"""Usage events for tests, as callers write them."""

import copy
from typing import Any

from chalicelib.clock import now_ms, rfc3339


def moment(seconds_from_now: float) -> str:
    """A time near the present, as RFC 3339."""
    return rfc3339(now_ms() + int(seconds_from_now * 1000))


def call(
    subject: str, event_id: str = "call_1", seconds: float = 42, answered: float = 0, **more: Any
) -> dict[str, Any]:
    """A call that was answered `answered` seconds from now and lasted `seconds`.

    Just now, unless a test says otherwise: a call is rated under the card that was in force when it was answered, and
    the wallets of these tests are a moment old.
    """
    start_ms = now_ms() + int(answered * 1000)
    ended_at = rfc3339(start_ms + int(seconds * 1000))
    data = {"meter": "voice", "answered_at": rfc3339(start_ms), "ended_at": ended_at}
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": more.pop("source", "my-platform"),
        "type": "rebill.usage",
        "subject": subject,
        "time": ended_at,
        "data": data | more.pop("data", {}),
        **more,
    }


def changed(event: dict[str, Any], **data: Any) -> dict[str, Any]:
    """The same event, saying something else."""
    other = copy.deepcopy(event)
    other["data"] |= data
    return other
