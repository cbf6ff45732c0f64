"""Rating: talk time is rounded up by the card, money is rounded once, and every sum can be done by hand."""

import dataclasses
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import PriceMissing
from chalicelib.domain.rating import (
    DEFAULT_COST_PER_MINUTE_MICROS,
    VOICE,
    Price,
    PriceType,
    billed_ms,
    rate,
)

COST = Price(PriceType.FIXED, DEFAULT_COST_PER_MINUTE_MICROS)
HOUR_MS = 3_600_000


def fixed(price_per_unit_micros: int, **card: int) -> Price:
    return Price(PriceType.FIXED, price_per_unit_micros, **card)


def markup(basis_points: int, **card: int) -> Price:
    return Price(PriceType.MARKUP, markup_basis_points=basis_points, **card)


def amount(talk_ms: int, price: Price, cost: Price | None = COST) -> int:
    return rate(talk_ms, VOICE, price, 0, cost).amount_micros


prices = st.builds(
    Price,
    price_type=st.sampled_from([PriceType.FIXED, PriceType.MARKUP]),
    price_per_unit_micros=st.integers(0, 10**8),
    markup_basis_points=st.integers(0, 100_000),
    initial_increment_seconds=st.integers(1, 90),
    increment_seconds=st.integers(1, 90),
    minimum_seconds=st.integers(0, 120),
    connect_fee_micros=st.integers(0, 10**7),
)
costs = st.builds(fixed, st.integers(0, 10**7))
talk_times = st.integers(0, 2 * HOUR_MS)


# Fixed prices


def test_42_seconds_at_15_cents_a_minute_cost_10_and_a_half_cents() -> None:
    # 0.15 x 42 / 60 = 0.105
    charge = rate(42_000, VOICE, fixed(150_000), effective_at_ms=77)

    assert charge.amount_micros == 105_000
    assert charge.billed_ms == 42_000
    assert charge.price_per_unit == "0.15"
    assert charge.price == fixed(150_000)
    assert charge.card_effective_at_ms == 77


def test_42_seconds_cost_the_workspace_4_point_9_cents_by_default() -> None:
    # 0.07 x 42 / 60 = 0.049
    assert amount(42_000, COST) == 49_000


def test_an_hour_is_sixty_minutes_to_the_micro() -> None:
    # 0.072345 x 60 = 4.3407
    assert amount(HOUR_MS, fixed(72_345)) == 4_340_700


@pytest.mark.parametrize(
    ("talk_ms", "micros"),
    [
        (29_000, 0),  # 0.000001 x 29 / 60 = 0.48 of a micro
        (30_000, 1),  # exactly 0.5 of a micro: up
        (31_000, 1),  # 0.52
        (89_000, 1),  # 1.48
        (90_000, 2),  # exactly 1.5: up
        (150_000, 3),  # exactly 2.5: up, where a banker would go down to the even 2
    ],
)
def test_exactly_half_a_micro_is_charged_as_a_whole_one(talk_ms: int, micros: int) -> None:
    assert amount(talk_ms, fixed(1)) == micros


def test_a_price_of_which_nothing_is_said_is_free_and_by_the_second() -> None:
    price = Price(PriceType.FIXED)

    assert amount(24 * HOUR_MS, price) == 0
    assert billed_ms(41_001, price) == 42_000
    assert Price(PriceType.MARKUP).markup_basis_points == 0


def test_a_free_price_is_free_however_long_the_call() -> None:
    assert amount(24 * HOUR_MS, fixed(0)) == 0


# Markups on the cost


def test_a_markup_of_50_percent_on_7_cents_is_10_and_a_half_cents() -> None:
    # 0.07 x 1.5 = 0.105 a minute; 0.105 x 42 / 60 = 0.0735
    charge = rate(42_000, VOICE, markup(5_000), 0, COST)

    assert charge.amount_micros == 73_500
    assert charge.price_per_unit == "0.105"


def test_a_markup_stays_exact_to_the_last_digit_until_the_one_rounding() -> None:
    # 0.072345 x 1.3333 = 0.0964575885 a minute; x 60 = 5.78745531, rounded once: 5.787455.
    # A price rounded first (0.096458) would have made 5.787480 of it.
    charge = rate(HOUR_MS, VOICE, markup(3_333), 0, fixed(72_345))

    assert charge.amount_micros == 5_787_455
    assert charge.price_per_unit == "0.0964575885"


def test_a_markup_stands_on_the_exact_cost_and_not_on_the_rounded_charge() -> None:
    # 0.072345 x 2 x 3 / 60 = 0.0072345, which is 7,234.5 micros: up to 7,235.
    # The workspace's own charge is 3,617.25, rounded 3,617; twice that would be 7,234.
    assert amount(3_000, markup(10_000), fixed(72_345)) == 7_235


def test_a_markup_of_nothing_is_the_cost() -> None:
    assert amount(42_000, markup(0)) == amount(42_000, COST)


def test_a_markup_counts_time_by_its_own_increments_and_not_by_those_of_the_cost() -> None:
    # 80 s are 2 minutes for the client: 0.07 x 1.5 x 2 = 0.21
    assert amount(80_000, markup(5_000, initial_increment_seconds=60, increment_seconds=60)) == 210_000
    # and 80 s by the second on a cost of full minutes: 0.07 x 1.5 x 80 / 60 = 0.14
    by_the_minute = fixed(70_000, initial_increment_seconds=60, increment_seconds=60)
    assert amount(80_000, markup(5_000), by_the_minute) == 140_000


def test_a_markup_without_a_cost_is_a_missing_price_and_never_free() -> None:
    with pytest.raises(PriceMissing) as missing:
        amount(42_000, markup(5_000), cost=None)

    assert missing.value.code == "price_missing"


# Absorbed


def test_an_absorbed_call_costs_the_client_nothing_and_still_tells_its_time() -> None:
    charge = rate(42_000, VOICE, Price(PriceType.ABSORB), 0, COST)

    assert charge.amount_micros == 0
    assert charge.billed_ms == 42_000
    assert charge.price_per_unit == "0.00"


@pytest.mark.parametrize("left_over", [{"price_per_unit_micros": 150_000}, {"connect_fee_micros": 10_000}])
def test_an_absorbed_call_stays_free_though_the_price_it_had_before_was_left_on_the_card(left_over: dict) -> None:
    charge = rate(60_000, VOICE, Price(PriceType.ABSORB, **left_over), 0, COST)

    assert charge.amount_micros == 0


# Increments, minimum, connect fee


@pytest.mark.parametrize(
    ("first_seconds", "next_seconds", "talk_ms", "billed_seconds"),
    [
        *((1, 1, 1, 1), (1, 1, 999, 1), (1, 1, 1_000, 1), (1, 1, 1_001, 2), (1, 1, 41_001, 42)),
        *((60, 60, 1, 60), (60, 60, 60_000, 60), (60, 60, 60_001, 120), (60, 60, 80_000, 120)),
        *((30, 6, 10_000, 30), (30, 6, 30_000, 30), (30, 6, 30_001, 36), (30, 6, 31_000, 36), (30, 6, 36_001, 42)),
        *((60, 1, 59_000, 60), (60, 1, 60_001, 61), (1, 6, 1_000, 1), (1, 6, 1_001, 7)),
    ],
)
def test_talk_time_is_rounded_up_to_the_next_increment(
    first_seconds: int, next_seconds: int, talk_ms: int, billed_seconds: int
) -> None:
    price = fixed(0, initial_increment_seconds=first_seconds, increment_seconds=next_seconds)

    assert billed_ms(talk_ms, price) == billed_seconds * 1000


@pytest.mark.parametrize(("talk_ms", "billed_seconds"), [(1, 20), (19_999, 20), (20_000, 20), (20_001, 21)])
def test_a_short_call_is_billed_the_minimum(talk_ms: int, billed_seconds: int) -> None:
    assert billed_ms(talk_ms, fixed(0, minimum_seconds=20)) == billed_seconds * 1000


def test_a_connect_fee_is_added_once_to_a_call() -> None:
    # 0.01 + 0.15 x 30 / 60 = 0.085
    assert amount(30_000, fixed(150_000, connect_fee_micros=10_000)) == 85_000


def test_a_connect_fee_is_not_marked_up() -> None:
    # 0.01 + 0.07 x 1.5 x 60 / 60 = 0.115
    assert amount(60_000, markup(5_000, connect_fee_micros=10_000)) == 115_000


@pytest.mark.parametrize("talk_ms", [0, -1])
def test_no_talk_costs_nothing_in_spite_of_a_connect_fee_and_a_minimum(talk_ms: int) -> None:
    price = fixed(150_000, connect_fee_micros=10_000, minimum_seconds=60, initial_increment_seconds=60)

    charge = rate(talk_ms, VOICE, price, 0)

    assert charge.amount_micros == 0
    assert charge.billed_ms == 0


def test_other_meters_are_counted_one_by_one_without_increments_or_connect_fee() -> None:
    # 3 x 0.002 = 0.006
    price = fixed(2_000, connect_fee_micros=10_000, minimum_seconds=60, initial_increment_seconds=60)

    charge = rate(3, "chat", price, 0)

    assert charge.amount_micros == 6_000
    assert charge.billed_ms is None
    assert charge.price_per_unit == "0.002"


def test_other_meters_are_marked_up_too() -> None:
    # 3 x 0.000001 x 1.5 = 4.5 micros: up to 5
    assert rate(3, "chat", markup(5_000), 0, fixed(1)).amount_micros == 5


# What holds for every price and every call


@given(prices, costs, talk_times)
def test_every_charge_is_the_exact_sum_rounded_half_up_once(price: Price, cost: Price, talk_ms: int) -> None:
    per_minute = Fraction(price.price_per_unit_micros)
    if price.price_type is PriceType.MARKUP:
        per_minute = cost.price_per_unit_micros * (1 + Fraction(price.markup_basis_points, 10_000))
    first, step = price.initial_increment_seconds, price.increment_seconds
    seconds = first + max(0, math.ceil((Fraction(talk_ms, 1000) - first) / step)) * step
    seconds = max(seconds, price.minimum_seconds) if talk_ms else 0
    exact = (price.connect_fee_micros if talk_ms else 0) + per_minute * seconds / 60

    charge = rate(talk_ms, VOICE, price, 0, cost)

    assert charge.billed_ms == seconds * 1000
    assert charge.amount_micros == math.floor(exact + Fraction(1, 2))
    assert Fraction(charge.price_per_unit) * 1_000_000 == per_minute


@given(prices, costs, talk_times, talk_times)
def test_a_longer_call_never_costs_less(price: Price, cost: Price, one_ms: int, other_ms: int) -> None:
    shorter_ms, longer_ms = sorted((one_ms, other_ms))

    assert amount(shorter_ms, price, cost) <= amount(longer_ms, price, cost)


@given(prices, costs, talk_times)
def test_money_and_time_are_whole_numbers_and_never_floats(price: Price, cost: Price, talk_ms: int) -> None:
    charge = rate(talk_ms, VOICE, price, 0, cost)

    assert type(charge.amount_micros) is int
    assert type(charge.billed_ms) is int
    assert charge.amount_micros >= 0
    assert charge.billed_ms >= talk_ms


def test_a_charge_is_never_changed_afterwards() -> None:
    charge = rate(42_000, VOICE, COST, 0)

    with pytest.raises(dataclasses.FrozenInstanceError):
        charge.amount_micros = 0  # type: ignore[misc]  # what must not work
