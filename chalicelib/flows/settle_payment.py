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
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.flows.reverse_payment import reverse_payment
from chalicelib.gateways import stripe
from chalicelib.storage import payments
from chalicelib.storage.ledger import Outcome
from chalicelib.telemetry import alarm

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
            payments.close_unanswered(top_up)
        return payments.get_top_up(top_up.owner_id, top_up.id)
    try:
        checkout = stripe.read_checkout(top_up.account_id, top_up.session_id)
        if checkout.status == "expired":
            payments.close_without_credit(top_up, TopUpState.EXPIRED)
        elif checkout.status == "complete" and checkout.payment_intent_id:
            _settle_paid(top_up, checkout.payment_intent_id)
    except (AccessLost, NotFound) as lost:
        alarm("top_up_out_of_reach", top_up_id=top_up.id, code=lost.code)  # it may have been paid: it stays open
    return payments.get_top_up(top_up.owner_id, top_up.id)


def _settle_paid(top_up: TopUp, payment_intent_id: str) -> None:
    facts = stripe.read_payment(top_up.account_id, payment_intent_id)
    if facts.status != "succeeded":
        return  # still processing: it stays open, and nothing is credited before it has succeeded
    mismatch = _mismatch(top_up, facts)
    if mismatch:
        alarm("payment_mismatch", top_up_id=top_up.id, payment_intent_id=payment_intent_id, differs=mismatch)
        payments.close_without_credit(replace(top_up, payment_intent_id=payment_intent_id), TopUpState.REFUSED)
        payments.remember_refused(top_up.account_id, payment_intent_id)
        return
    if facts.card is not None:
        payments.keep_card(top_up.owner_id, top_up.connection_version, facts.card)
    _credit(replace(top_up, payment_intent_id=payment_intent_id), payment_intent_id)
    reverse_payment(top_up.account_id, payment_intent_id)  # some of it may have gone back before it was known here


def _mismatch(top_up: TopUp, facts: PaymentFacts) -> str | None:
    customer_id = payments.customer_of(top_up.owner_id, top_up.connection_version)
    wanted = {
        "amount": (facts.received_micros, top_up.amount_micros),
        "currency": (facts.currency, top_up.currency),
        "livemode": (facts.livemode, top_up.livemode),
        "customer": (facts.customer_id, customer_id),
    }
    differing = [name for name, (found, expected) in wanted.items() if found != expected]
    return ", ".join(differing) or None


def _credit(top_up: TopUp, payment_intent_id: str) -> None:
    account = top_up.account_id or PLATFORM
    leg = Leg(top_up.owner_id, top_up.amount_micros)
    is_workspace = top_up.owner_id == top_up.workspace_id
    now = now_ms()
    entry = Entry(
        id=f"ent_{ULID()}",
        kind=EntryKind.TOP_UP,
        workspace_id=top_up.workspace_id,
        source=account,
        event_id=payment_intent_id,
        fingerprint=fingerprint_of(top_up.owner_id, payment_intent_id, top_up.amount_micros),
        currency=top_up.currency,
        occurred_at_ms=now,
        posted_at_ms=now,
        workspace_leg=leg if is_workspace else None,
        sub_account_leg=None if is_workspace else leg,
        sub_account_id=None if is_workspace else top_up.owner_id,
    )
    payment = Payment(
        account_id=top_up.account_id,
        payment_intent_id=payment_intent_id,
        owner_id=top_up.owner_id,
        workspace_id=top_up.workspace_id,
        amount_micros=top_up.amount_micros,
        currency=top_up.currency,
        top_up_id=top_up.id,
    )
    outcome = payments.settle(entry, top_up, payment)
    if outcome is Outcome.UNSETTLED:
        raise Unavailable("The wallet store")
    if outcome in (Outcome.CONTRADICTION, Outcome.NO_WALLET):
        alarm("top_up_not_credited", top_up_id=top_up.id, payment_intent_id=payment_intent_id, outcome=outcome.value)
