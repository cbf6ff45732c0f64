"""What callers send about payments, refills and credits."""

from typing import Annotated

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from chalicelib.domain.payments import TopUpLimits
from chalicelib.domain.refill import RefillMode, RefillRule
from chalicelib.web.fields import (
    Currency,
    Email,
    Note,
    RefillAmount,
    RefillLimit,
    RefillThreshold,
)
from chalicelib.web.models import RequestModel
from chalicelib.web.payment_fields import TopUpAmount, TopUpLimit


class NewStripeConnection(RequestModel):
    """Who connects: the person that the platform has signed in."""

    user: Email


class OAuthStart(RequestModel):
    """The link's own secret."""

    state: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{20,100}$")]


class TopUpRange(RequestModel):
    """The smallest and the largest top-up."""

    minimum: TopUpLimit
    maximum: TopUpLimit

    @field_validator("maximum")
    @classmethod
    def _check_maximum(cls, value: int, known: ValidationInfo) -> int:
        if value < known.data.get("minimum", value):
            raise ValueError("It must not be below the minimum")
        return value

    def to_limits(self) -> TopUpLimits:
        """As top-ups take them."""
        return TopUpLimits(self.minimum, self.maximum)


class NewTopUpLimits(RequestModel):
    """Limits of top-ups of the workspace's own wallet, and of its sub-accounts'. What is left out stays as it is."""

    workspace: TopUpRange | None = None
    sub_accounts: TopUpRange | None = None


class NewTopUp(RequestModel):
    """How much balance to buy. `currency`, if it is sent, must be the wallet's own."""

    amount: TopUpAmount
    currency: Currency | None = None


class NewRefillRule(RequestModel):
    """When and how much to refill: up to `target_balance`, or by whole multiples of `amount` (mode `fixed`).

    A limit that is left out, or null, is none.
    """

    enabled: bool
    threshold: RefillThreshold = Field("10.00", validate_default=True)
    mode: RefillMode = Field(RefillMode.TARGET, strict=False)
    target_balance: RefillAmount = Field("50.00", validate_default=True)
    amount: RefillAmount = Field("50.00", validate_default=True)
    daily_limit: RefillLimit | None = None
    monthly_limit: RefillLimit | None = None
    daily_count_limit: int = Field(5, ge=1, le=50)
    cooldown_seconds: int = Field(60, ge=0, le=86_400)
    confirm_charge_now: bool = False

    def to_rule(self) -> RefillRule:
        """As refills take it."""
        return RefillRule(
            enabled=self.enabled,
            threshold_micros=self.threshold,
            mode=self.mode,
            target_balance_micros=self.target_balance,
            amount_micros=self.amount,
            daily_limit_micros=self.daily_limit,
            monthly_limit_micros=self.monthly_limit,
            daily_count_limit=self.daily_count_limit,
            cooldown_seconds=self.cooldown_seconds,
        )


class RefillSwitch(RequestModel):
    """Whether refills are stopped, and why: people will read the reason."""

    stopped: bool
    reason: Note


class PaymentAction(RequestModel):
    """Which refill waits for a person."""

    owner: Annotated[str, StringConstraints(pattern=r"^(ws|sa)_[a-z0-9_]{1,60}$")]
    refill: Annotated[str, StringConstraints(pattern=r"^rfl_[0-9A-HJKMNP-TV-Z]{26}$")]
