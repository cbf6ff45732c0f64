"""Payments: money taken from a card through Stripe, on whose account, for which wallet; and what of it went back."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import Invalid
from chalicelib.domain.money import MICROS_PER_UNIT, format_price

PLATFORM = "platform"  # stands for the account where it is the platform's own
STATE_MINUTES = 10
STATE_MS = STATE_MINUTES * 60_000


class ConnectionState(StrEnum):
    """How a workspace's link to its Stripe account stands."""

    CONNECTED = "connected"
    DISCONNECTING = "disconnecting"  # refills and top-ups have stopped, Stripe has not been told yet
    DISCONNECTED = "disconnected"
    DEAUTHORIZED = "deauthorized"  # the account's owner ended it in Stripe's own dashboard


@dataclass(frozen=True)
class Connection:
    """A workspace's link to its own Stripe account. Another account later is another version."""

    workspace_id: str
    version: int
    account_id: str
    account_name: str
    livemode: bool
    charges_enabled: bool
    state: ConnectionState
    connected_at_ms: int


def connection_version(before: Connection | None, account_id: str, livemode: bool) -> int:
    """The version of a new link: the same account again keeps its own, for its customers and cards are still there."""
    if before is None:
        return 1
    same = (before.account_id, before.livemode) == (account_id, livemode)
    return before.version if same else before.version + 1


class TopUpState(StrEnum):
    """How a top-up stands. Everything but `open` is final."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    EXPIRED = "expired"
    REFUSED = "refused"  # what Stripe shows is not what we asked for: no credit, and a person is told


@dataclass(frozen=True)
class TopUp:
    """A person buys balance. `account_id` is the connected account that takes the money, None for the platform's own.

    `livemode` is the mode of that account: a payment in another mode is none.
    """

    id: str
    owner_id: str
    workspace_id: str
    amount_micros: int
    currency: str
    account_id: str | None
    connection_version: int
    livemode: bool
    idempotency_key: str
    created_at_ms: int
    state: TopUpState = TopUpState.OPEN
    session_id: str | None = None
    url: str | None = None
    payment_intent_id: str | None = None


@dataclass(frozen=True)
class Payment:
    """Money that was taken for one of our wallets, as we recorded it.

    `reversed_micros` of it has gone back so far, in `reversals` steps, up and down; `disputed_micros` of that because
    of disputes.
    """

    account_id: str | None
    payment_intent_id: str
    owner_id: str
    workspace_id: str
    amount_micros: int
    currency: str
    purchase_id: str  # the top-up or the refill that it was made for
    reversed_micros: int = 0
    reversals: int = 0
    disputed_micros: int = 0


@dataclass(frozen=True)
class Card:
    """The saved card of one wallet's owner, under one connection."""

    payment_method_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True)
class TopUpLimits:
    """The smallest and the largest amount that one payment for a wallet may have."""

    minimum_micros: int
    maximum_micros: int

    def check(self, amount_micros: int) -> None:
        """Raise `Invalid` for an amount outside the limits; names them."""
        if not self.minimum_micros <= amount_micros <= self.maximum_micros:
            low, high = format_price(self.minimum_micros), format_price(self.maximum_micros)
            raise Invalid("amount", f"amount must be between {low} and {high}.", "amount_out_of_range")


# What limits may be set to: about what Stripe takes at least, and at most.
LOWEST_LIMIT_MICROS, HIGHEST_LIMIT_MICROS = MICROS_PER_UNIT // 2, 999_999 * MICROS_PER_UNIT
SUB_ACCOUNT_LIMITS = TopUpLimits(5 * MICROS_PER_UNIT, 10_000 * MICROS_PER_UNIT)
WORKSPACE_LIMITS = TopUpLimits(10 * MICROS_PER_UNIT, 5_000 * MICROS_PER_UNIT)


def reversal_target_micros(captured: int, refunded: int, withdrawn: int, reinstated: int) -> int:
    """How much of a payment is not ours any more: refunds and what disputes hold, never less than 0 nor more than all.

    All amounts are micros of the payment's currency.
    """
    return min(captured, max(0, refunded + withdrawn - reinstated))


def fingerprint_of(*facts: object) -> str:
    """Equal for two entries that say the same."""
    return hashlib.sha256("|".join(map(str, facts)).encode()).hexdigest()[:32]
