"""Saved cards."""

import stripe

from chalicelib.domain.payments import Card
from chalicelib.gateways.stripe.client import client, field, on, ours


def read_setup_card(account_id: str | None, setup_intent_id: str) -> Card | None:
    """The card that a person has left; None as long as there is none."""
    with ours():
        intent = client().v1.setup_intents.retrieve(setup_intent_id, {"expand": ["payment_method"]}, on(account_id))
        return card_of(intent.payment_method) if intent.status == "succeeded" else None


def read_card(account_id: str | None, payment_method_id: str) -> Card | None:
    """A saved card as it is now, for banks replace them; None once it has been removed from its customer."""
    with ours():
        method = client().v1.payment_methods.retrieve(payment_method_id, options=on(account_id))
        return card_of(method) if method.customer else None


def card_of(method: stripe.PaymentMethod | str | None) -> Card | None:
    """The card in a whole payment method of Stripe's; None if it is none, or not whole."""
    if not isinstance(method, stripe.PaymentMethod) or (card := field(method, "card")) is None:
        return None
    return Card(method.id, card.brand, card.last4, card.exp_month, card.exp_year)
