"""Wallets and entries: a wallet's balance is the sum of its entries, exactly."""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.money import MICROS_PER_UNIT
from chalicelib.domain.rating import Charge
from chalicelib.domain.usage import UsageEvent

LOW_BALANCE_MICROS = 10 * MICROS_PER_UNIT


class WalletStatus(StrEnum):
    """How a wallet stands. `frozen` belongs to a paused account."""

    OK = "ok"
    LOW = "low"
    EMPTY = "empty"
    FROZEN = "frozen"


class EntryKind(StrEnum):
    """Why a wallet moved."""

    USAGE = "usage"
    CREDIT = "credit"
    TOP_UP = "top_up"
    REFILL = "refill"
    REFUND = "refund"
    DISPUTE = "dispute"
    CORRECTION = "correction"


class CreditKind(StrEnum):
    """Why balance is given without a payment."""

    GOODWILL = "goodwill"
    EXTERNAL_PAYMENT = "external_payment"  # paid, but not through us: a bank transfer, say
    PROMO = "promo"
    CORRECTION = "correction"


@dataclass(frozen=True)
class Wallet:
    """A prepaid balance, addressed by its owner's id. It may be below zero: facts are never refused."""

    owner_id: str
    currency: str
    balance_micros: int
    credit_limit_micros: int = 0
    refill_threshold_micros: int | None = None

    @property
    def available_micros(self) -> int:
        """What can still be spent."""
        return self.balance_micros + self.credit_limit_micros

    def status(self) -> WalletStatus:
        """How full it is, whatever its owner pays; `domain/access.wallet_status` also knows the price."""
        if self.available_micros <= 0:
            return WalletStatus.EMPTY
        threshold = LOW_BALANCE_MICROS if self.refill_threshold_micros is None else self.refill_threshold_micros
        return WalletStatus.LOW if self.available_micros < threshold else WalletStatus.OK


@dataclass(frozen=True)
class Leg:
    """One wallet's side of an entry: the signed movement, and the charge behind it if usage caused it."""

    owner_id: str
    amount_micros: int
    charge: Charge | None = None


@dataclass(frozen=True)
class Entry:
    """One signed, immutable movement, of one wallet or of both together.

    `(workspace_id, source, event_id)` is what makes it unique, for ever. `fingerprint` tells a repeat from a
    contradiction. `occurred_at_ms` is when the cause happened, `posted_at_ms` when the wallets moved. Only credits
    have a `credit_kind`; `by` is the key's name or the e-mail of whoever moved the wallet by hand.
    """

    id: str
    kind: EntryKind
    workspace_id: str
    source: str
    event_id: str
    fingerprint: str
    currency: str
    occurred_at_ms: int
    posted_at_ms: int
    workspace_leg: Leg | None = None
    sub_account_leg: Leg | None = None
    sub_account_id: str | None = None
    usage: UsageEvent | None = None
    note: str | None = None
    credit_kind: CreditKind | None = None
    by: str | None = None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The movements that this entry makes, one for each wallet."""
        return tuple(leg for leg in (self.workspace_leg, self.sub_account_leg) if leg is not None)
