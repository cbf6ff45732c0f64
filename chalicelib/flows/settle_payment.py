"""Where every payment's end meets: the webhook, the browser's return and the sweep all come here.

Nothing that they bring is believed. The Checkout session that our own record names is read from Stripe, on the account
of our own record, and only a payment of exactly the amount, currency and mode that we asked for is credited, once.
"""

from dataclasses import replace

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.errors import AccessLost, NotFound, Unavailable
from chalicelib.domain.payment_facts import PaymentFacts
from chalicelib.domain.payments import PLATFORM, Payment, TopUp, TopUpState, fingerprint_of
from chalicelib.domain.refill import OPEN_STEPS, Refill, RefillStep
from chalicelib.domain.standing import Cause, Stop
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.flows.reverse_payment import reverse_payment
from chalicelib.flows.tell_refill import tell_refilled
from chalicelib.flows.wake_refills import wake
from chalicelib.flows.watch_balances import watch
from chalicelib.gateways import stripe
from chalicelib.storage import customers, payments, refills, top_ups
from chalicelib.storage.ledger import Outcome
from chalicelib.telemetry import alarm

ATTEMPTS = 5
UNANSWERED_MS = 3_600_000  # after this long nobody can still be given the address of a page whose answer was lost


def settle_top_up(top_up: TopUp) -> TopUp:
    """Look up what became of a top-up, and close it if that is known. Any number of times, in any order.

    Raises:
        OutcomeUnknown, Unavailable: nobody knows yet; it stays open.
    """
    if top_up.state is not TopUpState.OPEN:
        return top_up
    if top_up.session_id is None:
        if now_ms() - top_up.created_at_ms > UNANSWERED_MS:
            top_ups.close_unanswered(top_up)
        return top_ups.get_top_up(top_up.owner_id, top_up.id)
    try:
        checkout = stripe.read_checkout(top_up.account_id, top_up.session_id)
        if checkout.status == "expired":
            top_ups.close_without_credit(top_up, TopUpState.EXPIRED)
        elif checkout.status == "complete" and checkout.payment_intent_id:
            _settle_paid(top_up, checkout.payment_intent_id)
    except (AccessLost, NotFound) as lost:
        if top_ups.put_aside(top_up):  # it may have been paid: it stays open, and a person is told once
            alarm("top_up_out_of_reach", top_up_id=top_up.id, code=lost.code)
    return top_ups.get_top_up(top_up.owner_id, top_up.id)


def _settle_paid(top_up: TopUp, payment_intent_id: str) -> None:
    facts = stripe.read_payment(top_up.account_id, payment_intent_id)
    if facts.status != "succeeded":
        return  # still processing: it stays open, and nothing is credited before it has succeeded
    customer_id = customers.customer_of(top_up.owner_id, top_up.connection_version)
    mismatch = _mismatch(top_up, customer_id, facts)
    if mismatch:
        alarm("payment_mismatch", top_up_id=top_up.id, payment_intent_id=payment_intent_id, differs=mismatch)
        top_ups.close_without_credit(replace(top_up, payment_intent_id=payment_intent_id), TopUpState.REFUSED)
        payments.remember_refused(top_up.account_id, payment_intent_id)
        return
    if facts.card is not None:
        customers.keep_card(top_up.owner_id, top_up.connection_version, facts.card)
    _credit(replace(top_up, payment_intent_id=payment_intent_id), payment_intent_id)
    wake(top_up.owner_id)
    watch([top_up.owner_id])
    reverse_payment(top_up.account_id, payment_intent_id)  # some of it may have gone back before it was known here


def settle_refill(refill: Refill, facts: PaymentFacts) -> Refill:
    """Credit a refill that Stripe says has been paid, with the wallet's standing in the same transaction; once.

    Raises:
        Unavailable: the store gave no answer; come again.
    """
    payment_intent_id = refill.payment_intent_id or ""
    mismatch = _mismatch(refill, refill.customer_id, facts)
    if mismatch:
        alarm("payment_mismatch", refill_id=refill.id, payment_intent_id=payment_intent_id, differs=mismatch)
        payments.remember_refused(refill.account_id, payment_intent_id)
    for _ in range(ATTEMPTS):
        standing, now = refills.get_standing(refill.owner_id), now_ms()
        if mismatch:
            stopped = standing.let_go(refill, now).stopped(Stop(Cause.REFUSED, now))
            if refills.close(refill, RefillStep.REFUSED, standing, stopped):
                break
        else:
            entry, payment = _entry_and_payment(refill, EntryKind.REFILL, payment_intent_id)
            outcome = refills.settle(entry, refill, payment, standing, standing.paid(refill, now))
            if outcome in (Outcome.CONTRADICTION, Outcome.NO_WALLET):
                alarm("refill_not_credited", refill_id=refill.id, payment_intent_id=payment_intent_id)
            if outcome not in (Outcome.OVERTAKEN, Outcome.UNSETTLED):
                break
        if refills.get_refill(refill.owner_id, refill.id).step not in OPEN_STEPS:
            break
    else:
        raise Unavailable("The wallet store")
    settled = refills.get_refill(refill.owner_id, refill.id)
    if settled.step is RefillStep.SUCCEEDED:
        tell_refilled(settled)
        watch([settled.owner_id])
        reverse_payment(refill.account_id, payment_intent_id)  # some of it may have gone back before it was known here
    return settled


def _mismatch(bought: TopUp | Refill, customer_id: str | None, facts: PaymentFacts) -> str | None:
    wanted = {
        "amount": (facts.received_micros, bought.amount_micros),
        "currency": (facts.currency, bought.currency),
        "livemode": (facts.livemode, bought.livemode),
        "customer": (facts.customer_id, customer_id),
    }
    differing = [name for name, (found, expected) in wanted.items() if found != expected]
    return ", ".join(differing) or None


def _credit(top_up: TopUp, payment_intent_id: str) -> None:
    entry, payment = _entry_and_payment(top_up, EntryKind.TOP_UP, payment_intent_id)
    outcome = payments.settle(entry, top_up, payment)
    if outcome is Outcome.UNSETTLED:
        raise Unavailable("The wallet store")
    if outcome in (Outcome.CONTRADICTION, Outcome.NO_WALLET):
        alarm("top_up_not_credited", top_up_id=top_up.id, payment_intent_id=payment_intent_id, outcome=outcome.value)


def _entry_and_payment(bought: TopUp | Refill, kind: EntryKind, payment_intent_id: str) -> tuple[Entry, Payment]:
    """What a payment that came in means: the wallet's entry, keyed by account and payment, and our record of it."""
    leg = Leg(bought.owner_id, bought.amount_micros)
    is_workspace = bought.owner_id == bought.workspace_id
    now = now_ms()
    entry = Entry(
        id=f"ent_{ULID()}",
        kind=kind,
        workspace_id=bought.workspace_id,
        source=bought.account_id or PLATFORM,
        event_id=payment_intent_id,
        fingerprint=fingerprint_of(bought.owner_id, payment_intent_id, bought.amount_micros),
        currency=bought.currency,
        occurred_at_ms=now,
        posted_at_ms=now,
        workspace_leg=leg if is_workspace else None,
        sub_account_leg=None if is_workspace else leg,
        sub_account_id=None if is_workspace else bought.owner_id,
    )
    payment = Payment(
        account_id=bought.account_id,
        payment_intent_id=payment_intent_id,
        owner_id=bought.owner_id,
        workspace_id=bought.workspace_id,
        amount_micros=bought.amount_micros,
        currency=bought.currency,
        purchase_id=bought.id,
    )
    return entry, payment
