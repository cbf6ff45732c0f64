"""What a CloudEvent means for the bill: the same reading for the webhook and for POST /v1/usage-events."""

import json
from typing import Any

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid, Malformed
from chalicelib.domain.usage import Report, Status, judge
from chalicelib.gateways.voice.cloudevents import CloudEvent, read_events
from tests.gateways.voice_platforms import at, body_of, event, read, the_call

FINISHED = "cloudevents/call.json"
GONE = ...  # not object(): these name tests, and its repr is the same in every process


def cloud_event(name: str = FINISHED, data: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    """A fixture with fields changed; GONE takes a field away."""
    payload = json.loads(body_of(name))
    payload["data"] = without_gone({**payload["data"], **(data or {})})
    return without_gone({**payload, **envelope})


def without_gone(fields: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value is not GONE}


def one(name: str = FINISHED, data: dict[str, Any] | None = None, **envelope: Any) -> Report:
    (report,) = read_events(json.dumps(cloud_event(name, data, **envelope)).encode())
    return report


def test_a_finished_call_is_billed_from_answer_to_end_and_belongs_to_the_sub_account_it_names() -> None:
    report = the_call(Provider.CLOUDEVENTS, body_of(FINISHED))

    assert report == Report(
        source="parlor",
        event_id="call_20260619_0042",
        connected=True,
        sub_account_id="sa_k3v9_m2x7",
        answered_at_ms=at("2026-06-19T08:30:00.500Z"),
        ended_at_ms=at("2026-06-19T08:31:01.250Z"),
        reported_ms=60_750,
        outcome="hangup",
    )
    assert judge(event(report)) == (Status.POSTED, None)


def test_a_subject_that_is_no_sub_account_is_an_agent() -> None:
    report = one(subject="front-desk:7")

    assert (report.agent_id, report.sub_account_id) == ("front-desk:7", None)


def test_the_same_call_sent_again_later_is_the_same_event() -> None:
    first = the_call(Provider.CLOUDEVENTS, body_of(FINISHED))
    again = the_call(Provider.CLOUDEVENTS, body_of("cloudevents/call_again.json"))

    assert event(first, received_at_ms=1).fingerprint == event(again, received_at_ms=2).fingerprint


def test_a_call_that_nobody_answered_needs_no_times_and_costs_nothing() -> None:
    report = the_call(Provider.CLOUDEVENTS, body_of("cloudevents/no_answer.json"))

    assert (report.answered_at_ms, report.ended_at_ms) == (None, None)
    assert judge(event(report)) == (Status.NOT_BILLABLE, "no_answer")


def test_another_meter_is_counted_and_happened_at_the_events_own_time() -> None:
    report = the_call(Provider.CLOUDEVENTS, body_of("cloudevents/chat.json"))

    assert (report.meter, report.quantity, report.ended_at_ms) == ("chat", 3, at("2026-06-19T08:45:30Z"))
    assert judge(event(report)) == (Status.POSTED, None)


def test_a_batch_keeps_its_order() -> None:
    reports = read(Provider.CLOUDEVENTS, body_of("cloudevents/batch.json"))

    assert [report.event_id for report in reports] == ["call_20260619_0042", "call_20260619_0043", "msg_9911"]


def test_a_batch_holds_up_to_500_events() -> None:
    full = json.dumps([cloud_event(id=f"call_{n}") for n in range(500)]).encode()

    assert len(read_events(full)) == 500


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_of_none_or_of_more_than_500_is_refused(count: int) -> None:
    batch = json.dumps([cloud_event(id=f"call_{n}") for n in range(count)]).encode()

    with pytest.raises(Invalid, match="1 to 500"):
        read_events(batch)


def test_extension_attributes_are_allowed_and_change_nothing() -> None:
    assert one(tracestate="a=b", partitionkey=7) == one()


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ({"ended_at": "2026-06-19T08:29:59Z", "duration_seconds": GONE}, "ended_before_answered"),
        ({"ended_at": "2026-06-20T09:30:01Z", "duration_seconds": GONE}, "longer_than_24_hours"),
        (
            {"answered_at": "2001-01-01T00:00:00Z", "ended_at": "2001-01-01T00:01:00Z", "duration_seconds": GONE},
            "too_old",
        ),
        (
            {"answered_at": "2099-01-01T00:00:00Z", "ended_at": "2099-01-01T00:01:00Z", "duration_seconds": GONE},
            "from_the_future",
        ),
    ],
)
def test_strange_times_are_kept_for_a_person_and_not_refused(data: dict[str, Any], verdict: str) -> None:
    report = one(data=data)

    assert judge(event(report)) == (Status.NEEDS_REVIEW, verdict)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-19T08:30:00Z", "2026-06-19T08:30:00+00:00"),
        ("2026-06-19t08:30:00z", "2026-06-19T08:30:00+00:00"),
        ("2026-06-19T08:30:00.123456789+05:30", "2026-06-19T03:00:00.123+00:00"),
        ("2000-01-01T00:00:00-00:00", "2000-01-01T00:00:00+00:00"),
        ("2100-12-31T23:59:59.999Z", "2100-12-31T23:59:59.999+00:00"),
    ],
)
def test_a_time_may_have_any_zone_and_any_precision(text: str, moment: str) -> None:
    assert one(data={"answered_at": text}).answered_at_ms == at(moment)


WRONG_TIMES = [
    "2026-06-19T08:30:00",
    "2026-06-19",
    "2026-06-19 08:30:00Z",
    "2026-06-19T08:30Z",
    "2026-06-19T25:00:00Z",
    "2026-02-30T08:30:00Z",
    "1999-12-31T23:59:59Z",
    "2101-01-01T00:00:00Z",
    "0001-01-01T00:00:00+10:00",
    "9999-12-31T23:59:59-10:00",
    "2026-06-19T08:30:00+99:99",
    "٢٠٢٦-06-19T08:30:00Z",
    "2026-06-19T08:30:00Z\n",
    "",
    "now",
    1_781_857_800,
    True,
    [],
    {},
]


@pytest.mark.parametrize("value", WRONG_TIMES, ids=repr)
@pytest.mark.parametrize("field", ["answered_at", "ended_at"])
def test_a_time_that_is_not_rfc_3339_between_2000_and_2100_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        one(data={field: value})

    assert refused.value.param == f"data.{field}"


@pytest.mark.parametrize("value", [*WRONG_TIMES, None], ids=repr)
def test_a_count_needs_a_right_time_too(value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        one("cloudevents/chat.json", time=value)

    assert refused.value.param == "time"


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"answered_at": GONE}, "data.answered_at"),
        ({"answered_at": None}, "data.answered_at"),
        ({"ended_at": GONE}, "data.ended_at"),
        ({"connected": "true"}, "data.connected"),
        ({"connected": 1}, "data.connected"),
        ({"connected": None}, "data.connected"),
        ({"duration_seconds": -0.001}, "data.duration_seconds"),
        ({"duration_seconds": "60"}, "data.duration_seconds"),
        ({"duration_seconds": True}, "data.duration_seconds"),
        ({"duration_seconds": 10**9 + 1}, "data.duration_seconds"),
        ({"duration_seconds": 10**400}, "data.duration_seconds"),
        ({"quantity": 1}, "data.quantity"),
        ({"outcome": "x" * 129}, "data.outcome"),
        ({"outcome": "a\nb"}, "data.outcome"),
        ({"outcome": 5}, "data.outcome"),
        ({"meter": "Voice"}, "data.meter"),
        ({"meter": "m" * 33}, "data.meter"),
        ({"meter": "voice\n"}, "data.meter"),
        ({"meter": None}, "data.meter"),
        ({"price": "0.15"}, "data.price"),
    ],
)
def test_a_field_of_a_call_that_cannot_be_right_is_named(data: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        one(data=data)

    assert refused.value.param == param
    assert refused.value.detail.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("data", "param"),
    [
        ({"quantity": GONE}, "data.quantity"),
        ({"quantity": None}, "data.quantity"),
        ({"quantity": -1}, "data.quantity"),
        ({"quantity": 1.0}, "data.quantity"),
        ({"quantity": "3"}, "data.quantity"),
        ({"quantity": True}, "data.quantity"),
        ({"quantity": 10**9 + 1}, "data.quantity"),
        ({"quantity": 10**400}, "data.quantity"),
        ({"answered_at": "2026-06-19T08:30:00Z"}, "data.answered_at"),
        ({"ended_at": "2026-06-19T08:30:00Z"}, "data.ended_at"),
        ({"duration_seconds": 5}, "data.duration_seconds"),
    ],
)
def test_a_field_of_a_count_that_cannot_be_right_is_named(data: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        one("cloudevents/chat.json", data)

    assert refused.value.param == param


@pytest.mark.parametrize("quantity", [0, 1, 10**9])
def test_a_count_may_be_anything_from_nothing_to_a_thousand_million(quantity: int) -> None:
    assert one("cloudevents/chat.json", {"quantity": quantity}).quantity == quantity


@pytest.mark.parametrize(
    "envelope",
    [
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"specversion": GONE},
        {"id": ""},
        {"id": "-call"},
        {"id": "call 1"},
        {"id": "call#1"},
        {"id": "x" * 129},
        {"id": 42},
        {"id": GONE},
        {"source": "https://parlor.example"},
        {"source": "s" * 65},
        {"source": GONE},
        {"type": "com.example.usage"},
        {"type": GONE},
        {"subject": ""},
        {"subject": "front desk"},
        {"subject": "a/b"},
        {"subject": "a#b"},
        {"subject": "béa"},
        {"subject": "x" * 129},
        {"subject": GONE},
        {"subject": None},
        {"time": "yesterday"},
    ],
    ids=repr,
)
def test_a_wrong_attribute_of_the_envelope_is_named(envelope: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        one(**envelope)

    assert refused.value.param == next(iter(envelope))


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (cloud_event(data={"ended_at": "later"}), "[3].data.ended_at"),
        (cloud_event(data={"answered_at": None}), "[3].data.answered_at"),
        (cloud_event("cloudevents/chat.json", {"quantity": None}), "[3].data.quantity"),
        (cloud_event("cloudevents/chat.json", time=None), "[3].time"),
        (cloud_event(subject=7), "[3].subject"),
        ("an event", "[3]"),
        ([], "[3]"),
    ],
)
def test_in_a_batch_the_wrong_event_is_named_by_its_place(wrong: Any, param: str) -> None:
    batch = json.dumps([cloud_event(), cloud_event(), cloud_event(), wrong]).encode()

    with pytest.raises(Invalid) as refused:
        read_events(batch)

    assert refused.value.param == param


@pytest.mark.parametrize("body", [b'"event"', b"7", b"null", b"true"])
def test_json_that_is_neither_an_event_nor_a_batch_is_invalid(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_events(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"{'id': 1}",
        json.dumps(cloud_event(data={"duration_seconds": float("nan")})).encode(),
        json.dumps(cloud_event(data={"duration_seconds": float("inf")})).encode(),
        b"[" * 5_000 + b"]" * 5_000,
    ],
    ids=["empty", "not UTF-8", "not JSON", "NaN", "Infinity", "too deep"],
)
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_events(body)


@pytest.mark.parametrize("data", ["e30=", None, [], 7, GONE], ids=repr)
def test_an_event_without_an_object_of_data_is_refused(data: Any) -> None:
    payload = without_gone({**cloud_event(), "data": data})

    with pytest.raises(Invalid) as refused:
        read_events(json.dumps(payload).encode())

    assert refused.value.param == "data"


def test_the_api_description_says_what_every_field_means_and_shows_an_example() -> None:
    schema = CloudEvent.model_json_schema()

    described = {**schema["properties"], **schema["$defs"]["UsageData"]["properties"]}

    assert {name for name, field in described.items() if not field.get("description")} == set()
    assert described["answered_at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert one(**schema["examples"][0]).sub_account_id == "sa_k3v9_m2x7"
