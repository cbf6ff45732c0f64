"""What a Vapi webhook means for the bill."""

from typing import Any

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.usage import Report, Status, judge
from tests.gateways.voice_platforms import at, body_of, changed, event, read, the_call

FINISHED = "vapi/end_of_call_report.json"


def call(name: str = FINISHED, **message: Any) -> Report:
    """The call of a fixture, with fields of its message changed; None takes a field away."""

    def change(payload: Any) -> None:
        for field, value in message.items():
            payload["message"].pop(field, None)
            if value is not None:
                payload["message"][field] = value

    return the_call(Provider.VAPI, changed(name, change))


def test_a_finished_call_is_billed_from_answer_to_end_and_belongs_to_its_assistant() -> None:
    report = the_call(Provider.VAPI, body_of(FINISHED))

    assert report == Report(
        source="vapi",
        event_id="3b1f0c9e-52d7-4b8a-9d6e-0a7c41e2f815",
        connected=True,
        agent_id="e9d41b70-8c25-4a6f-b3f1-5572c08ad936",
        answered_at_ms=at("2026-06-18T12:02:10.250Z"),
        ended_at_ms=at("2026-06-18T12:05:11.755Z"),
        reported_ms=181_505,
        outcome="customer-ended-call",
    )
    assert event(report).quantity == 181_505


def test_the_same_call_delivered_again_later_is_the_same_event() -> None:
    first = the_call(Provider.VAPI, body_of(FINISHED))
    again = the_call(Provider.VAPI, body_of("vapi/end_of_call_report_again.json"))

    assert event(first, received_at_ms=1).fingerprint == event(again, received_at_ms=2).fingerprint


def test_other_messages_of_a_call_are_not_billed() -> None:
    reports = read(Provider.VAPI, body_of("vapi/status_update_ended.json"))

    assert reports == []


@pytest.mark.parametrize("body", [b"{}", b'{"message": null}', b'{"message": {"type": "hang", "call": {"id": 7}}}'])
def test_a_message_that_is_no_report_is_not_looked_into(body: bytes) -> None:
    assert read(Provider.VAPI, body) == []


def test_a_call_that_nobody_answered_costs_nothing_and_says_why() -> None:
    report = the_call(Provider.VAPI, body_of("vapi/customer_did_not_answer.json"))

    assert (report.connected, report.answered_at_ms) == (False, None)
    assert judge(event(report)) == (Status.NOT_BILLABLE, "customer-did-not-answer")


@pytest.mark.parametrize(
    "reason",
    [
        "call.start.error-subscription-insufficient-credits",
        "call.start.error-vapifault-database-error",
        "call-start-error-neither-assistant-nor-server-set",
        "customer-did-not-answer",
        "customer-busy",
        "customer-did-not-give-microphone-permission",
        "twilio-failed-to-connect-call",
        "vonage-failed-to-connect-call",
        "vonage-rejected",
        "assistant-request-returned-no-assistant",
        "assistant-not-found",
        "call.ringing.sip-inbound-caller-hungup-before-call-connect",
        "call.in-progress.error-sip-outbound-call-failed-to-connect",
        "call.in-progress.error-providerfault-outbound-sip-480-temporarily-unavailable",
        "call.in-progress.error-vapifault-transport-never-connected",
        "call.in-progress.error-vapifault-worker-not-available",
    ],
)
def test_reasons_that_mean_nobody_talked_cost_nothing_even_where_the_dialling_has_times(reason: str) -> None:
    report = call(endedReason=reason)

    assert judge(event(report)) == (Status.NOT_BILLABLE, reason)
    assert (event(report).answered_at_ms, event(report).quantity) == (None, None)


@pytest.mark.parametrize(
    "reason",
    ["customer-ended-call", "silence-timed-out", "voicemail", "pipeline-error-openai-llm-failed", "made-up-next-year"],
)
def test_every_other_reason_is_billed_by_its_times_unknown_ones_too(reason: str) -> None:
    assert judge(event(call(endedReason=reason))) == (Status.POSTED, None)


def test_a_call_that_talked_for_five_minutes_before_vapi_failed_used_five_minutes() -> None:
    report = the_call(Provider.VAPI, body_of("vapi/worker_died_mid_call.json"))

    assert (report.connected, event(report).quantity) == (True, 300_400)


def test_without_a_start_and_without_a_duration_nobody_talked() -> None:
    report = call(startedAt=None, durationMs=None, durationSeconds=None, durationMinutes=None)

    assert judge(event(report)) == (Status.NOT_BILLABLE, "customer-ended-call")


def test_without_a_start_vapis_own_duration_tells_when_the_call_was_answered() -> None:
    report = call(startedAt=None)

    assert event(report).answered_at_ms == at("2026-06-18T12:05:11.755Z") - 181_505


def test_a_call_with_a_start_and_nothing_else_waits_for_a_person() -> None:
    report = call(endedAt=None, durationMs=None, durationSeconds=None, durationMinutes=None)

    assert judge(event(report)) == (Status.NEEDS_REVIEW, "times_missing")


@pytest.mark.parametrize(
    ("durations", "reported_ms"),
    [
        ({"durationMs": 181_505}, 181_505),
        ({"durationMs": 181_504.5}, 181_505),
        ({"durationMs": None}, 181_505),
        ({"durationMs": None, "durationSeconds": 181.5055}, 181_506),
        ({"durationMs": None, "durationSeconds": None, "durationMinutes": 3.025}, 181_500),
        ({"durationMs": None, "durationSeconds": None, "durationMinutes": None}, None),
    ],
)
def test_vapis_own_duration_is_read_from_its_finest_unit_half_up(
    durations: dict[str, Any], reported_ms: int | None
) -> None:
    report = call(**durations)

    assert report.reported_ms == reported_ms


def test_the_call_may_stand_beside_the_message_and_without_an_assistant_it_belongs_to_its_number() -> None:
    report = the_call(Provider.VAPI, body_of("vapi/call_beside_message.json"))

    assert report.event_id == "f2470b6d-931e-4d5a-a8c7-7e10d3b965f4"
    assert report.agent_id == "71a6e3d2-0f94-4bc8-95e7-3d8b26f0c1a4"


def test_an_empty_call_in_the_message_does_not_hide_the_id_beside_it() -> None:
    body = changed("vapi/call_beside_message.json", lambda payload: payload["message"].update(call={}))

    assert the_call(Provider.VAPI, body).event_id == "f2470b6d-931e-4d5a-a8c7-7e10d3b965f4"


def test_a_call_with_neither_assistant_nor_number_is_kept_without_an_owner() -> None:
    report = call(call={"id": "web_1"})

    assert (report.event_id, report.agent_id) == ("web_1", None)


def test_a_very_long_reason_is_cut_because_it_is_only_read_by_people() -> None:
    report = call(endedReason="x" * 5_000)

    assert report.outcome == "x" * 128


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"call": {}}, "message.call.id"),
        ({"call": {"id": "a/b"}}, "message.call.id"),
        ({"call": {"id": "x" * 129}}, "message.call.id"),
        ({"call": {"id": 7}}, "message.call.id"),
        ({"call": {"id": "ok", "assistantId": "two words"}}, "message.call.assistantId"),
        ({"call": {"id": "ok", "assistantId": "a#b"}}, "message.call.assistantId"),
        ({"startedAt": "2026-06-18T12:02:10"}, "message.startedAt"),
        ({"startedAt": 1781784130250}, "message.startedAt"),
        ({"endedAt": "0026-06-18T12:02:10Z"}, "message.endedAt"),
        ({"durationMs": -1}, "message.durationMs"),
        ({"durationMs": "181505"}, "message.durationMs"),
        ({"durationSeconds": True}, "message.durationSeconds"),
        ({"durationMinutes": 10**400}, "message.durationMinutes"),
        ({"endedReason": 5}, "message.endedReason"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(message: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        call(**message)

    assert refused.value.param == param
    assert refused.value.detail.startswith(f"{param}: ")


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b'{"message": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(Provider.VAPI, body)


@pytest.mark.parametrize("body", [b"[]", b"3", b'"x"', b'{"message": []}', b'{"message": {"type": 1}}'])
def test_json_of_another_shape_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(Provider.VAPI, body)
