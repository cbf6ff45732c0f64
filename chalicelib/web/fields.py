"""Field types that requests share: money as decimal strings, names, moments."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import MICROS_PER_UNIT, check_currency, format_price, parse_micros
from chalicelib.gateways.voice.fields import moment, to_epoch_ms


def money(minimum_micros: int, maximum_micros: int, description: str) -> Any:
    """A field type: a decimal string in major units, held as micros."""

    def read(value: object) -> int:
        try:
            return parse_micros(value, "It", minimum_micros=minimum_micros, maximum_micros=maximum_micros)
        except Invalid as error:
            raise ValueError(error.detail) from error

    bounds = f"{format_price(minimum_micros)} to {format_price(maximum_micros)}"
    schema = {
        "type": "string",
        "pattern": r"^\d{1,9}(\.\d{1,6})?$",
        "description": f"{description} A decimal string in major units, {bounds}.",
        "examples": ["0.15" if maximum_micros <= 10 * MICROS_PER_UNIT else "25.00"],
    }
    return Annotated[int, BeforeValidator(read), WithJsonSchema(schema)]


def _read_currency(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("It must be a currency code such as usd")
    try:
        return check_currency(value.lower(), "It")
    except Invalid as error:
        raise ValueError(error.detail) from error


Currency = Annotated[
    str,
    BeforeValidator(_read_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["usd"]}),
]
Moment = Annotated[
    int,
    BeforeValidator(lambda value: to_epoch_ms(moment(value))),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T18:35:00Z"]}),
]


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("It holds half a character, which nothing can store") from error
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
    AfterValidator(_storable),
    Field(examples=["Acme Voice"]),
]
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500), AfterValidator(_storable)]
Email = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s]+\.[^@\s]+$", max_length=254),
    AfterValidator(_storable),
    Field(examples=["owner@agency.example"]),
]
PricePerUnit = money(0, 10 * MICROS_PER_UNIT, "The price of one unit.")
ConnectFee = money(0, 5 * MICROS_PER_UNIT, "Once for each call that connects.")
CreditLimit = money(0, 10_000 * MICROS_PER_UNIT, "How far below zero the wallet may go before calls stop.")
CreditAmount = money(MICROS_PER_UNIT // 100, 10_000 * MICROS_PER_UNIT, "How much to add.")
TopUpAmount = money(MICROS_PER_UNIT // 100, 10_000 * MICROS_PER_UNIT, "How much to buy.")
RefillThreshold = money(MICROS_PER_UNIT, 1_000 * MICROS_PER_UNIT, "At or below it, the wallet is refilled.")
RefillAmount = money(MICROS_PER_UNIT // 100, 10_000 * MICROS_PER_UNIT, "What to refill to, or by.")
RefillLimit = money(MICROS_PER_UNIT, 100_000 * MICROS_PER_UNIT, "The most that refills may take.")
Increment = Annotated[int, Field(ge=1, le=60, description="Seconds; talk time is rounded up to it.")]


def _read_count(value: object) -> object:
    """A count as a query string writes it: digits, and nothing that Python would also read as a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5 else value


Count = Annotated[int, BeforeValidator(_read_count)]
