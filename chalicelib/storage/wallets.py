"""Wallets: what is in them, which of them are due for a refill, and what their days came to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.update import Action

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.notices import DEFAULT_LEVELS_MICROS, Crossing, WatchedWallet
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.entries import to_attributes
from chalicelib.storage.tables import DayTotalItem, WalletItem, connection, store_trouble_is_ours

# Due wallets are spread over a few hash keys, so that one busy minute does not sit on one partition.
SHARDS = 4
LOOK_AGAIN = ("ConditionalCheckFailedException", "TransactionConflictException")  # somebody else was at the wallet
REFILL_SHARDS = tuple(f"due-{number}" for number in range(SHARDS))


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
        refill_threshold_micros=_whole(item.refill_threshold_micros),
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def watched(owner_id: str, before_micros: int | None, threshold_micros: int) -> dict[str, Any]:
    """The part of a transaction that puts a wallet into the index of due refills, at a threshold.

    `before_micros` is the threshold that it has now, None if it has none: the headroom moves by the difference, so that
    no payment or call in between is lost. Where another change has won, the transaction fails.
    """
    values = {
        ":shard": REFILL_SHARDS[sum(owner_id.encode()) % len(REFILL_SHARDS)],
        ":threshold": threshold_micros,
        ":difference": (before_micros or 0) - threshold_micros,
    }
    same = "attribute_exists(owner_id) AND attribute_not_exists(refill_threshold_micros)"
    if before_micros is not None:
        same, values = "refill_threshold_micros = :before", {**values, ":before": before_micros}
    action = "SET refill_shard = :shard, refill_threshold_micros = :threshold ADD headroom_micros :difference"
    return _update(owner_id, action, same, values)


def unwatched(owner_id: str, before_micros: int) -> dict[str, Any]:
    """The part of a transaction that takes a wallet's threshold away."""
    action = "REMOVE refill_shard, refill_threshold_micros ADD headroom_micros :before"
    return _update(owner_id, action, "refill_threshold_micros = :before", {":before": before_micros})


def resting(owner_id: str, only_if_due: bool = False) -> dict[str, Any]:
    """The part of a transaction that takes a wallet out of the index of due refills, for a while."""
    due = "attribute_exists(refill_shard) AND headroom_micros <= :nothing"
    if only_if_due:
        return _update(owner_id, "REMOVE refill_shard", due, {":nothing": 0})
    return _update(owner_id, "REMOVE refill_shard", "attribute_exists(owner_id)", {})


def _update(owner_id: str, action: str, condition: str, values: dict[str, Any]) -> dict[str, Any]:
    update = {
        "TableName": WalletItem.Meta.table_name,
        "Key": to_attributes({"owner_id": owner_id}),
        "UpdateExpression": action,
        "ConditionExpression": condition,
    }
    return {**update, "ExpressionAttributeValues": to_attributes(values)} if values else update


def due_for_refill(limit: int) -> list[str]:
    """Owners of wallets at or below their refill threshold, the poorest of each shard first."""
    owners: list[str] = []
    with store_trouble_is_ours():
        for shard in REFILL_SHARDS:
            due = WalletItem.due_refills.query(shard, WalletItem.headroom_micros <= 0, limit=-(-limit // SHARDS))
            owners += [item.owner_id for item in due]
    return owners


def day_totals(owner_id: str, first_day: str, last_day: str) -> list[DayTotal]:
    """An owner's days from `first_day` to `last_day`, both included (`2026-11-22`), the oldest first."""
    with store_trouble_is_ours():
        found = DayTotalItem.query(owner_id, DayTotalItem.day.between(first_day, last_day), consistent_read=True)
        return [
            DayTotal(item.day, int(item.calls), int(item.talk_ms), int(item.cost_micros), int(item.revenue_micros))
            for item in found
        ]


def watched_wallet(owner_id: str) -> WatchedWallet:
    """A wallet as far as its notices go, as it is now.

    Raises:
        NotFound: nobody with this id has one.
    """
    return _watched_from_item(_get(owner_id))


def watched_wallets(owner_ids: Collection[str]) -> list[WatchedWallet]:
    """The wallets that exist among these owners', as they are now: a hundred to a read."""
    with store_trouble_is_ours():
        return [_watched_from_item(item) for item in WalletItem.batch_get(sorted(owner_ids), consistent_read=True)]


def noting(wallet: WatchedWallet, found: Crossing) -> dict[str, Any]:
    """The part of a transaction that remembers a crossing, as DynamoDB takes it.

    Its condition fails where another has looked since, or where the balance is not there any more.
    """
    known, level = wallet.notified_level_micros, found.level_micros
    conditions, values = ["attribute_exists(owner_id)"], {":level": level}
    if known is None:
        conditions.append("attribute_not_exists(notified_level_micros)")
    else:
        conditions.append("notified_level_micros = :known")
        values[":known"] = known
    lower = [each for each in wallet.levels_micros if each < level]
    if known is not None and level < known:
        conditions.append("balance_micros <= :level")
    elif lower:
        conditions.append("balance_micros > :lower")
        values[":lower"] = max(lower)
    return {
        "TableName": WalletItem.Meta.table_name,
        "Key": to_attributes({"owner_id": wallet.owner_id}),
        "UpdateExpression": "SET notified_level_micros = :level",
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeValues": to_attributes(values),
    }


def note(wallet: WatchedWallet, found: Crossing) -> bool:
    """Remember a crossing of which nothing is told; False if it has to be looked at again."""
    with store_trouble_is_ours():
        try:
            connection().dispatch("UpdateItem", noting(wallet, found))
            return True
        except ClientError as error:
            if error.response["Error"]["Code"] not in LOOK_AGAIN:
                raise
            return False


def set_notice_levels(wallet: WatchedWallet, levels_micros: Sequence[int], notified_micros: int | None) -> bool:
    """Set at which balances a wallet's owner is told, and which level is known; False if another has looked since."""
    actions: list[Action] = [WalletItem.notice_levels.set(list(levels_micros))]
    if notified_micros is not None:
        actions.append(WalletItem.notified_level_micros.set(notified_micros))
    known, before = WalletItem.notified_level_micros, wallet.notified_level_micros
    try:
        same = known.does_not_exist() if before is None else known == before
        WalletItem(wallet.owner_id).update(actions, condition=WalletItem.owner_id.exists() & same)
        return True
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return False


def _watched_from_item(item: WalletItem) -> WatchedWallet:
    levels, known = item.notice_levels, item.notified_level_micros
    return WatchedWallet(
        owner_id=item.owner_id,
        currency=item.currency,
        balance_micros=int(item.balance_micros),
        levels_micros=DEFAULT_LEVELS_MICROS if levels is None else tuple(levels),
        notified_level_micros=None if known is None else int(known),
    )
