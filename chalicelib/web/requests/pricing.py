"""What callers send about prices: the platform's cost, and what a client pays."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from chalicelib.domain.rating import VOICE, Price, PriceType, RateCard
from chalicelib.web.fields import (
    ConnectFee,
    Increment,
    Moment,
    PricePerUnit,
)
from chalicelib.web.models import RequestModel

MOST_METERS = 20


def _not_voice(name: str) -> str:
    if name == VOICE:
        raise ValueError("Voice has its own place, beside meters")
    return name


MeterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$"), AfterValidator(_not_voice)]


def _read_percent(value: object) -> int:
    """Percent with at most two decimals, as basis points."""
    text = value if isinstance(value, str) else str(value) if type(value) in (int, Decimal) else ""
    whole, _, fraction = text.partition(".")
    if not (
        text.isascii() and whole.isdigit() and len(whole) <= 4 and (fraction or "0").isdigit() and len(fraction) < 3
    ):
        raise ValueError("It must be a percentage with at most two decimals, such as 50 or 33.33")
    basis_points = int(whole) * 100 + int(fraction.ljust(2, "0"))
    if basis_points > 100_000:
        raise ValueError("It must be between 0 and 1000")
    return basis_points


Percent = Annotated[
    int,
    BeforeValidator(_read_percent),
    WithJsonSchema({"type": ["number", "string"], "description": "Percent on cost, 0 to 1000.", "examples": [50]}),
]


class _TalkRounding(RequestModel):
    initial_increment_seconds: Increment = 1
    increment_seconds: Increment = 1
    minimum_seconds: int = Field(0, ge=0, le=60)
    connect_fee: ConnectFee = Field("0.00", validate_default=True)


class MeterCost(RequestModel):
    """What the platform charges for one piece of a meter other than voice."""

    cost_per_unit: PricePerUnit


class Cost(_TalkRounding):
    """What the platform charges a workspace from `effective_at` (now, if left out) on."""

    cost_per_minute: PricePerUnit
    meters: dict[MeterName, MeterCost] = Field(default_factory=dict, max_length=MOST_METERS)
    effective_at: Moment | None = None

    def to_card(self, effective_at_ms: int) -> RateCard:
        """As a dated rate card."""
        voice = Price(
            PriceType.FIXED,
            self.cost_per_minute,
            0,
            self.initial_increment_seconds,
            self.increment_seconds,
            self.minimum_seconds,
            self.connect_fee,
        )
        others = {name: Price(PriceType.FIXED, cost.cost_per_unit) for name, cost in self.meters.items()}
        return RateCard(effective_at_ms, prices={**others, VOICE: voice})


class _Pricing(RequestModel):
    enabled: bool = True
    price_type: Literal["fixed", "markup", "absorb"] = "fixed"
    markup_percent: Percent | None = Field(None, validate_default=True)
    accept_below_cost: bool = False

    @field_validator("markup_percent")
    @classmethod
    def _check_markup(cls, value: int | None, known: ValidationInfo) -> int | None:
        return _goes_with("markup", value, known)


def _goes_with(price_type: str, value: int | None, known: ValidationInfo) -> int | None:
    """Exactly the amount that the price type needs must be there: a forgotten price is never a free call."""
    chosen = known.data.get("price_type", price_type)
    if value is None and chosen == price_type and known.data.get("enabled", True):
        raise ValueError(f"It is required for price_type {chosen}")
    if value is not None and chosen != price_type:
        raise ValueError(f"It does not go with price_type {chosen}")
    return value


class VoicePrice(_TalkRounding, _Pricing):
    """What a sub-account pays for voice minutes."""

    price_per_minute: PricePerUnit | None = Field(None, validate_default=True)

    @field_validator("price_per_minute")
    @classmethod
    def _check_price(cls, value: int | None, known: ValidationInfo) -> int | None:
        return _goes_with("fixed", value, known)

    @field_validator("connect_fee")
    @classmethod
    def _check_fee(cls, value: int, known: ValidationInfo) -> int:
        if value and known.data.get("price_type") == "absorb":
            raise ValueError("It does not go with price_type absorb")
        return value

    def to_price(self) -> Price | None:
        """As a price; None where voice is deliberately not re-billed."""
        if not self.enabled:
            return None
        return Price(
            PriceType(self.price_type),
            self.price_per_minute or 0,
            self.markup_percent or 0,
            self.initial_increment_seconds,
            self.increment_seconds,
            self.minimum_seconds,
            self.connect_fee,
        )


class MeterPrice(_Pricing):
    """What a sub-account pays for one piece of a meter other than voice."""

    price_per_unit: PricePerUnit | None = Field(None, validate_default=True)

    @field_validator("price_per_unit")
    @classmethod
    def _check_price(cls, value: int | None, known: ValidationInfo) -> int | None:
        return _goes_with("fixed", value, known)

    def to_price(self) -> Price | None:
        """As a price; None where the meter is deliberately not re-billed."""
        if not self.enabled:
            return None
        return Price(PriceType(self.price_type), self.price_per_unit or 0, self.markup_percent or 0)


class Rebilling(RequestModel):
    """Whether and how an agency re-bills its client from `effective_at` (now, if left out) on."""

    enabled: bool
    voice: VoicePrice | None = None
    meters: dict[MeterName, MeterPrice] = Field(default_factory=dict, max_length=MOST_METERS)
    effective_at: Moment | None = None

    def to_card(self, effective_at_ms: int) -> RateCard:
        """As a dated rate card."""
        prices = {name: meter.to_price() for name, meter in self.meters.items()}
        if self.voice is not None:
            prices[VOICE] = self.voice.to_price()
        return RateCard(effective_at_ms, self.enabled, prices)

    def accepts_below_cost(self) -> frozenset[str]:
        """The meters whose price may be below what the workspace pays itself."""
        meters = {name for name, meter in self.meters.items() if meter.accept_below_cost}
        return frozenset(meters | ({VOICE} if self.voice and self.voice.accept_below_cost else set()))
