"""Refills: when and by how much a wallet is refilled by card, and one such refill as it goes its way. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.money import MICROS_PER_UNIT

COOLDOWN_SECONDS = 60
BREAKER_HOURLY_FLOOR = 100  # refills of all wallets in an hour that are never too many
BREAKER_TIMES_NORM = 3


class RefillMode(StrEnum):
    """How the amount of a refill is found."""

    TARGET = "target"  # one payment closes the whole gap up to the target balance
    FIXED = "fixed"  # whole multiples of an amount, as many as clear the threshold


@dataclass(frozen=True)
class RefillRule:
    """When and how much to refill. A limit of None is none. `consented_at_ms` is when its owner switched it on."""

    enabled: bool = False
    threshold_micros: int = 10 * MICROS_PER_UNIT
    mode: RefillMode = RefillMode.TARGET
    target_balance_micros: int = 50 * MICROS_PER_UNIT
    amount_micros: int = 50 * MICROS_PER_UNIT
    daily_limit_micros: int | None = None
    monthly_limit_micros: int | None = None
    daily_count_limit: int = 5
    cooldown_seconds: int = COOLDOWN_SECONDS
    consented_at_ms: int | None = None

    def payment_micros(self, balance_micros: int, step_micros: int, most_micros: int) -> int:
        """What one payment must bring so that the wallet is above its threshold again.

        `step_micros` is the smallest step of a payment in the wallet's currency: amounts are rounded up to it. Where
        one payment may not bring it all (`most_micros`), it brings as much as it may.
        """
        if self.mode is RefillMode.FIXED:
            missing_micros = max(0, self.threshold_micros - balance_micros)
            wanted_micros = (missing_micros // self.amount_micros + 1) * self.amount_micros
        else:
            wanted_micros = self.target_balance_micros - balance_micros
        return min(-(-wanted_micros // step_micros) * step_micros, most_micros)


NO_RULE = RefillRule()


class RefillStep(StrEnum):
    """How far a refill has come. Before `confirming` no money can have moved; the last four are final."""

    PLANNED = "planned"  # our own record, Stripe knows nothing of it
    CREATED = "created"  # Stripe has an unconfirmed payment
    CONFIRMING = "confirming"  # the card may have been asked
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    CANCELED = "canceled"  # it was not wanted any more, or could not be made
    REFUSED = "refused"  # what Stripe shows is not what we asked for: no credit, a person is told


OPEN_STEPS = (RefillStep.PLANNED, RefillStep.CREATED, RefillStep.CONFIRMING)


@dataclass(frozen=True)
class Refill:
    """One automatic purchase for one shortage; everything that is sent to Stripe is frozen when it is opened.

    `account_id` is the connected account that takes the money, None for the platform's own. `confirms` counts how
    often the card was asked about this one payment, which Stripe takes at most once.
    """

    id: str
    owner_id: str
    workspace_id: str
    amount_micros: int
    currency: str
    account_id: str | None
    connection_version: int
    livemode: bool
    customer_id: str
    payment_method_id: str
    opened_at_ms: int
    step: RefillStep = RefillStep.PLANNED
    payment_intent_id: str | None = None
    confirms: int = 0
    confirmed_at_ms: int | None = None


def far_above_norm(this_hour: int, earlier_hours: list[int]) -> bool:
    """Whether the refills of all wallets in this hour are more than can be right, given the hours of the last week."""
    return this_hour > max(BREAKER_HOURLY_FLOOR, BREAKER_TIMES_NORM * max(earlier_hours, default=0))
