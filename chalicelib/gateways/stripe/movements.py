"""Money that moved on an account because of payments, as the account's own books list it."""

from collections.abc import Iterator

import stripe

from chalicelib.domain.reconcile import Movement
from chalicelib.gateways.stripe.amounts import micros
from chalicelib.gateways.stripe.client import client, field, id_of, on, ours

PAGE = 100
# Fees, payouts, transfers and reserves have sources of other kinds: they are no payments, and are passed over.
# https://docs.stripe.com/reports/balance-transaction-types
CAME_IN = ("charge", "payment")


def list_movements(account_id: str | None, since_ms: int, until_ms: int) -> Iterator[Movement]:
    """Payments, refunds and disputes that an account booked from a moment until another, the newest first.

    Amounts are those of the payment itself: an account that settles in another currency books them in that.
    """
    with ours():
        params: stripe.params.BalanceTransactionListParams = {
            "created": {"gte": since_ms // 1000, "lt": -(-until_ms // 1000)},
            "expand": ["data.source"],
            "limit": PAGE,
        }
        for booked in client().v1.balance_transactions.list(params, on(account_id)).auto_paging_iter():
            movement = _movement(account_id, booked)
            if movement is not None:
                yield movement


def _movement(account_id: str | None, booked: stripe.BalanceTransaction) -> Movement | None:
    source = booked.source
    payment_intent_id = id_of(field(source, "payment_intent"))
    if payment_intent_id is None or not isinstance(source, stripe.Charge | stripe.Refund | stripe.Dispute):
        return None
    is_back = booked.type not in CAME_IN
    paid = source if isinstance(source, stripe.Charge) else None
    return Movement(
        account_id=account_id,
        payment_intent_id=payment_intent_id,
        is_back=is_back,
        amount_micros=micros(source.amount, source.currency),
        currency=source.currency,
        at_ms=booked.created * 1000,
        mark=id_of(field(paid, "metadata", "rebill")),
        customer_id=id_of(field(paid, "customer")),
        refunded_micros=micros(paid.amount_refunded, paid.currency) if paid else 0,
    )
