"""Rate cards as the JSON that an account's item holds: amounts are integers of micros, defaults are left out."""

from dataclasses import MISSING, fields
from typing import Any

from chalicelib.domain.rating import Price, PriceType, RateCard

_DEFAULTS = {item.name: item.default for item in fields(Price) if item.default is not MISSING}


def price_to_json(price: Price) -> dict[str, Any]:
    """A price without the fields that have their usual value."""
    values = {name: getattr(price, name) for name, default in _DEFAULTS.items() if getattr(price, name) != default}
    return {"price_type": price.price_type.value, **values}


def price_from_json(values: dict[str, Any]) -> Price:
    """The price that `price_to_json` wrote."""
    return Price(**{**values, "price_type": PriceType(values["price_type"])})


def card_to_json(card: RateCard) -> dict[str, Any]:
    """A card with all its prices; a meter that is deliberately not billed stays as null."""
    prices = {meter: price and price_to_json(price) for meter, price in card.prices.items()}
    return {"effective_at_ms": card.effective_at_ms, "enabled": card.enabled, "prices": prices}


def card_from_json(values: dict[str, Any]) -> RateCard:
    """The card that `card_to_json` wrote."""
    prices = {meter: price and price_from_json(price) for meter, price in values["prices"].items()}
    return RateCard(values["effective_at_ms"], values["enabled"], prices)
