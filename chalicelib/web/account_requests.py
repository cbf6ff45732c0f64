"""What callers may send about accounts as such: the snapshot of defaults, pausing and closing, kinds of credits."""

from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from chalicelib.domain.closings import Settle
from chalicelib.domain.refill import RefillRule
from chalicelib.domain.snapshot import Defaults
from chalicelib.domain.wallet import CreditKind
from chalicelib.web import requests
from chalicelib.web.fields import CreditAmount, CreditLimit, Currency, Note, RefillAmount, RefillThreshold
from chalicelib.web.models import RequestModel

MOST_ACCOUNTS = 100
SubAccountId = Annotated[str, StringConstraints(pattern=r"^sa_[a-z0-9_]{1,60}$")]
Version = Annotated[int, Field(ge=0, le=999_999)]


class NewCredit(RequestModel):
    """Balance given without a payment, and why. `currency`, if it is sent, must be the wallet's own."""

    amount: CreditAmount
    note: Note
    currency: Currency | None = None
    kind: CreditKind = Field(CreditKind.GOODWILL, strict=False)


class StatusNote(RequestModel):
    """Why an account is paused or resumed, or a usage event dismissed."""

    note: Note | None = None


class NewClosing(RequestModel):
    """What becomes of the balance: back to the cards, to another sub-account (`transfer_to`), or forfeited."""

    settle: Settle = Field(strict=False)
    note: Note
    transfer_to: SubAccountId | None = Field(None, validate_default=True)

    @field_validator("transfer_to")
    @classmethod
    def _check_receiver(cls, value: str | None, known: ValidationInfo) -> str | None:
        if "settle" in known.data and (value is None) == (known.data["settle"] is Settle.TRANSFER):
            raise ValueError("It goes with settle: transfer, and only with it")
        return value


class SuggestedRefill(RequestModel):
    """A refill rule that is filled in for the client, and off: only the client switches it on."""

    threshold: RefillThreshold = Field("10.00", validate_default=True)
    target_balance: RefillAmount = Field("50.00", validate_default=True)

    def to_rule(self) -> RefillRule:
        """As a rule that is off."""
        return RefillRule(threshold_micros=self.threshold, target_balance_micros=self.target_balance)


class NewSnapshot(RequestModel):
    """What new sub-accounts begin with; what is left out, or null, is said nothing of.

    `version` is the one that you have seen (0: none): where somebody was faster, nothing is set.
    """

    rebilling: requests.Rebilling | None = None
    refill: SuggestedRefill | None = None
    notice_levels: requests.NoticeLevels | None = None
    credit_limit: CreditLimit | None = None
    version: Version | None = None

    @field_validator("rebilling")
    @classmethod
    def _check_undated(cls, value: requests.Rebilling | None) -> requests.Rebilling | None:
        if value is not None and value.effective_at is not None:
            raise ValueError("It is in force from when an account is made: leave out effective_at")
        return value

    def to_defaults(self) -> Defaults:
        """As accounts take them."""
        return Defaults(
            rebilling=self.rebilling.to_card(0) if self.rebilling else None,
            refill=self.refill.to_rule() if self.refill else None,
            notice_levels_micros=tuple(self.notice_levels.levels) if self.notice_levels else None,
            credit_limit_micros=self.credit_limit,
        )

    def below_cost(self) -> tuple[str, ...]:
        """The meters that may be sold at a loss."""
        return tuple(sorted(self.rebilling.accepts_below_cost())) if self.rebilling else ()


class SnapshotPreview(RequestModel):
    """Whose change to look at."""

    sub_accounts: list[SubAccountId] = Field(min_length=1, max_length=MOST_ACCOUNTS)

    @field_validator("sub_accounts")
    @classmethod
    def _check_distinct(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("Each sub-account can be there once")
        return value


class NewSnapshotApplication(SnapshotPreview):
    """To whom to apply which version of the snapshot: the one that you have looked at."""

    version: Version
