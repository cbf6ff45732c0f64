"""`/v1/payment_intents`: the state machine."""

from local.pretend_stripe import lists, objects, payment_methods, payments
from local.pretend_stripe.currencies import check_amount, check_currency
from local.pretend_stripe.errors import Refused, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj

CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_ONLY_WITH_CONFIRM = ("off_session", "return_url", "error_on_requires_action", "mandate_data")
_RETURN_URL_MISSING = (
    "This {kind} is configured to accept payment methods enabled in your Dashboard. Because some of these payment "
    "methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to "
    "accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)
_NOT_BOTH = (
    "You cannot confirm with the `off_session` parameter when `setup_future_usage` is also set on the PaymentIntent, "
    "because you cannot set up future usages when processing payments off-session."
)


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/payment_intents."""
    params["currency"] = check_currency(params["currency"])
    check_amount(params["amount"], params["currency"])
    if not params.get("confirm"):
        for name in _ONLY_WITH_CONFIRM:
            if name in params:
                text = f"The parameter `{name}` can only be used when `confirm` is set to true."
                raise refusal(text, param=name, kept=False)
    if "customer" in params:
        space.get("customer", params["customer"], param="customer", status=400)
    made = objects.payment_intent(space, params)
    lists.merge_metadata(made, params)
    space.hidden(made["id"])["card_only"] = params.get("allowed_payment_method_types") == ["card"]
    if "payment_method" in params:
        _choose(space, made, params["payment_method"])
    if params.get("confirm"):
        check_return_url(space, made, params)
    space.put(made)
    space.emit("payment_intent.created", made)
    return confirm(space, _without_choice(params), made["id"]) if params.get("confirm") else made


def _without_choice(params: Obj) -> Obj:
    return {name: value for name, value in params.items() if name not in ("payment_method", "setup_future_usage")}


def check_return_url(space: Space, intent: Obj, params: Obj) -> None:
    """Unless redirects are ruled out, Stripe wants to know where to send people afterwards.

    Raises:
        Refused: it is not told.
    """
    automatic = intent["automatic_payment_methods"]
    hidden = space.hidden(intent["id"])
    if params.get("return_url"):
        hidden["return_url"] = params["return_url"]
    elif automatic["enabled"] and automatic["allow_redirects"] == "always" and not hidden.get("card_only"):
        kind = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[intent["object"]]
        raise refusal(_RETURN_URL_MISSING.format(kind=kind), param="return_url", kept=False)


def _choose(space: Space, intent: Obj, reference: str) -> None:
    method = payment_methods.resolve(space, reference)
    payment_methods.check_unused(space, method)
    if method["customer"] and method["customer"] != intent["customer"]:
        if intent["customer"]:
            text = "The provided PaymentMethod cannot be used: it belongs to another Customer than the PaymentIntent."
        else:
            text = (
                f"The provided PaymentMethod belongs to the Customer {method['customer']}. Please include the Customer "
                "in the `customer` parameter on the PaymentIntent."
            )
        raise refusal(text, param="payment_method", code="payment_intent_incompatible_payment_method")
    intent["payment_method"] = method["id"]
    intent["status"] = "requires_confirmation"


def retrieve(space: Space, params: Obj, intent_id: str) -> Obj:
    """GET /v1/payment_intents/{id}."""
    return space.get("payment_intent", intent_id, param="intent")


def update(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/payment_intents/{id}."""
    intent = space.get("payment_intent", intent_id, param="intent")
    locked = intent["status"] not in CONFIRMABLE
    touched = [name for name in params if name not in ("metadata", "description", "expand", "receipt_email")]
    if locked and touched:
        text = f"This PaymentIntent's {touched[0]} could not be updated because it has a status of {intent['status']}."
        raise _unexpected(text, intent)
    if "currency" in params:
        intent["currency"] = check_currency(params["currency"])
    if "amount" in params:
        check_amount(params["amount"], intent["currency"])
        intent["amount"] = params["amount"]
    if "customer" in params:
        intent["customer"] = space.get("customer", params["customer"], param="customer", status=400)["id"]
    if "payment_method" in params:
        _choose(space, intent, params["payment_method"])
    for name in ("description", "receipt_email", "setup_future_usage", "shipping"):
        if name in params:
            intent[name] = params[name] or None
    lists.merge_metadata(intent, params)
    intent["last_payment_error"] = None  # whatever was changed
    return intent


def confirm(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/confirm."""
    intent = space.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in CONFIRMABLE:
        ending = {
            "succeeded": "it has already succeeded after being previously confirmed",
            "canceled": "it has a status of canceled",
        }.get(intent["status"], f"it has a status of {intent['status']}")
        raise _unexpected(f"You cannot confirm this PaymentIntent because {ending}.", intent)
    check_return_url(space, intent, params)
    if params.get("setup_future_usage"):
        intent["setup_future_usage"] = params["setup_future_usage"]
    if "payment_method" in params:
        _choose(space, intent, params["payment_method"])
    if intent["payment_method"] is None:
        text = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken."
        )
        raise _unexpected(text, intent)
    off_session = params.get("off_session") not in (None, False)
    if off_session and intent["setup_future_usage"]:
        raise refusal(_NOT_BOTH, param="off_session")
    method = space.get("payment_method", intent["payment_method"])
    payments.attempt(space, intent, method, off_session=off_session)
    if intent["status"] == "requires_action" and params.get("error_on_requires_action"):
        intent["next_action"] = None
        text = "This payment required an authentication action to complete, but `error_on_requires_action` was set."
        intent.update(status="requires_payment_method", payment_method=None)
        raise refusal(text, code="authentication_required", status=402, payment_intent=intent)
    return intent


def cancel(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/cancel."""
    intent = space.get("payment_intent", intent_id, param="intent")
    if intent["status"] not in CANCELABLE:
        text = (
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a PaymentIntent "
            f"with one of the following statuses may be canceled: {', '.join(CANCELABLE)}."
        )
        raise _unexpected(text, intent)
    intent.update(
        status="canceled",
        canceled_at=space.now(),
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
        amount_capturable=0,
    )
    space.emit("payment_intent.canceled", intent)
    return intent


def capture(space: Space, params: Obj, intent_id: str) -> Obj:
    """POST /v1/payment_intents/{id}/capture, of the whole amount."""
    intent = space.get("payment_intent", intent_id, param="intent")
    if intent["status"] != "requires_capture":
        text = (
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be captured: requires_capture."
        )
        raise _unexpected(text, intent)
    payments.capture(space, intent, space.get("charge", intent["latest_charge"]))
    return intent


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/payment_intents."""
    return lists.listing(space, "payment_intent", params, "/v1/payment_intents", "customer")


def _unexpected(text: str, intent: Obj) -> Refused:
    return refusal(text, code="payment_intent_unexpected_state", payment_intent=intent)
