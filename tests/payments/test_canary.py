"""What must never be written down is fed through every error path, and then looked for in all that was logged."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import stripe as sdk
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from chalicelib.clock import now_ms
from chalicelib.flows import follow_stripe
from chalicelib.settings import _parameter_store, settings
from chalicelib.storage import customers, payments
from local.pretend_stripe.deliveries import signature
from tests.aws import aws
from tests.payments.conftest import BRIGHT, SECRETS, Paying

KEY = "sk_test_" + "CANARYcanary0123456789abcdef"
CLIENT_SECRET = "pi_3CANARY_secret_CANARYclient"
CODE = "ac_CANARYcode0123456789"
EMAIL = "canary.customer@secret.example"
CARD = "4242424242424242"
VOICE_SECRET = "whsec_" + "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"
# What stands in a whole object of Stripe's, and never in a line of ours.
OF_OBJECTS = (
    "payment_method_details",
    "client_secret",
    "balance_transaction",
    '\\"object\\":',
    "'object':",
    "livemode",
)
ERROR_TYPES = {400: "invalid_request_error", 402: "card_error", 429: "invalid_request_error"}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between the SDK's tries."""
    monkeypatch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(sdk.HTTPClient, "MAX_DELAY", 0)


@pytest.fixture
def written(paying: Paying, caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that was logged, as Lambda would print it: ours as Powertools formats it, traces included."""
    caplog.set_level(logging.INFO)
    formatter = LambdaPowertoolsFormatter()

    def text() -> str:
        return "\n".join(formatter.format(line) for line in caplog.records if _printed(line))

    return text


def _printed(line: logging.LogRecord) -> bool:
    """Lambda's root logger writes warnings and worse; ours writes from INFO on."""
    return line.levelno >= logging.WARNING or line.name == "rebill"


def assert_clean(text: str, paying: Paying, *more: str) -> None:
    """No canary, and no whole object, in what was written; and something was written at all."""
    canaries = [KEY, paying.pretend.platform_key, *SECRETS.values(), CLIENT_SECRET, CODE, EMAIL, CARD, VOICE_SECRET]
    canaries += [paying.world.api_key, *OF_OBJECTS, *more]
    assert text.count('"message"') > 0
    assert [canary for canary in canaries if canary in text] == []


def whole_error(status: int) -> dict[str, Any]:
    """An error as talkative as Stripe's can be."""
    sentence = f"Invalid key {KEY}, card {CARD}, code {CODE}, {EMAIL}, {CLIENT_SECRET}"
    intent = {"id": "pi_3CANARY", "object": "payment_intent", "client_secret": CLIENT_SECRET, "livemode": False}
    intent |= {"receipt_email": EMAIL, "payment_method_details": {"card": {"number": CARD}}}
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": sentence, "code": "something", "param": "amount"}
    error |= {"decline_code": "generic_decline", "payment_intent": intent, "charge": "ch_1", "doc_url": sentence}
    return {"error": error}


def give_key(key: str) -> None:
    name = f"/rebill/{settings().stage}/stripe/secret-key"
    aws("ssm").put_parameter(Name=name, Value=key, Type="SecureString", Overwrite=True)
    _parameter_store().clear_cache()


class Scene:
    """A workspace and a client who have a payment page open, and what makes us call Stripe from then on."""

    def __init__(self, paying: Paying) -> None:
        self.paying = paying
        self.workspace, client = paying.agency()
        self.wallets = [f"/v1/workspaces/{self.workspace}/wallet", f"/v1/sub-accounts/{client}/wallet"]
        self.intent = paying.pay(paying.top_up(client, key="paid"))
        paying.deliver()
        self.pages = [paying.top_up(owner) for owner in (self.workspace, client)]

    def everything(self, key: str) -> list[int]:
        """One of each request that reaches Stripe, an event about money, and the browser's return; the statuses."""
        headers, paying = {"Idempotency-Key": key}, self.paying
        asked: list[tuple[str, str, Any]] = []
        for wallet, page in zip(self.wallets, self.pages, strict=True):
            asked += [("GET", f"{wallet}/top-ups/{page['id']}", None), ("POST", f"{wallet}/portal", None)]
            asked += [("POST", f"{wallet}/payment-method", None), ("POST", f"{wallet}/top-ups", {"amount": "60.00"})]
        asked += [("DELETE", f"/v1/workspaces/{self.workspace}/stripe", None)]
        statuses = [paying.world.call(method, path, body, headers=headers).status for method, path, body in asked]
        bell = {"id": "evt_1", "type": "charge.refunded", "account_id": BRIGHT, "livemode": False, "object_id": "ch_1"}
        failed = follow_stripe.follow([("m1", json.dumps(bell | {"payment_intent_id": self.intent}))])
        return [*statuses, 503 if failed else 200, paying.return_to(self.pages[0]).status]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 429, 500])
def test_however_talkative_stripes_error_is_only_its_codes_are_written_down(
    paying: Paying, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    scene = Scene(paying)
    give_key(KEY)
    answer = (json.dumps(whole_error(status)), status, {"Request-Id": "req_1"})
    monkeypatch.setattr(sdk.RequestsClient, "request", lambda *_, **__: answer)

    statuses = scene.everything("key-1")
    cookie, location = paying.start(scene.workspace)
    state = location.partition("state=")[2].partition("&")[0]
    page = paying.come_back({"code": CODE, "state": state}, cookie)

    assert sum(status >= 400 for status in statuses) >= 6
    assert page.status >= 400
    assert "stripe_error" in written()
    assert_clean(written() + page.text, paying)


UNREADABLE = {
    "html": f"<html>{KEY} {CARD} {EMAIL}</html>",
    "an object of another shape": json.dumps({"object": "payment_intent", "client_secret": CLIENT_SECRET, "is": EMAIL}),
    "a list": json.dumps([KEY, CARD]),
    "a bare word": json.dumps({"error": f"{KEY} {CODE}", "error_description": CODE}),
    "nothing": "",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_is_not_written_down_and_is_no_mistake_of_ours(
    paying: Paying, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    scene = Scene(paying)
    give_key(KEY)

    statuses = []
    for status in (200, 400, 500):
        answer = (body, status, {"Request-Id": "req_1"})
        monkeypatch.setattr(sdk.RequestsClient, "request", lambda *_, answer=answer, **__: answer)
        statuses += scene.everything(f"key-{status}")

    assert 500 not in statuses
    assert_clean(written(), paying)


@pytest.mark.parametrize(
    "kind", ["APIConnectionError", "APIError", "AuthenticationError", "SignatureVerificationError"]
)
def test_what_the_sdk_itself_says_is_not_written_down(
    paying: Paying, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    scene = Scene(paying)
    said = f"{KEY} {CARD} {EMAIL} {CLIENT_SECRET}"
    error = sdk.SignatureVerificationError(said, KEY) if kind.startswith("Sig") else getattr(sdk, kind)(said)

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(sdk.RequestsClient, "request", fail)

    scene.everything("key-1")

    assert "stripe_error" in written()
    assert_clean(written(), paying)


def test_declines_a_refused_key_and_payments_that_differ_leave_no_trace_of_people_or_cards(
    paying: Paying, written: Callable[[], str]
) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client)
    session = top_up["url"].rpartition("/")[2].partition("#")[0]
    control = paying.pretend.control

    control.pay(session, "4000000000000002", email=EMAIL)
    control.pay(session, CARD, email=EMAIL)
    (intent,) = control.state()["spaces"][f"{BRIGHT}:test"]["payment_intent"].values()
    intent["amount_received"] = 1
    paying.deliver()
    give_key(KEY)
    paying.top_up(client, key="second", expect=503)
    paying.deliver()

    assert "payment_mismatch" in written()
    assert "stripe_key_refused" in written()
    assert_clean(written(), paying, "4000000000000002", str(intent["client_secret"]))


def test_what_cannot_be_verified_or_read_is_not_written_down(paying: Paying, written: Callable[[], str]) -> None:
    workspace, _ = paying.agency()
    endpoint = paying.world.endpoint(workspace, "cloudevents", VOICE_SECRET)
    thing = whole_error(400)["error"]["payment_intent"]
    event = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "livemode": False}
    event |= {"data": {"object": thing}, "key": KEY, "email": EMAIL, "card": CARD}
    bodies = [
        json.dumps(event),
        json.dumps(event)[:-1],
        json.dumps(thing),
        KEY,
        json.dumps(event | {"account": "acct_1X"}),
    ]
    now = now_ms() // 1000

    statuses = []
    for door, secret in SECRETS.items():
        for body in map(str.encode, bodies):
            statuses.append(paying.knock(door, body, {"Stripe-Signature": f"t={now},v1={secret}"}))
            statuses.append(paying.knock(door, body, {"Stripe-Signature": signature(secret, body, now)}))
    for body in bodies:
        path = endpoint["url"].removeprefix("https://rebill.example")
        statuses.append(
            paying.world.call("POST", path, raw=body.encode(), headers={"authorization": VOICE_SECRET}).status
        )
    statuses.append(paying.world.call("GET", f"/v1/workspaces/{workspace}", key=paying.world.api_key + "x").status)
    failed = follow_stripe.follow([(str(number), body) for number, body in enumerate(bodies)])
    paying.follow()

    assert {200, 400, 401} <= set(statuses)
    assert failed == [str(number) for number in range(len(bodies))]
    assert "signature_invalid" in written()
    assert "stripe_message_not_read" in written()
    assert_clean(written(), paying)


@pytest.mark.parametrize("path", [f"/oauth/stripe/callback?code={CODE}&state=x", f"/oauth/stripe/callback?code={CODE}"])
def test_a_code_that_comes_without_its_state_is_neither_written_down_nor_shown(
    paying: Paying, written: Callable[[], str], path: str
) -> None:
    workspace, _ = paying.agency()
    cookie, location = paying.start(workspace)
    state = location.partition("state=")[2].partition("&")[0]

    pages = [paying.world.call("GET", path, headers={"cookie": cookie}, key=None)]
    pages.append(paying.come_back({"code": CODE, "state": state, "error_description": EMAIL}, cookie))
    pages.append(paying.come_back({"code": CODE, "state": state}, cookie))

    assert [page.status for page in pages] == [400, 400, 400]
    assert_clean(written() + "".join(page.text for page in pages), paying, state)


@pytest.mark.parametrize("error", [KeyError, RuntimeError, ValueError, AttributeError], ids=lambda kind: kind.__name__)
def test_a_crash_inside_stripes_sdk_does_not_write_down_what_it_was_handling(
    paying: Paying, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    scene = Scene(paying)

    def crash(*_: Any, **__: Any) -> Any:
        raise error(f"{KEY} {CARD} {EMAIL} {CLIENT_SECRET}")

    monkeypatch.setattr(sdk.RequestsClient, "request", crash)
    statuses = scene.everything("key-1")

    assert sum(status >= 500 for status in statuses) >= 6
    assert_clean(written(), paying)


@pytest.mark.parametrize("flaw", ["\n", "\u2019", "\x00"], ids=["a line break", "a typographic quote", "a zero"])
def test_a_key_that_was_pasted_badly_is_not_written_down(paying: Paying, written: Callable[[], str], flaw: str) -> None:
    scene = Scene(paying)
    give_key(KEY + flaw + "rest")

    statuses = scene.everything("key-1")

    assert sum(status >= 500 for status in statuses) >= 6
    assert_clean(written(), paying)


@pytest.mark.parametrize(
    ("kept_in", "crashing"), [(payments, "settle"), (customers, "keep_card"), (customers, "customer_of")]
)
def test_the_trace_of_a_crash_of_ours_shows_where_it_was_and_not_what_it_held(
    paying: Paying, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch, kept_in: Any, crashing: str
) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client)
    paying.pretend.control.pay(top_up["url"].rpartition("/")[2], CARD, email=EMAIL)
    (intent,) = paying.pretend.control.state()["spaces"][f"{BRIGHT}:test"]["payment_intent"].values()

    def crash(*_: Any) -> Any:
        raise RuntimeError(f"{KEY} {CARD} {EMAIL} {CLIENT_SECRET}")

    with monkeypatch.context() as patch:
        patch.setattr(kept_in, crashing, crash)
        page = paying.return_to(top_up)

    assert page.status == 500
    assert "internal_error" in written()
    assert "settle_payment.py" in written()
    assert_clean(written() + page.text, paying, str(intent["client_secret"]))
