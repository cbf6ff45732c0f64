"""Stripe's refusals and silences in our words, and nothing secret in any of them."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import stripe

from chalicelib.domain.errors import (
    AccessLost,
    Conflict,
    Invalid,
    NotFound,
    OutcomeUnknown,
    RebillError,
    Unavailable,
)
from chalicelib.gateways import stripe as gateway
from chalicelib.gateways.stripe import client
from chalicelib.settings import StripeSettings
from local.pretend_stripe import PretendStripe
from tests.gateways.stripe_stands import AWAY, BACK, Stand, settings_of, use
from tests.pretend_stripe.people import BRIGHT

CARD_NUMBER = "4000056655665556"
SECRET_KEY = "sk_test_" + "canary0123456789abcdef"
WEBHOOK_SECRET = "whsec_" + "canary0123456789abcdef"
BODY = "canary-of-a-whole-object"
CANARIES = (CARD_NUMBER, SECRET_KEY, SECRET_KEY[8:], WEBHOOK_SECRET, BODY, "ac_canary")

Call = Callable[[str | None], Any]

PAGE: dict[str, Any] = {
    "customer_id": "cus_1",
    "reference": "top_1",
    "success_url": BACK,
    "cancel_url": AWAY,
    "key": "k",
}
MONEY: dict[str, Any] = {"amount_micros": 50_000_000, "currency": "usd", "description": "Balance"}
CALLS: dict[str, Call] = {
    "create_customer": lambda on: gateway.create_customer(on, owner_id="sa_1", name="Pat", key="k"),
    "open_checkout": lambda on: gateway.open_checkout(on, **MONEY, **PAGE),
    "open_card_setup": lambda on: gateway.open_card_setup(on, currency="usd", **PAGE),
    "read_checkout": lambda on: gateway.read_checkout(on, "cs_test_1"),
    "expire_checkout": lambda on: gateway.expire_checkout(on, "cs_test_1"),
    "create_payment": lambda on: gateway.create_payment(
        on, customer_id="cus_1", payment_method_id="pm_1", reference="rfl_1", key="k", **MONEY
    ),
    "confirm_payment": lambda on: gateway.confirm_payment(on, "pi_1", key="k"),
    "cancel_payment": lambda on: gateway.cancel_payment(on, "pi_1", key="k"),
    "open_portal": lambda on: gateway.open_portal(on, "cus_1", BACK),
    "read_payment": lambda on: gateway.read_payment(on, "pi_1"),
    "read_setup_card": lambda on: gateway.read_setup_card(on, "seti_1"),
    "read_card": lambda on: gateway.read_card(on, "pm_1"),
    "read_account": lambda on: gateway.read_account(on or BRIGHT),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendStripe]:
    with PretendStripe() as server:
        use(settings_of(server), monkeypatch)
        server.control.connect(BRIGHT)
        yield server


@pytest.fixture
def stand(pretend: PretendStripe) -> Stand:
    return Stand(BRIGHT, settings_of(pretend))


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, object], None]:
    """Let Stripe give one and the same answer to everything."""
    use(replace(_NOWHERE, secret_key=SECRET_KEY), monkeypatch)

    def give(status: int, body: object) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"request-id": "req_abc123"}
        monkeypatch.setattr(stripe.RequestsClient, "request", lambda *_: (content, status, headers))

    return give


_NOWHERE = StripeSettings("", "ca_1", WEBHOOK_SECRET, WEBHOOK_SECRET, "http://127.0.0.1:9", "http://127.0.0.1:9")


def error(**fields: str) -> dict[str, Any]:
    """An error of Stripe's that quotes everything it knows."""
    quoted = f"You sent {SECRET_KEY} and {CARD_NUMBER} and {BODY}"
    return {"error": {"message": quoted, "payment_intent": {"id": "pi_1", "description": BODY}, **fields}}


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.alarm for line in caplog.records if hasattr(line, "alarm")]


@pytest.mark.parametrize(
    ("status", "body", "ours", "code"),
    [
        (402, error(type="card_error", code="card_declined", decline_code="lost_card"), Conflict, "card_declined"),
        (400, error(type="idempotency_error"), Conflict, "idempotency_key_reused"),
        (400, error(type="invalid_request_error", code="resource_missing", param="id"), NotFound, "not_found"),
        (404, error(type="invalid_request_error", code="resource_missing", param="id"), NotFound, "not_found"),
        (400, error(type="invalid_request_error", code="amount_too_small"), Invalid, "amount_too_small"),
        (400, error(type="invalid_request_error", code="amount_too_large"), Invalid, "amount_too_large"),
        (400, error(type="invalid_request_error", code="parameter_unknown"), Conflict, "stripe_refused"),
        (400, error(type="invalid_request_error"), Conflict, "stripe_refused"),
        (403, error(type="invalid_request_error", code="account_invalid"), AccessLost, "stripe_access_lost"),
        (403, error(type="invalid_request_error"), Unavailable, "unavailable"),
        (401, error(type="invalid_request_error"), Unavailable, "unavailable"),
        (429, error(type="invalid_request_error", code="rate_limit"), Unavailable, "unavailable"),
        (429, error(type="invalid_request_error", code="lock_timeout"), Unavailable, "unavailable"),
        (409, error(type="invalid_request_error", code="idempotency_key_in_use"), OutcomeUnknown, "unavailable"),
        (409, error(type="invalid_request_error", code="lock_timeout"), OutcomeUnknown, "unavailable"),
        (500, error(type="api_error"), OutcomeUnknown, "unavailable"),
        (503, b"<html>" + BODY.encode(), OutcomeUnknown, "unavailable"),
        (400, [BODY], OutcomeUnknown, "unavailable"),
        (400, b"\xff" + BODY.encode(), OutcomeUnknown, "unavailable"),
        (418, error(type="no_such_type"), OutcomeUnknown, "unavailable"),
        (200, b"<html>" + BODY.encode(), OutcomeUnknown, "unavailable"),
        (200, {"note": BODY}, OutcomeUnknown, "unavailable"),
        (200, [BODY], OutcomeUnknown, "unavailable"),
        (200, {"id": "cus_1", "error": None}, None, ""),
    ],
)
def test_every_answer_has_a_word_of_ours_and_quotes_nothing(
    answer: Callable[[int, object], None],
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: object,
    ours: type[RebillError] | None,
    code: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    answer(status, body)

    if ours is None:
        assert CALLS["create_customer"](None) == "cus_1"
        return
    with pytest.raises(RebillError) as caught:
        CALLS["create_customer"](None)

    assert (type(caught.value), caught.value.code) == (ours, code)
    _no_canary(caught.value, caplog)


@pytest.mark.parametrize("call", [call for name, call in CALLS.items() if name != "expire_checkout"])
@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [(403, "account_invalid", AccessLost), (500, "", OutcomeUnknown), (429, "", Unavailable)],
)
def test_every_call_says_it_in_our_words(
    answer: Callable[[int, object], None], call: Call, status: int, code: str, ours: type[RebillError]
) -> None:
    answer(status, error(code=code))

    with pytest.raises(RebillError) as caught:
        call("acct_1")

    assert type(caught.value) is ours


@pytest.mark.parametrize(
    ("call", "status", "fields", "ours", "told"),
    [
        ("confirm_payment", 402, {"type": "card_error", "code": "card_declined"}, None, []),
        ("confirm_payment", 402, {"type": "card_error", "code": "authentication_required"}, None, []),
        ("confirm_payment", 402, {"type": "invalid_request_error", "code": "authentication_required"}, None, []),
        ("confirm_payment", 400, {"code": "payment_intent_unexpected_state"}, None, []),
        ("confirm_payment", 400, {"code": "parameter_unknown"}, Conflict, ["stripe_refused"]),
        ("confirm_payment", 409, {"code": "idempotency_key_in_use"}, OutcomeUnknown, []),
        ("cancel_payment", 400, {"code": "payment_intent_unexpected_state"}, None, []),
        ("cancel_payment", 400, {"code": "parameter_unknown"}, Conflict, ["stripe_refused"]),
        ("cancel_payment", 409, {"code": "lock_timeout"}, OutcomeUnknown, []),
        ("create_payment", 400, {"code": "amount_too_small"}, Invalid, []),
        ("create_payment", 409, {"code": "lock_timeout"}, OutcomeUnknown, []),
    ],
)
def test_what_the_payment_itself_tells_is_no_error_and_wakes_nobody(
    answer: Callable[[int, object], None],
    caplog: pytest.LogCaptureFixture,
    call: str,
    status: int,
    fields: dict[str, str],
    ours: type[RebillError] | None,
    told: list[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    answer(status, error(**fields))

    if ours is None:
        CALLS[call]("acct_1")
        raised: BaseException = Exception()
    else:
        with pytest.raises(RebillError) as caught:
            CALLS[call]("acct_1")
        raised = caught.value
        assert type(raised) is ours

    assert alarms(caplog) == told
    assert fields["code"] in [getattr(line, "stripe_code", None) for line in caplog.records]
    _no_canary(raised, caplog)


def test_a_decline_is_told_by_its_code_and_not_by_stripes_sentence(answer: Callable[[int, object], None]) -> None:
    answer(402, error(type="card_error", code="card_declined", decline_code="insufficient_funds"))

    with pytest.raises(Conflict) as declined:
        CALLS["open_checkout"]("acct_1")

    assert declined.value.detail == "The card was declined: insufficient_funds."


@pytest.mark.parametrize(
    ("status", "fields", "alarm"),
    [
        (401, {}, "stripe_key_refused"),
        (403, {}, "stripe_key_refused"),
        (400, {"type": "idempotency_error"}, "stripe_idempotency_key_reused"),
        (400, {"code": "parameter_unknown", "param": "line_items[0][price]"}, "stripe_refused"),
    ],
)
def test_a_person_is_told_what_only_a_person_can_mend(
    answer: Callable[[int, object], None],
    caplog: pytest.LogCaptureFixture,
    status: int,
    fields: dict[str, str],
    alarm: str,
) -> None:
    answer(status, error(**fields))

    with pytest.raises(RebillError):
        CALLS["open_checkout"](None)

    (line,) = [line for line in caplog.records if hasattr(line, "alarm")]
    told = vars(line)
    assert (told["alarm"], told["stripe_request"], told["stripe_status"]) == (alarm, "req_abc123", str(status))
    assert (told["stripe_code"], told["stripe_param"]) == (fields.get("code", ""), fields.get("param", ""))


def test_words_that_stripe_would_never_use_are_not_written_down(
    answer: Callable[[int, object], None], caplog: pytest.LogCaptureFixture
) -> None:
    answer(400, error(code=f"your card {CARD_NUMBER}", param=f"Key {SECRET_KEY}", decline_code="Ä" * 10))

    with pytest.raises(Conflict) as refused:
        CALLS["open_checkout"](None)

    _no_canary(refused.value, caplog)
    assert {vars(line)["stripe_code"] for line in caplog.records if line.name == "rebill"} == {""}


@every_call
def test_an_account_that_has_left_us_is_told_apart_from_trouble(pretend: PretendStripe, call: Call) -> None:
    pretend.control.deauthorize(BRIGHT)

    with pytest.raises(AccessLost):
        call(BRIGHT)


@every_call
def test_a_key_that_stripe_does_not_take_is_our_own_trouble(
    pretend: PretendStripe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: Call
) -> None:
    use(settings_of(pretend, SECRET_KEY), monkeypatch)

    with pytest.raises(Unavailable) as refused:
        call(None)

    assert type(refused.value) is Unavailable
    assert alarms(caplog) == ["stripe_key_refused"]
    _no_canary(refused.value, caplog)


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "conflict_409"])
def test_after_silence_the_same_call_with_the_same_key_does_it_once(
    stand: Stand, pretend: PretendStripe, fault: str
) -> None:
    customer_id, key = stand.customer(), stand.new_key()
    pretend.control.plan_fault(fault, times=2, path="/v1/checkout/sessions")
    with pytest.raises(OutcomeUnknown):
        stand.checkout(customer_id, key)

    page = stand.checkout(customer_id, key)

    assert [session.id for session in stand.sdk.v1.checkout.sessions.list().data] == [page.id]


@pytest.mark.parametrize(("fault", "made"), [("error_500", 0), ("error_500_after", 1)])
def test_a_500_stays_unknown_for_its_key_and_says_nothing_of_what_happened(
    stand: Stand, pretend: PretendStripe, fault: str, made: int
) -> None:
    customer_id, key = stand.customer(), stand.new_key()
    pretend.control.plan_fault(fault, path="/v1/checkout/sessions")

    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            stand.checkout(customer_id, key)

    assert len(stand.sdk.v1.checkout.sessions.list().data) == made


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "conflict_409"])
def test_one_lost_answer_is_asked_for_again_under_the_same_key(
    stand: Stand, pretend: PretendStripe, fault: str
) -> None:
    customer_id = stand.customer()
    pretend.control.plan_fault(fault, path="/v1/checkout/sessions")

    page = stand.checkout(customer_id, stand.new_key())

    assert [session.id for session in stand.sdk.v1.checkout.sessions.list().data] == [page.id]


def test_too_many_requests_is_no_unknown_outcome(stand: Stand, pretend: PretendStripe) -> None:
    pretend.control.plan_fault("rate_limit_429", path="/v1/customers")

    with pytest.raises(Unavailable) as refused:
        stand.customer()

    assert type(refused.value) is Unavailable
    assert stand.customer()


def test_an_answer_that_takes_too_long_is_unknown(
    stand: Stand, pretend: PretendStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT_SECONDS", 0.1)
    client.client_for.cache_clear()
    pretend.control.plan_fault("latency", times=2, path="/v1/customers", seconds=5)

    with pytest.raises(OutcomeUnknown):
        stand.customer()

    client.client_for.cache_clear()


def test_a_stripe_that_is_not_there_is_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(replace(_NOWHERE, secret_key=SECRET_KEY), monkeypatch)

    with pytest.raises(OutcomeUnknown) as silent:
        CALLS["create_customer"](None)

    _no_canary(silent.value, caplog)


def test_a_checkout_that_was_paid_meanwhile_is_not_called_expired(stand: Stand, pretend: PretendStripe) -> None:
    page = stand.checkout(stand.customer(), stand.new_key())
    pretend.control.pay(page.id)

    assert gateway.expire_checkout(BRIGHT, page.id) is False


@pytest.mark.parametrize(
    "changed", [{"customer_id": CARD_NUMBER}, {"success_url": f"no url {SECRET_KEY}"}, {"currency": SECRET_KEY}]
)
def test_what_was_sent_is_quoted_by_stripe_and_not_by_us(
    stand: Stand, caplog: pytest.LogCaptureFixture, changed: dict[str, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    customer_id = stand.customer()
    caplog.clear()

    with pytest.raises(RebillError) as refused:
        stand.checkout(**{"customer_id": customer_id, "key": stand.new_key(), **changed})

    _no_canary(refused.value, caplog)


def test_the_settings_show_no_secret_when_they_are_printed() -> None:
    shown = repr(replace(_NOWHERE, secret_key=SECRET_KEY))

    assert "ca_1" in shown
    assert not [canary for canary in CANARIES if canary in shown]


def _no_canary(caught: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Neither what a log of this exception would hold, nor any line of ours, holds a canary."""
    raised = "".join(traceback.format_exception(caught)) + repr(caught) + repr(vars(caught))
    # The lines of the test's own source that a traceback shows name the canaries, never their values.
    logged = "".join(repr(vars(line)) for line in caplog.records)
    assert not [canary for canary in CANARIES if canary in raised + logged]
