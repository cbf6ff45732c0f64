"""What reconciling reads on each side, and the differences that it finds. `domain/differences.py` compares.

Amounts are micros of the wallet's currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.domain.payment_facts import PaymentFacts
from chalicelib.domain.payments import Payment
from chalicelib.domain.seals import Broken
from chalicelib.domain.wallet import Entry

PaymentKey = tuple[str | None, str]  # the account (None: the platform's own) and the PaymentIntent


class Cause(StrEnum):
    """Why two sides do not agree."""

    CREDIT_MISSING = "credit_missing"
    CREDITED_TWICE = "credited_twice"
    FOREIGN_PAYMENT = "foreign_payment"
    PAYMENT_REFUSED = "payment_refused"
    REFUND_UNSEEN = "refund_unseen"
    DISPUTE_UNSEEN = "dispute_unseen"
    ENTRY_EDITED = "entry_edited"
    ENTRY_MISSING = "entry_missing"
    ENTRY_NOT_COUNTED = "entry_not_counted"
    ENTRY_WITHOUT_PAYMENT = "entry_without_payment"
    BALANCE_EDITED = "balance_edited"
    HEADROOM_EDITED = "headroom_edited"
    DAY_TOTAL_EDITED = "day_total_edited"
    WRONG_WALLET = "wrong_wallet"
    WRONG_ACCOUNT = "wrong_account"
    AMOUNT_DIFFERS = "amount_differs"
    LEFT_OPEN = "left_open"


# What it means, and what to do.
WORDS: dict[Cause, tuple[str, str]] = {
    Cause.CREDIT_MISSING: (
        "Stripe took a payment that we asked for, and no wallet has it.",
        "See why it was not settled (alarms, dead letters of payments). The clock credits it once that is mended.",
    ),
    Cause.CREDITED_TWICE: (
        "One payment was credited by several entries.",
        "Keep the entry that the payment's record stands for; take the other's amount back with a correction.",
    ),
    Cause.FOREIGN_PAYMENT: (
        "A payment carries our mark or our customer, but we never asked for it. Nothing was credited.",
        "Ask the account's owner what it was for. Refund it at Stripe, or give a credit of kind external_payment.",
    ),
    Cause.PAYMENT_REFUSED: (
        "A payment was not what we asked for, so it was not credited, and its money is still there.",
        "Refund it at Stripe; the client pays again.",
    ),
    Cause.REFUND_UNSEEN: (
        "Stripe gave back another part of this payment than the wallet has followed.",
        "Send its refund event again from Stripe (or replay the dead letters of payments).",
    ),
    Cause.DISPUTE_UNSEEN: (
        "A dispute moved money at Stripe, and the wallet has not followed.",
        "Send its dispute event again from Stripe (or replay the dead letters of payments).",
    ),
    Cause.ENTRY_EDITED: (
        "An entry does not say any more what was posted.",
        "Entries are never changed: restore it from a backup, and find out who could write to the table.",
    ),
    Cause.ENTRY_MISSING: (
        "Something was posted whose entry is not there any more.",
        "Restore it from a backup, and find out who could write to the table.",
    ),
    Cause.ENTRY_NOT_COUNTED: (
        "An entry stands in the statement that never moved its wallet.",
        "It was not posted by us: find out who could write to the table, and take it out.",
    ),
    Cause.ENTRY_WITHOUT_PAYMENT: (
        "A wallet was credited with a payment that was never made.",
        "Take the amount back with a correction, and find out who could write to the table.",
    ),
    Cause.BALANCE_EDITED: (
        "A balance is not the sum of its entries, and no entry explains it.",
        "The entries count: find out who could write to the table, and set the balance to their sum.",
    ),
    Cause.HEADROOM_EDITED: (
        "A wallet's headroom is not its balance less its refill threshold: its refills come too early, or never.",
        "Find out who could write to the table, and set the headroom to that.",
    ),
    Cause.DAY_TOTAL_EDITED: (
        "What a day is said to have come to is not what its entries come to.",
        "The entries count: set the day's total to theirs.",
    ),
    Cause.WRONG_WALLET: (
        "A payment was credited to another wallet than the one that paid.",
        "Move the amount with two corrections, out of the one and into the other.",
    ),
    Cause.WRONG_ACCOUNT: (
        "A payment stands on a Stripe account that does not take payments for this wallet.",
        "Find out how it came there. Refund it where it was taken; the client pays again.",
    ),
    Cause.AMOUNT_DIFFERS: (
        "A wallet was credited with another amount or currency than Stripe took.",
        "Stripe counts: give or take the difference with a correction.",
    ),
    Cause.LEFT_OPEN: (
        "Something is open for more than a day.",
        "Look at its account at Stripe: it is decided there. A closing goes on when it is asked for again.",
    ),
}


@dataclass(frozen=True)
class Difference:
    """Two sides that do not agree. `ids` say what to look at; `ours` and `theirs` are micros, None where unknown.

    `theirs` is what another side says: Stripe, or for a balance and a day the entries.
    """

    cause: Cause
    ids: tuple[str, ...]
    workspace_id: str | None = None
    owner_id: str | None = None
    account_id: str | None = None
    ours_micros: int | None = None
    theirs_micros: int | None = None
    currency: str | None = None
    day: str | None = None

    @property
    def detail(self) -> str:
        """What it means, in a sentence."""
        return WORDS[self.cause][0]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return WORDS[self.cause][1]


@dataclass(frozen=True)
class Totals:
    """What usage came to: of a day, or the difference between two such."""

    calls: int = 0
    talk_ms: int = 0
    cost_micros: int = 0
    revenue_micros: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.calls + other.calls,
            self.talk_ms + other.talk_ms,
            self.cost_micros + other.cost_micros,
            self.revenue_micros + other.revenue_micros,
        )

    def __neg__(self) -> "Totals":
        return Totals(-self.calls, -self.talk_ms, -self.cost_micros, -self.revenue_micros)


NOTHING = Totals()


@dataclass(frozen=True)
class WalletFacts:
    """A wallet, and what its entries come to. Days are `2026-11-22`.

    `headroom_off_micros` is how much more its headroom says than its balance less its refill threshold.
    """

    owner_id: str
    currency: str
    balance_micros: int
    entries_micros: int
    days: Mapping[str, Totals] = field(default_factory=dict)
    entries_days: Mapping[str, Totals] = field(default_factory=dict)
    headroom_off_micros: int = 0

    @property
    def off_micros(self) -> int:
        """How much more the balance says than the entries."""
        return self.balance_micros - self.entries_micros

    @property
    def off_days(self) -> dict[str, Totals]:
        """How much more the day totals say than the entries, where they differ."""
        days = self.days.keys() | self.entries_days.keys()
        off = {day: self.days.get(day, NOTHING) + -self.entries_days.get(day, NOTHING) for day in days}
        return {day: totals for day, totals in off.items() if totals != NOTHING}

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to explain."""
        return self.off_micros == 0 and not self.off_days


@dataclass(frozen=True)
class Purchase:
    """A top-up or a refill of ours, as far as reconciling goes."""

    id: str
    owner_id: str
    account_id: str | None
    payment_intent_id: str | None
    amount_micros: int
    currency: str
    opened_at_ms: int
    is_open: bool = False
    succeeded: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Movement:
    """Money that moved on a Stripe account because of a payment: it came in, or some of it went back (`is_back`).

    `mark` is whose it claims to be, which anybody can write. `refunded_micros` has gone back of it by now.
    """

    account_id: str | None
    payment_intent_id: str
    is_back: bool
    amount_micros: int
    currency: str
    at_ms: int
    mark: str | None = None
    customer_id: str | None = None
    refunded_micros: int = 0

    @property
    def key(self) -> PaymentKey:
        """Which payment it is about."""
        return self.account_id, self.payment_intent_id


@dataclass(frozen=True)
class Books:
    """Everything that we have written down about one workspace. `credits` are its entries of top-ups and refills,
    `reversals` what the entries of refunds and disputes of each payment come to, `accounts` those that it was ever
    linked to, `left_open` the ids of closings that have not come to their end.
    """

    workspace_id: str
    wallets: Sequence[WalletFacts] = ()
    broken: Sequence[Broken] = ()
    credits: Sequence[Entry] = ()
    reversals: Mapping[PaymentKey, int] = field(default_factory=dict)
    purchases: Sequence[Purchase] = ()
    payments: Mapping[PaymentKey, Payment] = field(default_factory=dict)
    accounts: frozenset[str] = frozenset()
    left_open: Sequence[str] = ()


@dataclass(frozen=True)
class Seen:
    """What Stripe shows of one workspace: the movements in the window, the oldest first, and the payments that were
    looked up one by one; None for one that is not there. `ours` are movements that a customer of ours made.
    """

    movements: Sequence[Movement] = ()
    looked_up: Mapping[PaymentKey, PaymentFacts | None] = field(default_factory=dict)
    customers: frozenset[str] = frozenset()
