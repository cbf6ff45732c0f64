"""What happens every minute. Each part's trouble is its own: what one cannot do keeps no other from its work."""

import time
from collections.abc import Callable

from chalicelib.clock import now_ms
from chalicelib.flows.deliver_notices import deliver_due
from chalicelib.flows.follow_stripe import sweep_top_ups
from chalicelib.flows.refill_wallets import refill_wallets
from chalicelib.telemetry import bug

REFILLS_SHARE, TOP_UPS_SHARE = 0.6, 0.8  # of the tick's time, from its beginning


def tick(seconds: float) -> None:
    """Do all of it within so many seconds; what is left over waits for the next minute."""
    began = time.monotonic()

    def left(share: float) -> float:
        return began + seconds * share - time.monotonic()

    parts: tuple[Callable[[], object], ...] = (
        lambda: refill_wallets(left(REFILLS_SHARE)),
        lambda: sweep_top_ups(left(TOP_UPS_SHARE)),
        lambda: deliver_due(now_ms()),
    )
    for part in parts:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the other parts do not depend on it
            bug("tick_failed", error)
