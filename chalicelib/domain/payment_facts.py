"""What Stripe says of accounts, pages and payments, in our words and in micros; `gateways/stripe.py` fills it in."""

from dataclasses import dataclass

from chalicelib.domain.payments import Card


@dataclass(frozen=True)
class Exchange:
    """What an OAuth code was worth. The tokens that come with it are not kept: our own key opens the account."""

    account_id: str
    livemode: bool
    scope: str


@dataclass(frozen=True)
class Checkout:
    """A Checkout session: `status` is `open`, `complete` or `expired`."""

    id: str
    url: str | None
    status: str
    payment_intent_id: str | None
    setup_intent_id: str | None
    livemode: bool


@dataclass(frozen=True)
class PaymentFacts:
    """What Stripe says of one PaymentIntent now: what came in, and what went back, in micros."""

    status: str
    received_micros: int
    currency: str
    livemode: bool
    customer_id: str | None
    card: Card | None
    refunded_micros: int
    withdrawn_micros: int
    reinstated_micros: int
    disputed: bool


@dataclass(frozen=True)
class AccountFacts:
    """A connected account as it is now."""

    id: str
    name: str
    charges_enabled: bool


@dataclass(frozen=True)
class Doorbell:
    """A verified event. It only says where to look, nothing in it is believed. `object_id` is empty if it has none."""

    id: str
    type: str
    account_id: str | None
    livemode: bool
    object_id: str
    payment_intent_id: str | None
    reference: str | None = None  # what it claims to be of ours; anybody can write that
