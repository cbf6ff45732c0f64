"""What an ElevenLabs webhook means for the bill."""

from typing import Any

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.usage import Report, Status, judge
from tests.gateways.voice_platforms import body_of, changed, event, read, the_call

FINISHED = "elevenlabs/post_call_transcription.json"


def call(name: str = FINISHED, **fields: Any) -> Report:
    """The call of a fixture with fields of its data and metadata changed; None takes a field away."""

    def change(payload: Any) -> None:
        data = payload["data"]
        for field, value in fields.items():
            part = data["metadata"] if field in data.get("metadata", {}) else data
            part.pop(field, None)
            if value is not None:
                part[field] = value

    return the_call(Provider.ELEVENLABS, changed(name, change))


def test_a_finished_call_is_billed_by_its_seconds_and_never_by_its_credits() -> None:
    report = the_call(Provider.ELEVENLABS, body_of(FINISHED))

    assert report == Report(
        source="elevenlabs",
        event_id="conv_5b90de72c1af4386",
        connected=True,
        agent_id="agent_01jw8qk3z7",
        answered_at_ms=1_781_950_260_000,
        ended_at_ms=1_781_950_354_000,
        outcome="end_call tool was called",
    )
    assert event(report).quantity == 94_000


def test_the_same_call_delivered_again_later_is_the_same_event() -> None:
    first = the_call(Provider.ELEVENLABS, body_of(FINISHED))
    again = the_call(Provider.ELEVENLABS, body_of("elevenlabs/post_call_transcription_again.json"))

    assert event(first, received_at_ms=1).fingerprint == event(again, received_at_ms=2).fingerprint


@pytest.mark.parametrize(
    "body", [body_of("elevenlabs/post_call_audio.json"), b"{}", b'{"type": "voice_removed", "data": 1}']
)
def test_other_events_are_not_billed(body: bytes) -> None:
    assert read(Provider.ELEVENLABS, body) == []


def test_a_call_that_could_not_be_started_costs_nothing_and_says_why() -> None:
    report = the_call(Provider.ELEVENLABS, body_of("elevenlabs/call_initiation_failure.json"))

    assert report == Report(
        source="elevenlabs",
        event_id="conv_d8e26b50f3914c7a",
        connected=False,
        agent_id="agent_01jw8qk3z7",
        outcome="no-answer",
    )
    assert judge(event(report)) == (Status.NOT_BILLABLE, "no-answer")


def test_a_call_that_failed_after_two_minutes_did_talk_for_two_minutes() -> None:
    report = the_call(Provider.ELEVENLABS, body_of("elevenlabs/failed_after_two_minutes.json"))

    assert (report.connected, event(report).quantity, report.outcome) == (True, 121_000, "LLM error")


def test_a_call_that_failed_at_once_costs_nothing() -> None:
    report = the_call(Provider.ELEVENLABS, body_of("elevenlabs/failed_at_once.json"))

    assert report.connected is False
    assert judge(event(report)) == (Status.NOT_BILLABLE, "failed")


def test_a_finished_call_of_no_seconds_costs_nothing() -> None:
    report = call(call_duration_secs=0, termination_reason="")

    assert judge(event(report)) == (Status.NOT_BILLABLE, "no_talk_time")


def test_a_call_without_a_start_is_still_billed_by_its_seconds() -> None:
    report = call(start_time_unix_secs=None)

    assert (report.answered_at_ms, report.ended_at_ms, event(report).quantity) == (None, None, 94_000)


def test_a_call_without_a_duration_waits_for_a_person() -> None:
    report = call(call_duration_secs=None)

    assert judge(event(report)) == (Status.NEEDS_REVIEW, "times_missing")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"conversation_id": None}, "data.conversation_id"),
        ({"conversation_id": "conv 1"}, "data.conversation_id"),
        ({"agent_id": "a b"}, "data.agent_id"),
        ({"start_time_unix_secs": 1_781_950_260_000}, "data.metadata.start_time_unix_secs"),
        ({"start_time_unix_secs": "1781950260"}, "data.metadata.start_time_unix_secs"),
        ({"call_duration_secs": -94}, "data.metadata.call_duration_secs"),
        ({"call_duration_secs": "94"}, "data.metadata.call_duration_secs"),
        ({"status": 1}, "data.status"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        call(**fields)

    assert refused.value.param == param


def test_a_body_that_is_not_json_is_malformed() -> None:
    with pytest.raises(Malformed):
        read(Provider.ELEVENLABS, b"\x00")
