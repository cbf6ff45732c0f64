"""One contract, two stands: what the gateway asks of Stripe works on the pretend one and on the real one alike."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.errors import Conflict, Invalid, NotFound
from chalicelib.domain.payments import Card
from chalicelib.gateways import stripe as gateway
from tests.gateways.stripe_stands import AWAY, BACK, STANDS, TEST_KEY, Stand, stands

USD = 1_000_000


@pytest.fixture(params=STANDS)
def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    yield from stands(request, monkeypatch)


@pytest.mark.skipif(not TEST_KEY, reason="STRIPE_TEST_KEY is not set: not run against Stripe's own test mode")
def test_stripes_own_test_mode_is_one_of_the_stands() -> None:
    assert len(STANDS) == 3


def test_a_customer_is_made_once_however_often_it_is_asked_for(stand: Stand) -> None:
    key = stand.new_key()

    ids = {gateway.create_customer(stand.account_id, owner_id="sa_1", name="Pat", key=key) for _ in range(3)}

    (customer_id,) = ids
    made = stand.sdk.v1.customers.retrieve(customer_id)
    assert made.metadata
    assert (made.name, made.metadata["rebill"]) == ("Pat", "sa_1")


def test_a_key_with_other_contents_is_refused_and_told_to_a_person(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    key = stand.new_key()
    gateway.create_customer(stand.account_id, owner_id="sa_1", name="Pat", key=key)

    with pytest.raises(Conflict) as refused:
        gateway.create_customer(stand.account_id, owner_id="sa_1", name="Sam", key=key)

    assert refused.value.code == "idempotency_key_reused"
    assert "stripe_idempotency_key_reused" in [getattr(line, "alarm", None) for line in caplog.records]


def test_a_checkout_page_asks_for_the_amount_and_saves_the_card(stand: Stand) -> None:
    customer_id = stand.customer()

    page = stand.checkout(customer_id, stand.new_key())

    assert page.url and page.url.startswith("http")
    assert (page.status, page.payment_intent_id, page.setup_intent_id, page.livemode) == ("open", None, None, False)
    made = stand.sdk.v1.checkout.sessions.retrieve(page.id)
    assert (made.amount_total, made.currency, made.mode, made.customer) == (5000, "usd", "payment", customer_id)
    assert (made.client_reference_id, made.success_url, made.cancel_url) == ("top_test", BACK, AWAY)
    assert made.custom_text.submit
    assert "later automatic refills" in made.custom_text.submit.message
    assert made.payment_method_types == ["card"]


def test_a_repeated_checkout_is_the_same_page(stand: Stand) -> None:
    customer_id, key = stand.customer(), stand.new_key()

    first, second = stand.checkout(customer_id, key), stand.checkout(customer_id, key)

    assert first == second
    assert gateway.read_checkout(stand.account_id, first.id) == first


def test_an_expired_checkout_stays_expired(stand: Stand) -> None:
    page = stand.checkout(stand.customer(), stand.new_key())

    answers = [gateway.expire_checkout(stand.account_id, page.id) for _ in range(2)]

    assert answers == [True, True]
    seen = gateway.read_checkout(stand.account_id, page.id)
    assert (seen.status, seen.url, seen.payment_intent_id) == ("expired", None, None)


def test_a_card_is_saved_on_a_page_of_its_own(stand: Stand) -> None:
    page = gateway.open_card_setup(
        stand.account_id,
        customer_id=stand.customer(),
        currency="usd",
        reference="sa_1",
        success_url=BACK,
        cancel_url=AWAY,
        key=stand.new_key(),
    )

    assert page.url
    assert page.status == "open"
    made = stand.sdk.v1.checkout.sessions.retrieve(page.id)
    assert (made.mode, made.amount_total, made.client_reference_id) == ("setup", None, "sa_1")
    assert made.custom_text.submit


def test_a_payment_is_told_with_its_card_and_its_customer(stand: Stand) -> None:
    paid = stand.paid()

    facts = stand.facts(paid)

    assert facts.card
    assert facts == gateway.PaymentFacts(
        status="succeeded",
        received_micros=50 * USD,
        currency="usd",
        livemode=False,
        customer_id=str(paid.customer),
        card=Card(facts.card.payment_method_id, "visa", "4242", facts.card.exp_month, facts.card.exp_year),
        refunded_micros=0,
        withdrawn_micros=0,
        reinstated_micros=0,
        disputed=False,
        payment_method_id=facts.card.payment_method_id,
    )
    assert gateway.read_card(stand.account_id, facts.card.payment_method_id) == facts.card


def test_a_payment_in_yen_is_worth_what_it_says(stand: Stand) -> None:
    facts = stand.facts(stand.paid(amount=5000, currency="jpy"))

    assert (facts.received_micros, facts.currency) == (5000 * USD, "jpy")


def test_refunds_are_added_up(stand: Stand) -> None:
    paid = stand.paid()

    stand.refund(paid, 1000)
    after_one = stand.facts(paid).refunded_micros
    stand.refund(paid, 1500)
    after_two = stand.facts(paid).refunded_micros
    stand.refund(paid)

    assert (after_one, after_two, stand.facts(paid).refunded_micros) == (10 * USD, 25 * USD, 50 * USD)
    assert stand.facts(paid).received_micros == 50 * USD


def test_a_dispute_takes_the_money_and_shows(stand: Stand) -> None:
    paid = stand.paid("pm_card_createDispute")

    facts = stand.facts(paid)
    for _ in range(20):  # in test mode, Stripe opens it a moment after the payment
        if facts.withdrawn_micros:
            break
        time.sleep(1)
        facts = stand.facts(paid)

    assert (facts.withdrawn_micros, facts.reinstated_micros, facts.disputed) == (50 * USD, 0, True)
    assert (facts.received_micros, facts.refunded_micros) == (50 * USD, 0)


def test_a_removed_card_is_none_any_more(stand: Stand) -> None:
    card = stand.facts(stand.paid()).card
    assert card

    stand.sdk.v1.payment_methods.detach(card.payment_method_id)

    assert gateway.read_card(stand.account_id, card.payment_method_id) is None


def test_a_card_is_read_once_it_has_been_set_up_and_not_before(stand: Stand) -> None:
    setups, now = stand.sdk.v1.setup_intents, {"enabled": True, "allow_redirects": "never"}
    asked: dict[str, Any] = {"customer": stand.customer(), "automatic_payment_methods": now}
    empty = setups.create({"customer": stand.customer()})
    ready = setups.create({**asked, "payment_method": "pm_card_visa", "confirm": True})
    waiting = setups.create({**asked, "payment_method": "pm_card_authenticationRequired", "confirm": True})

    card, *others = [gateway.read_setup_card(stand.account_id, intent.id) for intent in (ready, empty, waiting)]

    assert card
    assert (card.brand, card.last4) == ("visa", "4242")
    assert (waiting.status, others) == ("requires_action", [None, None])


def test_what_is_not_there_is_not_found(stand: Stand) -> None:
    for lookup in (
        lambda: gateway.read_checkout(stand.account_id, "cs_test_nobody"),
        lambda: gateway.expire_checkout(stand.account_id, "cs_test_nobody"),
        lambda: gateway.read_payment(stand.account_id, "pi_nobody"),
        lambda: gateway.read_setup_card(stand.account_id, "seti_nobody"),
        lambda: gateway.read_card(stand.account_id, "pm_nobody"),
        lambda: gateway.open_portal(stand.account_id, "cus_nobody", BACK),
        lambda: stand.checkout("cus_nobody", stand.new_key()),
        lambda: stand.unconfirmed(("cus_nobody", "pm_nobody")),
        lambda: stand.unconfirmed((stand.customer(), "pm_nobody")),
        lambda: gateway.confirm_payment(stand.account_id, "pi_nobody", key=stand.new_key()),
        lambda: gateway.cancel_payment(stand.account_id, "pi_nobody", key=stand.new_key()),
    ):
        with pytest.raises(NotFound):
            lookup()


@pytest.mark.parametrize("amount_micros", [10_000, 1_000_000 * USD])
def test_an_amount_that_stripe_does_not_take_is_named(stand: Stand, amount_micros: int) -> None:
    with pytest.raises(Invalid) as refused:
        stand.checkout(stand.customer(), stand.new_key(), amount_micros=amount_micros)

    assert refused.value.param == "amount"
