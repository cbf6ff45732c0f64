"""What happens on the Checkout page once somebody has typed a card."""

from typing import Any

from local.pretend_stripe import checkout, customers, lists, objects, payment_methods, payments, setup_intents
from local.pretend_stripe.cards import NOT_A_TEST_CARD, Card, card_by_number
from local.pretend_stripe.errors import Refused, card_error, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj


class Typed:
    """What a person wrote into the form."""

    def __init__(self, form: dict[str, Any]) -> None:
        self.number = str(form.get("number", ""))
        self.email = str(form.get("email", "")).strip()
        self.name = str(form.get("name", "")).strip()
        self.terms = form.get("terms") == "yes"
        self.card = card_by_number(self.number)
        self.exp_month, self.exp_year = _expiry(str(form.get("expiry", "")))


def _expiry(text: str) -> tuple[int, int]:
    month, _, year = text.replace(" ", "").partition("/")
    if not (month.isascii() and month.isdigit() and year.isascii() and year.isdigit()) or not 1 <= int(month) <= 12:
        raise refusal("Your card's expiration date is incomplete.", param="expiry")
    return int(month), int(year) + (2000 if len(year) == 2 else 0)


def submit(space: Space, session: Obj, typed: Typed) -> None:
    """Pay, or save the card. Afterwards the session is complete, or its intent asks for authentication.

    Raises:
        Refused: the card was declined, or the form is incomplete; the person may try again.
    """
    if session["status"] != "open":
        raise refusal("This Checkout Session is no longer open.")
    consent = session["consent_collection"] or {}
    if consent.get("terms_of_service") == "required" and not typed.terms:
        raise refusal("Please accept the terms of service.")
    if typed.card is None:
        raise card_error(payment_methods.decline_body(NOT_A_TEST_CARD))
    _who(space, session, typed)
    if session["mode"] == "payment":
        _pay(space, session, _method(space, typed, typed.card))
    else:
        _save(space, session, _method(space, typed, typed.card))
    _complete(space, session)


def _method(space: Space, typed: Typed, card: Card) -> Obj:
    details = {"email": typed.email or None, "name": typed.name or None}
    return payment_methods.make(space, card, exp_month=typed.exp_month, exp_year=typed.exp_year, details=details)


def _who(space: Space, session: Obj, typed: Typed) -> None:
    known = session["customer_details"] or {}
    email, name = typed.email or known.get("email"), typed.name or known.get("name")
    session["customer_details"] = checkout.customer_details(email, name)
    data = space.hidden(session["id"])["payment_intent_data"]
    keeps = session["customer_creation"] == "always" or bool(data.get("setup_future_usage"))
    if session["customer"] is None and (keeps or session["mode"] == "setup"):
        session["customer"] = customers.create(space, {"email": email, "name": name})["id"]


def _pay(space: Space, session: Obj, method: Obj) -> None:
    intent = space.find("payment_intent", session["payment_intent"] or "")
    if intent is None:
        data = space.hidden(session["id"])["payment_intent_data"]
        values = {**data, "amount": session["amount_total"], "currency": session["currency"]}
        intent = space.put(objects.payment_intent(space, {**values, "customer": session["customer"]}))
        lists.merge_metadata(intent, data)
        session["payment_intent"] = intent["id"]
        space.emit("payment_intent.created", intent)
    space.hidden(intent["id"])["return_url"] = f"{space.core.url}/c/return/{session['id']}"
    payments.attempt(space, intent, method, off_session=False)


def _save(space: Space, session: Obj, method: Obj) -> None:
    intent = space.find("setup_intent", session["setup_intent"] or "")
    if intent is None:
        data = space.hidden(session["id"])["setup_intent_data"]
        intent = space.put(objects.setup_intent(space, {**data, "customer": session["customer"]}))
        lists.merge_metadata(intent, data)
        session["setup_intent"] = intent["id"]
        space.emit("setup_intent.created", intent)
    space.hidden(intent["id"])["return_url"] = f"{space.core.url}/c/return/{session['id']}"
    setup_intents.attempt(space, intent, method)


def _complete(space: Space, session: Obj) -> None:
    """Close the session if its intent has come to an end."""
    kind = "payment_intent" if session["mode"] == "payment" else "setup_intent"
    intent = space.get(kind, session[kind])
    if intent["status"] not in ("succeeded", "processing", "requires_capture") or session["status"] != "open":
        return
    session.update(status="complete", url=None)
    if session["mode"] == "payment" and intent["status"] == "succeeded":
        session["payment_status"] = "paid"
    if (session["consent_collection"] or {}).get("terms_of_service") == "required":
        session["consent"] = {"promotions": None, "terms_of_service": "accepted"}
    space.emit("checkout.session.completed", session)


def session_of(space: Space, intent: Obj) -> Obj | None:
    """The session that an intent was made by."""
    for session in space.all("checkout.session"):
        if session[intent["object"]] == intent["id"]:
            return session
    return None


def authenticate(space: Space, intent: Obj, *, succeeds: bool) -> Refused | None:
    """The person has answered the bank; says what was refused, if anything was."""
    act = payments.authenticate if intent["object"] == "payment_intent" else setup_intents.authenticate
    try:
        act(space, intent, succeeds=succeeds)
    except Refused as refused:
        return refused
    session = session_of(space, intent)
    if session:
        _complete(space, session)
    return None


def settle_later(space: Space, intent: Obj) -> None:
    """A payment that was processing has ended: its session says so, too."""
    session = session_of(space, intent)
    if session and session["status"] == "complete":
        good = intent["status"] == "succeeded"
        session["payment_status"] = "paid" if good else "unpaid"
        space.emit(f"checkout.session.async_payment_{'succeeded' if good else 'failed'}", session)
