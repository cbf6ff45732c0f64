"""Wallets: what is in them, which of them are due for a refill, and what their days came to."""

from dataclasses import dataclass

from pynamodb.exceptions import DoesNotExist, UpdateError

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.tables import DayTotalItem, WalletItem, store_trouble_is_ours

# Due wallets are spread over a few hash keys, so that one busy minute does not sit on one partition.
REFILL_SHARDS = tuple(f"due-{number}" for number in range(4))


@dataclass(frozen=True)
class DayTotal:
    """What one owner's usage came to on one UTC day. `calls` and `talk_ms` count what was billed as voice."""

    day: str
    calls: int
    talk_ms: int
    cost_micros: int
    revenue_micros: int


def get_wallet(owner_id: str) -> Wallet:
    """Read a wallet as it is now.

    Raises:
        NotFound: nobody with this id has one.
    """
    return wallet_from_item(_get(owner_id))


def _get(owner_id: str) -> WalletItem:
    with store_trouble_is_ours():
        try:
            return WalletItem.get(owner_id, consistent_read=True)
        except DoesNotExist:
            pass
    raise NotFound("not_found", "There is no such wallet.")


def wallet_from_item(item: WalletItem) -> Wallet:
    """The wallet that an item holds."""
    return Wallet(
        owner_id=item.owner_id,
        currency=item.currency,
        balance_micros=int(item.balance_micros),
        credit_limit_micros=int(item.credit_limit_micros),
        refill_threshold_micros=None if item.refill_shard is None else int(item.refill_threshold_micros or 0),
    )


def watch_for_refill(owner_id: str, threshold_micros: int) -> None:
    """Put a wallet into the due-refill index, at this threshold.

    The headroom moves by the difference between the thresholds, so that no payment or call in between is lost.

    Raises:
        NotFound: nobody with this id has a wallet. Unavailable: another change won, or the store did not answer.
    """
    item = _get(owner_id)
    before = item.refill_threshold_micros
    same_rule = WalletItem.refill_threshold_micros
    try:
        item.update(
            [
                WalletItem.refill_shard.set(REFILL_SHARDS[sum(owner_id.encode()) % len(REFILL_SHARDS)]),
                WalletItem.refill_threshold_micros.set(threshold_micros),
                WalletItem.headroom_micros.add(int(before or 0) - threshold_micros),
            ],
            condition=same_rule.does_not_exist() if before is None else same_rule == before,
        )
    except UpdateError as error:
        raise Unavailable("The wallet store") from error


def due_for_refill(limit: int) -> list[str]:
    """Owners of wallets at or below their refill threshold, the poorest of each shard first."""
    owners: list[str] = []
    with store_trouble_is_ours():
        for shard in REFILL_SHARDS:
            due = WalletItem.due_refills.query(shard, WalletItem.headroom_micros <= 0, limit=limit - len(owners))
            owners += [item.owner_id for item in due]
            if len(owners) >= limit:
                break
    return owners


def day_totals(owner_id: str, first_day: str, last_day: str) -> list[DayTotal]:
    """An owner's days from `first_day` to `last_day`, both included (`2026-11-22`), the oldest first."""
    with store_trouble_is_ours():
        found = DayTotalItem.query(owner_id, DayTotalItem.day.between(first_day, last_day), consistent_read=True)
        return [
            DayTotal(item.day, int(item.calls), int(item.talk_ms), int(item.cost_micros), int(item.revenue_micros))
            for item in found
        ]
