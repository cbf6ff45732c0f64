"""Nobody but the platform may report a call: what every verifier has to accept, and what none of them may."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.accounts import Provider
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.gateways.voice.delivery import Delivery
from tests.gateways.voice_platforms import (
    NOW_MS,
    SENDERS,
    TIMED_SENDERS,
    URL,
    Sender,
    accepts,
    refusal,
    with_headers,
    with_signature,
)

every_platform = pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.provider.value)
every_timed_platform = pytest.mark.parametrize("sender", TIMED_SENDERS, ids=lambda sender: sender.provider.value)
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def flipped(text: str) -> str:
    """The text with its last letter or digit changed into another one of the same kind."""
    place = max(found.start() for found in re.finditer(r"[0-9A-Za-z]", text))
    return text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]


def test_there_is_an_adapter_for_every_provider() -> None:
    providers = set(ADAPTERS)

    assert providers == set(Provider)


def test_elevenlabs_is_answered_200_because_it_switches_off_webhooks_that_answer_anything_else() -> None:
    statuses = {provider.value: adapter.ACCEPTED_STATUS for provider, adapter in ADAPTERS.items()}

    assert statuses == {"cloudevents": 202, "vapi": 202, "retell": 202, "elevenlabs": 200, "twilio": 202}


def test_we_choose_the_secret_only_where_the_platform_lets_us() -> None:
    ours = {provider.value for provider, adapter in ADAPTERS.items() if adapter.SECRET_IS_OURS}

    assert ours == {"cloudevents", "vapi"}


@every_platform
def test_a_delivery_signed_by_the_platform_is_accepted(sender: Sender) -> None:
    delivery = sender.delivery()

    assert accepts(sender, delivery)


@every_platform
def test_a_delivery_without_the_signature_header_is_refused(sender: Sender) -> None:
    unsigned = Delivery(headers={}, body=sender.body, url=URL)

    assert "missing" in refusal(sender, unsigned).detail


@every_platform
def test_a_delivery_with_an_empty_signature_header_is_refused(sender: Sender) -> None:
    delivery = with_signature(sender, sender.delivery(), lambda _: "")

    assert "missing or empty" in refusal(sender, delivery).detail


@every_timed_platform
def test_a_timestamp_without_a_signature_is_refused(sender: Sender) -> None:
    delivery = with_signature(sender, sender.delivery(), lambda value: value.split(",")[0] if "," in value else "")

    refusal(sender, delivery)


@every_platform
def test_a_body_with_one_changed_byte_is_refused(sender: Sender) -> None:
    signed = sender.delivery()
    place = sender.body.index(b"2026" if b"2026" in sender.body else b"178")

    forged = Delivery(signed.headers, sender.body[:place] + b"3" + sender.body[place + 1 :], URL)

    assert "does not match" in refusal(sender, forged).detail


@every_platform
def test_a_signature_with_one_changed_character_is_refused(sender: Sender) -> None:
    forged = with_signature(sender, sender.delivery(), flipped)

    assert "does not match" in refusal(sender, forged).detail


@every_platform
def test_an_upper_case_signature_is_accepted_or_refused_but_never_an_error_of_ours(sender: Sender) -> None:
    writes_hex = sender.provider in (Provider.VAPI, Provider.RETELL, Provider.ELEVENLABS)

    upper = with_signature(sender, sender.delivery(), lambda value: value[:-30] + value[-30:].upper())

    assert accepts(sender, upper) is writes_hex


@every_platform
def test_another_customers_secret_does_not_open_this_endpoint(sender: Sender) -> None:
    foreign = sender.delivery(secret=sender.other_secret)

    assert "does not match" in refusal(sender, foreign).detail


@every_platform
def test_an_endpoint_without_a_secret_accepts_nothing_because_anybody_could_sign_with_it(sender: Sender) -> None:
    delivery = sender.delivery(secret="")

    refusal(sender, delivery, secret="")


@every_platform
def test_a_refusal_gives_away_neither_the_secret_nor_the_right_signature(sender: Sender) -> None:
    right = sender.delivery().headers[sender.signature_header]
    forged = with_signature(sender, sender.delivery(), flipped)

    detail = refusal(sender, forged).detail

    assert sender.secret not in detail
    assert right[-20:] not in detail


@every_timed_platform
def test_a_signature_counts_until_its_tolerance_is_over_and_not_a_moment_longer(sender: Sender) -> None:
    delivery = sender.delivery()

    assert accepts(sender, delivery, NOW_MS + sender.past_ms)
    assert " s old" in refusal(sender, delivery, NOW_MS + sender.past_ms + 1).detail


@every_timed_platform
def test_a_signature_from_a_little_in_the_future_counts_because_clocks_differ(sender: Sender) -> None:
    delivery = sender.delivery()

    assert accepts(sender, delivery, NOW_MS - sender.future_ms)
    assert "in the future" in refusal(sender, delivery, NOW_MS - sender.future_ms - 1).detail


@every_timed_platform
@pytest.mark.parametrize("stamp", ["soon", "-1782000000", "1.782e9", "", "9" * 400, "0x6a3", "1782000000\x00"])
def test_a_timestamp_that_is_not_a_plain_number_is_refused(sender: Sender, stamp: str) -> None:
    delivery = sender.delivery(stamp=stamp)

    refusal(sender, delivery)


@every_timed_platform
def test_a_timestamp_in_the_digits_of_another_script_is_refused_although_python_could_read_it(sender: Sender) -> None:
    delivery = sender.delivery(stamp=sender.stamp().translate(ARABIC_DIGITS))

    refusal(sender, delivery)


@every_platform
@pytest.mark.parametrize("text", ["é", "١٢٣", "\udcff", "🔑" * 64, "v1,ü", "%%%"])
def test_a_signature_that_is_not_ascii_or_not_base64_is_refused(sender: Sender, text: str) -> None:
    delivery = with_signature(sender, sender.delivery(), lambda value: value[: -len(text)] + text)

    refusal(sender, delivery)


@every_platform
def test_a_signature_of_a_megabyte_is_not_worth_comparing(sender: Sender) -> None:
    delivery = with_signature(sender, sender.delivery(), lambda value: value + " v1,AAAA" * 100_000)

    assert "too long" in refusal(sender, delivery).detail


@every_platform
def test_a_body_that_is_not_utf_8_is_refused_when_its_signature_is_wrong(sender: Sender) -> None:
    delivery = Delivery(sender.delivery().headers, b"\xff\xfe" + sender.body, URL)

    refusal(sender, delivery)


@every_platform
@given(
    value=st.text(max_size=80),
    prefix=st.sampled_from(["", "v1,", "t=1782000000,v0=", "v=1782000000000,d=", "Bearer "]),
    body=st.binary(max_size=60),
    url=st.sampled_from([URL, "https://[half", "http://host:port/", "", "https://a/?bodySHA256=é"]),
)
def test_whatever_a_stranger_sends_is_refused_and_never_an_error_of_ours(
    sender: Sender, value: str, prefix: str, body: bytes, url: str
) -> None:
    names = ("webhook-id", "webhook-timestamp", "x-timestamp", "authorization", sender.signature_header)

    delivery = Delivery(dict.fromkeys(names, prefix + value), body, url)

    refusal(sender, delivery)


# Vapi signs in three ways with the one secret.


def vapi() -> Sender:
    (sender,) = (sender for sender in SENDERS if sender.provider is Provider.VAPI)
    return sender


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer vapi-hmac-7Qe"},
        {"authorization": "bearer vapi-hmac-7Qe"},
        {"x-vapi-secret": "vapi-hmac-7Qe"},
    ],
)
def test_vapi_may_send_the_secret_itself(headers: dict[str, str]) -> None:
    delivery = Delivery(headers, vapi().body, URL)

    assert accepts(vapi(), delivery)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer vapi-hmac-7Q"},
        {"authorization": "Bearer "},
        {"authorization": "Basic vapi-hmac-7Qe"},
        {"authorization": "vapi-hmac-7Qe"},
        {"x-vapi-secret": "vapi-hmac-7Qé"},
        {"x-vapi-secret": ""},
        {"x-vapi-signature": "98c23d0ca920a6ef91b04950605aff41645a120fb6de1327e9e0de96cfc3a2d4"},
    ],
)
def test_vapi_with_another_secret_is_refused(headers: dict[str, str]) -> None:
    delivery = Delivery(headers, vapi().body, URL)

    refusal(vapi(), delivery)


def test_vapi_without_a_secret_of_ours_cannot_come_in_with_an_empty_token() -> None:
    delivery = Delivery({"authorization": "Bearer "}, vapi().body, URL)

    refusal(vapi(), delivery, secret="")


def test_vapi_cannot_fall_back_to_the_bare_secret_when_its_signature_is_wrong() -> None:
    signed = with_signature(vapi(), vapi().delivery(), flipped)
    both = with_headers(signed, {"authorization": "Bearer vapi-hmac-7Qe", "x-vapi-secret": "vapi-hmac-7Qe"})

    assert "does not match" in refusal(vapi(), both).detail


def test_vapi_may_sign_in_seconds_or_in_milliseconds() -> None:
    in_milliseconds = vapi().delivery(stamp=str(NOW_MS))

    assert accepts(vapi(), in_milliseconds)
    assert "neither 10 digits" in refusal(vapi(), vapi().delivery(stamp=str(NOW_MS)[:12])).detail


def test_vapis_signature_may_carry_the_name_of_its_algorithm() -> None:
    named = with_signature(vapi(), vapi().delivery(), lambda value: f"sha256={value}")

    assert accepts(vapi(), named)


# Standard Webhooks allows for several signatures in one header.


def cloudevents() -> Sender:
    (sender,) = (sender for sender in SENDERS if sender.provider is Provider.CLOUDEVENTS)
    return sender


def test_a_delivery_signed_with_the_old_and_the_new_secret_is_accepted_while_secrets_are_rotated() -> None:
    old = cloudevents().delivery(secret=cloudevents().other_secret).headers["webhook-signature"]
    both = with_signature(cloudevents(), cloudevents().delivery(), lambda new: f"{old} v2,abc {new}")

    assert accepts(cloudevents(), both)


def test_the_right_digest_under_another_version_of_the_scheme_does_not_count() -> None:
    delivery = with_signature(cloudevents(), cloudevents().delivery(), lambda value: value.replace("v1,", "v2,"))

    refusal(cloudevents(), delivery)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_of_the_three_standard_webhooks_headers_is_needed(name: str) -> None:
    delivery = with_headers(cloudevents().delivery(), {name: " "})

    assert name in refusal(cloudevents(), delivery).detail


def test_a_message_id_is_part_of_what_is_signed() -> None:
    delivery = with_headers(cloudevents().delivery(), {"webhook-id": "msg_2"})

    refusal(cloudevents(), delivery)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", "whsec_é", "\udcff"])
def test_a_secret_that_is_not_base64_accepts_nothing(secret: str) -> None:
    delivery = cloudevents().delivery()

    refusal(cloudevents(), delivery, secret=secret)


def test_the_vector_that_the_standard_webhooks_libraries_publish_is_accepted() -> None:
    """From libraries/python/tests/test_webhooks.py of standard-webhooks/standard-webhooks."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    delivery = Delivery(headers, b'{"test": 2432232314}', URL)

    assert accepts(cloudevents(), delivery, 1_614_265_330_000, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert not accepts(cloudevents(), delivery, 1_614_265_330_000)


# ElevenLabs keeps several digests in one header as well.


def test_elevenlabs_may_sign_with_two_secrets_at_once() -> None:
    (sender,) = (sender for sender in SENDERS if sender.provider is Provider.ELEVENLABS)
    delivery = with_signature(sender, sender.delivery(), lambda value: value.replace(",v0=", f",v0={'0' * 64},v0="))

    assert accepts(sender, delivery)


def test_elevenlabs_with_two_timestamps_is_refused_because_only_one_can_be_the_signed_one() -> None:
    (sender,) = (sender for sender in SENDERS if sender.provider is Provider.ELEVENLABS)
    delivery = with_signature(sender, sender.delivery(), lambda value: f"t=1,{value}")

    assert "form" in refusal(sender, delivery).detail


# Twilio signs the address and the fields; these vectors are in tests/unit/test_request_validator.py of
# twilio/twilio-python.
