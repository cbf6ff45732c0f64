"""Low balances: whoever moves a wallet has it looked at afterwards, and a level that was crossed is told once.

What is known of a wallet stands on it, and moves in the same transaction as the notice: of two who look at the same
moment, one tells. A look that never came, after a crash, is made up for by the next.
"""

import time
from collections.abc import Collection, Sequence

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.notices import (
    ABOVE_ALL_MICROS,
    Notice,
    NoticeType,
    WatchedWallet,
    crossing,
    level_reached,
)
from chalicelib.flows.tell import tell_with
from chalicelib.storage import wallets
from chalicelib.storage.activity import Kept
from chalicelib.telemetry import bug, logger

ATTEMPTS = 5
MOST_SECONDS = 3.0  # a queue's handler has five left when it calls
MOST_LOGGED = 20


def watch(owner_ids: Collection[str]) -> None:
    """Look at these owners' wallets, which have moved, and tell which levels they have newly crossed.

    Never raises: what moved the wallets has happened, whether anybody hears of it or not. What goes wrong is logged.
    """
    left, give_up_at = set(owner_ids), time.monotonic() + MOST_SECONDS
    try:
        for _ in range(ATTEMPTS):
            if not left or time.monotonic() > give_up_at:
                break
            left = {wallet.owner_id for wallet in wallets.watched_wallets(left) if not _look(wallet, give_up_at)}
    except Unavailable:
        pass  # nothing was read: all of them are left
    except Exception as error:  # noqa: BLE001 - a mistake here must not send posted usage back to the queue
        bug("balances_not_watched", error)
    if left:
        logger.warning("balances_not_watched", extra={"owners": sorted(left)[:MOST_LOGGED]})


def _look(wallet: WatchedWallet, give_up_at: float) -> bool:
    """Remember and tell what is new of one wallet; False where it has to be looked at again."""
    found = crossing(wallet.levels_micros, wallet.notified_level_micros, wallet.balance_micros)
    if found is None:
        return True
    if time.monotonic() > give_up_at:
        return False
    try:
        if found.tells is None:
            return wallets.note(wallet, found)
        notice = _notice(wallet, found.level_micros, found.tells)
        return tell_with(notice, [wallets.noting(wallet, found)]) is not Kept.OVERTAKEN
    except Unavailable:  # one wallet's trouble is not its neighbours'
        return False


def _notice(wallet: WatchedWallet, level_micros: int, tells: NoticeType) -> Notice:
    now = now_ms()
    data: dict[str, str | int] = {"balance": format_amount(wallet.balance_micros), "currency": wallet.currency}
    if tells is NoticeType.WALLET_LOW:
        data["level"] = format_price(level_micros)
    return Notice(
        type=tells,
        owner_id=wallet.owner_id,
        workspace_id=owning_workspace(wallet.owner_id) or wallet.owner_id,
        occurred_at_ms=now,
        key=f"{tells}:{level_micros}:{now}",
        data=data,
    )


def set_levels(owner_id: str, levels_micros: Sequence[int]) -> WatchedWallet:
    """Set at which balances a wallet's owner is told; none switches it off. A level that is reached already is told.

    Raises:
        NotFound: no such wallet. Unavailable: set them again, it does no harm.
    """
    for _ in range(ATTEMPTS):  # somebody else may look at the wallet at the same moment
        wallet = wallets.watched_wallet(owner_id)
        nothing_reached = level_reached(levels_micros, wallet.balance_micros) == ABOVE_ALL_MICROS
        # New levels that call the balance good must not make it a recovery: the balance has not moved.
        known = ABOVE_ALL_MICROS if nothing_reached else wallet.notified_level_micros
        if wallets.set_notice_levels(wallet, sorted(levels_micros, reverse=True), known):
            watch([owner_id])
            return wallets.watched_wallet(owner_id)
    raise Unavailable("The wallet store")
