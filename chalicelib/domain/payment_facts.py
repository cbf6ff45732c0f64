"""What Stripe says of accounts, pages and payments, in our words and in micros; `gateways/stripe` fills it in."""

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
class Decline:
    """Why the last attempt to take the money failed, in Stripe's words for programs; what it left out is empty.

    `decline_code` is the bank's reason, `advice_code` whether to try again: https://docs.stripe.com/declines/codes
    """

    code: str
    decline_code: str
    advice_code: str


@dataclass(frozen=True)
class PaymentFacts:
    """What Stripe says of one PaymentIntent now: what came in, and what went back, in micros.

    `payment_method_id` is what it is paid with, or is to be; a decline takes it away.
    """

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
    payment_method_id: str | None = None
    decline: Decline | None = None


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
