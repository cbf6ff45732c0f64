"""The tick of refills: finish what is open, wake what has rested, open what is due. Its work grows with that alone.

Each wallet's trouble is its own, two ticks at once do no harm, and what one tick has no time for the next one finds.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.errors import NotFound, OutcomeUnknown, RebillError, Unavailable
from chalicelib.domain.refill import Refill, far_above_norm
from chalicelib.domain.standing import Standing, Stop, amount_or_stop
from chalicelib.domain.wallet import Wallet
from chalicelib.flows.charge_refill import proceed
from chalicelib.flows.refill_facts import RefillFacts, facts_of
from chalicelib.flows.stop_refills import throw_breaker
from chalicelib.flows.tell_refill import tell_stopped
from chalicelib.storage import refill_switch, refills, wallets
from chalicelib.telemetry import alarm, bug, logger

MOST_OPEN, MOST_DUE = 200, 200  # of one tick
AT_ONCE = 8  # towards Stripe: well below its 25 calls a second (https://docs.stripe.com/rate-limits)


def refill_wallets(seconds_left: float) -> int:
    """Do what is to be done now; answers how many refills were opened."""
    give_up_at = time.monotonic() + seconds_left
    _each(refills.open_refills(MOST_OPEN), _finish, give_up_at)
    if refill_switch.get_switch(refill_switch.EVERYBODY).stopped:
        return 0
    due = [*refills.asleep_until(now_ms(), MOST_DUE), *wallets.due_for_refill(MOST_DUE)]
    opened = _each(dict.fromkeys(due), refill_wallet, give_up_at)
    if opened:
        refill_switch.count_opened(opened, now_ms())
        this_hour, earlier_hours = refill_switch.opened_in_hours(now_ms())
        if far_above_norm(this_hour, earlier_hours):
            throw_breaker(f"{this_hour} refills within an hour are far above the norm")
    return opened


def _each(things: Iterable[Any], do: Callable[[Any], bool], give_up_at: float) -> int:
    """Do it to each, a few at once; answers how often it said yes. Where Stripe or the store is down, all wait."""
    down = Event()

    def one(thing: Any) -> bool:
        if down.is_set() or time.monotonic() > give_up_at:
            return False
        try:
            return do(thing)
        except OutcomeUnknown:
            logger.warning("refill_not_decided", extra={"about": _about(thing)})
        except Unavailable as trouble:
            down.set()
            logger.warning("refill_put_off", extra={"about": _about(thing), "detail": trouble.detail})
        except RebillError as trouble:
            alarm("refill_failed", about=_about(thing), code=trouble.code, detail=trouble.detail)
        except Exception as error:  # noqa: BLE001 - one wallet's trouble is its own
            bug("refill_failed", error, about=_about(thing))
        return False

    with ThreadPoolExecutor(AT_ONCE) as hands:
        return sum(hands.map(one, things))


def _about(thing: Refill | str) -> str:
    return thing if isinstance(thing, str) else thing.id


def _finish(refill: Refill) -> bool:
    proceed(refill)
    return False


def refill_wallet(owner_id: str) -> bool:
    """Look at one wallet: refill it if it is due and nothing speaks against it; answers whether a refill was opened.

    Raises:
        OutcomeUnknown, Unavailable: come again.
    """
    now = now_ms()
    try:
        standing, wallet = refills.get_standing(owner_id), wallets.get_wallet(owner_id)
    except NotFound:
        return False
    if standing.open_refill_id is not None or standing.rests_at(now):
        return False
    if standing.wake_at_ms is not None and standing.wake_at_ms > now:  # the cooldown after the last one
        return False
    is_due = standing.rule.enabled and wallet.balance_micros <= standing.rule.threshold_micros
    if standing.wake_at_ms is not None:
        awake = standing.awake(standing.stop if is_due else None)
        if not refills.watch_again(standing, awake):
            return False
        standing = awake
    return is_due and _open(standing, wallet)


def _open(standing: Standing, wallet: Wallet) -> bool:
    now, facts = now_ms(), facts_of(wallet)
    if standing.usable(facts.around.cards) is None:  # every card has had its turn in this round: a new one begins
        standing = replace(standing, tried=())
    wanted = amount_or_stop(standing, facts.around, now)
    if standing.too_many_at(now):
        throw_breaker(f"{wallet.owner_id} was refilled more often than can be right")
        return False
    if isinstance(wanted, Stop):
        stopped = standing.stopped(wanted)
        if refills.rest(standing, stopped):
            tell_stopped(stopped)
        return False
    refill = _planned(wanted, standing, wallet, facts)
    if not refills.open_refill(refill, standing, standing.opened(refill.id, refill.amount_micros, refill.opened_at_ms)):
        return False
    proceed(refill)
    return True


def _planned(amount_micros: int, standing: Standing, wallet: Wallet, facts: RefillFacts) -> Refill:
    card = standing.usable(facts.around.cards)
    if card is None or facts.customer_id is None:
        raise NotFound("not_found", "There is no card to refill with.")
    return Refill(
        id=f"rfl_{ULID()}",
        owner_id=wallet.owner_id,
        workspace_id=facts.workspace_id,
        amount_micros=amount_micros,
        currency=wallet.currency,
        account_id=facts.account_id,
        connection_version=facts.connection_version,
        livemode=facts.livemode,
        customer_id=facts.customer_id,
        payment_method_id=card,
        opened_at_ms=now_ms(),
    )
