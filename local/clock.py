"""The clock at home: calls the app's scheduled handlers once a minute, as EventBridge does."""

import logging
from collections.abc import Sequence
from threading import Event
from uuid import uuid4

from chalice.app import BaseEventSourceConfig, ScheduledEventConfig

from chalicelib.clock import now_ms, rfc3339
from local.handlers import REGION, context_of, handler_of

TICK_SECONDS = 60.0

logger = logging.getLogger("rebill.home")


class Clock:
    """Every scheduled handler once a minute, whatever its own schedule: at home nobody waits for an hour to pass."""

    def __init__(self, sources: Sequence[BaseEventSourceConfig]) -> None:
        self._sources = [source for source in sources if isinstance(source, ScheduledEventConfig)]

    def run(self, stop: Event) -> None:
        """Tick until told to stop."""
        while not stop.wait(TICK_SECONDS):
            for source in self._sources:
                try:
                    handler_of(source)(_event(source), context_of(source, TICK_SECONDS))
                except Exception:  # the next minute may go better, and the other handlers have theirs
                    logger.exception("scheduled handler %s", source.name)


def _event(source: ScheduledEventConfig) -> dict[str, object]:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": rfc3339(now_ms()),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:000000000000:rule/{source.name}"],
        "detail": {},
    }
