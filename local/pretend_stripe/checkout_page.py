"""The hosted pages of a payer: Checkout, authentication, the customer portal, receipts."""

from html import escape

from local.pretend_stripe import checkout_flow, payment_methods
from local.pretend_stripe.account_objects import name_of
from local.pretend_stripe.cards import CARDS
from local.pretend_stripe.currencies import shown
from local.pretend_stripe.errors import Refused
from local.pretend_stripe.pages import Page, Visit, button, error, link, not_found, page, table
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj


def pay(visit: Visit) -> Page:
    """`/c/pay/{session}`: type a test card."""
    found = visit.core.find_anywhere("checkout.session", visit.ids[0])
    if found is None:
        return not_found()
    space, session = found
    if session["status"] == "complete":
        return Page(location=_success_url(session))
    if session["status"] == "expired":
        return page("This page has expired", "<p>Ask for a new one where you came from.</p>", status=410)
    if not visit.posted:
        return _form(space, session, visit.form, "")
    try:
        checkout_flow.submit(space, session, checkout_flow.Typed(visit.form))
    except Refused as refused:
        return _form(space, session, visit.form, str(refused.body["error"]["message"]), status=402)
    return _after(session, space)


def _after(session: Obj, space: Space) -> Page:
    intent = checkout_intent(space, session)
    if session["status"] == "complete":
        return Page(location=_success_url(session))
    if intent and intent["status"] == "requires_action":
        return Page(location=f"/authenticate/{intent['id']}")
    problem = (intent or {}).get("last_payment_error") or (intent or {}).get("last_setup_error") or {}
    return _form(space, session, {}, problem.get("message", ""), status=402 if problem else 200)


def checkout_intent(space: Space, session: Obj) -> Obj | None:
    """What the session has made, if anything yet."""
    kind = "payment_intent" if session["mode"] == "payment" else "setup_intent"
    return space.find(kind, session[kind] or "")


def come_back(visit: Visit) -> Page:
    """`/c/return/{session}`: back from the bank."""
    found = visit.core.find_anywhere("checkout.session", visit.ids[0])
    return _after(found[1], found[0]) if found else not_found()


def _success_url(session: Obj) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _form(space: Space, session: Obj, typed: dict[str, str], problem: str, *, status: int = 200) -> Page:
    amount = shown(session["amount_total"], session["currency"]) if session["mode"] == "payment" else ""
    items = space.hidden(session["id"]).get("line_items", [])
    bought = "".join(f"<li>{escape(item['description'])} x {item['quantity']}</li>" for item in items)
    email = typed.get("email") or (session["customer_details"] or {}).get("email") or ""
    consent = (session["custom_text"].get("submit") or {}).get("message", "")
    if (session["consent_collection"] or {}).get("terms_of_service") == "required":
        consent_box = '<label><input type="checkbox" name="terms" value="yes"> I agree to the terms of service</label>'
    else:
        consent_box = ""
    leave = f"<p>{link('Back, without paying', session['cancel_url'])}</p>" if session["cancel_url"] else ""
    return page(
        f"Pay {amount}" if amount else "Save a card",
        f"<p>to {escape(name_of(space.account))}</p><ul>{bought}</ul>{error(problem)}",
        '<form method="post">',
        _field("number", "Test card number", typed.get("number", ""), 'inputmode="numeric" list="cards" autofocus'),
        _field("expiry", "Expires (month / year)", typed.get("expiry", "12 / 34")),
        _field("cvc", "CVC", typed.get("cvc", "123")),
        _field("email", "E-mail", email),
        _field("name", "Name on the card", typed.get("name", "")),
        consent_box,
        f"<p>{escape(consent)}</p>" if consent else "",
        f"<button>{escape(f'Pay {amount}' if amount else 'Save card')}</button></form>",
        leave,
        _test_cards(),
        status=status,
    )


def _field(name: str, label: str, value: str, more: str = "") -> str:
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input type="text" id="{name}" name="{name}" value="{escape(value)}" autocomplete="off" {more}>'
    )


def _test_cards() -> str:
    rows = [(f"<code>{card.number}</code>", escape(card.label)) for card in CARDS if card.number]
    options = "".join(f'<option value="{card.number}">{escape(card.label)}</option>' for card in CARDS if card.number)
    return (
        f'<datalist id="cards">{options}</datalist>'
        f"<details><summary>Test cards</summary>{table(('number', 'what it does'), rows)}</details>"
    )


def authenticate(visit: Visit) -> Page:
    """`/authenticate/{intent}`: the bank asks whether it is really you."""
    kind = "setup_intent" if visit.ids[0].startswith("seti_") else "payment_intent"
    found = visit.core.find_anywhere(kind, visit.ids[0])
    if found is None:
        return not_found()
    space, intent = found
    if not visit.posted and intent["status"] == "requires_action":
        asked = f" for {shown(intent['amount'], intent['currency'])}" if "amount" in intent else ""
        text = f"<p>Your bank wants to know whether it is you{escape(asked)}.</p>"
        yes, no = button("Authenticate", {"answer": "yes"}, plain=False), button("Fail", {"answer": "no"})
        return page("Authenticate", text, yes, no)
    if visit.posted and intent["status"] == "requires_action":
        checkout_flow.authenticate(space, intent, succeeds=visit.form.get("answer") == "yes")
    return _returned(space, intent)


def _returned(space: Space, intent: Obj) -> Page:
    url = space.hidden(intent["id"]).get("return_url")
    if not url:
        return page("Done", f"<p>The state is now <code>{escape(intent['status'])}</code>.</p>")
    if checkout_flow.session_of(space, intent):
        return Page(location=url)
    good = "succeeded" if intent["status"] in ("succeeded", "processing", "requires_capture") else "failed"
    name = intent["object"]
    joint = "&" if "?" in url else "?"
    pairs = f"{name}={intent['id']}&{name}_client_secret={intent['client_secret']}&redirect_status={good}"
    return Page(location=f"{url}{joint}{pairs}")


def portal(visit: Visit) -> Page:
    """`/p/session/{token}`: cards and receipts of one customer."""
    known = visit.core.state["hidden"].get(visit.ids[0])
    if known is None:
        return not_found()
    space = visit.core.space_by_key(known["space"])
    session = space.get("billing_portal.session", known["session"])
    customer = space.get("customer", session["customer"])
    methods = [m for m in space.all("payment_method") if m["customer"] == customer["id"]]
    if visit.posted:
        _act(space, customer, [m for m in methods if m["id"] == visit.form.get("payment_method")], visit.form)
        return Page(location=f"/p/session/{visit.ids[0]}")
    return _portal(space, session, customer, methods)


def _act(space: Space, customer: Obj, methods: list[Obj], form: dict[str, str]) -> None:
    for method in methods:
        if form.get("do") == "remove":
            payment_methods.detach(space, {}, method["id"])
        elif form.get("do") == "default":
            settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
            space.change(customer, "customer.updated", invoice_settings=settings)


def _portal(space: Space, session: Obj, customer: Obj, methods: list[Obj]) -> Page:
    default = (customer.get("invoice_settings") or {}).get("default_payment_method")
    cards = []
    for method in methods:
        card = method["card"]
        text = f"{card['brand']} **** {card['last4']}, {card['exp_month']}/{card['exp_year']}"
        values = {"payment_method": method["id"]}
        first = "default" if method["id"] == default else button("Make default", {**values, "do": "default"})
        cards.append((escape(text), first, button("Remove", {**values, "do": "remove"})))
    paid = [c for c in space.all("charge") if c["customer"] == customer["id"] and c["status"] == "succeeded"]
    receipts = [(escape(shown(c["amount"], c["currency"])), link("Receipt", f"/receipts/{c['id']}")) for c in paid]
    leave = f"<p>{link('Back', session['return_url'])}</p>" if session["return_url"] else ""
    return page(
        "Cards and receipts",
        f"<p>at {escape(name_of(space.account))}</p><h2>Cards</h2>{table(('card', '', ''), cards)}",
        f"<h2>Receipts</h2>{table(('amount', ''), receipts)}{leave}",
    )


def receipt(visit: Visit) -> Page:
    """`/receipts/{charge}`."""
    found = visit.core.find_anywhere("charge", visit.ids[0])
    if found is None:
        return not_found()
    space, paid = found
    card = paid["payment_method_details"]["card"]
    rows = (
        ("Paid to", escape(name_of(space.account))),
        ("Amount", escape(shown(paid["amount"], paid["currency"]))),
        ("Given back", escape(shown(paid["amount_refunded"], paid["currency"]))),
        ("Card", escape(f"{card['brand']} **** {card['last4']}")),
        ("Number", f"<code>{escape(paid['id'])}</code>"),
    )
    return page("Receipt", table(("", ""), rows))
