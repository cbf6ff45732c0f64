"""`/v1/payment_methods`: cards, by their test tokens."""

from datetime import UTC, datetime

from local.pretend_stripe import lists, objects
from local.pretend_stripe.cards import EXPIRED, VISA, Card, Decline, card_by_token
from local.pretend_stripe.errors import card_error, missing, no_such, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj

YEARS_LEFT = 4
_USED_UP = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use "
    "a PaymentMethod multiple times, you must attach it to a Customer first."
)
_RAW_NUMBER = (
    "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you use test tokens that "
    "map to the test card you are using, see https://docs.stripe.com/testing."
)


def make(space: Space, card: Card, *, exp_month: int = 12, exp_year: int = 0, details: Obj | None = None) -> Obj:
    """A new card that belongs to nobody yet."""
    exp_year = exp_year or datetime.fromtimestamp(space.now(), UTC).year + YEARS_LEFT
    made = objects.payment_method(space, card, exp_month=exp_month, exp_year=exp_year, details=details)
    space.hidden(made["id"])["card"] = card.token
    return space.put(made)


def resolve(space: Space, reference: str, *, param: str = "payment_method", status: int = 400) -> Obj:
    """The card by its id; a test token makes a new one.

    Raises:
        Refused: there is none such.
    """
    card = card_by_token(reference)
    if card and reference.startswith("pm_card_"):
        return make(space, card)
    found = space.find("payment_method", reference)
    if found is None:
        raise no_such("payment_method", reference, param=param, status=status)
    return found


def behaviour(space: Space, method: Obj) -> Card:
    """Which test card it is."""
    return card_by_token(space.hidden(method["id"])["card"]) or VISA


def has_expired(space: Space, method: Obj) -> bool:
    """Whether its last month is over."""
    now = datetime.fromtimestamp(space.now(), UTC)
    return (method["card"]["exp_year"], method["card"]["exp_month"]) < (now.year, now.month)


def decline_on_saving(space: Space, method: Obj) -> Decline | None:
    """Why the bank does not let it be saved."""
    return EXPIRED if has_expired(space, method) else behaviour(space, method).attach


def check_unused(space: Space, method: Obj) -> None:
    """Cards that belong to nobody are good for one use.

    Raises:
        Refused: this one has had it.
    """
    if method["customer"] is None and space.hidden(method["id"]).get("used_up"):
        raise refusal(_USED_UP)


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/payment_methods."""
    if "type" not in params:
        raise missing("type")
    if params["type"] != "card":
        raise refusal("The pretend Stripe knows cards only.", param="type", kept=False)
    given = params.get("card") or {}
    if "number" in given:
        raise refusal(_RAW_NUMBER, param="card[number]", status=402, kept=False)
    card = card_by_token(given.get("token", ""))
    if card is None:
        raise no_such("token", given.get("token", ""), param="card[token]", status=400)
    made = make(space, card, details=_details(params))
    lists.merge_metadata(made, params)
    return made


def _details(params: Obj) -> Obj:
    given = params.get("billing_details") or {}
    return {name: value or None for name, value in given.items()} | (
        {"address": objects.NO_ADDRESS | given["address"]} if given.get("address") else {}
    )


def retrieve(space: Space, params: Obj, method_id: str) -> Obj:
    """GET /v1/payment_methods/{id}."""
    return resolve(space, method_id, status=404)


def update(space: Space, params: Obj, method_id: str) -> Obj:
    """POST /v1/payment_methods/{id}."""
    method = resolve(space, method_id, status=404)
    if method["customer"] is None:
        raise refusal("You must save this PaymentMethod to a customer before you can update it.")
    card = {**method["card"], **{k: v for k, v in (params.get("card") or {}).items() if k in ("exp_month", "exp_year")}}
    lists.merge_metadata(method, params)
    values = {"card": card, "billing_details": {**method["billing_details"], **_details(params)}}
    space.change(method, "payment_method.updated", **values)
    return method


def attach(space: Space, params: Obj, method_id: str) -> Obj:
    """POST /v1/payment_methods/{id}/attach."""
    if "customer" not in params:
        raise missing("customer")
    method = resolve(space, method_id, status=404)
    customer = space.get("customer", params["customer"], param="customer", status=400)
    if method["customer"] == customer["id"]:
        return method
    if method["customer"]:
        raise refusal("The payment method you provided has already been attached to a customer.")
    check_unused(space, method)
    decline = decline_on_saving(space, method)
    if decline:
        raise card_error(decline_body(decline))
    give_to(space, method, customer["id"])
    return method


def give_to(space: Space, method: Obj, customer_id: str) -> None:
    """Let a customer have the card."""
    method["customer"] = customer_id
    space.emit("payment_method.attached", method)


def decline_body(decline: Decline) -> Obj:
    """What an error tells about a decline."""
    body: Obj = {"code": decline.code, "message": decline.message}
    if decline.decline_code:
        body["decline_code"] = decline.decline_code
    if decline.advice_code:
        body["advice_code"] = decline.advice_code
    return body


def detach(space: Space, params: Obj, method_id: str) -> Obj:
    """POST /v1/payment_methods/{id}/detach."""
    method = resolve(space, method_id, status=404)
    if method["customer"] is None:
        text = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise refusal(text, code="payment_method_unexpected_state")
    customer_id = method["customer"]
    method["customer"] = None
    space.hidden(method["id"])["used_up"] = True
    _forget_default(space, customer_id, method["id"])
    space.emit("payment_method.detached", method, {"customer": customer_id})
    return method


def _forget_default(space: Space, customer_id: str, method_id: str) -> None:
    customer = space.find("customer", customer_id) or {}
    settings = customer.get("invoice_settings") or {}
    if settings.get("default_payment_method") == method_id:
        space.change(customer, "customer.updated", invoice_settings={**settings, "default_payment_method": None})


def list_all(space: Space, params: Obj, url: str = "/v1/payment_methods") -> Obj:
    """GET /v1/payment_methods: the cards of one customer."""
    if "customer" in params:
        space.get("customer", params["customer"], param="customer", status=400)
    owned = [method for method in space.all("payment_method") if method["customer"]]
    fits = lists.matching(params, "customer", "type", "allow_redisplay")
    return lists.page([method for method in owned if fits(method)], params, url, "payment_method")
