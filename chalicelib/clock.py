"""The only clock: epoch milliseconds, and how a moment is written for people and other programs."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The present moment in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """A moment as RFC 3339 in UTC with milliseconds: `2026-11-22T18:35:00.000Z`."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment.isoformat()[:19]}.{at_ms % 1000:03d}Z"


def utc_day(at_ms: int) -> str:
    """The UTC day of a moment: `2026-11-22`."""
    return rfc3339(at_ms)[:10]
