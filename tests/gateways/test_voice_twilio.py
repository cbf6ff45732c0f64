"""What a Twilio status callback means for the bill."""

from urllib.parse import parse_qsl, urlencode

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.usage import Report, Status, judge
from tests.gateways.voice_platforms import at, body_of, event, read, the_call

FINISHED = "twilio/completed.form"


def call(name: str = FINISHED, **fields: str | None) -> Report:
    """The call of a fixture with fields changed; None takes a field away."""
    form = {**dict(parse_qsl(body_of(name).decode(), keep_blank_values=True)), **fields}
    body = urlencode({field: value for field, value in form.items() if value is not None})
    return the_call(Provider.TWILIO, body.encode())


def test_a_finished_call_is_billed_by_its_seconds_counted_back_from_its_end() -> None:
    report = the_call(Provider.TWILIO, body_of(FINISHED))

    assert report == Report(
        source="twilio",
        event_id="CA71d0e6b9f3284c5a8e13d7b04f92c6a5",
        connected=True,
        agent_id="+13035550121",
        ended_at_ms=at("2026-06-18T16:20:09Z"),
        reported_ms=64_000,
        outcome="completed",
    )
    assert event(report).answered_at_ms == at("2026-06-18T16:19:05Z")
    assert event(report).quantity == 64_000


def test_the_same_call_delivered_again_is_the_same_event() -> None:
    first = the_call(Provider.TWILIO, body_of(FINISHED))
    again = the_call(Provider.TWILIO, body_of("twilio/completed_again.form"))

    assert event(first, received_at_ms=1).fingerprint == event(again, received_at_ms=2).fingerprint


@pytest.mark.parametrize(
    "body",
    [
        body_of("twilio/ringing.form"),
        b"CallStatus=in-progress&CallSid=CA1",
        b"CallStatus=&CallSid=CA1",
        b"CallSid=CA1",
        b"",
        b'{"json": true}',
    ],
)
def test_a_call_that_is_still_under_way_is_not_billed(body: bytes) -> None:
    assert read(Provider.TWILIO, body) == []


def test_a_call_that_nobody_answered_costs_nothing_and_says_why() -> None:
    report = the_call(Provider.TWILIO, body_of("twilio/no_answer.form"))

    assert judge(event(report)) == (Status.NOT_BILLABLE, "no-answer")


@pytest.mark.parametrize("status", ["busy", "no-answer", "failed", "canceled"])
def test_only_a_completed_call_has_a_duration_whatever_else_is_sent(status: str) -> None:
    report = call(CallStatus=status, CallDuration="12")

    assert (report.connected, report.reported_ms) == (False, None)
    assert judge(event(report)) == (Status.NOT_BILLABLE, status)


@pytest.mark.parametrize("duration", [None, "", "0", "00"])
def test_a_completed_call_without_seconds_was_never_answered(duration: str | None) -> None:
    report = call(CallDuration=duration)

    assert judge(event(report)) == (Status.NOT_BILLABLE, "never_connected")


def test_a_sip_address_is_the_same_agent_whatever_its_parameters_and_the_spelling_of_its_host() -> None:
    spelled = the_call(Provider.TWILIO, body_of("twilio/completed_over_sip.form"))
    plain = call(To="SIP:Front.Desk@hotel.sip.twilio.com")

    assert spelled.agent_id == plain.agent_id == "sip:Front.Desk@hotel.sip.twilio.com"


@pytest.mark.parametrize("address", ["+13035550121", "client:Alice_7", "sip:1001@10.0.0.7:5060"])
def test_numbers_and_clients_are_agents_as_they_stand(address: str) -> None:
    assert call(To=address).agent_id == address


@pytest.mark.parametrize("address", [None, ""])
def test_a_call_without_a_called_address_is_kept_without_an_owner(address: str | None) -> None:
    assert call(To=address).agent_id is None


@pytest.mark.parametrize(
    ("timestamp", "ended_at"),
    [
        ("Thu, 18 Jun 2026 16:20:09 +0000", "2026-06-18T16:20:09Z"),
        ("Thu, 18 Jun 2026 09:20:09 -0700", "2026-06-18T16:20:09Z"),
        ("Thu, 18 Jun 2026 16:20:09 GMT", "2026-06-18T16:20:09Z"),
        ("Thu, 18 Jun 2026 16:20:09 -0000", "2026-06-18T16:20:09Z"),
    ],
)
def test_the_end_of_a_call_is_the_same_moment_in_every_zone(timestamp: str, ended_at: str) -> None:
    assert call(Timestamp=timestamp).ended_at_ms == at(ended_at)


def test_a_call_without_its_end_is_still_billed_by_its_seconds() -> None:
    report = call(Timestamp=None)

    assert (report.ended_at_ms, event(report).quantity) == (None, 64_000)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"CallSid": None}, "CallSid"),
        ({"CallSid": "CA/1"}, "CallSid"),
        ({"To": "two words"}, "To"),
        ({"To": "sip:" + "x" * 130}, "To"),
        ({"CallDuration": "-64"}, "CallDuration"),
        ({"CallDuration": "64.5"}, "CallDuration"),
        ({"CallDuration": "٦٤"}, "CallDuration"),
        ({"CallDuration": "9" * 400}, "CallDuration"),
        ({"Timestamp": "2026-06-18T16:20:09Z"}, "Timestamp"),
        ({"Timestamp": "Thu, 18 Jun 1026 16:20:09 +0000"}, "Timestamp"),
        ({"Timestamp": "Thu, 18 Jun 2026 16:20:09 +9999"}, "Timestamp"),
        ({"Timestamp": "Thu, 18 Jun " + "9" * 400 + " 16:20:09 +0000"}, "Timestamp"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(fields: dict[str, str | None], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        call(**fields)

    assert refused.value.param == param


@pytest.mark.parametrize("body", [b"\xff=1", b"CallSid=%ff", b"a=1&" * 1000])
def test_a_body_that_is_not_a_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(Provider.TWILIO, body)


def test_a_call_that_we_made_belongs_to_the_number_that_it_was_made_from() -> None:
    (report,) = read(Provider.TWILIO, body_of("twilio/completed_outbound.form"))

    assert report.agent_id == "+14155550111"
    assert report.reported_ms == 33_000
