"""Money: whole micros inside, decimal strings outside, and nothing in between."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import (
    CURRENCIES,
    check_currency,
    divide_half_up,
    format_amount,
    format_price,
    parse_micros,
    shorten,
)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("0.15", 150_000),
        ("25.00", 25_000_000),
        ("0.000001", 1),
        ("1.5", 1_500_000),
        ("007", 7_000_000),
        ("999999999.999999", 999_999_999_999_999),
    ],
)
def test_an_amount_is_read_exactly_as_it_is_written(text: str, micros: int) -> None:
    assert parse_micros(text, "amount") == micros


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "+1", "-0", "1e3", "1E3", "0x10", "1_000", "1,5", "NaN", "nan", "sNaN", "inf", "Infinity", "-inf"),
        *("", " ", ".", ".5", "5.", "1.2.3", " 1", "1 ", "1\n", "1.5\n", "\n1", "1\x00", "$1", "1 USD"),
        *("\u0663", "\u0660.\u0661\u0665", "\uff11", "1.\uff15", "\u00b2", "1.\u0660"),
        *("0.1234567", "0.1500000", "1234567890", "0000000001"),
        *(0, 15, 1.5, 0.15, float("nan"), True, False, None, Decimal("0.15"), b"0.15", ["0.15"], {"amount": "0.15"}),
    ],
)
def test_whatever_is_not_a_plain_decimal_string_is_refused_by_the_name_of_its_field(text: object) -> None:
    with pytest.raises(Invalid) as refused:
        parse_micros(text, "voice.price_per_minute")

    assert refused.value.param == "voice.price_per_minute"
    assert refused.value.code == "invalid"
    assert "voice.price_per_minute" in refused.value.detail


@pytest.mark.parametrize("text", ["5.00", "5", "10.000000"])
def test_both_bounds_of_an_amount_are_allowed(text: str) -> None:
    micros = parse_micros(text, "amount", minimum_micros=5_000_000, maximum_micros=10_000_000)

    assert micros in (5_000_000, 10_000_000)


@pytest.mark.parametrize("text", ["4.999999", "10.000001", "0"])
def test_an_amount_outside_its_bounds_is_refused_and_the_bounds_are_said(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_micros(text, "amount", minimum_micros=5_000_000, maximum_micros=10_000_000)

    assert refused.value.param == "amount"
    assert "between 5.00 and 10.00" in refused.value.detail


@given(st.integers(0, 10**15 - 1))
def test_an_amount_that_is_written_and_read_again_is_the_same_amount(micros: int) -> None:
    assert parse_micros(format_amount(micros), "amount") == micros
    assert parse_micros(format_price(micros), "amount") == micros


@given(st.text(max_size=20))
def test_no_text_at_all_is_read_as_anything_but_what_it_says(text: str) -> None:
    try:
        micros = parse_micros(text, "amount")
    except Invalid:
        return

    assert type(micros) is int
    assert micros == Decimal(text) * 1_000_000


@pytest.mark.parametrize(
    ("micros", "amount", "price"),
    [
        (0, "0.000000", "0.00"),
        (1, "0.000001", "0.000001"),
        (150_000, "0.150000", "0.15"),
        (-105_000, "-0.105000", "-0.105"),
        (-1, "-0.000001", "-0.000001"),
        (-1_000_000, "-1.000000", "-1.00"),
        (25_000_000, "25.000000", "25.00"),
        (12_345_678, "12.345678", "12.345678"),
        (10**21, "1000000000000000.000000", "1000000000000000.00"),
    ],
)
def test_amounts_show_all_their_decimals_and_prices_only_the_needed_ones(micros: int, amount: str, price: str) -> None:
    assert format_amount(micros) == amount
    assert format_price(micros) == price


@given(st.integers(-(10**20), 10**20))
def test_a_written_amount_is_exactly_the_amount(micros: int) -> None:
    with_all_decimals, in_short = format_amount(micros), format_price(micros)

    assert Decimal(with_all_decimals).scaleb(6) == micros
    assert Decimal(in_short) == Decimal(with_all_decimals)


@pytest.mark.parametrize(
    ("text", "short"),
    [("5", "5.00"), ("5.1", "5.10"), ("0.105000", "0.105"), ("100.000000", "100.00"), ("0.0964575885", "0.0964575885")],
)
def test_only_needless_zeros_are_dropped(text: str, short: str) -> None:
    assert shorten(text) == short


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(0, 7, 0), (1, 2, 1), (3, 2, 2), (5, 2, 3), (1, 3, 0), (2, 3, 1), (29_999, 60_000, 0), (30_000, 60_000, 1)],
)
def test_exactly_half_a_micro_is_rounded_up(numerator: int, denominator: int, rounded: int) -> None:
    assert divide_half_up(numerator, denominator) == rounded


@given(st.integers(0, 10**18), st.integers(1, 10**9))
def test_a_division_is_never_more_than_half_away_from_the_truth(numerator: int, denominator: int) -> None:
    rounded = divide_half_up(numerator, denominator)

    assert type(rounded) is int
    assert rounded == math.floor(Fraction(numerator, denominator) + Fraction(1, 2))


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_a_wallet_may_hold_every_currency_on_the_list(currency: str) -> None:
    assert check_currency(currency) == currency


@pytest.mark.parametrize("currency", ["", "USD", "Usd", "usd ", "us", "usdt", "xxx", "btc"])
def test_any_other_currency_is_refused_with_the_list(currency: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_currency(currency, "wallet.currency")

    assert refused.value.param == "wallet.currency"
    assert "eur" in refused.value.detail
    assert "usd" in refused.value.detail
