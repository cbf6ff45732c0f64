"""Cents exist on one page only: what an amount is at Stripe, and what Stripe's numbers are worth."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import CURRENCIES, MICROS_PER_UNIT, parse_micros
from chalicelib.gateways import stripe as gateway
from chalicelib.gateways.stripe import amounts
from chalicelib.gateways.stripe.payments import _moved
from local.pretend_stripe import PretendStripe, currencies
from tests.gateways.stripe_stands import Stand, settings_of, use
from tests.pretend_stripe.people import BRIGHT

USD = MICROS_PER_UNIT


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("5", "usd", 500),
        ("5.01", "usd", 501),
        ("0.50", "eur", 50),
        ("10000", "gbp", 1_000_000),
        ("5", "jpy", 5),
        ("10000", "jpy", 10_000),
        ("5", "kwd", 5000),
        ("5.01", "kwd", 5010),
        ("5.120", "kwd", 5120),
        ("0", "usd", 0),
    ],
)
def test_an_amount_becomes_the_currencys_smallest_unit_and_comes_back(amount: str, currency: str, minor: int) -> None:
    amount_micros = parse_micros(amount, "amount")

    assert gateway.minor_units(amount_micros, currency) == minor
    assert amounts.micros(minor, currency) == amount_micros


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("5.005", "usd"),
        ("5.000001", "usd"),
        ("0.001", "eur"),
        ("5.5", "jpy"),
        ("5.01", "jpy"),
        ("0.000001", "jpy"),
        ("5.001", "kwd"),  # Stripe wants the last of three digits to be 0
        ("5.1234", "kwd"),
    ],
)
def test_an_amount_finer_than_the_currency_is_refused_and_never_rounded(amount: str, currency: str) -> None:
    with pytest.raises(Invalid) as refused:
        gateway.minor_units(parse_micros(amount, "amount"), currency)

    assert refused.value.param == "amount"


@pytest.mark.parametrize("currency", ["USD", "krw", "isk", "", "usdt"])
def test_a_currency_that_no_wallet_holds_is_refused(currency: str) -> None:
    for asked in (lambda: gateway.minor_units(5 * USD, currency), lambda: gateway.minor_unit_micros(currency)):
        with pytest.raises(Invalid) as refused:
            asked()
        assert refused.value.param == "currency"


@pytest.mark.parametrize(
    ("currency", "step_micros", "minor"), [("usd", 10_000, 1), ("jpy", 1_000_000, 1), ("kwd", 10_000, 10)]
)
def test_the_smallest_step_of_a_payment_is_the_finest_that_stripe_takes(
    currency: str, step_micros: int, minor: int
) -> None:
    assert gateway.minor_unit_micros(currency) == step_micros
    assert gateway.minor_units(step_micros, currency) == minor
    with pytest.raises(Invalid):
        gateway.minor_units(step_micros // 2, currency)


def test_every_currency_of_a_wallet_has_the_digits_that_stripe_gives_it() -> None:
    ours = {currency: amounts.DECIMALS.get(currency, 2) for currency in CURRENCIES}

    assert ours == {currency: currencies.decimals(currency) for currency in CURRENCIES}


@pytest.fixture
def pretend() -> Iterator[PretendStripe]:
    with PretendStripe() as server:
        yield server


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, pretend: PretendStripe) -> Stand:
    use(settings_of(pretend), monkeypatch)
    pretend.control.connect(BRIGHT)
    return Stand(BRIGHT, settings_of(pretend))


def test_a_refund_on_its_way_counts_and_one_that_fails_comes_back(stand: Stand, pretend: PretendStripe) -> None:
    pending, failing = stand.paid("pm_card_pendingRefund"), stand.paid("pm_card_refundFail")
    stand.refund(pending, 2000)
    stand.refund(failing, 2000)
    at_first = [stand.facts(payment).refunded_micros for payment in (pending, failing)]

    pretend.control.advance(3600)

    assert at_first == [20 * USD, 20 * USD]
    assert [stand.facts(payment).refunded_micros for payment in (pending, failing)] == [20 * USD, 0]


def test_more_refunds_than_stripe_shows_at_once_are_all_added_up(stand: Stand) -> None:
    paid = stand.paid()

    for _ in range(23):
        stand.refund(paid, 100)

    assert stand.facts(paid).refunded_micros == 23 * USD


def test_a_won_dispute_returns_the_money_and_a_lost_one_keeps_it(stand: Stand, pretend: PretendStripe) -> None:
    won, lost = stand.paid("pm_card_createDispute"), stand.paid("pm_card_createDispute")
    for payment, verdict in ((won, "won"), (lost, "lost")):
        (dispute,) = stand.sdk.v1.disputes.list({"payment_intent": payment.id}).data
        pretend.control.close_dispute(dispute.id, verdict)

    after_won, after_lost = stand.facts(won), stand.facts(lost)

    assert (after_won.withdrawn_micros, after_won.reinstated_micros, after_won.disputed) == (50 * USD, 50 * USD, False)
    assert (after_lost.withdrawn_micros, after_lost.reinstated_micros, after_lost.disputed) == (50 * USD, 0, True)


def test_two_disputes_of_one_payment_are_added_up(stand: Stand) -> None:
    facts = stand.facts(stand.paid("pm_card_createMultipleDisputes"))

    assert (facts.withdrawn_micros, facts.disputed) == (100 * USD, True)


def test_an_inquiry_takes_no_money_but_shows_until_it_is_closed(stand: Stand, pretend: PretendStripe) -> None:
    paid = stand.paid("pm_card_createDisputeInquiry")
    during = stand.facts(paid)
    (dispute,) = stand.sdk.v1.disputes.list({"payment_intent": paid.id}).data

    pretend.control.close_dispute(dispute.id, "won")

    assert (during.withdrawn_micros, during.disputed) == (0, True)
    assert (stand.facts(paid).withdrawn_micros, stand.facts(paid).disputed) == (0, False)


def test_a_partial_dispute_takes_its_part(stand: Stand, pretend: PretendStripe) -> None:
    paid = stand.paid()

    pretend.control.open_dispute(paid.id, amount=1200)

    assert stand.facts(paid).withdrawn_micros == 12 * USD


def test_a_dispute_settled_in_another_currency_counts_in_the_payments_own() -> None:
    """The account settles in eur: its balance moves by 4,600 eur cents for a payment of 50 usd."""
    moves: list[Any] = [{"amount": -4600, "currency": "eur"}, {"amount": 4450, "currency": "eur"}]
    values = {"id": "du_1", "object": "dispute", "amount": 5000, "currency": "usd", "balance_transactions": moves}
    dispute = stripe.Dispute.construct_from(values, "sk_test_unused")

    assert list(_moved(dispute)) == [-5000, 5000]


def test_a_payment_that_is_not_paid_yet_has_brought_nothing(stand: Stand) -> None:
    waiting = stand.sdk.v1.payment_intents.create({"amount": 5000, "currency": "usd"})

    facts = stand.facts(waiting)

    assert (facts.status, facts.received_micros, facts.card) == ("requires_payment_method", 0, None)


def test_a_payment_in_a_currency_of_three_digits_is_worth_what_it_says(stand: Stand) -> None:
    facts = stand.facts(stand.paid(amount=5120, currency="kwd"))

    assert (facts.received_micros, facts.currency) == (5_120_000, "kwd")


@pytest.mark.parametrize(
    ("amount", "currency", "minor"), [("50", "usd", 5000), ("5000", "jpy", 5000), ("5.12", "kwd", 5120)]
)
def test_a_checkout_asks_for_what_was_meant(
    stand: Stand, pretend: PretendStripe, amount: str, currency: str, minor: int
) -> None:
    amount_micros = parse_micros(amount, "amount")
    page = stand.checkout(stand.customer(), stand.new_key(), amount_micros=amount_micros, currency=currency)

    pretend.control.pay(page.id)

    seen = gateway.read_checkout(BRIGHT, page.id)
    facts = gateway.read_payment(BRIGHT, str(seen.payment_intent_id))
    made = stand.sdk.v1.payment_intents.retrieve(str(seen.payment_intent_id))
    assert (made.amount, made.setup_future_usage, made.metadata["rebill"]) == (minor, "off_session", "top_test")
    assert (seen.status, facts.status, facts.received_micros) == ("complete", "succeeded", amount_micros)


def test_a_payer_from_abroad_still_pays_in_the_wallets_currency(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    send = stripe.RequestsClient.request
    monkeypatch.setattr(stripe.RequestsClient, "request", lambda self, *args: sent.append(args[3]) or send(self, *args))

    stand.checkout(stand.customer(), stand.new_key())

    assert "adaptive_pricing[enabled]=false" in sent[-1]
