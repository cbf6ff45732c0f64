"""The price of a voice minute as a form: what was typed, as the API takes it, and what it would leave of a call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import Workspace
from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import format_amount
from chalicelib.domain.rating import VOICE, Price, card_in_force, rate
from chalicelib.validation import validate
from chalicelib.web.requests import VoicePrice
from chalicelib.web.show import show_price

EXAMPLE_MS = 180_000  # three minutes of talk
AMOUNTS = {"fixed": "price_per_minute", "markup": "markup_percent"}
SECONDS = ("initial_increment_seconds", "increment_seconds", "minimum_seconds")
TYPED = ("enabled", "price_type", *AMOUNTS.values(), *SECONDS, "connect_fee")
# The API's words in its refusals, and the labels that stand on the pages instead.
LABELS = {
    "price_type": "The kind of price",
    "price_per_minute": "The price per minute",
    "markup_percent": "The markup",
    "initial_increment_seconds": "The first increment",
    "increment_seconds": "The further increments",
    "minimum_seconds": "The minimum",
    "connect_fee": "The connect fee",
}
BEGIN = {
    "enabled": "on",
    "price_type": "fixed",
    "price_per_minute": "",
    "markup_percent": "",
    "initial_increment_seconds": "1",
    "increment_seconds": "1",
    "minimum_seconds": "0",
    "connect_fee": "0.00",
}


@dataclass(frozen=True)
class Example:
    """What a call of three minutes comes to. Amounts are decimal strings; `percent` is of the price, None if free."""

    price_per_minute: str
    cost_per_minute: str
    price: str
    cost: str
    margin: str
    percent: str | None
    is_loss: bool


def cost_of_now(workspace: Workspace) -> Price | None:
    """What the platform charges the workspace for a voice minute now."""
    card = card_in_force(workspace.cost_cards, now_ms())
    return card.prices.get(VOICE) if card else None


def typed_price(form: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    """The price's fields as they were typed; None where the form holds none."""
    if f"{prefix}price_type" not in form:
        return None
    return {name: form.get(f"{prefix}{name}", "").strip() for name in TYPED}


def fields_of(shown: Mapping[str, Any] | None) -> dict[str, str]:
    """A price of the API's as the form's fields; `None` is a voice that is not billed."""
    if shown is None:
        return {**BEGIN, "enabled": ""}
    return {**BEGIN, **{name: str(shown[name]) for name in TYPED if shown.get(name) is not None}}


def body_of(fields: Mapping[str, str], prefix: str, accept_below_cost: bool) -> dict[str, Any]:
    """The fields as the API takes them: only the amount that goes with the kind of price.

    Raises:
        Invalid: seconds that are no whole number; names the field.
    """
    if not fields["enabled"]:
        return {"enabled": False, "price_type": "absorb"}
    amount = AMOUNTS.get(fields["price_type"])
    return {
        "price_type": fields["price_type"],
        **({amount: fields[amount]} if amount else {"connect_fee": "0"}),
        **({"connect_fee": fields["connect_fee"] or "0"} if amount else {}),
        **{name: _whole(fields[name], name, prefix) for name in SECONDS},
        "accept_below_cost": accept_below_cost,
    }


def _whole(text: str, name: str, prefix: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Invalid(f"{prefix}{name}", f"{LABELS[name]} must be a whole number of seconds.")
    return int(text)


def example_of(workspace: Workspace, fields: Mapping[str, str]) -> Example | None:
    """What these fields would make of a call of three minutes, rated as every call is; None while they cannot be."""
    cost = cost_of_now(workspace)
    if cost is None or not fields["enabled"]:
        return None
    try:
        price = validate(VoicePrice, body_of(fields, "", accept_below_cost=True)).to_price()
    except Invalid:
        return None
    if price is None:
        return None
    paid, spent = rate(EXAMPLE_MS, VOICE, price, 0, cost), rate(EXAMPLE_MS, VOICE, cost, 0)
    margin_micros = paid.amount_micros - spent.amount_micros
    return Example(
        price_per_minute=paid.price_per_unit,
        cost_per_minute=spent.price_per_unit,
        price=format_amount(paid.amount_micros),
        cost=format_amount(spent.amount_micros),
        margin=format_amount(margin_micros),
        percent=f"{margin_micros * 100 / paid.amount_micros:.1f}" if paid.amount_micros else None,
        is_loss=margin_micros < 0,
    )


def kept_meters(card: Mapping[str, Any] | None) -> dict[str, Any]:
    """The prices of a card for everything but voice, as the API takes them: what the form does not show, it keeps."""
    prices: Mapping[str, Any] = card["prices"] if card else {}
    return {meter: _kept(price) for meter, price in prices.items() if meter != VOICE}


def kept_voice(card: Mapping[str, Any]) -> dict[str, Any] | None:
    """The voice price of a card as the API takes it; None where the card says nothing of voice."""
    return _kept(card["prices"][VOICE]) if VOICE in card["prices"] else None


def _kept(price: Mapping[str, Any] | None) -> dict[str, Any]:
    if price is None:
        return {"enabled": False, "price_type": "absorb"}
    named = {name: value for name, value in price.items() if value is not None}
    return {**named, "accept_below_cost": True}  # it was accepted when it was set


def cost_shown(workspace: Workspace) -> dict[str, Any] | None:
    """The cost of now as the API shows a price."""
    cost = cost_of_now(workspace)
    return show_price(cost, VOICE).model_dump() if cost else None
