"""Amounts of money in Stripe's smallest units, and back."""

from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import MICROS_PER_UNIT, check_currency

# How many decimals Stripe's smallest unit of a currency has, where it is not two; of three, the last must be 0:
# https://docs.stripe.com/currencies#zero-decimal
DECIMALS = {"jpy": 0, "kwd": 3}
USABLE_DECIMALS = 2


def minor_unit_micros(currency: str) -> int:
    """The smallest step in which a payment can be made, in micros: 10,000 for usd and kwd, 1,000,000 for jpy.

    Raises `Invalid` for a currency that no wallet holds.
    """
    decimals = DECIMALS.get(check_currency(currency), 2)
    return MICROS_PER_UNIT // int(10 ** min(decimals, USABLE_DECIMALS))


def minor_units(amount_micros: int, currency: str) -> int:
    """Micros as the smallest unit: 5 usd are 500, 5 kwd 5000. Raises `Invalid` for finer amounts, other currencies."""
    steps, rest = divmod(amount_micros, minor_unit_micros(currency))
    decimals = DECIMALS.get(currency, 2)
    usable = min(decimals, USABLE_DECIMALS)
    if rest:
        raise Invalid("amount", f"A payment in {currency} can have at most {usable} decimals.")
    return steps * int(10 ** (decimals - usable))


def micros(amount_minor: int, currency: str) -> int:
    """Stripe's smallest units in micros. In a currency that no wallet holds, the result means nothing."""
    return amount_minor * (MICROS_PER_UNIT // int(10 ** DECIMALS.get(currency, 2)))
