"""`doctor`: what is wrong with a stage is named, with what to do about it; what is right is not complained about."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from local.stack import Stack
from tests.aws import aws, queue_url
from tests.ops.commands import ops

ROOT = "/rebill/test"
RIGHT = {
    "stripe/secret-key": "sk_test_51Example",
    "stripe/client-id": "ca_Example",
    "stripe/webhook-secret": "whsec_One",
    "stripe/connect-webhook-secret": "whsec_Two",
    "dashboard/session-secret": "0123456789abcdef0123456789abcdef",
}


@dataclass
class Outside:
    """Stripe's list of webhooks and the API's health, at one address of this machine."""

    address: str = ""
    health: int = 200
    stripe: int = 200
    registered: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        return (self.health, {}) if path == "/healthz" else (self.stripe, {"data": self.registered})


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    outside = Outside()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = outside.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        outside.address = f"http://127.0.0.1:{server.server_port}"
        outside.registered = [
            {"url": f"{outside.address}/webhooks/stripe{end}", "status": "enabled"} for end in ("", "/connect")
        ]
        monkeypatch.setenv("REBILL_BASE_URL", outside.address)
        monkeypatch.setenv("REBILL_STRIPE_API_ADDRESS", outside.address)
        yield outside
        server.shutdown()


@pytest.fixture(autouse=True)
def set_up(store: Stack, outside: Outside) -> None:
    """A stage with all that it needs."""
    for name, value in RIGHT.items():
        keep(name, value)


def keep(name: str, value: str, kind: str = "SecureString") -> None:
    aws("ssm").put_parameter(Name=f"{ROOT}/{name}", Value=value, Type=kind, Overwrite=True)


def lines() -> dict[str, dict[str, Any]]:
    """What doctor found, by what it looked at."""
    result = ops("doctor", "--json")
    assert isinstance(result.exception, SystemExit | None), result.exception
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["name"]: line for line in found}


def troubles() -> dict[str, str]:
    return {name: line["found"] for name, line in lines().items() if line["ok"] is False}


def test_a_stage_that_has_everything_is_well() -> None:
    result = ops("doctor")

    assert result.exit_code == 0, result.output
    assert "✘" not in result.stdout
    assert "✔  rebill-test-wallets" in result.stdout


def test_no_secret_is_ever_shown() -> None:
    shown = ops("doctor").stdout + ops("doctor", "--json").stdout

    assert "sk_test_..." in shown
    assert not [value for value in RIGHT.values() if value.rpartition("_")[2] in shown]


@pytest.mark.parametrize("name", RIGHT)
def test_a_parameter_that_is_missing_is_named_with_the_command_that_puts_it(name: str) -> None:
    aws("ssm").delete_parameter(Name=f"{ROOT}/{name}")

    line = lines()[f"{ROOT}/{name}"]

    assert line["ok"] is False
    assert f"--name {ROOT}/{name}" in line["fix"]
    assert ops("doctor").exit_code == 1


@pytest.mark.parametrize(
    ("name", "value", "looked_at", "found"),
    [
        ("stripe/secret-key", "sk_live_51Example", "Stripe's mode", "live: real money, on the stage test"),
        ("stripe/secret-key", "pk_test_1", f"{ROOT}/stripe/secret-key", "does not begin with sk_test_ or"),
        ("stripe/client-id", "acct_1", f"{ROOT}/stripe/client-id", "does not begin with ca_"),
        ("stripe/webhook-secret", "whsec_Two", "webhook secrets", "both endpoints have the same secret"),
        ("dashboard/session-secret", "short", f"{ROOT}/dashboard/session-secret", "5 characters"),
    ],
)
def test_a_parameter_that_cannot_be_right_is_named(name: str, value: str, looked_at: str, found: str) -> None:
    keep(name, value)

    assert found in troubles()[looked_at]


def test_a_secret_that_is_kept_in_the_open_is_named() -> None:
    aws("ssm").delete_parameter(Name=f"{ROOT}/stripe/secret-key")
    keep("stripe/secret-key", RIGHT["stripe/secret-key"], "String")

    assert troubles() == {f"{ROOT}/stripe/secret-key": "is kept as String, readable to many"}


def test_a_table_or_a_queue_that_is_missing_is_named() -> None:
    aws("dynamodb").delete_table(TableName="rebill-test-wallets")
    aws("sqs").delete_queue(QueueUrl=queue_url("rebill-test-usage"))

    assert troubles() == {"rebill-test-wallets": "is not there", "rebill-test-usage": "is not there"}


def test_dead_letters_are_trouble_and_waiting_messages_are_not() -> None:
    aws("sqs").send_message(QueueUrl=queue_url("rebill-test-usage"), MessageBody="a call")
    assert troubles() == {}

    aws("sqs").send_message(QueueUrl=queue_url("rebill-test-usage-dead"), MessageBody="a call")
    assert troubles() == {"rebill-test-usage-dead": "1 messages"}


def test_a_webhook_that_stripe_does_not_know_is_named_with_its_address(outside: Outside) -> None:
    outside.registered.pop()

    line = lines()["Stripe -> /webhooks/stripe/connect"]

    assert (line["ok"], line["found"]) == (False, "is not registered")
    assert f"{outside.address}/webhooks/stripe/connect" in line["fix"]


def test_a_webhook_that_stripe_has_disabled_is_named(outside: Outside) -> None:
    outside.registered[0]["status"] = "disabled"

    assert troubles() == {"Stripe -> /webhooks/stripe": "disabled"}


def test_a_key_that_stripe_refuses_is_named(outside: Outside) -> None:
    outside.stripe = 401

    assert troubles() == {"Stripe": "refuses the key"}


def test_a_key_that_may_not_list_webhooks_is_no_trouble(outside: Outside) -> None:
    outside.stripe = 403

    assert troubles() == {}
    assert lines()["Stripe's webhooks"]["ok"] is None


def test_an_api_that_is_ill_is_named(outside: Outside) -> None:
    outside.health = 502

    assert troubles() == {"API": f"{outside.address}/healthz answers 502"}


def test_a_sender_that_ses_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBILL_EMAIL_FROM", "billing@voice.example")
    assert "SES knows neither billing@voice.example nor its domain" in troubles()["e-mail sender"]

    aws("sesv2").create_email_identity(EmailIdentity="voice.example")
    assert lines()["e-mail sender"]["found"].startswith("voice.example is ")


def test_without_credentials_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch, outside: Outside) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and "KEY" in name]:
        monkeypatch.delenv(name)

    assert list(troubles()) == ["credentials and region"]
    assert outside.asked == []
