"""What refills have to say, once each: to the wallet's activity, and from there to whoever listens."""

from chalicelib.clock import now_ms, rfc3339
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.money import format_price
from chalicelib.domain.notices import Notice, NoticeType
from chalicelib.domain.payment_facts import Decline
from chalicelib.domain.refill import Refill
from chalicelib.domain.standing import RefillState, Standing, Stop
from chalicelib.flows.tell import tell
from chalicelib.telemetry import alarm

_TYPE_OF = {
    RefillState.ACTION_REQUIRED: NoticeType.REFILL_ACTION_REQUIRED,
    RefillState.SUSPENDED: NoticeType.REFILL_SUSPENDED,
    RefillState.HELD: NoticeType.REFILL_HELD,
}


def tell_refilled(refill: Refill) -> None:
    """A refill was paid and is in the balance."""
    _tell(refill.owner_id, NoticeType.REFILL_SUCCEEDED, f"{refill.id}:succeeded", _facts(refill))


def tell_declined(refill: Refill, decline: Decline, why: str) -> None:
    """A card was declined."""
    codes = {"code": decline.code, "decline_code": decline.decline_code, "why": why}
    _tell(refill.owner_id, NoticeType.REFILL_DECLINED, f"{refill.id}:declined", {**_facts(refill), **codes})


def tell_stopped(standing: Standing) -> None:
    """Something has stopped a wallet's refills. A decline that is tried again has been told already."""
    stop = standing.stop
    if stop is None or stop.state not in _TYPE_OF:
        return
    data = {"cause": stop.cause.value, "detail": stop.detail}
    if stop.until_ms is not None:
        data["until"] = rfc3339(stop.until_ms)
    _tell(standing.owner_id, _TYPE_OF[stop.state], f"refills:{stop.cause.value}:{stop.since_ms}", data)


def tell_resumed(standing: Standing, stop: Stop) -> None:
    """What had stopped a wallet's refills is over."""
    key = f"refills:resumed:{standing.version}"
    _tell(standing.owner_id, NoticeType.REFILL_RESUMED, key, {"cause": stop.cause.value})


def _facts(refill: Refill) -> dict[str, str]:
    return {"refill": refill.id, "amount": format_price(refill.amount_micros), "currency": refill.currency}


def _tell(owner_id: str, kind: NoticeType, key: str, data: dict[str, str]) -> None:
    workspace_id = owning_workspace(owner_id) or owner_id
    try:
        tell(Notice(kind, owner_id, workspace_id, now_ms(), key, data))
    except Unavailable:  # what is told of has happened, whether anybody hears of it or not
        alarm("notice_not_told", owner_id=owner_id, key=key)
