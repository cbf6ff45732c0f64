"""Money is taken while nobody is there: once, or not at all, and a look at the payment always tells which."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from chalicelib.domain.errors import AccessLost, Conflict, Invalid, NotFound, OutcomeUnknown, Unavailable
from chalicelib.domain.payment_facts import Decline
from chalicelib.gateways import stripe as gateway
from chalicelib.gateways.stripe.payments import _decline
from local.pretend_stripe import PretendStripe
from tests.gateways.stripe_stands import AWAY, BACK, STANDS, TEST_KEY, Stand, settings_of, stands, use
from tests.pretend_stripe.people import BRIGHT

USD = 1_000_000
ASKS_WHEN_SAVED, ALWAYS_ASKS = "4000002500003155", "4000002760003184"
CREATE, CONFIRM, CANCEL = (f"/v1/payment_intents{rest}" for rest in ("", "/[^/]+/confirm", "/[^/]+/cancel"))

# The contract: on the pretend Stripe and, where there is a key, on the real one


@pytest.fixture(params=STANDS)
def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    yield from stands(request, monkeypatch)


@pytest.mark.skipif(not TEST_KEY, reason="STRIPE_TEST_KEY is not set: not run against Stripe's own test mode")
def test_stripes_own_test_mode_is_one_of_the_stands() -> None:
    assert len(STANDS) == 3


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.alarm for line in caplog.records if hasattr(line, "alarm")]


def test_a_payment_says_what_it_is_for_and_takes_no_money_before_it_is_confirmed(stand: Stand) -> None:
    saved = stand.saved_card()

    payment = stand.unconfirmed(saved)

    made = stand.sdk.v1.payment_intents.retrieve(payment)
    assert (made.amount, made.currency, made.description) == (5000, "usd", "Automatic refill")
    assert (made.metadata["rebill"], made.allowed_payment_method_types) == ("rfl_test", ["card"])
    facts = gateway.read_payment(stand.account_id, payment)
    assert (facts.status, facts.received_micros, facts.decline) == ("requires_confirmation", 0, None)
    assert (facts.customer_id, facts.payment_method_id) == saved
    assert stand.attempts(payment) == []


def test_a_saved_card_pays_while_nobody_is_there(stand: Stand) -> None:
    saved = stand.saved_card()

    facts = stand.confirm(stand.unconfirmed(saved))

    assert (facts.status, facts.received_micros, facts.currency) == ("succeeded", 50 * USD, "usd")
    assert (facts.customer_id, facts.payment_method_id, facts.decline) == (*saved, None)
    assert facts.card
    assert facts.card.last4 == "4242"


def test_yen_are_paid_in_whole_yen(stand: Stand) -> None:
    facts = stand.confirm(stand.unconfirmed(stand.saved_card(), amount_micros=5000 * USD, currency="jpy"))

    assert (facts.received_micros, facts.currency) == (5000 * USD, "jpy")


@pytest.mark.parametrize("amount_micros", [10_000, 1_000_000 * USD, 50_005_000])
def test_an_amount_that_cannot_be_paid_is_named(
    stand: Stand, caplog: pytest.LogCaptureFixture, amount_micros: int
) -> None:
    with pytest.raises(Invalid) as refused:
        stand.unconfirmed(stand.saved_card(), amount_micros=amount_micros)

    assert refused.value.param == "amount"
    assert alarms(caplog) == []


def test_the_same_payment_asked_for_twice_is_one(stand: Stand) -> None:
    saved, key = stand.saved_card(), stand.new_key()

    first, second = stand.unconfirmed(saved, key), stand.unconfirmed(saved, key)

    assert first == second
    assert [made.id for made in stand.sdk.v1.payment_intents.list({"customer": saved[0]}).data] == [first]


def test_a_payment_confirmed_twice_is_paid_once(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    payment, key = stand.unconfirmed(stand.saved_card()), stand.new_key()

    seen = [stand.confirm(payment, each) for each in (key, key, stand.new_key())]

    assert {(facts.status, facts.received_micros) for facts in seen} == {("succeeded", 50 * USD)}
    assert stand.attempts(payment) == ["succeeded"]
    assert alarms(caplog) == []


@pytest.mark.parametrize("step", [gateway.confirm_payment, gateway.cancel_payment])
def test_a_key_serves_one_payment_only(stand: Stand, step: Callable[..., None]) -> None:
    saved, key = stand.saved_card(), stand.new_key()
    first, second = stand.unconfirmed(saved), stand.unconfirmed(saved)
    step(stand.account_id, first, key=key)

    with pytest.raises(Conflict) as refused:
        step(stand.account_id, second, key=key)

    assert refused.value.code == "idempotency_key_reused"
    assert gateway.read_payment(stand.account_id, second).status == "requires_confirmation"


def test_a_declined_card_is_no_error_and_the_payment_says_why(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    payment = stand.unconfirmed(stand.saved_card("pm_card_chargeCustomerFail"))

    facts = stand.confirm(payment)

    said = stand.sdk.v1.payment_intents.retrieve(payment).last_payment_error
    assert (facts.status, facts.received_micros, facts.payment_method_id) == ("requires_payment_method", 0, None)
    assert facts.decline == Decline("card_declined", "generic_decline", said.advice_code or "")
    assert stand.attempts(payment) == ["failed"]
    assert alarms(caplog) == []


def test_a_declined_card_is_not_asked_a_second_time(stand: Stand) -> None:
    payment, key = stand.unconfirmed(stand.saved_card("pm_card_chargeCustomerFail")), stand.new_key()

    seen = [stand.confirm(payment, each) for each in (key, key, stand.new_key())]

    assert {facts.status for facts in seen} == {"requires_payment_method"}
    assert stand.attempts(payment) == ["failed"]


def test_a_card_that_always_asks_its_holder_cannot_pay_while_nobody_is_there(stand: Stand) -> None:
    facts = stand.confirm(stand.unconfirmed(stand.saved_card("pm_card_authenticationRequired")))

    assert facts.decline
    assert (facts.status, facts.received_micros) == ("requires_payment_method", 0)
    assert "authentication_required" in (facts.decline.code, facts.decline.decline_code)


def test_a_paid_payment_stays_paid_whatever_is_asked_of_it(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    payment = stand.unconfirmed(stand.saved_card())
    paid = stand.confirm(payment)

    gateway.cancel_payment(stand.account_id, payment, key=stand.new_key())

    assert stand.confirm(payment) == paid
    assert stand.attempts(payment) == ["succeeded"]
    assert alarms(caplog) == []


def test_a_cancelled_payment_is_never_paid(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    payment = stand.unconfirmed(stand.saved_card())

    for key in (stand.new_key(), stand.new_key()):
        gateway.cancel_payment(stand.account_id, payment, key=key)

    facts = stand.confirm(payment)
    assert (facts.status, facts.received_micros, stand.attempts(payment)) == ("canceled", 0, [])
    assert alarms(caplog) == []


def test_a_declined_payment_can_be_cancelled(stand: Stand) -> None:
    payment = stand.unconfirmed(stand.saved_card("pm_card_chargeCustomerFail"))
    stand.confirm(payment)

    gateway.cancel_payment(stand.account_id, payment, key=stand.new_key())

    assert gateway.read_payment(stand.account_id, payment).status == "canceled"


def test_a_card_that_was_removed_is_not_paid_with(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    saved = stand.saved_card()
    payment = stand.unconfirmed(saved)
    stand.sdk.v1.payment_methods.detach(saved[1])

    for attempt in (lambda: stand.unconfirmed(saved), lambda: stand.confirm(payment)):
        with pytest.raises(Conflict) as refused:
            attempt()
        assert refused.value.code == "card_removed"

    assert gateway.read_payment(stand.account_id, payment).received_micros == 0
    assert stand.attempts(payment) == []
    assert alarms(caplog) == []


def test_a_customer_that_was_deleted_pays_no_more(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    saved = stand.saved_card()
    payment = stand.unconfirmed(saved)
    stand.sdk.v1.customers.delete(saved[0])

    with pytest.raises(NotFound):
        stand.unconfirmed(saved)
    with pytest.raises((Conflict, NotFound)):
        stand.confirm(payment)

    assert stand.attempts(payment) == []
    assert alarms(caplog) == []


# What only a pretend Stripe can be made to do


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendStripe]:
    with PretendStripe() as server:
        use(settings_of(server), monkeypatch)
        server.control.connect(BRIGHT)
        yield server


@pytest.fixture
def agency(pretend: PretendStripe) -> Stand:
    return Stand(BRIGHT, settings_of(pretend))


@pytest.fixture
def leave_card(agency: Stand, pretend: PretendStripe) -> Callable[..., tuple[str, str]]:
    """A person leaves a card on Checkout's page, and says yes to the bank if it asks."""

    def leave(number: str = "4242424242424242") -> tuple[str, str]:
        customer_id = agency.customer()
        page: dict[str, Any] = {"reference": "sa_1", "success_url": BACK, "cancel_url": AWAY, "key": agency.new_key()}
        opened = gateway.open_card_setup(BRIGHT, customer_id=customer_id, currency="usd", **page)
        pretend.control.pay(opened.id, number, authenticates=True)
        setup = gateway.read_checkout(BRIGHT, opened.id).setup_intent_id
        card = gateway.read_setup_card(BRIGHT, str(setup))
        assert card
        return customer_id, card.payment_method_id

    return leave


@pytest.mark.parametrize("number", ["4242424242424242", ASKS_WHEN_SAVED])
def test_a_card_that_was_left_on_stripes_page_pays_later(
    agency: Stand, leave_card: Callable[..., tuple[str, str]], number: str
) -> None:
    facts = agency.confirm(agency.unconfirmed(leave_card(number)))

    assert facts.card
    assert (facts.status, facts.received_micros, facts.card.last4) == ("succeeded", 50 * USD, number[-4:])


def test_a_card_that_a_top_up_was_paid_with_pays_later(agency: Stand, pretend: PretendStripe) -> None:
    customer_id = agency.customer()
    page = agency.checkout(customer_id, agency.new_key())
    pretend.control.pay(page.id, ASKS_WHEN_SAVED, authenticates=True)
    top_up = gateway.read_payment(BRIGHT, str(gateway.read_checkout(BRIGHT, page.id).payment_intent_id))

    facts = agency.confirm(agency.unconfirmed((customer_id, str(top_up.payment_method_id))))

    assert (facts.status, facts.card) == ("succeeded", top_up.card)


@pytest.mark.parametrize("code", ["authentication_required", "card_declined"])
def test_a_card_that_always_asks_says_so_in_either_of_stripes_words(
    agency: Stand, pretend: PretendStripe, leave_card: Callable[..., tuple[str, str]], code: str
) -> None:
    saved = leave_card(ALWAYS_ASKS)
    pretend.control.authentication_code(code)

    facts = agency.confirm(agency.unconfirmed(saved))

    assert (facts.status, facts.received_micros) == ("requires_payment_method", 0)
    assert facts.decline == Decline(code, "authentication_required", "")


@pytest.mark.parametrize(
    ("token", "decline"),
    [
        ("pm_card_chargeCustomerFail", Decline("card_declined", "generic_decline", "try_again_later")),
        ("pm_card_visa_chargeCustomerFailLostCard", Decline("card_declined", "lost_card", "do_not_try_again")),
        ("pm_card_radarBlock", Decline("card_declined", "fraudulent", "do_not_try_again")),
    ],
)
def test_the_bank_says_why_and_whether_to_try_again(agency: Stand, token: str, decline: Decline) -> None:
    assert agency.confirm(agency.unconfirmed(agency.saved_card(token))).decline == decline


def test_a_card_that_has_expired_since_is_declined_for_that(agency: Stand, pretend: PretendStripe) -> None:
    saved = agency.saved_card()
    pretend.control.set_card(saved[1], exp_month=1, exp_year=2020)

    assert agency.confirm(agency.unconfirmed(saved)).decline == Decline("expired_card", "", "confirm_card_data")


def test_only_words_are_taken_over_from_a_decline() -> None:
    said = {"code": "card_declined", "decline_code": "Your card 4242 4242 4242 4242", "message": "Key sk_test_1"}
    error = stripe.PaymentIntent.LastPaymentError.construct_from(said, "sk_test_unused")

    assert _decline(error) == Decline("card_declined", "", "")


def test_a_payment_that_the_bank_still_works_on_cannot_be_cancelled(
    agency: Stand, pretend: PretendStripe, caplog: pytest.LogCaptureFixture
) -> None:
    pretend.control.hold_payments()
    payment = agency.unconfirmed(agency.saved_card())
    during = agency.confirm(payment)

    gateway.cancel_payment(BRIGHT, payment, key=agency.new_key())
    pretend.control.finish_payment(payment)

    after = gateway.read_payment(BRIGHT, payment)
    assert (during.status, during.received_micros) == ("processing", 0)
    assert (after.status, after.received_micros) == ("succeeded", 50 * USD)
    assert alarms(caplog) == []


# Lost answers


# Each fault, how often it must strike before the gateway gives up, and whether Stripe has done what was asked.
FAULTS = [
    ("lost_before", 2, False),
    ("lost_after", 2, True),
    ("conflict_409", 2, False),
    ("error_500", 1, False),
    ("error_500_after", 1, True),
]


@pytest.mark.parametrize(("fault", "times", "done"), FAULTS)
def test_a_payment_whose_id_was_lost_is_there_once_at_most_and_unpaid(
    agency: Stand, pretend: PretendStripe, fault: str, times: int, done: bool
) -> None:
    saved = agency.saved_card()
    pretend.control.plan_fault(fault, times=times, path=CREATE)

    with pytest.raises(OutcomeUnknown):
        agency.unconfirmed(saved)

    made = agency.sdk.v1.payment_intents.list({"customer": saved[0]}).data
    assert [payment.status for payment in made] == ["requires_confirmation"] * done


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "conflict_409"])
def test_a_payment_whose_id_was_lost_is_found_again_under_its_key(
    agency: Stand, pretend: PretendStripe, fault: str
) -> None:
    saved, key = agency.saved_card(), agency.new_key()
    pretend.control.plan_fault(fault, times=2, path=CREATE)
    with pytest.raises(OutcomeUnknown):
        agency.unconfirmed(saved, key)

    payment = agency.unconfirmed(saved, key)

    assert [made.id for made in agency.sdk.v1.payment_intents.list({"customer": saved[0]}).data] == [payment]


@pytest.mark.parametrize(("fault", "times", "done"), FAULTS)
def test_after_a_lost_confirmation_a_look_tells_and_confirming_again_pays_once(
    agency: Stand, pretend: PretendStripe, fault: str, times: int, done: bool
) -> None:
    payment = agency.unconfirmed(agency.saved_card())
    pretend.control.plan_fault(fault, times=times, path=CONFIRM)

    with pytest.raises(OutcomeUnknown):
        agency.confirm(payment)

    seen = gateway.read_payment(BRIGHT, payment)
    assert (seen.status, seen.received_micros) == (("succeeded", 50 * USD) if done else ("requires_confirmation", 0))
    assert agency.confirm(payment).received_micros == 50 * USD
    assert agency.attempts(payment) == ["succeeded"]


def test_after_a_lost_decline_a_look_tells_why_and_the_same_key_asks_the_bank_no_more(
    agency: Stand, pretend: PretendStripe
) -> None:
    payment, key = agency.unconfirmed(agency.saved_card("pm_card_chargeCustomerFail")), agency.new_key()
    pretend.control.plan_fault("lost_after", times=2, path=CONFIRM)

    with pytest.raises(OutcomeUnknown):
        agency.confirm(payment, key)

    told = gateway.read_payment(BRIGHT, payment)
    assert told.decline == Decline("card_declined", "generic_decline", "try_again_later")
    assert agency.confirm(payment, key) == told
    assert agency.attempts(payment) == ["failed"]


@pytest.mark.parametrize(("fault", "times", "done"), FAULTS)
def test_after_a_lost_cancellation_a_look_tells_and_cancelling_again_is_safe(
    agency: Stand, pretend: PretendStripe, fault: str, times: int, done: bool
) -> None:
    payment = agency.unconfirmed(agency.saved_card())
    pretend.control.plan_fault(fault, times=times, path=CANCEL)

    with pytest.raises(OutcomeUnknown):
        gateway.cancel_payment(BRIGHT, payment, key=agency.new_key())

    assert gateway.read_payment(BRIGHT, payment).status == ("canceled" if done else "requires_confirmation")
    gateway.cancel_payment(BRIGHT, payment, key=agency.new_key())
    assert gateway.read_payment(BRIGHT, payment).status == "canceled"


def test_a_busy_stripe_has_not_begun(agency: Stand, pretend: PretendStripe) -> None:
    payment, key = agency.unconfirmed(agency.saved_card()), agency.new_key()
    pretend.control.plan_fault("rate_limit_429", path=CONFIRM)

    with pytest.raises(Unavailable) as refused:
        agency.confirm(payment, key)

    assert type(refused.value) is Unavailable
    assert gateway.read_payment(BRIGHT, payment).status == "requires_confirmation"
    assert agency.confirm(payment, key).status == "succeeded"


# The right account, and nothing secret


def test_a_payment_of_one_account_does_not_exist_on_another(agency: Stand) -> None:
    own = Stand(None, agency.settings)
    saved = own.saved_card()
    payment = own.unconfirmed(saved)

    for wrong in (
        lambda: agency.unconfirmed(saved),
        lambda: agency.unconfirmed((agency.customer(), saved[1])),
        lambda: agency.confirm(payment),
        lambda: gateway.cancel_payment(BRIGHT, payment, key=agency.new_key()),
    ):
        with pytest.raises(NotFound):
            wrong()

    assert agency.sdk.v1.payment_intents.list().data == []
    assert gateway.read_payment(None, payment).status == "requires_confirmation"


def test_an_account_that_has_left_us_is_not_paid_on(agency: Stand, pretend: PretendStripe) -> None:
    payment = agency.unconfirmed(agency.saved_card())
    pretend.control.deauthorize(BRIGHT)

    with pytest.raises(AccessLost):
        gateway.confirm_payment(BRIGHT, payment, key=agency.new_key())

    pretend.control.connect(BRIGHT)
    assert gateway.read_payment(BRIGHT, payment).status == "requires_confirmation"


def test_no_line_of_the_log_holds_a_secret_or_a_person(
    agency: Stand, pretend: PretendStripe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    saved, gone = agency.saved_card("pm_card_chargeCustomerFail"), agency.saved_card()
    payment = agency.unconfirmed(saved)
    secret = agency.sdk.v1.payment_intents.retrieve(payment).client_secret
    agency.sdk.v1.payment_methods.detach(gone[1])
    caplog.clear()

    agency.confirm(payment)
    gateway.cancel_payment(BRIGHT, payment, key=agency.new_key())
    agency.confirm(payment)
    with pytest.raises(Conflict):
        agency.unconfirmed(gone)

    lines = [vars(line) for line in caplog.records]
    assert [line["stripe_code"] for line in lines if line["name"] == "rebill"] == [
        "card_declined",
        "payment_intent_unexpected_state",
        "",
    ]
    canaries = (pretend.platform_key, str(secret), "Dentists", "Your card was declined", "may not be used again")
    assert not [canary for canary in canaries if canary in repr(lines)]
