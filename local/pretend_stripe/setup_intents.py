"""`/v1/setup_intents`: cards that are kept without a payment."""

from local.pretend_stripe import lists, objects, payment_methods
from local.pretend_stripe.cards import Decline, needs_authentication
from local.pretend_stripe.errors import Refused, card_error, refusal
from local.pretend_stripe.payment_intents import check_return_url
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj, copied

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_AUTHENTICATION_FAILED = Decline(
    "setup_intent_authentication_failure",
    "The latest attempt to set up the payment method has failed because authentication failed.",
)


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/setup_intents."""
    if "customer" in params:
        space.get("customer", params["customer"], param="customer", status=400)
    made = objects.setup_intent(space, params)
    lists.merge_metadata(made, params)
    space.hidden(made["id"])["card_only"] = params.get("allowed_payment_method_types") == ["card"]
    if params.get("payment_method"):
        made["payment_method"] = payment_methods.resolve(space, params["payment_method"])["id"]
        made["status"] = "requires_confirmation"
    if params.get("confirm"):
        check_return_url(space, made, params)
    space.put(made)
    space.emit("setup_intent.created", made)
    if params.get("confirm"):
        return confirm(space, {k: v for k, v in params.items() if k != "payment_method"}, made["id"])
    return made


def retrieve(space: Space, params: Obj, intent_id: str) -> Obj:
    """GET /v1/setup_intents/{id}."""
    return space.get("setup_intent", intent_id, param="intent")


def update(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/setup_intents/{id}."""
    intent = space.get("setup_intent", intent_id, param="intent")
    lists.merge_metadata(intent, params)
    if params.get("payment_method") and intent["status"] in OPEN:
        intent["payment_method"] = payment_methods.resolve(space, params["payment_method"])["id"]
        intent["status"] = "requires_confirmation"
    return intent


def confirm(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/setup_intents/{id}/confirm: the owner is there, so authentication can be asked for."""
    intent = space.get("setup_intent", intent_id, param="intent")
    if intent["status"] not in OPEN:
        raise _unexpected(f"You cannot confirm this SetupIntent because it has a status of {intent['status']}.", intent)
    check_return_url(space, intent, params)
    if params.get("payment_method"):
        intent["payment_method"] = payment_methods.resolve(space, params["payment_method"])["id"]
    if intent["payment_method"] is None:
        raise _unexpected("You cannot confirm this SetupIntent because it's missing a payment method.", intent)
    method = space.get("payment_method", intent["payment_method"])
    payment_methods.check_unused(space, method)
    if method["customer"] not in (None, intent["customer"]):
        raise refusal("The payment method you provided has already been attached to a customer.")
    attempt(space, intent, method)
    return intent


def attempt(space: Space, intent: Obj, method: Obj, *, authenticated: bool = False) -> None:
    """Set the card up.

    Raises:
        Refused: the bank says no.
    """
    card = payment_methods.behaviour(space, method)
    intent.update(payment_method=method["id"], last_setup_error=None)
    if not authenticated and needs_authentication(card, {}, off_session=False):
        return_url = space.hidden(intent["id"]).get("return_url")
        page = f"{space.core.url}/authenticate/{intent['id']}"
        action: Obj = {"type": "use_stripe_sdk", "use_stripe_sdk": {"stripe_js": page}}
        if return_url:
            action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
        intent.update(status="requires_action", next_action=action)
        space.emit("setup_intent.requires_action", intent)
        return
    decline = payment_methods.decline_on_saving(space, method)
    if decline:
        raise _failed(space, intent, method, decline)
    intent.update(status="succeeded", next_action=None)
    if intent["usage"] == "off_session":
        space.hidden(method["id"])["set_up"] = True
    if intent["customer"] and method["customer"] is None:
        payment_methods.give_to(space, method, intent["customer"])
    space.emit("setup_intent.succeeded", intent)


def authenticate(space: Space, intent: Obj, *, succeeds: bool) -> None:
    """The card's owner has been asked, and has answered."""
    if intent["status"] != "requires_action":
        raise _unexpected("This SetupIntent does not wait for authentication.", intent)
    method = space.get("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not succeeds:
        raise _failed(space, intent, method, _AUTHENTICATION_FAILED)
    attempt(space, intent, method, authenticated=True)


def _failed(space: Space, intent: Obj, method: Obj, decline: Decline) -> Refused:
    body = {**payment_methods.decline_body(decline), "type": "card_error"}
    error = {**body, "payment_method": copied(method)}
    intent.update(status="requires_payment_method", payment_method=None, next_action=None, last_setup_error=error)
    space.emit("setup_intent.setup_failed", intent)
    return card_error({**body, "setup_intent": intent, "payment_method": method})


def cancel(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/setup_intents/{id}/cancel."""
    intent = space.get("setup_intent", intent_id, param="intent")
    if intent["status"] not in OPEN:
        raise _unexpected(f"You cannot cancel this SetupIntent because it has a status of {intent['status']}.", intent)
    intent.update(status="canceled", cancellation_reason=params.get("cancellation_reason"), next_action=None)
    space.emit("setup_intent.canceled", intent)
    return intent


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/setup_intents."""
    return lists.listing(space, "setup_intent", params, "/v1/setup_intents", "customer", "payment_method")


def _unexpected(text: str, intent: Obj) -> Refused:
    return refusal(text, code="setup_intent_unexpected_state", setup_intent=intent)
