"""Payments that are made while nobody is there, and what became of any payment.

Such a payment has two steps. Created, it takes no money yet; confirmed, it does, at most once however often that is
asked for. Whatever the answer was, or if there was none, `read_payment` tells how it stands.
"""

from collections.abc import Iterator

import stripe

from chalicelib.domain.errors import Conflict
from chalicelib.domain.payment_facts import Decline, PaymentFacts
from chalicelib.gateways.stripe.amounts import micros, minor_units
from chalicelib.gateways.stripe.cards import card_of, read_card
from chalicelib.gateways.stripe.client import client, facts_of, field, id_of, on, ours, safe_word
from chalicelib.telemetry import logger

# Money on its way back is gone; it returns when a refund fails: https://docs.stripe.com/refunds#failed-refunds
REFUND_STATES_THAT_COUNT = ("succeeded", "pending", "requires_action")
# All others are open or lost, states that we do not know included: https://docs.stripe.com/api/disputes/object
DISPUTES_IN_OUR_FAVOUR = ("won", "warning_closed", "prevented")
TOO_LATE = "payment_intent_unexpected_state"  # it is paid, or cancelled, or has no card any more
CARD_REMOVED = "This card has been removed. Please save another one."


def create_payment(
    account_id: str | None,
    *,
    customer_id: str,
    payment_method_id: str,
    amount_micros: int,
    currency: str,
    description: str,
    reference: str,
    key: str,
) -> str:
    """The id of a new payment with a saved card; it takes no money before it is confirmed.

    `reference` is our own id of what it is for. Raises `Invalid` for the amount; `Conflict` (`card_removed`).
    """
    with ours():
        params: stripe.params.PaymentIntentCreateParams = {
            "customer": customer_id,
            "payment_method": payment_method_id,
            "amount": minor_units(amount_micros, currency),
            "currency": currency,
            "description": description,
            "metadata": {"rebill": reference},
            "confirm": False,
            "allowed_payment_method_types": ["card"],  # with others, confirming would ask where to send the person
        }
        try:
            return client().v1.payment_intents.create(params, on(account_id, key)).id
        except stripe.InvalidRequestError as refused:
            _refuse_if_removed(refused, account_id, payment_method_id)
            raise


def confirm_payment(account_id: str | None, payment_intent_id: str, *, key: str) -> None:
    """Take the money, while the card's owner is not there. Look the payment up afterwards: a decline is no error here.

    Nor is a payment that cannot be confirmed any more. Raises `Conflict` (`card_removed`). Each attempt needs a `key`
    of its own: under the same one, Stripe repeats its answer and does nothing.
    """
    with ours():
        intents = client().v1.payment_intents
        try:
            intents.confirm(payment_intent_id, {"off_session": True}, on(account_id, key))
        except stripe.CardError as declined:
            logger.warning("stripe_error", extra=facts_of(declined))
        except stripe.InvalidRequestError as refused:
            if _is_too_late(refused):
                return
            intent = intents.retrieve(payment_intent_id, options=on(account_id))
            _refuse_if_removed(refused, account_id, id_of(intent.payment_method))
            raise


def cancel_payment(account_id: str | None, payment_intent_id: str, *, key: str) -> None:
    """See to it that a payment cannot be made any more. Look it up afterwards: one that was paid first stays paid."""
    with ours():
        try:
            client().v1.payment_intents.cancel(payment_intent_id, options=on(account_id, key))
        except stripe.InvalidRequestError as refused:
            if not _is_too_late(refused):
                raise


def create_refund(
    account_id: str | None, payment_intent_id: str, *, amount_micros: int, currency: str, key: str
) -> None:
    """Give some of a payment back to the card that paid it. Look the payment up afterwards: a bank may send it back.

    Raises `Conflict` (`stripe_refused`) where it cannot be given back: it is disputed, or the account has too little.
    """
    with ours():
        params: stripe.params.RefundCreateParams = {
            "payment_intent": payment_intent_id,
            "amount": minor_units(amount_micros, currency),
            "reason": "requested_by_customer",
        }
        client().v1.refunds.create(params, on(account_id, key))


def _is_too_late(refused: stripe.InvalidRequestError) -> bool:
    facts = facts_of(refused)
    if facts["stripe_code"] != TOO_LATE:
        return False
    logger.warning("stripe_error", extra=facts)
    return True


def _refuse_if_removed(refused: stripe.InvalidRequestError, account_id: str | None, card_id: str | None) -> None:
    """Stripe has a sentence for a card that was removed, but no code: whether it still has a customer tells."""
    facts = facts_of(refused)
    if facts["stripe_code"] != "resource_missing" and card_id and read_card(account_id, card_id) is None:
        logger.warning("stripe_error", extra=facts)
        raise Conflict("card_removed", CARD_REMOVED) from None


def read_payment(account_id: str | None, payment_intent_id: str) -> PaymentFacts:
    """All that became of a payment until now."""
    with ours():
        v1, options = client().v1, on(account_id)
        intent = v1.payment_intents.retrieve(payment_intent_id, {"expand": ["payment_method"]}, options)
        refunds = v1.refunds.list({"payment_intent": intent.id}, options).auto_paging_iter()
        refunded = sum(refund.amount for refund in refunds if refund.status in REFUND_STATES_THAT_COUNT)
        disputes = list(v1.disputes.list({"payment_intent": intent.id}, options).auto_paging_iter())
        moved = [amount for dispute in disputes for amount in _moved(dispute)]
        return PaymentFacts(
            status=intent.status,
            received_micros=micros(intent.amount_received, intent.currency),
            currency=intent.currency,
            livemode=intent.livemode,
            customer_id=id_of(intent.customer),
            card=card_of(intent.payment_method),
            refunded_micros=micros(refunded, intent.currency),
            withdrawn_micros=micros(-sum(amount for amount in moved if amount < 0), intent.currency),
            reinstated_micros=micros(sum(amount for amount in moved if amount > 0), intent.currency),
            disputed=any(dispute.status not in DISPUTES_IN_OUR_FAVOUR for dispute in disputes),
            payment_method_id=id_of(field(intent.payment_method, "id")),
            decline=_decline(intent.last_payment_error),
        )


def _moved(dispute: stripe.Dispute) -> Iterator[int]:
    """What a dispute took (negative) and gave back, in minor units of the payment's currency, fees aside."""
    for moved in dispute.balance_transactions:
        # An account that settles in another currency tells amounts in that: then it was the whole.
        whole = dispute.amount if moved.amount > 0 else -dispute.amount
        yield moved.amount if moved.currency == dispute.currency else whole


def _decline(error: stripe.PaymentIntent.LastPaymentError | None) -> Decline | None:
    if error is None:
        return None
    return Decline(*(safe_word(field(error, name)) for name in ("code", "decline_code", "advice_code")))
