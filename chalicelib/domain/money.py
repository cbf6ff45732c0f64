"""Money is an `int` of micros: one millionth of the currency's major unit. JSON carries decimal strings."""

import re

from chalicelib.domain.errors import Invalid

MICROS_PER_UNIT = 1_000_000

# Currencies a wallet may hold. Stripe's minor units (some have none, some have three digits) stay in gateways/stripe.
CURRENCIES = frozenset(
    ("aud", "brl", "cad", "chf", "dkk", "eur", "gbp", "inr", "jpy", "kwd", "mxn", "nzd", "sgd", "usd")
)

_DECIMAL = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?", re.ASCII)


def parse_micros(text: object, param: str, *, minimum_micros: int = 0, maximum_micros: int = 10**15) -> int:
    """Read a decimal string in major units (`"0.15"`) as micros.

    Signs, exponents, NaN, digits other than 0-9, floats and more than six decimals are refused.

    Raises:
        Invalid: not such a string, or outside the bounds; names `param`.
    """
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Invalid(param, f'{param} must be a decimal string in major units, such as "0.15".')
    micros = int(match[1]) * MICROS_PER_UNIT + int((match[2] or "").ljust(6, "0"))
    if not minimum_micros <= micros <= maximum_micros:
        low, high = format_price(minimum_micros), format_price(maximum_micros)
        raise Invalid(param, f"{param} must be between {low} and {high}.")
    return micros


def format_amount(micros: int) -> str:
    """Micros as a decimal string with all six decimals: `-105000` is `"-0.105000"`."""
    sign = "-" if micros < 0 else ""
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    return f"{sign}{whole}.{fraction:06d}"


def format_price(micros: int) -> str:
    """A price in full, without needless zeros but with at least two decimals: `150000` is `"0.15"`."""
    return shorten(format_amount(micros))


def shorten(decimal_text: str) -> str:
    """Drop trailing zeros, down to two decimals."""
    whole, _, fraction = decimal_text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def divide_half_up(numerator: int, denominator: int) -> int:
    """Divide two non-negative integers, rounding half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def check_currency(text: str, param: str = "currency") -> str:
    """Return the code of a currency that a wallet may hold.

    Raises:
        Invalid: any other, upper-case spellings included.
    """
    if text not in CURRENCIES:
        raise Invalid(param, f"{param} must be one of: {', '.join(sorted(CURRENCIES))}.")
    return text
