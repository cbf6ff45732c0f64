"""Customers, cards, intents and what comes of them: every field that the SDK's types ask for."""

from typing import Any

from local.pretend_stripe.cards import Card
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj, new_id

NO_ADDRESS: Obj = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
DETAILS: Obj = {"address": NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
CHECKS: Obj = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}
CARD_OPTIONS: Obj = {
    "card": {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
}


def customer(space: Space, params: Obj) -> Obj:
    """Somebody who pays."""
    return {
        **space.common("customer"),
        "address": params.get("address") or None,
        "balance": 0,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": params.get("description") or None,
        "discount": None,
        "email": params.get("email") or None,
        "invoice_prefix": new_id("", 8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "metadata": {},
        "name": params.get("name") or None,
        "next_invoice_sequence": 1,
        "phone": params.get("phone") or None,
        "preferred_locales": params.get("preferred_locales") or [],
        "shipping": params.get("shipping") or None,
        "tax_exempt": params.get("tax_exempt") or "none",
        "test_clock": None,
    }


def payment_method(space: Space, card: Card, *, exp_month: int, exp_year: int, details: Obj | None = None) -> Obj:
    """A card that somebody typed."""
    return {
        **space.common("payment_method"),
        "allow_redisplay": "unspecified",
        "billing_details": {**DETAILS, **(details or {})},
        "card": {
            "brand": card.brand,
            "checks": dict(CHECKS),
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": exp_month,
            "exp_year": exp_year,
            "fingerprint": fingerprint(space, card),
            "funding": "credit",
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "customer": None,
        "customer_account": None,
        "metadata": {},
        "type": "card",
    }


def fingerprint(space: Space, card: Card) -> str:
    """The same for the same card on the same account, as Stripe's."""
    known = space.hidden(f"fingerprints:{space.account_id}")
    return str(known.setdefault(card.token, new_id("", 16)))


def payment_intent(space: Space, params: Obj) -> Obj:
    """Money that shall be taken; `status` is for the caller to say."""
    common = space.common("payment_intent")
    return {
        **common,
        "allowed_payment_method_types": params.get("allowed_payment_method_types"),
        "amount": params["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": space.application,
        "application_fee_amount": None,
        "automatic_payment_methods": automatic(params),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method", "automatic_async"),
        "client_secret": new_id(f"{common['id']}_secret_", 25),
        "confirmation_method": params.get("confirmation_method", "automatic"),
        "currency": params["currency"],
        "customer": params.get("customer"),
        "customer_account": None,
        "description": params.get("description") or None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": CARD_OPTIONS,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": params.get("receipt_email"),
        "review": None,
        "setup_future_usage": params.get("setup_future_usage"),
        "shipping": params.get("shipping"),
        "source": None,
        "statement_descriptor": params.get("statement_descriptor"),
        "statement_descriptor_suffix": params.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": params.get("transfer_group"),
    }


def automatic(params: Obj) -> Obj:
    """How the payment methods are chosen."""
    asked = params.get("automatic_payment_methods") or {}
    return {"allow_redirects": asked.get("allow_redirects", "always"), "enabled": asked.get("enabled", True)}


def setup_intent(space: Space, params: Obj) -> Obj:
    """A card that shall be kept."""
    common = space.common("setup_intent")
    return {
        **common,
        "application": space.application,
        "automatic_payment_methods": automatic(params),
        "cancellation_reason": None,
        "client_secret": new_id(f"{common['id']}_secret_", 25),
        "customer": params.get("customer"),
        "customer_account": None,
        "description": params.get("description") or None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"mandate_options": None, "network": None}},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }


def charge(space: Space, intent: Obj, method: Obj, outcome: Obj) -> Obj:
    """One attempt to take money, good or bad."""
    common = space.common("charge")
    good = outcome["type"] == "authorized"
    return {
        **common,
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": space.application,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": dict(method["billing_details"]),
        "calculated_statement_descriptor": "SIMULATED",
        "captured": False,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": outcome,
        "paid": good,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_of_charge(method["card"], intent["amount"]), "type": "card"},
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"{space.core.url}/receipts/{common['id']}" if good else None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded" if good else "failed",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def _card_of_charge(card: Obj, amount: int) -> Obj:
    unavailable = {"status": "unavailable"}
    return {
        "amount_authorized": amount,
        "authorization_code": None,
        "brand": card["brand"],
        "checks": dict(card["checks"]),
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": unavailable,
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": unavailable,
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "wallet": None,
    }


def balance_transaction(space: Space, kind: str, source: Obj, amount: int, fee: int, category: str = "") -> Obj:
    """Money that moved on the account."""
    common = space.common("balance_transaction")
    del common["livemode"]
    details: list[Any] = []
    if fee:
        described = "Dispute fee" if kind == "adjustment" else "Stripe processing fees"
        values = {"amount": fee, "application": None, "currency": source["currency"]}
        details = [{**values, "description": described, "type": "stripe_fee"}]
    return {
        **common,
        "amount": amount,
        "available_on": space.now() + 2 * 86_400,
        "balance_type": "payments",
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details,
        "net": amount - fee,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "pending",
        "type": kind,
    }


def refund(space: Space, paid: Obj, amount: int, params: Obj) -> Obj:
    """Money that goes back."""
    common = space.common("refund")
    del common["livemode"]
    details = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
    return {
        **common,
        "amount": amount,
        "balance_transaction": None,
        "charge": paid["id"],
        "currency": paid["currency"],
        "customer": None,
        "customer_account": None,
        "destination_details": {"card": details, "type": "card"},
        "metadata": {name: value for name, value in (params.get("metadata") or {}).items() if value != ""},
        "payment_intent": paid["payment_intent"],
        "payment_method": paid["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending",
        "transfer_reversal": None,
    }
