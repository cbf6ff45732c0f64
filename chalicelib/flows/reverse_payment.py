"""Money goes back (a refund, a dispute): the wallet follows by the difference already seen, below zero if need be."""

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.payments import PLATFORM, Payment, fingerprint_of, reversal_target_micros
from chalicelib.domain.standing import Cause, Stop
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.flows.tell_refill import tell_stopped
from chalicelib.flows.watch_balances import watch
from chalicelib.gateways import stripe
from chalicelib.storage import payments, refills, wallets
from chalicelib.storage.ledger import Outcome
from chalicelib.telemetry import alarm, logger

ATTEMPTS = 5


def reverse_payment(account_id: str | None, payment_intent_id: str) -> None:
    """Bring a wallet to where the money of one payment is now. A stranger's payment is none of ours.

    Raises:
        OutcomeUnknown, Unavailable: come again; nothing is taken twice.
    """
    for _ in range(ATTEMPTS):  # another delivery may be at it at the same moment
        payment = payments.find_payment(account_id, payment_intent_id)
        if payment is None:
            return
        facts = stripe.read_payment(account_id, payment_intent_id)
        payments.hold_refills(payment.owner_id, payment_intent_id, facts.disputed, facts.withdrawn_micros)
        target = reversal_target_micros(
            payment.amount_micros, facts.refunded_micros, facts.withdrawn_micros, facts.reinstated_micros
        )
        if target == payment.reversed_micros:
            return
        disputed_micros = facts.withdrawn_micros - facts.reinstated_micros
        _rest_if_this_empties(payment.owner_id, target - payment.reversed_micros)
        outcome = payments.reverse(_entry(payment, disputed_micros, target), payment, target, disputed_micros)
        if outcome is Outcome.POSTED:
            alarm("payment_reversed", owner_id=payment.owner_id, payment_intent_id=payment_intent_id)
            watch([payment.owner_id])
            return
    raise Unavailable("The wallet store")


def _rest_if_this_empties(owner_id: str, going_back_micros: int) -> None:
    """Who gives money back does not want it taken again: where that alone makes the wallet due, refills rest first."""
    standing, balance_micros = refills.get_standing(owner_id), wallets.get_wallet(owner_id).balance_micros
    threshold_micros = standing.rule.threshold_micros
    empties = balance_micros > threshold_micros >= balance_micros - going_back_micros
    if empties and standing.rule.enabled and standing.stop is None:
        stopped = standing.stopped(Stop(Cause.REFUNDED, now_ms()))
        if not refills.rest(standing, stopped):
            raise Unavailable("The wallet store")
        tell_stopped(stopped)


def lift_hold(owner_id: str) -> None:
    """A person lets a wallet's refills go on although a payment is disputed. Lifting what nothing holds does no harm.

    Raises:
        Unavailable: say it again.
    """
    if payments.lift_holds(owner_id):
        logger.info("refill_hold_lifted", extra={"owner_id": owner_id})


def _entry(payment: Payment, disputed_micros: int, target_micros: int) -> Entry:
    """What has newly gone back (or come back) since the last look."""
    amount_micros = payment.reversed_micros - target_micros
    is_workspace = payment.owner_id == payment.workspace_id
    leg = Leg(payment.owner_id, amount_micros)
    step = payment.reversals + 1
    disputed = disputed_micros != payment.disputed_micros
    now = now_ms()
    return Entry(
        id=f"ent_{ULID()}",
        kind=EntryKind.DISPUTE if disputed else EntryKind.REFUND,
        workspace_id=payment.workspace_id,
        source=payment.account_id or PLATFORM,
        event_id=f"{payment.payment_intent_id}:{step}",
        fingerprint=fingerprint_of(payment.payment_intent_id, step, amount_micros),
        currency=payment.currency,
        occurred_at_ms=now,
        posted_at_ms=now,
        workspace_leg=leg if is_workspace else None,
        sub_account_leg=None if is_workspace else leg,
        sub_account_id=None if is_workspace else payment.owner_id,
    )
