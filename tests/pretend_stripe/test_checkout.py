"""The pages of a payer: Checkout, the portal, receipts."""

import re
from typing import Any

import httpx
import pytest
from stripe import InvalidRequestError

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.people import SUCCESS, Shop, typed

KEEP: Any = {"setup_future_usage": "off_session", "metadata": {"top_up": "top_1"}, "description": "Balance"}


def test_a_person_pays_and_comes_back(shop: Shop, browser: httpx.Client) -> None:
    customer = shop.customer()
    session = shop.checkout(
        customer=customer.id,
        payment_intent_data=KEEP,
        client_reference_id="top_1",
        custom_text={"submit": {"message": "We keep <this> card."}},
    )
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    shown = browser.get(session.url).text
    assert all(text in shown for text in ("SIMULATION", "50.00 USD", "We keep &lt;this&gt; card.", "4000000000000341"))

    answer = browser.post(session.url, data=typed())

    assert answer.headers["location"] == f"http://127.0.0.1:1/back?session={session.id}"
    done = shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.payment_method"]})
    assert (done.status, done.payment_status, done.url, done.amount_total) == ("complete", "paid", None, 5000)
    intent = done.payment_intent
    assert (intent.status, intent.amount_received, intent.metadata.to_dict()) == (
        "succeeded",
        5000,
        {"top_up": "top_1"},
    )
    assert (intent.setup_future_usage, intent.payment_method.customer) == ("off_session", customer.id)
    assert shop.events()[1:] == [
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    assert browser.get(f"/c/pay/{session.id}").headers["location"].endswith(session.id)


def test_the_card_that_was_kept_pays_off_session(shop: Shop, browser: httpx.Client) -> None:
    session = shop.checkout(customer=shop.customer().id, payment_intent_data=KEEP)
    browser.post(session.url, data=typed())
    (card,) = shop.client.v1.customers.payment_methods.list(str(session.customer)).data

    assert shop.intent(card, confirm=True, off_session=True).status == "succeeded"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("4000000000000002", "Your card was declined."),
        ("4000000000009995", "insufficient funds"),
        ("4000000000000069", "expired"),
        ("4111111111111111", "non test card"),
        ("", "non test card"),
    ],
)
def test_a_decline_leaves_the_page_open_and_one_payment_for_all_tries(
    shop: Shop, browser: httpx.Client, number: str, says: str
) -> None:
    session = shop.checkout()

    refused = browser.post(session.url, data=typed(number))

    assert (refused.status_code, says in refused.text) == (402, True)
    assert shop.client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert browser.post(session.url, data=typed()).status_code == 303
    assert len(shop.client.v1.payment_intents.list().data) == 1


@pytest.mark.parametrize("expiry", ["", "13/40", "x/y", "12"])
def test_an_expiry_must_be_one(shop: Shop, browser: httpx.Client, expiry: str) -> None:
    assert browser.post(shop.checkout().url, data={**typed(), "expiry": expiry}).status_code == 402


def test_the_bank_asks_in_between(shop: Shop, browser: httpx.Client) -> None:
    session = shop.checkout(customer=shop.customer().id, payment_intent_data=KEEP)
    asked = browser.post(session.url, data=typed("4000 0025 0000 3155")).headers["location"]
    assert "Authenticate" in browser.get(asked).text

    failed = browser.get(browser.post(asked, data={"answer": "no"}).headers["location"])
    assert (failed.status_code, "failed authentication" in failed.text) == (402, True)
    asked = browser.post(session.url, data=typed("4000 0025 0000 3155")).headers["location"]
    done = browser.get(browser.post(asked, data={"answer": "yes"}).headers["location"])

    assert done.headers["location"].endswith(session.id)
    (card,) = shop.client.v1.customers.payment_methods.list(str(session.customer)).data
    assert shop.intent(card, confirm=True, off_session=True).status == "succeeded"


def test_terms_must_be_accepted_where_they_are_asked_for(shop: Shop, browser: httpx.Client) -> None:
    session = shop.checkout(consent_collection={"terms_of_service": "required"})

    assert browser.post(session.url, data=typed()).status_code == 402
    assert browser.post(session.url, data=typed(terms="yes")).status_code == 303
    assert shop.client.v1.checkout.sessions.retrieve(session.id).consent.terms_of_service == "accepted"


def test_without_a_customer_one_is_made_if_the_card_is_kept(shop: Shop, browser: httpx.Client) -> None:
    kept, guest = shop.checkout(payment_intent_data=KEEP), shop.checkout()
    for session in (kept, guest):
        browser.post(session.url, data=typed())

    def customer(session: Any) -> Any:
        return shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["customer"]}).customer

    assert (customer(kept).email, customer(guest)) == ("pat@client.example", None)


@pytest.mark.parametrize(
    ("number", "saved"), [("4242424242424242", True), ("4000000000000341", True), ("4000000000000002", False)]
)
def test_a_card_alone(shop: Shop, browser: httpx.Client, number: str, saved: bool) -> None:
    customer = shop.customer().id
    session = shop.save_card(customer=customer, setup_intent_data={"metadata": {"sub_account": "sa_1"}})
    assert (session.payment_status, session.amount_total) == ("no_payment_required", None)

    answer = browser.post(session.url, data=typed(number))

    assert answer.status_code == (303 if saved else 402)
    cards = shop.client.v1.payment_methods.list({"customer": customer, "type": "card"}).data
    assert [card.card.last4 for card in cards] == ([number[-4:]] if saved else [])
    last = shop.events()[-1]
    assert last == ("checkout.session.completed" if saved else "setup_intent.setup_failed")
    if saved:
        setup = shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]}).setup_intent
        assert (setup.status, setup.usage, setup.metadata.to_dict()) == (
            "succeeded",
            "off_session",
            {"sub_account": "sa_1"},
        )


def test_a_card_alone_needs_a_currency_or_the_types_of_cards(shop: Shop, browser: httpx.Client) -> None:
    session = shop.client.v1.checkout.sessions.create(
        {"mode": "setup", "success_url": SUCCESS, "allowed_payment_method_types": ["card"]}
    )

    assert session.currency is None
    assert browser.post(session.url, data=typed()).status_code == 303


def test_nobody_pays_after_the_end(shop: Shop, browser: httpx.Client) -> None:
    by_call, by_time = shop.checkout(), shop.checkout()

    shop.client.v1.checkout.sessions.expire(by_call.id)
    shop.pretend.control.advance(86_401)

    for session in (by_call, by_time):
        assert shop.client.v1.checkout.sessions.retrieve(session.id).status == "expired"
        assert browser.post(f"/c/pay/{session.id}", data=typed()).status_code == 410
    assert shop.events() == ["checkout.session.expired"] * 2
    with pytest.raises(InvalidRequestError):
        shop.client.v1.checkout.sessions.expire(by_call.id)


def test_a_session_that_ends_cancels_its_open_payment(shop: Shop, browser: httpx.Client) -> None:
    session = shop.checkout()
    browser.post(session.url, data=typed("4000000000000002"))

    ended = shop.client.v1.checkout.sessions.expire(session.id, {"expand": ["payment_intent"]})

    assert (ended.status, ended.payment_intent.status) == ("expired", "canceled")


def test_sessions_are_found_by_their_payment(shop: Shop) -> None:
    first, second = shop.checkout(), shop.checkout()
    for session in (first, second):
        shop.pretend.control.pay(session.id)
    paid = shop.client.v1.checkout.sessions.retrieve(first.id).payment_intent

    found = shop.client.v1.checkout.sessions.list({"payment_intent": str(paid)}).data

    assert [session.id for session in found] == [first.id]
    (item,) = shop.client.v1.checkout.sessions.line_items.list(first.id).data
    assert (item.amount_total, item.description, item.quantity) == (5000, "Balance", 1)


def test_a_payment_that_is_processing_completes_the_page_and_is_paid_later(shop: Shop) -> None:
    shop.pretend.control.hold_payments()
    session = shop.checkout()
    shop.pretend.control.pay(session.id)
    done = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status) == ("complete", "unpaid")

    shop.pretend.control.finish_payment(str(done.payment_intent))

    assert shop.client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert shop.events()[-1] == "checkout.session.async_payment_succeeded"


def test_paying_without_a_browser(shop: Shop) -> None:
    session = shop.checkout()

    declined = shop.pretend.control.pay(session.id, "4000000000009995")
    paid = shop.pretend.control.pay(session.id, "4000002760003184", authenticates=True)

    assert declined["error"]["decline_code"] == "insufficient_funds"
    assert (paid["error"], paid["session"]["status"]) == (None, "complete")


# Portal and receipts


def test_the_portal_lists_cards_and_receipts(shop: Shop, browser: httpx.Client) -> None:
    session = shop.checkout(customer=shop.customer().id, payment_intent_data=KEEP)
    browser.post(session.url, data=typed())
    customer = str(session.customer)
    shop.card("pm_card_mastercard", customer)
    portal = shop.client.v1.billing_portal.sessions.create({"customer": customer, "return_url": "http://127.0.0.1:1/"})

    page = browser.get(portal.url).text
    receipt = browser.get(re.findall(r"/receipts/ch_\w+", page)[0])

    assert all(text in page for text in ("SIMULATION", "**** 4242", "**** 4444", "50.00 USD", "http://127.0.0.1:1/"))
    assert "50.00 USD" in receipt.text and "SIMULATION" in receipt.text


def test_the_portal_sets_the_default_and_removes(shop: Shop, browser: httpx.Client) -> None:
    card = shop.card()
    foreign = shop.card()
    portal = shop.client.v1.billing_portal.sessions.create({"customer": str(card.customer)})

    browser.post(portal.url, data={"do": "default", "payment_method": card.id})
    customer = shop.client.v1.customers.retrieve(str(card.customer))
    assert customer.invoice_settings.default_payment_method == card.id
    for gone in (card, foreign):
        browser.post(portal.url, data={"do": "remove", "payment_method": gone.id})

    assert shop.client.v1.payment_methods.retrieve(card.id).customer is None
    assert shop.client.v1.payment_methods.retrieve(foreign.id).customer == foreign.customer
    assert shop.events()[-3:] == ["customer.updated", "customer.updated", "payment_method.detached"]


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/c/pay/cs_x", "/p/session/x", "/receipts/ch_x", "/dashboard/acct_x", "/authenticate/pi_x"],
)
def test_every_page_says_that_it_is_a_simulation(browser: httpx.Client, path: str) -> None:
    answer = browser.get(path)
    assert "SIMULATION" in answer.text and "No real money" in answer.text
    assert answer.status_code == (200 if path == "/" else 404)


def test_it_listens_on_this_machine_only(pretend: PretendStripe) -> None:
    assert pretend.url.startswith("http://127.0.0.1:")
