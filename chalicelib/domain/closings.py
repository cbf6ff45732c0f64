"""How a sub-account is closed: what becomes of its balance, step by step. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.domain.payments import Payment


class Settle(StrEnum):
    """What becomes of the balance of an account that is closed."""

    REFUND = "refund"  # back to the cards that paid it; what no card paid is forfeited
    TRANSFER = "transfer"  # to another sub-account of the same workspace
    FORFEIT = "forfeit"  # or written off, where it is below zero


@dataclass(frozen=True)
class Refund:
    """What is given back of one payment, noted before Stripe is asked. `reversed_before_micros` had gone back then."""

    account_id: str | None
    payment_intent_id: str
    amount_micros: int
    reversed_before_micros: int

    def is_done(self, payment: Payment) -> bool:
        """Whether it has gone back, whoever saw to that."""
        return payment.reversed_micros >= self.reversed_before_micros + self.amount_micros


@dataclass(frozen=True)
class Closing:
    """One settling of a closed account, by the idempotency key of whoever asked for it. Every step is a new version.

    `forfeited_micros` is what the last entry took (negative: what it wrote off). `trouble` is why it ended without an
    end: a code and a sentence.
    """

    id: str
    sub_account_id: str
    workspace_id: str
    key: str
    settle: Settle
    note: str
    by: str
    opened_at_ms: int
    transfer_to: str | None = None
    version: int = 1
    refunds: tuple[Refund, ...] = ()
    transferred_micros: int = 0
    forfeited_micros: int = 0
    ended: bool = False
    trouble: tuple[str, str] | None = None

    def further(self, **changes: object) -> "Closing":
        """One step on."""
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]  # names are fields

    def says_the_same_as(self, other: "Closing") -> bool:
        """Whether both ask for the same."""
        return (self.settle, self.note, self.transfer_to) == (other.settle, other.note, other.transfer_to)

    @property
    def refunded_micros(self) -> int:
        """What was given back on Stripe."""
        return sum(refund.amount_micros for refund in self.refunds)
