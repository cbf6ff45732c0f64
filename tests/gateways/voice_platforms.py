"""The five platforms as a sender: each signs a body by its own published rules, written here a second time."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.usage import Report, UsageEvent
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.gateways.voice.delivery import Delivery

FIXTURES = Path(__file__).parents[1] / "fixtures" / "voice"
URL = "https://rebill.example.com/webhooks/voice/any/whe_1"
NOW_MS = 1_782_000_000_000
NOW = NOW_MS // 1000

Sign = Callable[[bytes, str, str, str], dict[str, str]]


def at(text: str) -> int:
    """Epoch milliseconds of an ISO time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def body_of(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def changed(name: str, change: Callable[[Any], Any]) -> bytes:
    """A fixture with something changed in place."""
    payload = json.loads(body_of(name))
    change(payload)
    return json.dumps(payload).encode()


def read(provider: Provider, body: bytes) -> list[Report]:
    return list(ADAPTERS[provider].read(Delivery(headers={}, body=body, url=URL)))


def the_call(provider: Provider, body: bytes) -> Report:
    (report,) = read(provider, body)
    return report


def event(report: Report, received_at_ms: int = NOW_MS) -> UsageEvent:
    return UsageEvent.from_report(report, "ws_abc", received_at_ms)


def _hex(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def sign_vapi(body: bytes, secret: str, stamp: str, url: str) -> dict[str, str]:
    return {"x-timestamp": stamp, "x-signature": _hex(secret, f"{stamp}.".encode() + body)}


def sign_retell(body: bytes, secret: str, stamp: str, url: str) -> dict[str, str]:
    return {"x-retell-signature": f"v={stamp},d={_hex(secret, body + stamp.encode())}"}


def sign_elevenlabs(body: bytes, secret: str, stamp: str, url: str) -> dict[str, str]:
    return {"elevenlabs-signature": f"t={stamp},v0={_hex(secret, f'{stamp}.'.encode() + body)}"}


def sign_cloudevents(body: bytes, secret: str, stamp: str, url: str) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def sign_twilio(body: bytes, secret: str, stamp: str, url: str) -> dict[str, str]:
    pairs = sorted(set(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)))
    text = url + "".join(name + value for name, value in pairs)
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()
    return {"x-twilio-signature": base64.b64encode(digest).decode()}


@dataclass(frozen=True)
class Sender:
    """One platform, its secret, and a delivery that it would send."""

    provider: Provider
    secret: str
    other_secret: str
    body: bytes
    signature_header: str
    sign: Sign
    unit_ms: int | None
    past_ms: int = 300_000
    future_ms: int = 300_000

    def stamp(self, at_ms: int = NOW_MS) -> str:
        return str(at_ms // (self.unit_ms or 1))

    def delivery(self, body: bytes | None = None, stamp: str | None = None, secret: str | None = None) -> Delivery:
        """What the platform would send, signed now with the right secret unless told otherwise."""
        body = self.body if body is None else body
        secret = self.secret if secret is None else secret
        stamp = self.stamp() if stamp is None else stamp
        return Delivery(headers=self.sign(body, secret, stamp, URL), body=body, url=URL)

    def verify(self, delivery: Delivery, now_ms: int = NOW_MS, secret: str | None = None) -> None:
        ADAPTERS[self.provider].verify(delivery, self.secret if secret is None else secret, now_ms)


def with_headers(delivery: Delivery, headers: Mapping[str, str]) -> Delivery:
    return replace(delivery, headers={**delivery.headers, **headers})


def with_signature(sender: Sender, delivery: Delivery, change: Callable[[str], str]) -> Delivery:
    """The delivery with its signature header changed."""
    name = sender.signature_header
    return with_headers(delivery, {name: change(delivery.headers[name])})


def _whsec(seed: bytes) -> str:
    return f"whsec_{base64.b64encode(hashlib.sha256(seed).digest()[:24]).decode()}"


SENDERS = [
    Sender(
        Provider.CLOUDEVENTS,
        _whsec(b"ours"),
        _whsec(b"theirs"),
        body_of("cloudevents/call.json"),
        "webhook-signature",
        sign_cloudevents,
        1000,
    ),
    Sender(
        Provider.VAPI,
        "vapi-hmac-7Qe",
        "vapi-hmac-0Xx",
        body_of("vapi/end_of_call_report.json"),
        "x-signature",
        sign_vapi,
        1000,
    ),
    Sender(
        Provider.RETELL,
        "key_4d1f90",
        "key_bb82c7",
        body_of("retell/call_ended.json"),
        "x-retell-signature",
        sign_retell,
        1,
    ),
    Sender(
        Provider.ELEVENLABS,
        "wsec_91ac",
        "wsec_70de",
        body_of("elevenlabs/post_call_transcription.json"),
        "elevenlabs-signature",
        sign_elevenlabs,
        1000,
        past_ms=1_800_000,
    ),
    Sender(
        Provider.TWILIO,
        "3f0c61aa9b",
        "99d2e7410c",
        body_of("twilio/completed.form"),
        "x-twilio-signature",
        sign_twilio,
        None,
    ),
]
TIMED_SENDERS = [sender for sender in SENDERS if sender.unit_ms is not None]


def refusal(sender: Sender, delivery: Delivery, now_ms: int = NOW_MS, secret: str | None = None) -> Unauthenticated:
    """The refusal, which must be this one and no other exception."""
    with pytest.raises(Unauthenticated) as refused:
        sender.verify(delivery, now_ms, secret)
    assert refused.value.code == "signature_invalid"
    return refused.value


def accepts(sender: Sender, delivery: Delivery, now_ms: int = NOW_MS, secret: str | None = None) -> bool:
    try:
        sender.verify(delivery, now_ms, secret)
    except Unauthenticated:
        return False
    return True
