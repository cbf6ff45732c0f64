"""What the tests do again and again: a customer, a card, a payment, a Checkout page."""

from dataclasses import dataclass
from typing import Any

from stripe import Customer, PaymentIntent, PaymentMethod, StripeClient
from stripe.checkout import Session

from local.pretend_stripe import PretendStripe

BRIGHT = "acct_1PretendBrightVoice"
NORTH = "acct_1PretendNorthCalls"
LIVE = "acct_1PretendQuayStudio"
INACTIVE = "acct_1PretendHarbourDesk"
NO_REDIRECTS: Any = {"enabled": True, "allow_redirects": "never"}
SUCCESS = "http://127.0.0.1:1/back?session={CHECKOUT_SESSION_ID}"


@dataclass
class Shop:
    """One account, and somebody who pays there."""

    pretend: PretendStripe
    client: StripeClient

    def customer(self, **params: Any) -> Customer:
        return self.client.v1.customers.create({"email": "pat@client.example", **params})

    def card(self, token: str = "pm_card_visa", customer: str | None = None) -> PaymentMethod:
        owner = customer or self.customer().id
        return self.client.v1.payment_methods.attach(token, {"customer": owner})

    def intent(self, card: PaymentMethod | None = None, **params: Any) -> PaymentIntent:
        values: dict[str, Any] = {"amount": 5000, "currency": "usd", "automatic_payment_methods": NO_REDIRECTS}
        if card:
            values |= {"customer": card.customer, "payment_method": card.id}
        return self.client.v1.payment_intents.create({**values, **params})

    def paid(self, token: str = "pm_card_visa", **params: Any) -> PaymentIntent:
        return self.intent(self.card(token), confirm=True, off_session=True, **params)

    def checkout(self, **params: Any) -> Session:
        values: dict[str, Any] = {
            "mode": "payment",
            "success_url": SUCCESS,
            "cancel_url": "http://127.0.0.1:1/away",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "usd", "unit_amount": 5000, "product_data": {"name": "Balance"}},
                }
            ],
        }
        return self.client.v1.checkout.sessions.create({**values, **params})

    def save_card(self, **params: Any) -> Session:
        values: dict[str, Any] = {"mode": "setup", "currency": "usd", "success_url": SUCCESS}
        return self.client.v1.checkout.sessions.create({**values, **params})

    def events(self) -> list[str]:
        """The types of all events, oldest first."""
        found = self.client.v1.events.list({"limit": 100}).auto_paging_iter()
        return [event.type for event in found][::-1]


def typed(number: str = "4242 4242 4242 4242", **more: str) -> dict[str, str]:
    """The Checkout form."""
    return {"number": number, "expiry": "12 / 40", "cvc": "123", "email": "pat@client.example", **more}
