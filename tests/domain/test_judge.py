"""What may be done with a usage event, by its own contents alone."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.usage import Status, UsageEvent, judge

ANSWERED_MS = 1_750_000_000_000
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000

CALL = UsageEvent(
    workspace_id="ws_abc",
    source="retell",
    event_id="call_1",
    meter="voice",
    agent_id="agent_1",
    sub_account_id=None,
    connected=True,
    answered_at_ms=ANSWERED_MS,
    ended_at_ms=ANSWERED_MS + 42 * SECOND_MS,
    quantity=42 * SECOND_MS,
    outcome=None,
    remarks=(),
    received_at_ms=ANSWERED_MS + 45 * SECOND_MS,
)


def lasting(span_ms: int, **facts: int | str | bool | None) -> UsageEvent:
    """The call, `span_ms` long, received a second after its end."""
    ended_at_ms = ANSWERED_MS + span_ms
    call = dataclasses.replace(CALL, ended_at_ms=ended_at_ms, quantity=span_ms, received_at_ms=ended_at_ms + SECOND_MS)
    return dataclasses.replace(call, **facts)


def received_after(delay_ms: int) -> UsageEvent:
    return dataclasses.replace(CALL, received_at_ms=CALL.occurred_at_ms + delay_ms)


def test_a_finished_call_is_posted() -> None:
    assert judge(CALL) == (Status.POSTED, None)


def test_a_call_whose_clocks_disagree_is_posted_all_the_same() -> None:
    assert judge(dataclasses.replace(CALL, remarks=("durations_disagree",))) == (Status.POSTED, None)


@pytest.mark.parametrize(("outcome", "reason"), [("busy", "busy"), (None, "never_connected"), ("", "never_connected")])
def test_a_call_that_never_connected_is_not_billable_whatever_its_times_say(outcome: str | None, reason: str) -> None:
    call = dataclasses.replace(CALL, connected=False, outcome=outcome)

    assert judge(call) == (Status.NOT_BILLABLE, reason)
    assert judge(dataclasses.replace(call, quantity=None, ended_at_ms=None)) == (Status.NOT_BILLABLE, reason)


@pytest.mark.parametrize(("outcome", "reason"), [("silence", "silence"), (None, "no_talk_time")])
def test_a_call_without_talk_is_not_billable(outcome: str | None, reason: str) -> None:
    assert judge(lasting(0, outcome=outcome)) == (Status.NOT_BILLABLE, reason)


def test_a_call_of_one_millisecond_is_posted() -> None:
    assert judge(lasting(1)) == (Status.POSTED, None)


def test_a_call_without_times_is_looked_at_by_a_person() -> None:
    call = dataclasses.replace(CALL, ended_at_ms=None, quantity=None)

    assert judge(call) == (Status.NEEDS_REVIEW, "times_missing")


def test_a_call_that_ended_before_it_was_answered_is_looked_at_by_a_person() -> None:
    assert judge(lasting(-1)) == (Status.NEEDS_REVIEW, "ended_before_answered")
    assert judge(lasting(-1, quantity=42_000)) == (Status.NEEDS_REVIEW, "ended_before_answered")
    assert judge(lasting(42_000, quantity=-1)) == (Status.NEEDS_REVIEW, "ended_before_answered")


def test_a_call_of_exactly_24_hours_is_posted_and_one_millisecond_more_is_looked_at() -> None:
    assert judge(lasting(24 * HOUR_MS)) == (Status.POSTED, None)
    assert judge(lasting(24 * HOUR_MS + 1)) == (Status.NEEDS_REVIEW, "longer_than_24_hours")


def test_a_call_that_seems_to_last_for_days_is_looked_at_even_if_the_platform_reports_a_short_one() -> None:
    assert judge(lasting(25 * HOUR_MS, quantity=42_000)) == (Status.NEEDS_REVIEW, "longer_than_24_hours")


def test_a_duration_without_times_may_not_be_longer_than_24_hours_either() -> None:
    timeless = dataclasses.replace(CALL, answered_at_ms=None, ended_at_ms=None)

    assert judge(dataclasses.replace(timeless, quantity=24 * HOUR_MS)) == (Status.POSTED, None)
    assert judge(dataclasses.replace(timeless, quantity=24 * HOUR_MS + 1))[1] == "longer_than_24_hours"


def test_a_clock_that_is_exactly_5_minutes_fast_is_forgiven_and_one_millisecond_more_is_not() -> None:
    assert judge(received_after(-5 * MINUTE_MS)) == (Status.POSTED, None)
    assert judge(received_after(-5 * MINUTE_MS - 1)) == (Status.NEEDS_REVIEW, "from_the_future")


def test_a_call_received_just_before_36_days_are_over_is_posted_and_at_36_days_it_is_too_old() -> None:
    assert judge(received_after(36 * DAY_MS - 1)) == (Status.POSTED, None)
    assert judge(received_after(36 * DAY_MS)) == (Status.NEEDS_REVIEW, "too_old")


def test_an_empty_call_that_is_too_old_is_still_looked_at() -> None:
    assert judge(lasting(0, received_at_ms=ANSWERED_MS + 36 * DAY_MS)) == (Status.NEEDS_REVIEW, "too_old")


def test_other_meters_are_posted_by_their_count_however_large() -> None:
    chat = dataclasses.replace(CALL, meter="chat", answered_at_ms=None)

    assert judge(dataclasses.replace(chat, quantity=1)) == (Status.POSTED, None)
    assert judge(dataclasses.replace(chat, quantity=100_000_000)) == (Status.POSTED, None)
    assert judge(dataclasses.replace(chat, quantity=0))[0] is Status.NOT_BILLABLE
    assert judge(dataclasses.replace(chat, quantity=-1))[0] is Status.NEEDS_REVIEW
    assert judge(dataclasses.replace(chat, quantity=None))[0] is Status.NEEDS_REVIEW


moments = st.none() | st.integers(ANSWERED_MS - 40 * DAY_MS, ANSWERED_MS + 40 * DAY_MS)


@given(st.booleans(), moments, moments, st.none() | st.integers(-DAY_MS, 2 * DAY_MS))
def test_every_event_gets_a_verdict_and_everything_but_posting_has_a_reason(
    connected: bool, answered_at_ms: int | None, ended_at_ms: int | None, quantity: int | None
) -> None:
    call = dataclasses.replace(
        CALL, connected=connected, answered_at_ms=answered_at_ms, ended_at_ms=ended_at_ms, quantity=quantity
    )

    status, reason = judge(call)

    assert status in (Status.POSTED, Status.NOT_BILLABLE, Status.NEEDS_REVIEW)
    assert (reason is None) == (status is Status.POSTED)
    assert status is not Status.POSTED or (connected and 0 < quantity <= DAY_MS)
