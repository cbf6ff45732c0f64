"""`/v1/checkout/sessions`: the page on which a person pays, or leaves a card."""

from typing import Any
from urllib.parse import urlsplit

from local.pretend_stripe import lists, objects
from local.pretend_stripe.currencies import check_amount, check_currency
from local.pretend_stripe.errors import missing, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj, copied

DAY = 86_400
SHORTEST = 1800
_TEXTS = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
_AS_ASKED = (
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer",
    "customer_email",
    "locale",
    "mode",
    "submit_type",
    "success_url",
)
_ALWAYS: Obj = {
    "after_expiration": None,
    "allow_promotion_codes": None,
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "currency_conversion": None,
    "custom_fields": [],
    "customer_account": None,
    "invoice": None,
    "invoice_creation": None,
    "origin_context": None,
    "payment_intent": None,
    "payment_link": None,
    "payment_method_configuration_details": None,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "payment_method_types": ["card"],
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "status": "open",
    "subscription": None,
    "ui_mode": "hosted_page",
    "url": None,
    "wallet_options": None,
}


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/checkout/sessions."""
    mode = _mode(params)
    _check_urls(params)
    if "customer" in params and "customer_email" in params:
        text = "You may only specify one of these parameters: customer, customer_email."
        raise refusal(text, code="parameters_exclusive", kept=False)
    if "customer" in params:
        space.get("customer", params["customer"], param="customer", status=400)
    items = _line_items(space, params) if mode == "payment" else []
    asked = check_currency(params["currency"]) if "currency" in params else None
    currency = str(items[0]["currency"]) if items else asked
    total = sum(item["amount_total"] for item in items)
    if items:
        check_amount(total, str(currency), "line_items")
    made = _session(space, params, currency, total if items else None)
    made["metadata"] = dict(params.get("metadata") or {})
    kept = {name: params.get(name) or {} for name in ("payment_intent_data", "setup_intent_data")}
    space.hidden(made["id"]).update(kept, line_items=items)
    made["url"] = f"{space.core.url}/c/pay/{made['id']}"
    space.core.later(space, "expire_session", made["id"], made["expires_at"] - space.now())
    return space.put(made)


def _mode(params: Obj) -> str:
    if "mode" not in params:
        raise missing("mode")
    mode = str(params["mode"])
    if mode == "subscription":
        raise refusal("The pretend Stripe has no subscriptions.", param="mode", kept=False)
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise refusal("The pretend Stripe has hosted pages only.", param="ui_mode", kept=False)
    for name, other in (("payment_intent_data", "setup"), ("setup_intent_data", "payment"), ("line_items", "setup")):
        if name in params and mode == other:
            raise refusal(f"You can not pass `{name}` in `{mode}` mode.", param=name, kept=False)
    if mode == "setup" and not params.get("allowed_payment_method_types") and "currency" not in params:
        raise missing("currency")
    return mode


def _check_urls(params: Obj) -> None:
    if "success_url" not in params:
        raise missing("success_url")
    for name in ("success_url", "cancel_url"):
        if name in params:
            check_url(params[name], name)


def check_url(url: str, param: str) -> None:
    """Let addresses through that a browser can be sent to.

    Raises:
        Refused: this is none.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        good = False
    if not good or len(url) > 5000:
        raise refusal("Not a valid URL", param=param, code="url_invalid", kept=False)


def _line_items(space: Space, params: Obj) -> list[Obj]:
    if not params.get("line_items"):
        raise missing("line_items")
    return [_line_item(space, item, f"line_items[{place}]") for place, item in enumerate(params["line_items"])]


def _line_item(space: Space, item: Obj, name: str) -> Obj:
    if "price" in item:
        raise refusal(f"No such price: '{item['price']}'", param=f"{name}[price]", code="resource_missing")
    if "price_data" not in item:
        raise missing(f"{name}[price_data]")
    price = item["price_data"]
    if "unit_amount" not in price:
        raise missing(f"{name}[price_data][unit_amount]")
    if "product_data" not in price:
        raise missing(f"{name}[price_data][product_data]")
    currency = check_currency(price["currency"], f"{name}[price_data][currency]")
    quantity = item.get("quantity", 1)
    total = price["unit_amount"] * quantity
    made: Obj = {
        "id": space.new_id("item"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": price["product_data"]["name"],
        "metadata": dict(item.get("metadata") or {}),
        "quantity": quantity,
    }
    made["price"] = _price(space, currency, price["unit_amount"])
    return made


def _price(space: Space, currency: str, unit_amount: int) -> Obj:
    return {
        **space.common("price"),
        "active": False,
        "billing_scheme": "per_unit",
        "currency": currency,
        "custom_unit_amount": None,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": space.new_id("product"),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def _session(space: Space, params: Obj, currency: str | None, total: int | None) -> Obj:
    expires_at = params.get("expires_at", space.now() + DAY)
    if not space.now() + SHORTEST - 60 <= expires_at <= space.now() + DAY:
        text = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise refusal(text, param="expires_at", kept=False)
    payment = params["mode"] == "payment"
    return {
        **space.common("checkout.session"),
        **copied(_ALWAYS),
        **{name: params.get(name) for name in _AS_ASKED},
        "adaptive_pricing": {"enabled": False} if payment else None,
        "amount_subtotal": total,
        "amount_total": total,
        "consent_collection": _consent_collection(params),
        "currency": currency,
        "custom_text": _texts(params),
        "customer_creation": params.get("customer_creation", _creation(params)),
        "customer_details": _details(space, params),
        "discounts": [] if payment else None,
        "expires_at": expires_at,
        "payment_method_collection": "if_required" if payment else "always",
        "payment_status": "unpaid" if payment else "no_payment_required",
        "saved_payment_method_options": _saved_options(params),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if payment else None,
    }


def _texts(params: Obj) -> Obj:
    given = params.get("custom_text") or {}
    return {name: given.get(name) or None for name in _TEXTS}


def _creation(params: Obj) -> str | None:
    return "if_required" if params["mode"] == "payment" and "customer" not in params else None


def _consent_collection(params: Obj) -> Any:
    asked = params.get("consent_collection")
    if not asked:
        return None
    return {"payment_method_reuse_agreement": None, "promotions": "none", "terms_of_service": "none", **asked}


def _saved_options(params: Obj) -> Any:
    asked = params.get("saved_payment_method_options")
    if params["mode"] == "setup" or (not asked and "customer" not in params):
        return None
    usual = {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None}
    return {**usual, **(asked or {})}


def _details(space: Space, params: Obj) -> Any:
    customer = space.find("customer", params.get("customer") or "") or {}
    email = customer.get("email") or params.get("customer_email")
    if not customer and not email:
        return None
    return customer_details(email, customer.get("name"))


def customer_details(email: str | None, name: str | None) -> Obj:
    """Who stands on the page."""
    return {
        "address": dict(objects.NO_ADDRESS),
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def retrieve(space: Space, params: Obj, session_id: str) -> Obj:
    """GET /v1/checkout/sessions/{id}."""
    return space.get("checkout.session", session_id, param="session")


def expire(space: Space, params: Obj, session_id: str) -> Obj:
    """POST /v1/checkout/sessions/{id}/expire."""
    session = space.get("checkout.session", session_id, param="session")
    if session["status"] != "open":
        text = 'Only Checkout Sessions with a status in ["open"] can be expired. '
        raise refusal(text + f"This Checkout Session has a status of {session['status']}.", param="session")
    end(space, session_id)
    return session


def end(space: Space, session_id: str) -> None:
    """Nobody has paid in time."""
    session = space.get("checkout.session", session_id)
    if session["status"] == "open":
        session.update(status="expired", url=None)
        _cancel_intent(space, session)
        space.emit("checkout.session.expired", session)


def _cancel_intent(space: Space, session: Obj) -> None:
    for kind in ("payment_intent", "setup_intent"):
        intent = space.find(kind, session[kind] or "")
        if intent and intent["status"] not in ("succeeded", "canceled", "processing"):
            intent.update(status="canceled", next_action=None)
            if kind == "payment_intent":
                intent.update(canceled_at=space.now(), cancellation_reason="automatic")
            space.emit(f"{kind}.canceled", intent)


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/checkout/sessions."""
    names = ("payment_intent", "customer", "status", "subscription", "payment_link")
    return lists.listing(space, "checkout.session", params, "/v1/checkout/sessions", *names)


def list_items(space: Space, params: Obj, session_id: str) -> Obj:
    """GET /v1/checkout/sessions/{id}/line_items."""
    session = space.get("checkout.session", session_id, param="session")
    items = space.hidden(session["id"]).get("line_items", [])
    return lists.page(items, params, f"/v1/checkout/sessions/{session_id}/line_items", "item")
