"""PaymentIntents and SetupIntents: their states, and what every test card does."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from stripe import CardError, InvalidRequestError, PaymentIntent

from local.pretend_stripe.cards import CARDS, card_by_number
from tests.pretend_stripe.people import NO_REDIRECTS, Shop

SHARED_CARDS = Path(__file__).resolve().parents[3] / "shared" / "payloads" / "stripe" / "test_cards.json"
ATTACHABLE = [card.token for card in CARDS if not card.attach]
PAYS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex", "pm_card_bypassPending")


def declined(shop: Shop, token: str, **params: Any) -> CardError:
    with pytest.raises(CardError) as caught:
        shop.paid(token, **params)
    return caught.value


def test_a_payment_goes_from_nothing_to_succeeded(shop: Shop) -> None:
    intent = shop.intent()
    assert (intent.status, intent.amount_received, intent.latest_charge) == ("requires_payment_method", 0, None)

    card = shop.card()
    intent = shop.client.v1.payment_intents.update(
        intent.id, {"customer": str(card.customer), "payment_method": card.id, "metadata": {"refill": "rfl_1"}}
    )
    assert intent.status == "requires_confirmation"

    intent = shop.client.v1.payment_intents.confirm(
        intent.id, {"off_session": True, "expand": ["latest_charge.balance_transaction"]}
    )

    assert (intent.status, intent.amount_received, intent.metadata.to_dict()) == (
        "succeeded",
        5000,
        {"refill": "rfl_1"},
    )
    paid = intent.latest_charge
    assert (paid.paid, paid.captured, paid.amount_captured, paid.payment_intent) == (True, True, 5000, intent.id)
    assert (paid.balance_transaction.amount, paid.balance_transaction.fee, paid.balance_transaction.net) == (
        5000,
        175,
        4825,
    )
    assert shop.events() == [
        "payment_intent.created",
        "customer.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_a_payment_that_is_over_stays_over(shop: Shop) -> None:
    paid = shop.paid()
    gone = shop.client.v1.payment_intents.cancel(shop.intent().id)
    calls = shop.client.v1.payment_intents

    for act, intent in ((calls.confirm, paid), (calls.cancel, paid), (calls.confirm, gone), (calls.cancel, gone)):
        with pytest.raises(InvalidRequestError) as caught:
            act(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"
        assert caught.value.error.payment_intent.status == intent.status
    with pytest.raises(InvalidRequestError):
        calls.update(paid.id, {"amount": 1})
    assert (gone.status, gone.canceled_at is not None) == ("canceled", True)


def test_a_decline_says_why_and_leaves_the_payment_open_for_another_card(shop: Shop) -> None:
    error = declined(shop, "pm_card_chargeCustomerFail")

    assert (error.http_status, error.code, error.error.decline_code) == (402, "card_declined", "generic_decline")
    assert error.error.advice_code == "try_again_later"
    intent = shop.client.v1.payment_intents.retrieve(error.error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error.payment_method.id == error.error.payment_method.id
    assert (intent.latest_charge.status, intent.latest_charge.failure_code) == ("failed", "card_declined")
    assert shop.events()[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    card = shop.card(customer=str(intent.customer))

    again = shop.client.v1.payment_intents.confirm(intent.id, {"payment_method": card.id, "off_session": True})

    assert (again.status, again.last_payment_error) == ("succeeded", None)


def test_confirming_without_a_card_says_so(shop: Shop) -> None:
    with pytest.raises(InvalidRequestError, match="missing a payment method") as caught:
        shop.client.v1.payment_intents.confirm(shop.intent().id)
    assert caught.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize("token", PAYS)
def test_these_cards_pay(shop: Shop, token: str) -> None:
    assert shop.paid(token).status == "succeeded"


@pytest.mark.parametrize("card", [card for card in CARDS if card.attach], ids=lambda card: card.label)
def test_these_cards_can_be_neither_saved_nor_paid_with(shop: Shop, card: Any) -> None:
    with pytest.raises(CardError) as attached:
        shop.card(card.token)
    with pytest.raises(CardError) as paid:
        shop.intent(confirm=True, payment_method=card.token)

    for error in (attached.value, paid.value):
        assert (error.code, getattr(error.error, "decline_code", None)) == (card.attach.code, card.attach.decline_code)


@pytest.mark.parametrize(
    ("token", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "generic_decline"),
        ("pm_card_visa_chargeCustomerFailLostCard", "lost_card"),
        ("pm_card_visa_chargeCustomerFailStolenCard", "stolen_card"),
        ("pm_card_radarBlock", "fraudulent"),
    ],
)
def test_these_cards_can_be_saved_and_then_fail(shop: Shop, token: str, decline_code: str) -> None:
    assert declined(shop, token).error.decline_code == decline_code


@pytest.mark.skipif(not SHARED_CARDS.is_file(), reason="the shared payloads are not beside the repository")
def test_all_the_cards_that_stripe_documents_are_known() -> None:
    for documented in json.loads(SHARED_CARDS.read_text())["cards"]:
        card = card_by_number(documented["number"])

        assert card is not None and card.token == documented["pm"], documented
        if documented.get("attachable") is False:
            assert card.attach and card.attach.code == documented["code"]
            assert card.attach.decline_code == documented.get("decline_code")


# Authentication


@pytest.mark.parametrize("code", ["authentication_required", "card_declined"])
def test_off_session_nobody_is_there_to_authenticate(shop: Shop, code: str) -> None:
    shop.pretend.control.authentication_code(code)

    error = declined(shop, "pm_card_authenticationRequired")

    assert (error.code, error.error.decline_code) == (code, "authentication_required")
    assert error.error.payment_intent.status == "requires_payment_method"


@pytest.mark.parametrize(
    ("answer", "status", "ends"),
    [
        ("yes", "succeeded", "payment_intent.succeeded"),
        ("no", "requires_payment_method", "payment_intent.payment_failed"),
    ],
)
def test_on_session_the_bank_asks_on_a_page(
    shop: Shop, browser: httpx.Client, answer: str, status: str, ends: str
) -> None:
    card = shop.card("pm_card_authenticationRequired")
    intent = shop.intent(
        card, confirm=True, automatic_payment_methods={"enabled": True}, return_url="http://127.0.0.1:1/done?x=1"
    )
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    url = intent.next_action.redirect_to_url.url

    shown, sent = browser.get(url), browser.post(url, data={"answer": answer})

    assert "SIMULATION" in shown.text
    outcome = "succeeded" if answer == "yes" else "failed"
    assert sent.headers["location"].startswith("http://127.0.0.1:1/done?x=1&payment_intent=pi_")
    assert sent.headers["location"].endswith(f"redirect_status={outcome}")
    assert shop.client.v1.payment_intents.retrieve(intent.id).status == status
    assert shop.events()[-1] == f"payment_intent.{'succeeded' if answer == 'yes' else 'payment_failed'}"


def test_a_card_that_was_set_up_needs_no_authentication_later(shop: Shop) -> None:
    token = "pm_card_authenticationRequiredOnSetup"
    declined(shop, token)
    params: Any = {"customer": shop.customer().id, "automatic_payment_methods": NO_REDIRECTS}
    setup = shop.client.v1.setup_intents.create({**params, "payment_method": token, "confirm": True})
    assert setup.status == "requires_action"

    shop.pretend.control.authenticate(setup.id)

    card = shop.client.v1.payment_methods.retrieve(str(shop.client.v1.setup_intents.retrieve(setup.id).payment_method))
    assert card.customer == params["customer"]
    assert shop.intent(card, confirm=True, off_session=True).status == "succeeded"
    assert shop.intent(card, confirm=True).status == "requires_action"


def test_a_card_that_counts_as_set_up_pays_off_session(shop: Shop) -> None:
    card = shop.card("pm_card_authenticationRequiredSetupForOffSession")

    assert shop.intent(card, confirm=True, off_session=True).status == "succeeded"
    assert shop.intent(card, confirm=True).status == "requires_action"


def test_authenticated_and_then_declined(shop: Shop) -> None:
    intent = shop.intent(shop.card("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"), confirm=True)

    shop.pretend.control.authenticate(intent.id)

    failed = shop.client.v1.payment_intents.retrieve(intent.id)
    assert (failed.status, failed.last_payment_error.decline_code) == ("requires_payment_method", "insufficient_funds")


def test_a_setup_can_fail_authentication(shop: Shop) -> None:
    params: Any = {"automatic_payment_methods": NO_REDIRECTS, "confirm": True}
    setup = shop.client.v1.setup_intents.create({**params, "payment_method": "pm_card_authenticationRequired"})

    shop.pretend.control.authenticate(setup.id, succeeds=False)

    failed = shop.client.v1.setup_intents.retrieve(setup.id)
    assert failed.last_setup_error.code == "setup_intent_authentication_failure"
    assert shop.events()[-1] == "setup_intent.setup_failed"


# Other ways


def test_a_payment_can_be_held_up(shop: Shop) -> None:
    shop.pretend.control.hold_payments(2)
    good, bad = shop.paid(), shop.paid()
    assert (good.status, good.amount_received) == ("processing", 0)
    with pytest.raises(InvalidRequestError):
        shop.client.v1.payment_intents.cancel(good.id)

    shop.pretend.control.finish_payment(good.id)
    shop.pretend.control.finish_payment(bad.id, succeeds=False)

    def now(intent: PaymentIntent) -> str:
        return shop.client.v1.payment_intents.retrieve(intent.id).status

    assert (now(good), now(bad)) == ("succeeded", "requires_payment_method")


def test_manual_capture_waits(shop: Shop) -> None:
    intent = shop.intent(shop.card(), capture_method="manual", confirm=True)
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 5000, 0)

    assert shop.client.v1.payment_intents.capture(intent.id).amount_received == 5000


def test_redirects_need_a_return_url(shop: Shop) -> None:
    intent = shop.intent(shop.card(), automatic_payment_methods={"enabled": True})

    with pytest.raises(InvalidRequestError) as caught:
        shop.client.v1.payment_intents.confirm(intent.id, {"off_session": True})

    assert caught.value.param == "return_url"
    assert shop.client.v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"


def test_off_session_belongs_to_confirming(shop: Shop) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        shop.intent(shop.card(), off_session=True)
    assert caught.value.param == "off_session"


def test_off_session_no_card_can_be_set_up_for_later(shop: Shop) -> None:
    intent = shop.intent(shop.card(), setup_future_usage="off_session")

    with pytest.raises(InvalidRequestError, match="setup_future_usage"):
        shop.client.v1.payment_intents.confirm(intent.id, {"off_session": True})

    assert shop.client.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_whatever_is_changed_the_last_decline_is_forgotten(shop: Shop) -> None:
    refused = declined(shop, "pm_card_chargeCustomerFail").error.payment_intent
    assert refused.last_payment_error.code == "card_declined"

    changed = shop.client.v1.payment_intents.update(refused.id, {"metadata": {"a": "b"}})

    assert (changed.status, changed.last_payment_error) == ("requires_payment_method", None)


def test_a_payment_by_card_only_says_so_and_needs_no_return_url(shop: Shop) -> None:
    values: Any = {"automatic_payment_methods": {"enabled": True}, "allowed_payment_method_types": ["card"]}
    intent = shop.intent(shop.card(), **values)

    assert intent.allowed_payment_method_types == ["card"]
    assert shop.client.v1.payment_intents.confirm(intent.id, {"off_session": True}).status == "succeeded"


def test_a_card_serves_its_own_customer_only(shop: Shop) -> None:
    card, other = shop.card(), shop.customer()

    for customer in ({"customer": other.id}, {}):
        with pytest.raises(InvalidRequestError) as caught:
            shop.intent(payment_method=card.id, **customer)
        assert caught.value.param == "payment_method"


def test_a_detached_card_is_used_up(shop: Shop) -> None:
    card = shop.card()
    shop.client.v1.payment_methods.detach(card.id)

    for use in (
        lambda: shop.client.v1.payment_methods.attach(card.id, {"customer": str(card.customer)}),
        lambda: shop.intent(customer=str(card.customer), payment_method=card.id),
    ):
        with pytest.raises(InvalidRequestError, match="may not be used again") as caught:
            use()
        assert caught.value.code is None


def test_a_card_expires_and_the_bank_replaces_it(shop: Shop) -> None:
    card = shop.card()
    control = shop.pretend.control
    control.set_card(card.id, exp_month=1, exp_year=2020)
    with pytest.raises(CardError) as caught:
        shop.intent(card, confirm=True, off_session=True)
    assert caught.value.code == "expired_card"

    control.set_card(card.id, exp_month=12, exp_year=2050, replaced_by="pm_card_mastercard")

    renewed = shop.client.v1.payment_methods.retrieve(card.id)
    assert (renewed.card.last4, renewed.card.fingerprint != card.card.fingerprint) == ("4444", True)
    assert shop.events().count("payment_method.automatically_updated") == 2
    assert shop.intent(card, confirm=True, off_session=True).status == "succeeded"
    control.set_card(card.id, behaves_as="pm_card_visa_chargeDeclinedInsufficientFunds")
    with pytest.raises(CardError):
        shop.intent(card, confirm=True, off_session=True)


def test_an_account_that_may_not_take_payments_takes_none(shop: Shop) -> None:
    shop.pretend.control.set_account(shop.pretend.platform_account, charges_enabled=False)

    with pytest.raises(InvalidRequestError, match="cannot currently make charges"):
        shop.paid()
