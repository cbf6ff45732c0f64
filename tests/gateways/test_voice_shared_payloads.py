"""The real payloads and signature vectors that lie beside the repository, where they do."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.usage import Report, Status, judge
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.gateways.voice.delivery import Delivery
from tests.gateways.voice_platforms import SENDERS, URL, event, read

PAYLOADS = Path(__file__).parents[2].parent / "shared" / "payloads"

pytestmark = pytest.mark.skipif(not PAYLOADS.is_dir(), reason="../shared/payloads is not here: real payloads not run")


def shared(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


def vectors() -> Any:
    return json.loads(shared("signature_vectors.json"))


def verify(provider: Provider, secret: str, now_ms: int, headers: dict[str, str], body: bytes, url: str = URL) -> None:
    lower = {name.lower(): value for name, value in headers.items()}
    ADAPTERS[provider].verify(Delivery(lower, body, url), secret, now_ms)


@pytest.mark.parametrize(
    ("name", "report"),
    [
        (
            "vapi/end_of_call_report.composite.json",
            Report(
                source="vapi",
                event_id="8f3d6058-486a-40ff-b0c3-bd8a63666841",
                connected=True,
                agent_id="ab4f358c-94a5-4676-88a7-83b7c9888a4b",
                answered_at_ms=1_750_183_784_770,
                ended_at_ms=1_750_183_835_584,
                reported_ms=50_814,
                outcome="voicemail",
            ),
        ),
        (
            "retell/call_ended.docs.json",
            Report(
                source="retell",
                event_id="Jabr9TXYYJHfvl6Syypi88rdAHYHmcq6",
                connected=True,
                agent_id="oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
                answered_at_ms=1_714_608_475_945,
                ended_at_ms=1_714_608_491_736,
                outcome="user_hangup",
            ),
        ),
        (
            "retell/call_ended_user_hangup.json",
            Report(
                source="retell",
                event_id="Jabr9TXYYJHfvl6Syypi88rdAHYHmcq6",
                connected=True,
                agent_id="oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
                answered_at_ms=1_752_562_800_000,
                ended_at_ms=1_752_562_875_000,
                outcome="user_hangup",
            ),
        ),
        (
            "elevenlabs/post_call_transcription.docs.json",
            Report(
                source="elevenlabs",
                event_id="abc",
                connected=True,
                agent_id="xyz",
                answered_at_ms=1_739_537_297_000,
                ended_at_ms=1_739_537_319_000,
            ),
        ),
        (
            "elevenlabs/call_initiation_failure_sip_busy.json",
            Report(
                source="elevenlabs",
                event_id="conv_2e8c5a1f9b3d7c4e6a0f",
                connected=False,
                agent_id="xI1AVR5jrfLZ6mSjxgTS",
                outcome="busy",
            ),
        ),
        (
            "twilio/call_status_callback_completed.form",
            Report(
                source="twilio",
                event_id="CA3f9e8d7c6b5a4938271605f4e3d2c1b0a",
                connected=True,
                agent_id="+14155550142",
                ended_at_ms=1_784_125_938_000,
                reported_ms=187_000,
                outcome="completed",
            ),
        ),
    ],
)
def test_a_real_payload_of_a_finished_call_is_read(name: str, report: Report) -> None:
    assert read(Provider(name.split("/")[0]), shared(name)) == [report]


@pytest.mark.parametrize(
    "name",
    [
        "vapi/assistant_request.real_sanitised.json",
        "vapi/status_update.json",
        "retell/call_analyzed.json",
        "retell/call_started_phone.json",
        "retell/call_inbound.docs.json",
        "twilio/incoming_call.form",
    ],
)
def test_a_real_payload_that_ends_no_call_is_not_billed(name: str) -> None:
    assert read(Provider(name.split("/")[0]), shared(name)) == []


def test_every_reason_that_vapi_lists_is_either_billed_by_its_times_or_costs_nothing() -> None:
    payload = json.loads(shared("vapi/end_of_call_report.composite.json"))
    verdicts = {}

    for reason in json.loads(shared("vapi/ended_reason_enum.json"))["endedReason_enum"]:
        payload["message"]["endedReason"] = reason
        (report,) = read(Provider.VAPI, json.dumps(payload).encode())
        verdicts[reason] = judge(event(report, report.ended_at_ms or 0))[0]

    free = {reason for reason, status in verdicts.items() if status is Status.NOT_BILLABLE}
    assert set(verdicts.values()) == {Status.NOT_BILLABLE, Status.POSTED}
    assert {reason for reason in verdicts if reason.startswith("call.start.")} < free
    assert {reason for reason in free if reason.startswith("pipeline-error-")} == set()


def test_the_standard_webhooks_vector_is_accepted_and_its_forgery_refused() -> None:
    vector = vectors()["standard_webhooks"]
    body, now_ms = vector["body"].encode(), vector["now"] * 1000

    verify(Provider.CLOUDEVENTS, vector["secret"], now_ms, vector["headers"], body)
    rotated = {**vector["headers"], "webhook-signature": vector["rotation_header_published"]}
    verify(Provider.CLOUDEVENTS, vector["secret"], now_ms, rotated, body)

    with pytest.raises(Unauthenticated):
        forged = {**vector["headers"], **vector["must_reject_published"]}
        verify(Provider.CLOUDEVENTS, vector["secret"], now_ms, forged, body)


def test_the_retell_vector_is_accepted_and_no_other_key_opens_it() -> None:
    vector = vectors()["retell"]
    body, now_ms = shared(vector["body_file"]), vector["now_ms"]

    verify(Provider.RETELL, vector["api_key"], now_ms, vector["header"], body)

    with pytest.raises(Unauthenticated):
        verify(Provider.RETELL, "key_of_another", now_ms, vector["header"], body)


def test_the_elevenlabs_vector_is_accepted_until_it_is_half_an_hour_old() -> None:
    vector = vectors()["elevenlabs"]
    body, now_ms = shared(vector["body_file"]), vector["now"] * 1000

    verify(Provider.ELEVENLABS, vector["secret"], now_ms + vector["tolerance_s"] * 1000, vector["header"], body)

    with pytest.raises(Unauthenticated):
        verify(Provider.ELEVENLABS, vector["secret"], now_ms + 1_801_000, vector["header"], body)


def test_the_three_vapi_vectors_are_accepted_and_the_bare_body_signature_is_not() -> None:
    vector = vectors()["vapi"]
    body, modes = shared(vector["body_file"]), vector["modes"]
    signed = modes["hmac_default"]
    now_ms = int(signed["header"]["x-timestamp"]) * 1000

    verify(Provider.VAPI, signed["secret"], now_ms, signed["header"], body)
    verify(Provider.VAPI, "vapi_shared_secret", now_ms, modes["legacy_secret"]["header"], body)
    verify(Provider.VAPI, "vapi_token", now_ms, modes["bearer"]["header"], body)

    with pytest.raises(Unauthenticated):
        old = modes["legacy_x_vapi_signature_body_only"]
        verify(Provider.VAPI, old["secret"], now_ms, old["header"], body)


def twilio_cases() -> list[tuple[str, bytes, str]]:
    vector = vectors()["twilio"]
    form, twice = urlencode(vector["params"]).encode(), vector["duplicate_params"]
    blank, hashed = vector["computed_empty_and_unicode"], vector["json_body"]
    return [
        *[(case["url"], form, case["signature"]) for case in vector["cases"]],
        (twice["url"], twice["form"].encode(), twice["signature"]),
        (hashed["url"], hashed["body"].encode(), hashed["signature"]),
        (blank["url"], urlencode(blank["params"]).encode(), blank["signature"]),
    ]


def test_every_twilio_vector_is_accepted_and_refused_with_another_token() -> None:
    token = vectors()["twilio"]["auth_token"]

    for url, body, signature in twilio_cases():
        headers = {"X-Twilio-Signature": signature}
        verify(Provider.TWILIO, token, 0, headers, body, url)
        with pytest.raises(Unauthenticated):
            verify(Provider.TWILIO, f"{token}6", 0, headers, body, url)


def test_our_own_senders_sign_as_the_vectors_do() -> None:
    """The tests' second writing of each scheme is held against the vectors as well."""
    sign = {sender.provider: sender.sign for sender in SENDERS}
    retell, eleven, vapi = vectors()["retell"], vectors()["elevenlabs"], vectors()["vapi"]["modes"]["hmac_default"]
    vapi_body = shared(vectors()["vapi"]["body_file"])

    by_retell = sign[Provider.RETELL](shared(retell["body_file"]), retell["api_key"], str(retell["now_ms"]), URL)
    by_eleven = sign[Provider.ELEVENLABS](shared(eleven["body_file"]), eleven["secret"], str(eleven["now"]), URL)
    by_vapi = sign[Provider.VAPI](vapi_body, vapi["secret"], vapi["header"]["x-timestamp"], URL)

    assert by_retell == retell["header"]
    assert by_eleven == {name.lower(): value for name, value in eleven["header"].items()}
    assert by_vapi == vapi["header"]
