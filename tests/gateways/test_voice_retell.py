"""What a Retell webhook means for the bill."""

from typing import Any

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.usage import Report, Status, judge
from tests.gateways.voice_platforms import body_of, changed, event, read, the_call

FINISHED = "retell/call_ended.json"


def call(name: str = FINISHED, **fields: Any) -> Report:
    """The call of a fixture with fields changed; None takes a field away."""

    def change(payload: Any) -> None:
        for field, value in fields.items():
            payload["call"].pop(field, None)
            if value is not None:
                payload["call"][field] = value

    return the_call(Provider.RETELL, changed(name, change))


def test_a_finished_call_is_billed_from_answer_to_end_and_belongs_to_its_agent() -> None:
    report = the_call(Provider.RETELL, body_of(FINISHED))

    assert report == Report(
        source="retell",
        event_id="call_6d0b2f9a71c84e35",
        connected=True,
        agent_id="agent_c7e15a4408",
        answered_at_ms=1_781_863_200_130,
        ended_at_ms=1_781_863_307_480,
        reported_ms=107_350,
        outcome="agent_hangup",
    )
    assert judge(event(report)) == (Status.POSTED, None)


def test_the_same_call_delivered_again_is_the_same_event_whatever_retell_says_it_cost() -> None:
    first = the_call(Provider.RETELL, body_of(FINISHED))
    again = the_call(Provider.RETELL, body_of("retell/call_ended_again.json"))

    assert event(first, received_at_ms=1).fingerprint == event(again, received_at_ms=2).fingerprint


@pytest.mark.parametrize("name", ["retell/call_started.json", "retell/call_analyzed.json"])
def test_a_call_is_billed_when_it_ended_and_not_again_when_it_was_analysed(name: str) -> None:
    assert read(Provider.RETELL, body_of(name)) == []


@pytest.mark.parametrize("body", [b"{}", b'{"event": "chat_ended", "call": 1}', b'{"event": null}'])
def test_other_events_are_not_looked_into(body: bytes) -> None:
    assert read(Provider.RETELL, body) == []


def test_a_call_that_nobody_answered_costs_nothing_and_says_why() -> None:
    report = the_call(Provider.RETELL, body_of("retell/call_not_connected.json"))

    assert report.answered_at_ms is None
    assert judge(event(report)) == (Status.NOT_BILLABLE, "dial_no_answer")


@pytest.mark.parametrize(
    "reason", ["dial_busy", "dial_failed", "dial_new_next_year", "user_declined", "marked_as_spam"]
)
def test_a_reason_of_dialling_costs_nothing_even_where_the_status_does_not_say_so(reason: str) -> None:
    report = call(disconnection_reason=reason, call_status="registered")

    assert judge(event(report)) == (Status.NOT_BILLABLE, reason)
    assert (event(report).answered_at_ms, event(report).quantity) == (None, None)


def test_the_status_alone_is_enough_for_a_call_that_did_not_connect() -> None:
    report = call(disconnection_reason=None, call_status="not_connected")

    assert judge(event(report)) == (Status.NOT_BILLABLE, "not_connected")


def test_a_call_without_a_start_never_started() -> None:
    report = call(start_timestamp=None, duration_ms=None)

    assert judge(event(report)) == (Status.NOT_BILLABLE, "agent_hangup")


def test_without_a_start_retells_own_duration_tells_when_the_call_was_answered() -> None:
    report = call(start_timestamp=None)

    assert event(report).answered_at_ms == 1_781_863_307_480 - 107_350


@pytest.mark.parametrize("reason", ["voicemail_reached", "error_llm_websocket_open", "new_next_year", None])
def test_every_other_reason_is_billed_by_its_times(reason: str | None) -> None:
    report = call(disconnection_reason=reason, call_status="registered")

    assert judge(event(report)) == (Status.POSTED, None)


def test_when_retells_duration_is_shorter_than_its_times_the_shorter_one_is_billed_and_flagged() -> None:
    billed = event(call(duration_ms=60_000))

    assert (billed.quantity, billed.remarks) == (60_000, ("durations_disagree",))


def test_retell_may_leave_its_duration_out() -> None:
    report = call(duration_ms=None)

    assert (report.reported_ms, event(report).quantity) == (None, 107_350)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"call_id": None}, "call.call_id"),
        ({"call_id": ""}, "call.call_id"),
        ({"call_id": "call 1"}, "call.call_id"),
        ({"call_id": "call_1\n"}, "call.call_id"),
        ({"agent_id": "agent/1"}, "call.agent_id"),
        ({"agent_id": "agént"}, "call.agent_id"),
        ({"start_timestamp": 1_781_863_200}, "call.start_timestamp"),
        ({"start_timestamp": "1781863200130"}, "call.start_timestamp"),
        ({"start_timestamp": 1_781_863_200_130.5}, "call.start_timestamp"),
        ({"end_timestamp": 1_781_863_307_480_000}, "call.end_timestamp"),
        ({"end_timestamp": True}, "call.end_timestamp"),
        ({"duration_ms": -1}, "call.duration_ms"),
        ({"duration_ms": 10**10}, "call.duration_ms"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        call(**fields)

    assert refused.value.param == param


def test_seconds_where_milliseconds_belong_are_noticed_before_they_become_money() -> None:
    with pytest.raises(Invalid, match="milliseconds since 1970"):
        call(start_timestamp=1_781_863_200, end_timestamp=1_781_863_307)


def test_a_call_ended_without_a_call_is_invalid() -> None:
    with pytest.raises(Invalid) as refused:
        read(Provider.RETELL, b'{"event": "call_ended"}')

    assert refused.value.param == "call"


def test_a_body_that_is_not_json_is_malformed() -> None:
    with pytest.raises(Malformed):
        read(Provider.RETELL, b"event=call_ended")
