"""Stripe: the only folder that imports its SDK, and the only one in which cents exist.

`account_id` is the connected account that a call is made on, None the platform's own. Every write that a repeat could
double carries an idempotency `key` of ours (https://docs.stripe.com/api/idempotent_requests). Stripe's objects end
here: what leaves this folder is ours, and small. Besides what it names, every call may raise:

    NotFound        the account has nothing under this id
    AccessLost      the connected account does not let us in any more
    OutcomeUnknown  409s, 5xx and lost answers do not say what happened
    Unavailable     Stripe has not begun, or the parameter store is silent, or our key is refused: a person is told
    Conflict        `idempotency_key_reused`; `stripe_refused`, for good, a person is told; `stripe_not_configured`
"""

from chalicelib.domain.payment_facts import AccountFacts, Checkout, Decline, Doorbell, Exchange, PaymentFacts
from chalicelib.gateways.stripe.amounts import minor_unit_micros, minor_units
from chalicelib.gateways.stripe.cards import read_card, read_setup_card
from chalicelib.gateways.stripe.connections import authorize_url, deauthorize, exchange_code, read_account
from chalicelib.gateways.stripe.events import read_event
from chalicelib.gateways.stripe.movements import list_movements
from chalicelib.gateways.stripe.pages import (
    create_customer,
    expire_checkout,
    open_card_setup,
    open_checkout,
    open_portal,
    read_checkout,
)
from chalicelib.gateways.stripe.payments import (
    cancel_payment,
    confirm_payment,
    create_payment,
    create_refund,
    read_payment,
)

__all__ = [
    "AccountFacts",
    "Checkout",
    "Decline",
    "Doorbell",
    "Exchange",
    "PaymentFacts",
    "authorize_url",
    "cancel_payment",
    "confirm_payment",
    "create_customer",
    "create_payment",
    "create_refund",
    "deauthorize",
    "exchange_code",
    "expire_checkout",
    "list_movements",
    "minor_unit_micros",
    "minor_units",
    "open_card_setup",
    "open_checkout",
    "open_portal",
    "read_account",
    "read_card",
    "read_checkout",
    "read_event",
    "read_payment",
    "read_setup_card",
]
