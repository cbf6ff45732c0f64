"""Rating: a usage event under a rate card becomes a charge for one wallet.

`charge = connect_fee + price_per_minute * billed_ms / 60000`, rounded half up once. Billed time is talk time rounded
up by the card's increments, as telecom does: 60/60, 30/6, or by the second (1/1, the default).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.domain.errors import PriceMissing
from chalicelib.domain.money import divide_half_up, shorten

VOICE = "voice"
DEFAULT_COST_PER_MINUTE_MICROS = 70_000
MS_PER_MINUTE = 60_000
BASIS_POINTS = 10_000  # a markup of 50 % is 5,000 of them


class PriceType(StrEnum):
    """How a price is made. A workspace's cost is always `fixed`."""

    FIXED = "fixed"
    MARKUP = "markup"
    ABSORB = "absorb"


@dataclass(frozen=True)
class Price:
    """What one unit of one meter costs: a minute for voice, one piece for every other meter."""

    price_type: PriceType
    price_per_unit_micros: int = 0
    markup_basis_points: int = 0
    initial_increment_seconds: int = 1
    increment_seconds: int = 1
    minimum_seconds: int = 0
    connect_fee_micros: int = 0


@dataclass(frozen=True)
class RateCard:
    """What a wallet's owner pays from `effective_at_ms` on. Immutable: a change is another card.

    `prices` maps a meter to its price; `None` says that the meter is deliberately not billed.
    """

    effective_at_ms: int
    enabled: bool = True
    prices: Mapping[str, Price | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Charge:
    """What one wallet pays for one usage event, with everything needed to explain it later.

    `billed_ms` is None for meters that are counted; `price_per_unit` is the exact price as a decimal string.
    """

    amount_micros: int
    billed_ms: int | None
    price_per_unit: str
    price: Price
    card_effective_at_ms: int


def card_in_force(cards: Sequence[RateCard], at_ms: int) -> RateCard | None:
    """The card that was in force at that moment, or None before the first one. Of two equal dates the later wins."""
    chosen = None
    for card in cards:
        if card.effective_at_ms <= at_ms and (chosen is None or card.effective_at_ms >= chosen.effective_at_ms):
            chosen = card
    return chosen


def billed_ms(talk_ms: int, price: Price) -> int:
    """Talk time rounded up by the price's increments. No talk is never billed, whatever the minimum says."""
    if talk_ms <= 0:
        return 0
    first_ms, step_ms = price.initial_increment_seconds * 1000, price.increment_seconds * 1000
    steps = max(0, -(-(talk_ms - first_ms) // step_ms))
    return max(first_ms + steps * step_ms, price.minimum_seconds * 1000)


def rate(quantity: int, meter: str, price: Price, effective_at_ms: int, cost: Price | None = None) -> Charge:
    """Rate one event: `quantity` is milliseconds of talk for voice, a count for every other meter.

    `cost` is the workspace's price, on which a markup stands.
    """
    base_micros, factor = _price_over_basis_points(price, cost)
    is_voice = meter == VOICE
    billable = billed_ms(quantity, price) if is_voice else quantity
    divisor = MS_PER_MINUTE if is_voice else 1
    fee_micros = price.connect_fee_micros if is_voice and billable and price.price_type is not PriceType.ABSORB else 0
    numerator = base_micros * factor * billable + fee_micros * BASIS_POINTS * divisor
    return Charge(
        amount_micros=divide_half_up(numerator, BASIS_POINTS * divisor),
        billed_ms=billable if is_voice else None,
        price_per_unit=_in_full(base_micros * factor),
        price=price,
        card_effective_at_ms=effective_at_ms,
    )


def _price_over_basis_points(price: Price, cost: Price | None) -> tuple[int, int]:
    """The price as micros x basis points, so that a markup stays exact until the one rounding."""
    if price.price_type is PriceType.ABSORB:
        return 0, BASIS_POINTS
    if price.price_type is PriceType.MARKUP:
        if cost is None:
            raise PriceMissing("markup_percent", "workspace")
        return cost.price_per_unit_micros, BASIS_POINTS + price.markup_basis_points
    return price.price_per_unit_micros, BASIS_POINTS


def _in_full(micros_times_basis_points: int) -> str:
    digits = f"{micros_times_basis_points:011d}"
    return shorten(f"{digits[:-10]}.{digits[-10:]}")


def rate_both(
    quantity: int, meter: str, at_ms: int, cost_cards: Sequence[RateCard], rebilling_cards: Sequence[RateCard]
) -> tuple[Charge, Charge | None]:
    """Both legs of one event, under the cards in force at `at_ms`: the workspace's charge and the sub-account's.

    The second is None while the sub-account is not re-billed for this meter.

    Raises:
        PriceMissing: a card that should name a price for this meter does not.
    """
    cost_card = _card_that_speaks(cost_cards, meter, at_ms, "workspace")
    cost = cost_card.prices.get(meter) if cost_card else None
    if cost_card is None or cost is None:
        raise PriceMissing(meter, "workspace")
    workspace_charge = rate(quantity, meter, cost, cost_card.effective_at_ms)
    card = _card_that_speaks(rebilling_cards, meter, at_ms, "sub-account")
    price = rebilled_price(card, meter)
    if card is None or price is None:
        return workspace_charge, None
    return workspace_charge, rate(quantity, meter, price, card.effective_at_ms, cost)


def _card_that_speaks(cards: Sequence[RateCard], meter: str, at_ms: int, whose: str) -> RateCard | None:
    """The card in force; where that one is silent about the meter, the first later one that is not.

    A price cannot be set for the past, so what waited for its price is rated by the first one that is set.
    """
    moments = [at_ms, *sorted({card.effective_at_ms for card in cards if card.effective_at_ms > at_ms})]
    candidates = [card for moment in moments if (card := card_in_force(cards, moment)) is not None]
    if card_in_force(cards, at_ms) is None:
        return None
    for candidate in candidates:
        if not candidate.enabled or meter in candidate.prices:
            return candidate
    raise PriceMissing(meter, whose)


def rebilled_price(card: RateCard | None, meter: str) -> Price | None:
    """The price that a sub-account pays for a meter, or None while it is deliberately not re-billed.

    Raises:
        PriceMissing: re-billing is on and the card is silent about this meter.
    """
    if card is None or not card.enabled:
        return None
    if meter not in card.prices:
        raise PriceMissing(meter, "sub-account")
    return card.prices[meter]
