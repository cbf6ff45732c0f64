"""The switch that stops refills, for everybody or for one workspace, and the count of refills that may throw it."""

from dataclasses import asdict, dataclass

from pynamodb.exceptions import DoesNotExist

from chalicelib.storage.tables import PaymentItem, store_trouble_is_ours

EVERYBODY = "everybody"
SWITCH = "refill_switch"
_HOURS = "refill_hours"
HOURS_KEPT = 24 * 8


@dataclass(frozen=True)
class Switch:
    """Whether refills are stopped, since when, by whom and why. `scope` is a workspace's id, or `everybody`."""

    scope: str
    stopped: bool = False
    reason: str = ""
    by: str = ""
    at_ms: int = 0


def get_switch(scope: str) -> Switch:
    """The switch as it is now; one that was never touched lets refills through."""
    with store_trouble_is_ours():
        try:
            return Switch(**PaymentItem.get(scope, SWITCH, consistent_read=True).facts)
        except DoesNotExist:
            return Switch(scope)


def set_switch(switch: Switch) -> None:
    """Throw it, either way."""
    with store_trouble_is_ours():
        PaymentItem(switch.scope, SWITCH, facts=asdict(switch)).save()


def count_opened(count: int, now_ms: int) -> None:
    """Add refills that were opened to the present hour's count. It feeds the breaker, not the books: a count that is
    lost, or added twice, moves no money."""
    hour = now_ms // 3_600_000
    item = PaymentItem(_HOURS, _hour(hour))
    with store_trouble_is_ours():
        expires_at = (hour + HOURS_KEPT) * 3600
        item.update([PaymentItem.version.add(count), PaymentItem.expires_at.set(expires_at)])


def opened_in_hours(now_ms: int) -> tuple[int, list[int]]:
    """Refills of all wallets in this hour, and in each hour of the week before it that had any."""
    hour = now_ms // 3_600_000
    with store_trouble_is_ours():
        week = PaymentItem.query(_HOURS, PaymentItem.sk.between(_hour(hour - 24 * 7), _hour(hour)))
        counts = {item.sk: int(item.version or 0) for item in week}
    return counts.pop(_hour(hour), 0), list(counts.values())


def _hour(hour: int) -> str:
    return f"{hour:09d}"
