"""Refills: how much one payment takes from the card, and when so many refills cannot be right."""

import dataclasses
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.refill import NO_RULE, OPEN_STEPS, Refill, RefillMode, RefillRule, RefillStep, far_above_norm

DOLLAR, CENT, YEN = 1_000_000, 10_000, 1_000_000
NO_LIMIT = 10**15

BALANCES = st.integers(-5_000 * DOLLAR, 1_000 * DOLLAR)
STEPS = st.sampled_from([1_000, CENT, YEN])  # currencies with three, two and no decimals
MAXIMA = st.integers(5, 10_000).map(lambda dollars: dollars * DOLLAR)


@st.composite
def rules(draw: st.DrawFn) -> RefillRule:
    """Any rule that could be saved: a target is well above the threshold, an amount is a whole number of steps."""
    threshold_micros = draw(st.integers(1 * DOLLAR, 1_000 * DOLLAR))
    return RefillRule(
        enabled=True,
        mode=draw(st.sampled_from(RefillMode)),
        threshold_micros=threshold_micros,
        target_balance_micros=threshold_micros + draw(st.integers(5 * DOLLAR, 5_000 * DOLLAR)),
        amount_micros=draw(st.integers(5, 1_000)) * DOLLAR,
    )


@st.composite
def shortages(draw: st.DrawFn) -> tuple[RefillRule, int]:
    """A rule, and a balance at or below its threshold."""
    rule = draw(rules())
    return rule, rule.threshold_micros - draw(st.integers(0, 5_000 * DOLLAR))


def target(threshold: int = 10, to: int = 50) -> RefillRule:
    return RefillRule(enabled=True, threshold_micros=threshold * DOLLAR, target_balance_micros=to * DOLLAR)


def fixed(amount: int, threshold: int = 10) -> RefillRule:
    mode, amount_micros = RefillMode.FIXED, amount * DOLLAR
    return RefillRule(enabled=True, threshold_micros=threshold * DOLLAR, mode=mode, amount_micros=amount_micros)


# One payment


@pytest.mark.parametrize(
    ("balance_micros", "taken_micros"),
    [
        (10 * DOLLAR, 40 * DOLLAR),
        (9 * DOLLAR, 41 * DOLLAR),
        (0, 50 * DOLLAR),
        (-113 * DOLLAR, 163 * DOLLAR),
        (9_999_999, 40_010_000),  # 40.000001 is missing: no card can be asked for less than a cent
        (9_990_001, 40_010_000),
        (9_990_000, 40_010_000),
        (9_989_999, 40_020_000),
    ],
)
def test_a_refill_up_to_50_takes_the_whole_gap_at_once_rounded_up_to_the_cent(
    balance_micros: int, taken_micros: int
) -> None:
    assert target(to=50).payment_micros(balance_micros, CENT, NO_LIMIT) == taken_micros


@pytest.mark.parametrize(
    ("balance_micros", "taken"),
    [
        (10 * DOLLAR, 20),  # at the threshold, one is enough
        (10 * DOLLAR - 1, 20),
        (-10 * DOLLAR + 1, 20),
        (-10 * DOLLAR, 40),  # 20 would only lift it to the threshold, where the next refill is due
        (-13 * DOLLAR, 40),
        (-30 * DOLLAR, 60),
    ],
)
def test_refills_of_20_take_as_many_twenties_as_clear_the_threshold(balance_micros: int, taken: int) -> None:
    assert fixed(20).payment_micros(balance_micros, CENT, NO_LIMIT) == taken * DOLLAR


def test_in_a_currency_without_cents_a_refill_is_rounded_up_to_the_whole_unit() -> None:
    assert target(to=50).payment_micros(9_500_000, YEN, NO_LIMIT) == 41 * YEN


def test_a_payment_takes_no_more_than_one_payment_may() -> None:
    assert target(to=50).payment_micros(-13_000 * DOLLAR, CENT, 10_000 * DOLLAR) == 10_000 * DOLLAR
    assert fixed(20).payment_micros(-13_000 * DOLLAR, CENT, 10_000 * DOLLAR) == 10_000 * DOLLAR


@given(shortages(), STEPS)
def test_after_one_payment_the_wallet_is_above_its_threshold(shortage: tuple[RefillRule, int], step: int) -> None:
    rule, balance_micros = shortage

    assert balance_micros + rule.payment_micros(balance_micros, step, NO_LIMIT) > rule.threshold_micros


@given(shortages(), STEPS)
def test_a_payment_is_whole_steps_and_less_than_one_step_more_than_is_wanted(
    shortage: tuple[RefillRule, int], step: int
) -> None:
    rule, balance_micros = shortage
    exact_micros = rule.payment_micros(balance_micros, 1, NO_LIMIT)

    taken_micros = rule.payment_micros(balance_micros, step, NO_LIMIT)

    assert taken_micros % step == 0
    assert 0 <= taken_micros - exact_micros < step


@given(shortages(), STEPS, MAXIMA)
def test_no_payment_is_above_the_largest_and_a_smaller_largest_only_cuts_it(
    shortage: tuple[RefillRule, int], step: int, most_micros: int
) -> None:
    rule, balance_micros = shortage
    free_micros = rule.payment_micros(balance_micros, step, NO_LIMIT)

    assert rule.payment_micros(balance_micros, step, most_micros) == min(free_micros, most_micros)


@given(shortages(), MAXIMA)
def test_payments_that_may_not_bring_it_all_bring_it_one_after_the_other(
    shortage: tuple[RefillRule, int], most_micros: int
) -> None:
    rule, balance_micros = shortage
    payments = 0
    while balance_micros <= rule.threshold_micros:
        balance_micros += rule.payment_micros(balance_micros, CENT, most_micros)
        payments += 1

    missing_micros = rule.threshold_micros - shortage[1]
    assert missing_micros // most_micros + 1 <= payments <= missing_micros // min(most_micros, 5 * DOLLAR) + 1


@given(shortages())
def test_a_refill_of_fixed_amounts_takes_whole_amounts_and_not_one_too_many(shortage: tuple[RefillRule, int]) -> None:
    rule, balance_micros = replace(shortage[0], mode=RefillMode.FIXED), shortage[1]

    taken_micros = rule.payment_micros(balance_micros, CENT, NO_LIMIT)

    assert taken_micros % rule.amount_micros == 0
    assert balance_micros + taken_micros - rule.amount_micros <= rule.threshold_micros


@given(shortages())
def test_a_refill_up_to_a_balance_reaches_it_and_stops_there(shortage: tuple[RefillRule, int]) -> None:
    rule, balance_micros = replace(shortage[0], mode=RefillMode.TARGET), shortage[1]

    reached_micros = balance_micros + rule.payment_micros(balance_micros, CENT, NO_LIMIT)

    assert 0 <= reached_micros - rule.target_balance_micros < CENT


@given(rules(), BALANCES, BALANCES, STEPS)
def test_a_poorer_wallet_never_takes_less(rule: RefillRule, one: int, other: int, step: int) -> None:
    poorer, richer = (rule.payment_micros(each, step, NO_LIMIT) for each in sorted((one, other)))

    assert poorer >= richer


# What is there before anybody has set anything


def test_nobody_is_refilled_who_has_not_asked_for_it() -> None:
    assert not NO_RULE.enabled
    assert NO_RULE.consented_at_ms is None


def test_a_rule_without_more_said_refills_from_10_to_50_five_times_a_day_at_most() -> None:
    assert (NO_RULE.threshold_micros, NO_RULE.target_balance_micros) == (10 * DOLLAR, 50 * DOLLAR)
    assert (NO_RULE.mode, NO_RULE.daily_count_limit, NO_RULE.cooldown_seconds) == (RefillMode.TARGET, 5, 60)
    assert (NO_RULE.daily_limit_micros, NO_RULE.monthly_limit_micros) == (None, None)


# A refill on its way


def test_a_refill_is_open_until_its_end_is_known() -> None:
    assert {step.value for step in OPEN_STEPS} == {"planned", "created", "confirming"}
    assert {step.value for step in RefillStep} - {step.value for step in OPEN_STEPS} == {
        *("succeeded", "declined", "canceled", "refused")
    }


def test_what_was_frozen_when_a_refill_was_opened_is_never_changed() -> None:
    opened = Refill("rfl_1", "sa_abc_def", "ws_abc", 40 * DOLLAR, "usd", "acct_1", 1, False, "cus_1", "pm_1", 1)

    with pytest.raises(dataclasses.FrozenInstanceError):
        opened.amount_micros = 1  # type: ignore[misc]  # what must not work
    assert (opened.step, opened.payment_intent_id, opened.confirms) == (RefillStep.PLANNED, None, 0)


# All wallets together


@pytest.mark.parametrize(
    ("this_hour", "earlier_hours", "is_too_much"),
    [
        (0, [], False),
        (100, [], False),  # a platform that has just begun
        (101, [], True),
        (101, [10, 20, 33], True),
        (100, [1], False),
        (101, [34], False),
        (120, [40, 3], False),  # three times the busiest hour is still right
        (121, [40, 3], True),
        (3_000, [1_000] * 24, False),
        (3_001, [1_000] * 24, True),
    ],
)
def test_refills_are_far_above_the_norm_past_100_an_hour_and_three_times_the_busiest_one(
    this_hour: int, earlier_hours: list[int], is_too_much: bool
) -> None:
    assert far_above_norm(this_hour, earlier_hours) is is_too_much


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000)))
def test_an_hour_like_one_of_the_last_week_is_never_too_much(again: int, week: list[int]) -> None:
    assert not far_above_norm(again, [*week, again])
