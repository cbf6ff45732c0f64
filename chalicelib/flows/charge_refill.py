"""One refill, from our own record to its end: create, check again, confirm, look up, settle.

Every step may be repeated, by the tick, the webhook, or after a crash. Stripe's PaymentIntent takes money at most once
however often it is confirmed; only the one that our record names is ever confirmed; and what became of it is read,
never concluded from an answer. What nobody can decide is cancelled first, and decided then.
"""

from collections.abc import Callable
from contextlib import suppress

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.declines import DeclineKind, in_plain_words, kind_of_decline
from chalicelib.domain.errors import AccessLost, Conflict, Invalid, NotFound, OutcomeUnknown, Unavailable
from chalicelib.domain.payment_facts import Decline, PaymentFacts
from chalicelib.domain.refill import OPEN_STEPS, Refill, RefillStep
from chalicelib.domain.standing import LINK_LASTS_MS, Cause, Standing, Stop
from chalicelib.flows.refill_facts import facts_of, still_wanted
from chalicelib.flows.settle_payment import settle_refill
from chalicelib.flows.tell_refill import tell_declined, tell_stopped
from chalicelib.gateways import stripe
from chalicelib.storage import customers, refills, wallets
from chalicelib.telemetry import alarm

GIVE_UP_MS = 10 * 60_000  # a refill that could not even be confirmed by then is no answer to this shortage any more
ON_ITS_WAY_MS = 60_000  # a confirmation whose answer was lost may still be at work
# A lost answer is found again under the same key. So is a 500, which Stripe keeps for a day: a later try has another
# key, and of two unconfirmed payments only the one that is remembered can ever be paid.
ANSWER_KEPT_MS = 90_000
TOO_LONG_MS = 24 * 3_600_000
ATTEMPTS = 5
ACTION_PATH = "/payments/action"


def proceed(refill: Refill) -> Refill:
    """Take a refill as far as it goes now, from wherever it is; any number of times, by any number of hands.

    Raises:
        OutcomeUnknown, Unavailable: nobody knows yet; come again.
    """
    try:
        if refill.step is RefillStep.PLANNED:
            refill = _create(refill)
        if refill.step is RefillStep.CREATED:
            refill = _confirm(refill)
        if refill.step is RefillStep.CONFIRMING:
            refill = _look_up(refill)
    except AccessLost:
        return _out_of_reach(refill)
    if refill.step in OPEN_STEPS and now_ms() - refill.opened_at_ms > TOO_LONG_MS:
        alarm("refill_open_too_long", refill_id=refill.id, owner_id=refill.owner_id, step=refill.step.value)
    return refill


def _create(refill: Refill) -> Refill:
    """Make a payment at Stripe that takes no money yet."""
    if _is_stale(refill):
        return _end(refill, RefillStep.CANCELED)
    try:
        payment_intent_id = stripe.create_payment(
            refill.account_id,
            customer_id=refill.customer_id,
            payment_method_id=refill.payment_method_id,
            amount_micros=refill.amount_micros,
            currency=refill.currency,
            description="Automatic refill",
            reference=refill.id,
            key=f"refill:{refill.id}:create:{(now_ms() - refill.opened_at_ms) // ANSWER_KEPT_MS}",
        )
    except (NotFound, Conflict, Invalid) as refused:
        if isinstance(refused, NotFound) or refused.code == "card_removed":  # and nobody has told us
            customers.forget_card(refill.owner_id, refill.connection_version, refill.payment_method_id)
            return _end(refill, RefillStep.CANCELED)
        alarm("refill_refused", refill_id=refill.id, owner_id=refill.owner_id, code=refused.code)
        return _end(refill, RefillStep.CANCELED, Stop(Cause.REFUSED, now_ms()))
    return _moved(refill, step=RefillStep.CREATED, payment_intent_id=payment_intent_id)


def _confirm(refill: Refill) -> Refill:
    """Check everything again, note that the card is about to be asked, and ask it."""
    wallet = wallets.get_wallet(refill.owner_id)
    if _is_stale(refill) or not still_wanted(refill, refills.get_standing(refill.owner_id), wallet):
        return _cancel(refill, None)
    asked = refills.advance(refill, step=RefillStep.CONFIRMING, confirms=refill.confirms + 1, confirmed_at_ms=now_ms())
    if asked is None:  # somebody else is at it
        return refills.get_refill(refill.owner_id, refill.id)
    key = f"refill:{asked.id}:confirm:{asked.confirms}"
    with suppress(OutcomeUnknown):  # it is looked up at once, and again until it is known
        try:
            stripe.confirm_payment(asked.account_id, asked.payment_intent_id or "", key=key)
        except (NotFound, Conflict) as refused:  # the card is gone, or Stripe will not have it: no money has moved
            alarm("refill_refused", refill_id=refill.id, owner_id=refill.owner_id, code=refused.code)
            if refused.code == "card_removed":
                customers.forget_card(refill.owner_id, refill.connection_version, refill.payment_method_id)
            return _cancel(asked, None)
    return asked


def _look_up(refill: Refill) -> Refill:
    """Read what became of a payment for which the card may have been asked."""
    facts = _read(refill)
    if facts.status == "succeeded":
        return settle_refill(refill, facts)
    if facts.status == "processing":
        return refill
    if facts.status == "requires_confirmation":
        if now_ms() - (refill.confirmed_at_ms or 0) < ON_ITS_WAY_MS:
            return refill
        return _confirm(refill)  # it never reached the card
    return _cancel(refill, facts)


def _cancel(refill: Refill, seen: PaymentFacts | None) -> Refill:
    """End the payment at Stripe before anything is concluded from it; `seen` is what it looked like before."""
    key = f"refill:{refill.id}:cancel:{ULID()}"
    if seen is None or seen.status != "canceled":
        stripe.cancel_payment(refill.account_id, refill.payment_intent_id or "", key=key)
    facts = _read(refill)
    if facts.status == "succeeded":  # it was faster
        return settle_refill(refill, facts)
    if facts.status != "canceled":
        return refill
    decline = facts.decline or (seen.decline if seen else None)
    if decline is None and seen is not None and seen.status == "requires_action":
        decline = Decline("authentication_required", "", "")
    if decline is None:
        return _end(refill, RefillStep.CANCELED)
    return _declined(refill, decline)


def _declined(refill: Refill, decline: Decline) -> Refill:
    kind = kind_of_decline(decline.code, decline.decline_code, decline.advice_code)
    why = in_plain_words(decline.code, decline.decline_code)
    cards = facts_of(wallets.get_wallet(refill.owner_id)).around.cards
    others = tuple(card for card in cards if card != refill.payment_method_id)
    now = now_ms()

    def after(standing: Standing) -> Standing:
        if kind is DeclineKind.AUTHENTICATION and standing.usable(others) is None:
            link = f"{ACTION_PATH}?owner={refill.owner_id}&refill={refill.id}"
            return standing.stopped(Stop(Cause.AUTHENTICATION_REQUIRED, now, now + LINK_LASTS_MS, why, link))
        return standing.declined(refill.payment_method_id, kind is DeclineKind.HARD, others, why, now)

    ended = _close(refill, RefillStep.DECLINED, after)
    if ended.step is RefillStep.DECLINED:
        tell_declined(ended, decline, why)
        tell_stopped(refills.get_standing(refill.owner_id))
    return ended


def _end(refill: Refill, step: RefillStep, stop: Stop | None = None) -> Refill:
    ended = _close(refill, step, lambda standing: standing.stopped(stop) if stop else standing)
    if stop is not None:
        tell_stopped(refills.get_standing(refill.owner_id))
    return ended


def _close(refill: Refill, step: RefillStep, after: Callable[[Standing], Standing]) -> Refill:
    """End a refill without money, together with what that means for the wallet's standing."""

    def closed(standing: Standing, now: int) -> bool:
        changed = standing.let_go(refill, now)
        return refills.close(refill, step, standing, after(changed) if changed != standing else standing)

    return _until_moved(refill, closed)


def _out_of_reach(refill: Refill) -> Refill:
    """The account does not let us in any more: nothing was taken if the card was not asked; else a person must look."""
    if refill.step is not RefillStep.CONFIRMING:
        return _end(refill, RefillStep.CANCELED)
    alarm("refill_out_of_reach", refill_id=refill.id, owner_id=refill.owner_id)

    def parked(standing: Standing, now: int) -> bool:
        changed = standing.let_go(refill, now)
        held = changed.stopped(Stop(Cause.OUT_OF_REACH, now))
        return refills.park(refill, standing, held if changed != standing else standing)

    refill = _until_moved(refill, parked)
    tell_stopped(refills.get_standing(refill.owner_id))
    return refill


def _until_moved(refill: Refill, move: Callable[[Standing, int], bool]) -> Refill:
    """Move a refill together with its wallet's standing; whoever changes one of them meanwhile is let through first."""
    for _ in range(ATTEMPTS):
        moved = move(refills.get_standing(refill.owner_id), now_ms())
        current = refills.get_refill(refill.owner_id, refill.id)
        if moved or current != refill:
            return current
    raise Unavailable("The wallet store")


def _is_stale(refill: Refill) -> bool:
    return refill.confirms == 0 and now_ms() - refill.opened_at_ms > GIVE_UP_MS


def _read(refill: Refill) -> PaymentFacts:
    return stripe.read_payment(refill.account_id, refill.payment_intent_id or "")


def _moved(refill: Refill, **changes: object) -> Refill:
    return refills.advance(refill, **changes) or refills.get_refill(refill.owner_id, refill.id)
