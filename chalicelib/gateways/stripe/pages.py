"""Customers, and Stripe's own pages on which they pay or leave a card: Checkout and the portal."""

from typing import TypedDict, Unpack

import stripe

from chalicelib.domain.payment_facts import Checkout
from chalicelib.gateways.stripe.amounts import minor_units
from chalicelib.gateways.stripe.client import client, id_of, on, ours

CONSENT = "Your card will be saved and may be used for later automatic refills, if they are switched on."
_SessionParams = stripe.params.checkout.SessionCreateParams


class Page(TypedDict):
    """What every Checkout page is told. `reference` is our own id of what the page is for."""

    customer_id: str
    reference: str
    success_url: str
    cancel_url: str


def create_customer(account_id: str | None, *, owner_id: str, name: str, key: str) -> str:
    """The id of a new customer for a wallet's owner. Under one `key`, `name` must stay what it was."""
    with ours():
        return client().v1.customers.create({"name": name, "metadata": {"rebill": owner_id}}, on(account_id, key)).id


def open_checkout(
    account_id: str | None, *, amount_micros: int, currency: str, description: str, key: str, **page: Unpack[Page]
) -> Checkout:
    """A page on which a person pays once, and leaves the card for later. Raises `Invalid` for the amount as well."""
    with ours():
        price: stripe.params.checkout.SessionCreateParamsLineItemPriceData = {
            "currency": currency,
            "unit_amount": minor_units(amount_micros, currency),
            "product_data": {"name": description},
        }
        params: _SessionParams = {
            **_page(page),
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "payment_intent_data": {
                "setup_future_usage": "off_session",
                "description": description,
                "metadata": {"rebill": page["reference"]},
            },
            "adaptive_pricing": {"enabled": False},  # the payer's own currency is not the wallet's
        }
        return _checkout(client().v1.checkout.sessions.create(params, on(account_id, key)))


def open_card_setup(account_id: str | None, *, currency: str, key: str, **page: Unpack[Page]) -> Checkout:
    """A page on which a person leaves a card, and pays nothing."""
    with ours():
        params: _SessionParams = {**_page(page), "mode": "setup", "currency": currency}
        return _checkout(client().v1.checkout.sessions.create(params, on(account_id, key)))


def _page(page: Page) -> _SessionParams:
    """What both pages tell Stripe. Nothing depends on the time: a repeat under the same key must say the same."""
    return {
        "customer": page["customer_id"],
        "client_reference_id": page["reference"],
        "allowed_payment_method_types": ["card"],  # others take days to arrive, or cannot be used again
        "custom_text": {"submit": {"message": CONSENT}},
        "success_url": page["success_url"],
        "cancel_url": page["cancel_url"],
    }


def read_checkout(account_id: str | None, session_id: str) -> Checkout:
    """A Checkout session as it is now."""
    with ours():
        return _checkout(client().v1.checkout.sessions.retrieve(session_id, options=on(account_id)))


def expire_checkout(account_id: str | None, session_id: str) -> bool:
    """Close a Checkout page. Says whether nobody can pay there now; False where somebody has, in the meantime."""
    with ours():
        sessions = client().v1.checkout.sessions
        try:
            return sessions.expire(session_id, options=on(account_id)).status == "expired"
        except stripe.InvalidRequestError:  # it is not open any more, or not there
            return sessions.retrieve(session_id, options=on(account_id)).status == "expired"


def open_portal(account_id: str | None, customer_id: str, return_url: str) -> str:
    """The address of Stripe's page for a customer's cards and receipts; it is short-lived, so each call makes one."""
    with ours():
        params: stripe.params.billing_portal.SessionCreateParams = {"customer": customer_id, "return_url": return_url}
        return client().v1.billing_portal.sessions.create(params, on(account_id)).url


def _checkout(session: stripe.checkout.Session) -> Checkout:
    payment, setup = id_of(session.payment_intent), id_of(session.setup_intent)
    return Checkout(session.id, session.url, str(session.status), payment, setup, session.livemode)
