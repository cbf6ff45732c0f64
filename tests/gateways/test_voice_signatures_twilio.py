"""Twilio's signature: over the address and the form, as Twilio's own library computes it."""

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.gateways.voice.delivery import Delivery
from tests.gateways.voice_platforms import NOW_MS, SENDERS, URL, Sender, accepts, refusal

TWILIO_FORM = b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309"
TWILIO_ADDRESS = "https://mycompany.com/myapp.php?foo=1&bar=2"
TWILIO_TOKEN = "12345"


def twilio() -> Sender:
    (sender,) = (sender for sender in SENDERS if sender.provider is Provider.TWILIO)
    return sender


def from_twilio(url: str, signature: str, body: bytes = TWILIO_FORM) -> Delivery:
    return Delivery({"x-twilio-signature": signature}, body, url)


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (TWILIO_ADDRESS, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TWILIO_ADDRESS, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (TWILIO_ADDRESS.replace(".com/", ".com:443/"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (TWILIO_ADDRESS.replace("https", "http"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ],
    ids=["as it came", "signed with :443", "received with :443", "signed with :80", "another port"],
)
def test_twilio_is_accepted_whether_it_signs_the_address_with_its_port_or_without(url: str, signature: str) -> None:
    delivery = from_twilio(url, signature)

    assert accepts(twilio(), delivery, secret=TWILIO_TOKEN)
    assert not accepts(twilio(), from_twilio(url + "3", signature), secret=TWILIO_TOKEN)


def test_twilio_signs_a_field_that_comes_twice_with_the_same_value_once() -> None:
    form, signature = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234", "IK+Dwps556ElfBT0I3Rgjkr1wJU="

    assert accepts(twilio(), from_twilio(TWILIO_ADDRESS, signature, form), secret=TWILIO_TOKEN)
    assert not accepts(twilio(), from_twilio(TWILIO_ADDRESS, signature, form + b"&Digits=9"), secret=TWILIO_TOKEN)


def test_twilio_signs_a_body_that_is_no_form_by_its_hash_in_the_address() -> None:
    url = f"{TWILIO_ADDRESS}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    body, signature = b'{"property": "value", "boolean": true}', "a9nBmqA0ju/hNViExpshrM61xv4="

    changed = from_twilio(url, signature, body.replace(b"true", b"false"))

    assert accepts(twilio(), from_twilio(url, signature, body), secret=TWILIO_TOKEN)
    assert "bodySHA256" in refusal(twilio(), changed, secret=TWILIO_TOKEN).detail


def test_twilio_signs_blank_fields_too() -> None:
    signed = twilio().delivery()

    without = Delivery(signed.headers, signed.body.replace(b"ForwardedFrom=&", b""), URL)

    assert accepts(twilio(), signed)
    assert not accepts(twilio(), without)


def test_a_late_delivery_from_twilio_counts_because_it_signs_no_time_and_the_call_id_makes_a_replay_harmless() -> None:
    a_month_later_ms = NOW_MS + 30 * 86_400_000

    assert accepts(twilio(), twilio().delivery(), a_month_later_ms)
