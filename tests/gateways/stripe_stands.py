"""The two stands on which the Stripe gateway is tested: the pretend Stripe, and Stripe's own test mode.

For test mode, set `STRIPE_TEST_KEY` to a test-mode secret key, and `STRIPE_TEST_ACCOUNT` as well to act on a connected
account. Nothing is cleaned up there: everything has a name of its own.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import stripe
from stripe import PaymentIntent, StripeClient

from chalicelib.gateways import stripe as gateway
from chalicelib.gateways.stripe import client
from chalicelib.settings import STRIPE_API, STRIPE_CONNECT, StripeSettings
from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.people import BRIGHT

TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")
WEBHOOK_SECRET, CONNECT_SECRET = "whsec_of_the_platform", "whsec_of_the_agencies"
BACK, AWAY = "https://rebill.example.com/back", "https://rebill.example.com/away"


def settings_of(server: PretendStripe, secret_key: str = "") -> StripeSettings:
    """The settings of a stage whose Stripe is the pretend one."""
    key = secret_key or server.platform_key
    return StripeSettings(key, server.client_id, WEBHOOK_SECRET, CONNECT_SECRET, server.url, server.url)


def use(settings: StripeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gateway find these settings, and not wait between its tries."""
    monkeypatch.setattr(client, "stripe_settings", lambda: settings)
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.0)


@dataclass(frozen=True)
class Stand:
    """An account at Stripe: `account_id` None is the platform's own."""

    account_id: str | None
    settings: StripeSettings

    @property
    def sdk(self) -> StripeClient:
        """Stripe as its own SDK sees it, for what the gateway does not do."""
        addresses: Any = {"api": self.settings.api_address}
        account = self.account_id
        return StripeClient(self.settings.secret_key, base_addresses=addresses, stripe_account=account)

    def new_key(self) -> str:
        """An idempotency key that nobody has used."""
        return f"test:{uuid4()}"

    def customer(self) -> str:
        """A customer, made by the gateway."""
        return gateway.create_customer(self.account_id, owner_id="sa_test", name="Pat's Dentists", key=self.new_key())

    def checkout(self, customer_id: str, key: str, **changed: Any) -> gateway.Checkout:
        """A Checkout page for 50 usd."""
        asked: dict[str, Any] = {
            "amount_micros": 50_000_000,
            "currency": "usd",
            "description": "Balance of 50.00 USD",
            "customer_id": customer_id,
            "reference": "top_test",
            "success_url": BACK,
            "cancel_url": AWAY,
        }
        return gateway.open_checkout(self.account_id, key=key, **{**asked, **changed})

    def saved_card(self, token: str = "pm_card_visa") -> tuple[str, str]:
        """A customer with a saved card: the ids of both."""
        customer_id = self.customer()
        return customer_id, self.sdk.v1.payment_methods.attach(token, {"customer": customer_id}).id

    def unconfirmed(self, saved: tuple[str, str], key: str = "", **changed: Any) -> str:
        """A payment of 50 usd with a saved card, made by the gateway; its id."""
        asked: dict[str, Any] = {
            "customer_id": saved[0],
            "payment_method_id": saved[1],
            "amount_micros": 50_000_000,
            "currency": "usd",
            "description": "Automatic refill",
            "reference": "rfl_test",
        }
        return gateway.create_payment(self.account_id, key=key or self.new_key(), **{**asked, **changed})

    def confirm(self, payment_id: str, key: str = "") -> gateway.PaymentFacts:
        """Confirm a payment by the gateway, and what it reads afterwards."""
        gateway.confirm_payment(self.account_id, payment_id, key=key or self.new_key())
        return gateway.read_payment(self.account_id, payment_id)

    def attempts(self, payment_id: str) -> list[str]:
        """Every attempt to take a payment's money, as Stripe shows it to the account's owner."""
        return [each.status for each in self.sdk.v1.charges.list({"payment_intent": payment_id}).data]

    def paid(self, token: str = "pm_card_visa", amount: int = 5000, currency: str = "usd") -> PaymentIntent:
        """A payment with one of Stripe's test cards, saved for later."""
        methods: Any = {"enabled": True, "allow_redirects": "never"}
        return self.sdk.v1.payment_intents.create(
            {
                "amount": amount,
                "currency": currency,
                "customer": self.customer(),
                "payment_method": token,
                "automatic_payment_methods": methods,
                "setup_future_usage": "off_session",
                "confirm": True,
            }
        )

    def refund(self, payment: PaymentIntent, amount: int | None = None) -> None:
        """Give money back, all that is left or an amount."""
        part: Any = {} if amount is None else {"amount": amount}
        self.sdk.v1.refunds.create({"payment_intent": payment.id, **part})

    def facts(self, payment: PaymentIntent) -> gateway.PaymentFacts:
        """What the gateway reads."""
        return gateway.read_payment(self.account_id, payment.id)


def stands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """The stand that the parameter names."""
    if request.param == "test mode":
        if not TEST_KEY.startswith(("sk_test_", "rk_test_")):
            raise ValueError("STRIPE_TEST_KEY must be a key of test mode.")
        known = StripeSettings(TEST_KEY, "ca_none", "whsec_none", "whsec_none", STRIPE_API, STRIPE_CONNECT)
        use(known, monkeypatch)
        yield Stand(os.environ.get("STRIPE_TEST_ACCOUNT") or None, known)
        return
    with PretendStripe() as server:
        use(settings_of(server), monkeypatch)
        server.control.connect(BRIGHT)
        yield Stand(BRIGHT if "connected" in request.param else None, settings_of(server))


STANDS = [
    "pretend, own account",
    "pretend, connected account",
    *([pytest.param("test mode", marks=pytest.mark.enable_socket)] if TEST_KEY else []),
]
