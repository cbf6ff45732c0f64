"""What happens when money is asked of a card: it is paid, declined, held up, or somebody has to authenticate."""

from local.pretend_stripe import disputes, objects, payment_methods
from local.pretend_stripe.cards import EXPIRED, NEEDS_AUTHENTICATION, Card, Decline, needs_authentication
from local.pretend_stripe.currencies import fee_of
from local.pretend_stripe.errors import Refused, card_error, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj, copied

_DISABLED = "Your account cannot currently make charges: the pretend account has charges_enabled set to false."
_AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again.",
)


def attempt(space: Space, intent: Obj, method: Obj, *, off_session: bool, authenticated: bool = False) -> None:
    """Ask the card for the intent's amount.

    Raises:
        Refused: the card was declined; the intent says why.
    """
    if not space.account["charges_enabled"]:
        raise refusal(_DISABLED)
    payment_methods.check_unused(space, method)
    card = payment_methods.behaviour(space, method)
    intent["payment_method"] = method["id"]
    intent["last_payment_error"] = None
    wanted = not authenticated and needs_authentication(card, space.hidden(method["id"]), off_session=off_session)
    if wanted and off_session:
        code = space.core.authentication_code
        variant = Decline(code, NEEDS_AUTHENTICATION.message, NEEDS_AUTHENTICATION.decline_code)
        raise _declined(space, intent, method, variant)
    if wanted:
        _ask_to_authenticate(space, intent)
        return
    decline = _decline(space, card, method)
    if decline:
        raise _declined(space, intent, method, decline)
    if space.core.payments_to_hold > 0:
        space.core.payments_to_hold -= 1
        intent.update(status="processing", next_action=None, processing=None)
        space.hidden(intent["id"])["authenticated"] = authenticated
        space.emit("payment_intent.processing", intent)
        return
    _paid(space, intent, method, card, authenticated=authenticated)


def _decline(space: Space, card: Card, method: Obj) -> Decline | None:
    if payment_methods.has_expired(space, method):
        return EXPIRED
    return card.pay or card.attach


def _ask_to_authenticate(space: Space, intent: Obj) -> None:
    return_url = space.hidden(intent["id"]).get("return_url")
    page = f"{space.core.url}/authenticate/{intent['id']}"
    action: Obj = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page}}
    if return_url:
        action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
    intent.update(status="requires_action", next_action=action)
    space.emit("payment_intent.requires_action", intent)


def authenticate(space: Space, intent: Obj, *, succeeds: bool) -> None:
    """The card's owner has been asked, and has answered.

    Raises:
        Refused: the answer was no, or the bank says no after it.
    """
    if intent["status"] != "requires_action":
        raise refusal("This payment does not wait for authentication.", code="payment_intent_unexpected_state")
    method = space.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if succeeds:
        attempt(space, intent, method, off_session=False, authenticated=True)
        return
    raise _declined(space, intent, method, _AUTHENTICATION_FAILED, charged=False)


def _paid(space: Space, intent: Obj, method: Obj, card: Card, *, authenticated: bool) -> None:
    outcome = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 11,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    made = space.put(objects.charge(space, intent, method, outcome))
    intent.update(latest_charge=made["id"], next_action=None)
    _keep_card(space, intent, method, authenticated=authenticated)
    if intent["capture_method"] == "manual":
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        space.emit("payment_intent.amount_capturable_updated", intent)
        return
    capture(space, intent, made)
    _aftermath(space, made, card)


def capture(space: Space, intent: Obj, made: Obj) -> None:
    """Take the money."""
    amount = intent["amount"]
    fee = fee_of(amount, intent["currency"])
    moved = space.put(objects.balance_transaction(space, "charge", made, amount, fee))
    made.update(captured=True, amount_captured=amount, balance_transaction=moved["id"])
    intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
    space.emit("charge.succeeded", made)
    space.emit("payment_intent.succeeded", intent)


def _keep_card(space: Space, intent: Obj, method: Obj, *, authenticated: bool) -> None:
    if method["customer"] is None and not intent["setup_future_usage"]:
        space.hidden(method["id"])["used_up"] = True
    if intent["setup_future_usage"] and intent["customer"]:
        if method["customer"] is None:
            payment_methods.give_to(space, method, intent["customer"])
        if authenticated and intent["setup_future_usage"] == "off_session":
            space.hidden(method["id"])["set_up"] = True


def _aftermath(space: Space, made: Obj, card: Card) -> None:
    """What some test cards do after the payment: disputes and warnings."""
    for _ in range(card.disputes):
        disputes.open_dispute(space, made, reason=card.dispute or "general", inquiry=card.inquiry)
    if card.warning:
        warning = {
            **space.common("radar.early_fraud_warning"),
            "actionable": True,
            "charge": made["id"],
            "fraud_type": "misc",
            "payment_intent": made["payment_intent"],
        }
        space.emit("radar.early_fraud_warning.created", space.put(warning))


def _declined(space: Space, intent: Obj, method: Obj, decline: Decline, *, charged: bool = True) -> Refused:
    """Write the decline down, and make the 402 that tells of it."""
    body: Obj = {**payment_methods.decline_body(decline), "type": "card_error"}
    body["doc_url"] = f"https://docs.stripe.com/error-codes/{decline.code.replace('_', '-')}"
    if charged:
        made = space.put(objects.charge(space, intent, method, _outcome(decline)))
        made.update(failure_code=decline.code, failure_message=decline.message)
        intent["latest_charge"] = body["charge"] = made["id"]
        space.emit("charge.failed", made)
    if method["customer"] is None:
        space.hidden(method["id"])["used_up"] = True
    error = {**body, "payment_method": copied(method)}
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error=error,
        processing=None,
    )
    space.emit("payment_intent.payment_failed", intent)
    return card_error({**body, "payment_intent": intent, "payment_method": method})


def _outcome(decline: Decline) -> Obj:
    return {
        "advice_code": decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": None if decline.blocked else "01",
        "network_status": "not_sent_to_network" if decline.blocked else "declined_by_network",
        "reason": "highest_risk_level" if decline.blocked else decline.decline_code or decline.code,
        "risk_level": "highest" if decline.blocked else "normal",
        "risk_score": 95 if decline.blocked else 11,
        "seller_message": "Stripe blocked this payment." if decline.blocked else "The bank declined the payment.",
        "type": "blocked" if decline.blocked else "issuer_declined",
    }


def finish(space: Space, intent: Obj, *, succeeds: bool) -> None:
    """End a payment that was held up in `processing`."""
    if intent["status"] != "processing":
        raise refusal("This payment is not processing.", code="payment_intent_unexpected_state")
    method = space.get("payment_method", intent["payment_method"])
    card = payment_methods.behaviour(space, method)
    if succeeds:
        hidden = space.hidden(intent["id"])
        _paid(space, intent, method, card, authenticated=bool(hidden.get("authenticated")))
    else:
        generic = Decline("card_declined", "Your card was declined.", "generic_decline")
        _declined(space, intent, method, generic)
