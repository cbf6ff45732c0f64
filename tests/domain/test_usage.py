"""Usage events: two witnesses for time, a fingerprint for repeats, one line for the queue."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Malformed
from chalicelib.domain.usage import Report, UsageEvent

ANSWERED_MS = 1_750_000_000_000
RECEIVED_MS = ANSWERED_MS + 300_000


def report(**facts: Any) -> Report:
    return Report(**{"source": "retell", "event_id": "call_1", "connected": True, "agent_id": "agent_1", **facts})


def event(received_at_ms: int = RECEIVED_MS, **facts: Any) -> UsageEvent:
    return UsageEvent.from_report(report(**facts), "ws_abc", received_at_ms)


def talk(measured_ms: int, reported_ms: int | None) -> UsageEvent:
    return event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + measured_ms, reported_ms=reported_ms)


names = st.text(max_size=12)
maybe_ms = st.none() | st.integers(-(10**13), 10**13)
events = st.builds(
    UsageEvent,
    workspace_id=names,
    source=names,
    event_id=names,
    meter=names,
    agent_id=st.none() | names,
    sub_account_id=st.none() | names,
    connected=st.booleans(),
    answered_at_ms=maybe_ms,
    ended_at_ms=maybe_ms,
    quantity=maybe_ms,
    outcome=st.none() | names,
    remarks=st.lists(names, max_size=3).map(tuple),
    received_at_ms=st.integers(0, 10**13),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


# Two witnesses


def test_a_call_lasts_from_its_answer_to_its_end() -> None:
    call = event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000)

    assert call.quantity == 42_000
    assert call.remarks == ()


@pytest.mark.parametrize(
    ("measured_ms", "reported_ms"),
    [
        (42_000, 42_000),
        (42_000, 44_000),  # exactly 2 s apart
        (44_000, 42_000),
        (100_000, 102_000),  # still 2 s: 2 % of 102 s are 2.04 s
        (200_000, 204_000),  # 4 s apart, where 2 % of 204 s are 4.08 s
        (500_000, 490_000),  # exactly 2 % of the longer
    ],
)
def test_two_clocks_that_nearly_agree_are_believed_and_the_call_is_billed_as_measured(
    measured_ms: int, reported_ms: int
) -> None:
    call = talk(measured_ms, reported_ms)

    assert call.quantity == measured_ms
    assert call.remarks == ()


@pytest.mark.parametrize(
    ("measured_ms", "reported_ms"),
    [
        (42_000, 44_001),  # one millisecond more than 2 s
        (44_001, 42_000),
        (500_000, 489_999),  # one millisecond more than 2 %
        (42_000, 42),  # the platform meant seconds
        (42_000, 42_000_000),  # the platform meant microseconds
        (42, 42_000),
        (42_000, 0),
        (0, 42_000),
    ],
)
def test_of_two_clocks_that_disagree_the_shorter_time_is_billed_and_a_person_is_told(
    measured_ms: int, reported_ms: int
) -> None:
    call = talk(measured_ms, reported_ms)

    assert call.quantity == min(measured_ms, reported_ms)
    assert call.remarks == ("durations_disagree",)


@given(st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_client_is_never_billed_for_more_than_was_measured(measured_ms: int, reported_ms: int) -> None:
    call = talk(measured_ms, reported_ms)

    assert call.quantity <= measured_ms
    assert call.quantity <= reported_ms + max(2_000, measured_ms * 2 // 100)


def test_a_missing_end_is_the_answer_and_the_reported_duration() -> None:
    call = event(answered_at_ms=ANSWERED_MS, reported_ms=42_000)

    assert (call.answered_at_ms, call.ended_at_ms) == (ANSWERED_MS, ANSWERED_MS + 42_000)
    assert (call.quantity, call.remarks) == (42_000, ())


def test_a_missing_answer_is_the_end_less_the_reported_duration() -> None:
    call = event(ended_at_ms=ANSWERED_MS + 42_000, reported_ms=42_000)

    assert (call.answered_at_ms, call.ended_at_ms) == (ANSWERED_MS, ANSWERED_MS + 42_000)
    assert (call.quantity, call.remarks) == (42_000, ())


def test_a_duration_alone_is_believed() -> None:
    call = event(reported_ms=42_000)

    assert call.quantity == 42_000
    assert (call.answered_at_ms, call.ended_at_ms) == (None, None)


@pytest.mark.parametrize("times", [{}, {"answered_at_ms": ANSWERED_MS}, {"ended_at_ms": ANSWERED_MS}])
def test_times_that_do_not_tell_the_duration_are_never_guessed(times: dict[str, int]) -> None:
    assert event(**times).quantity is None


def test_a_call_that_ended_before_it_was_answered_keeps_its_negative_time_for_a_person_to_see() -> None:
    assert talk(-1_000, 42_000).quantity == -1_000
    assert talk(42_000, -1_000).quantity == -1_000


def test_other_meters_are_counted_and_not_timed() -> None:
    call = event(meter="chat", quantity=3, answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000, reported_ms=1)

    assert call.quantity == 3
    assert call.remarks == ()


# Which moment counts


def test_a_call_is_rated_when_it_was_answered_and_occurs_when_it_ended() -> None:
    call = event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000)

    assert call.rated_at_ms == ANSWERED_MS
    assert call.occurred_at_ms == ANSWERED_MS + 42_000


def test_anything_without_an_answer_is_rated_when_it_ended_or_else_when_it_was_received() -> None:
    ended, timeless = event(meter="chat", quantity=1, ended_at_ms=ANSWERED_MS), event(meter="chat", quantity=1)

    assert (ended.rated_at_ms, ended.occurred_at_ms) == (ANSWERED_MS, ANSWERED_MS)
    assert (timeless.rated_at_ms, timeless.occurred_at_ms) == (RECEIVED_MS, RECEIVED_MS)


def test_a_call_at_the_beginning_of_time_is_rated_at_the_beginning_of_time() -> None:
    call = event(answered_at_ms=0, ended_at_ms=0)

    assert (call.rated_at_ms, call.occurred_at_ms, call.quantity) == (0, 0, 0)


# Fingerprints


@pytest.mark.parametrize(
    "repeat",
    [
        event(RECEIVED_MS + 90_000, answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000),
        event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000, outcome="customer hung up"),
        event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000, reported_ms=41_500),
        event(answered_at_ms=ANSWERED_MS, reported_ms=42_000),
        event(ended_at_ms=ANSWERED_MS + 42_000, reported_ms=42_000),
    ],
    ids=["delivered again later", "another wording", "a second witness who agrees", "no end", "no answer"],
)
def test_a_delivery_that_says_the_same_of_the_same_call_is_a_repeat(repeat: UsageEvent) -> None:
    first = event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000)

    assert repeat.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "facts",
    [
        {"answered_at_ms": ANSWERED_MS + 1},
        {"ended_at_ms": ANSWERED_MS + 42_001},
        {"reported_ms": 20_000},
        {"connected": False},
        {"agent_id": "agent_2"},
        {"agent_id": None, "sub_account_id": "sa_abc_def"},
        {"event_id": "call_2"},
        {"source": "vapi"},
        {"meter": "chat", "quantity": 42_000},
    ],
    ids=lambda facts: ", ".join(facts),
)
def test_a_delivery_that_would_move_other_money_is_a_contradiction(facts: dict[str, Any]) -> None:
    told = {"answered_at_ms": ANSWERED_MS, "ended_at_ms": ANSWERED_MS + 42_000}

    assert event(**{**told, **facts}).fingerprint != event(**told).fingerprint


def test_a_fingerprint_is_the_same_in_every_process_and_for_ever() -> None:
    call = event(answered_at_ms=ANSWERED_MS, ended_at_ms=ANSWERED_MS + 42_000)

    assert call.fingerprint == "d5f11984471d7fc8f27049a6150e4aae"


@given(events)
def test_a_fingerprint_is_32_characters_whatever_the_event(call: UsageEvent) -> None:
    assert len(call.fingerprint) == 32


@given(events, names, names, st.integers(0, 10**13))
def test_what_moves_no_money_never_makes_a_contradiction(
    call: UsageEvent, outcome: str, remark: str, received_at_ms: int
) -> None:
    again = dataclasses.replace(call, outcome=outcome, remarks=(remark,), received_at_ms=received_at_ms)

    assert again.fingerprint == call.fingerprint


# The queue


@given(events)
def test_an_event_comes_out_of_the_queue_as_it_went_in(call: UsageEvent) -> None:
    line = call.to_json()

    assert UsageEvent.from_json(line) == call
    assert "\n" not in line


@given(st.text() | json_values.map(json.dumps))
def test_anything_else_in_the_queue_is_malformed_and_nothing_worse(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        UsageEvent.from_json(text)

    assert refused.value.code == "unreadable_message"


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '"call"', "NaN", "1" * 5_000, "[" * 100_000, '{"remarks":[]}', b"\xff", None],
    ids=lambda text: repr(text)[:20],
)
def test_poison_is_malformed_and_nothing_worse(text: Any) -> None:
    with pytest.raises(Malformed):
        UsageEvent.from_json(text)


@given(events, st.sampled_from([item.name for item in dataclasses.fields(UsageEvent)]), json_values)
def test_an_event_with_one_wrong_field_is_read_or_malformed_and_nothing_worse(
    call: UsageEvent, name: str, value: object
) -> None:
    text = json.dumps({**json.loads(call.to_json()), name: value})

    try:
        read = UsageEvent.from_json(text)
    except Malformed:
        return

    assert read.fingerprint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("workspace_id", None), ("workspace_id", 5), ("source", None), ("event_id", ["call"]), ("meter", None)),
        *(("agent_id", 5), ("sub_account_id", {}), ("connected", None), ("connected", 1), ("connected", "true")),
        *(("answered_at_ms", 1.5), ("ended_at_ms", "1"), ("ended_at_ms", True), ("quantity", 42.0)),
        *(("quantity", float("nan")), ("quantity", float("inf")), ("received_at_ms", None), ("received_at_ms", 1.0)),
        *(("outcome", 5), ("outcome", {"reason": "busy"}), ("remarks", None), ("remarks", 5)),
        *(("remarks", "durations_disagree"), ("remarks", [5]), ("remarks", {"durations_disagree": 1})),
        ("surprise", 1),
    ],
)
def test_a_field_of_the_wrong_kind_is_malformed(name: str, value: object) -> None:
    text = json.dumps({**json.loads(talk(42_000, None).to_json()), name: value})

    with pytest.raises(Malformed):
        UsageEvent.from_json(text)


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(UsageEvent)])
def test_a_field_that_is_missing_is_malformed(name: str) -> None:
    values = json.loads(talk(42_000, None).to_json())
    del values[name]

    with pytest.raises(Malformed):
        UsageEvent.from_json(json.dumps(values))
