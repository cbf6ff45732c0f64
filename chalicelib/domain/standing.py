"""How a wallet's refills stand: what has stopped them, what they came to, and whether one may be opened now. Pure.

A shortage is paid for once. A refill is opened for it, driven to its end, and only then may the next one open.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from chalicelib.domain.refill import NO_RULE, Refill, RefillRule

RETRY_AFTER_HOURS = (1, 6)  # after the first and the second decline in a row; the third suspends the rule
SUSPENDS_AFTER = len(RETRY_AFTER_HOURS) + 1
LINK_LASTS_MS = 24 * 3_600_000
LOOK_AGAIN_MS = 5 * 60_000  # what holds a refill from outside is looked at again this often
BREAKER_WINDOW_MS = 600_000
BREAKER_REFILLS = 3  # of one wallet inside the window; the next waits, and if there are more, everything stops


class RefillState(StrEnum):
    """How automatic refills of a wallet stand, as people see it."""

    OFF = "off"
    OK = "ok"
    CHARGING = "charging"
    RETRYING = "retrying"
    ACTION_REQUIRED = "action_required"
    SUSPENDED = "suspended"
    HELD = "held"


class Cause(StrEnum):
    """Why refills of a wallet have stopped."""

    DECLINED = "declined"
    DECLINED_FOR_GOOD = "declined_for_good"
    DECLINED_TOO_OFTEN = "declined_too_often"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_IGNORED = "authentication_ignored"
    NO_CARD = "no_card"
    REFUSED = "refused"
    REFUNDED = "refunded"
    NOT_CONNECTED = "not_connected"
    PAYMENTS_DISABLED = "payments_disabled"
    OUT_OF_REACH = "out_of_reach"
    DISPUTED = "disputed"
    PAUSED = "paused"
    SWITCHED_OFF = "switched_off"
    DAILY_COUNT = "daily_count"
    DAILY_LIMIT = "daily_limit"
    MONTHLY_LIMIT = "monthly_limit"
    LIMIT_TOO_LOW = "limit_too_low"
    TOO_OFTEN = "too_often"


STATE_OF = {
    Cause.DECLINED: RefillState.RETRYING,
    Cause.DECLINED_FOR_GOOD: RefillState.SUSPENDED,
    Cause.DECLINED_TOO_OFTEN: RefillState.SUSPENDED,
    Cause.AUTHENTICATION_REQUIRED: RefillState.ACTION_REQUIRED,
    Cause.AUTHENTICATION_IGNORED: RefillState.SUSPENDED,
    Cause.NO_CARD: RefillState.SUSPENDED,
    Cause.REFUSED: RefillState.SUSPENDED,
    Cause.REFUNDED: RefillState.SUSPENDED,
    Cause.NOT_CONNECTED: RefillState.HELD,
    Cause.PAYMENTS_DISABLED: RefillState.HELD,
    Cause.OUT_OF_REACH: RefillState.HELD,
    Cause.DISPUTED: RefillState.HELD,
    Cause.PAUSED: RefillState.HELD,
    Cause.SWITCHED_OFF: RefillState.HELD,
    Cause.DAILY_COUNT: RefillState.HELD,
    Cause.DAILY_LIMIT: RefillState.HELD,
    Cause.MONTHLY_LIMIT: RefillState.HELD,
    Cause.LIMIT_TOO_LOW: RefillState.SUSPENDED,
    Cause.TOO_OFTEN: RefillState.HELD,
}
IN_PLAIN_WORDS = {
    Cause.DECLINED: "The card was declined: {why}. It is tried again by itself.",
    Cause.DECLINED_FOR_GOOD: "The card was declined: {why}. It is not asked again: save another card.",
    Cause.DECLINED_TOO_OFTEN: "The card was declined three times in a row, lastly because {why}. Save another card,"
    " or add balance.",
    Cause.AUTHENTICATION_REQUIRED: "The bank wants the card's holder to confirm the payment: use the link.",
    Cause.AUTHENTICATION_IGNORED: "The bank wanted the card's holder to confirm the payment, and nobody did within a"
    " day. Add balance, or save another card.",
    Cause.NO_CARD: "There is no card to refill with: save one.",
    Cause.REFUNDED: "Money was given back, which brought the balance to the threshold. Refills wait until somebody adds"
    " balance, or lets them go on.",
    Cause.REFUSED: "Stripe did not accept the payment. Support has been told.",
    Cause.NOT_CONNECTED: "No Stripe account is connected that could take the payment.",
    Cause.PAYMENTS_DISABLED: "Stripe does not let the connected account take payments at the moment.",
    Cause.OUT_OF_REACH: "The Stripe account went out of reach while a payment was under way. Support has been told.",
    Cause.DISPUTED: "An earlier payment is disputed. Refills wait until that is settled, or a person lifts the hold.",
    Cause.PAUSED: "The account is paused.",
    Cause.SWITCHED_OFF: "Automatic refills are switched off for the moment by the operator.",
    Cause.DAILY_COUNT: "The most refills of one day have been made. They go on tomorrow (UTC).",
    Cause.DAILY_LIMIT: "The day's limit for refills would be passed. They go on tomorrow (UTC).",
    Cause.MONTHLY_LIMIT: "The month's limit for refills would be passed. They go on next month (UTC).",
    Cause.LIMIT_TOO_LOW: "Closing the gap takes more than a whole limit allows. Raise the limit, or add balance.",
    Cause.TOO_OFTEN: "Three refills came within ten minutes, so the next waits. A larger amount would last longer.",
}


@dataclass(frozen=True)
class Stop:
    """Why refills of a wallet rest. `until_ms` is when they go on by themselves, None if only a person's act helps."""

    cause: Cause
    since_ms: int
    until_ms: int | None = None
    why: str = ""
    url: str | None = None

    @property
    def state(self) -> RefillState:
        """What people see."""
        return STATE_OF[self.cause]

    @property
    def detail(self) -> str:
        """The cause as a sentence."""
        return IN_PLAIN_WORDS[self.cause].format(why=self.why or "the bank did not say why")


@dataclass(frozen=True)
class Spent:
    """What refills came to on one UTC day and in its month, those under way included."""

    day: str = ""
    day_count: int = 0
    day_micros: int = 0
    month_micros: int = 0

    def on(self, now_ms: int) -> "Spent":
        """The same, as it counts now: a new day and a new month begin at nothing."""
        today = _utc(now_ms).strftime("%Y-%m-%d")
        if self.day == today:
            return self
        return Spent(today, 0, 0, self.month_micros if self.day[:7] == today[:7] else 0)

    def plus(self, count: int, amount_micros: int) -> "Spent":
        """With so many refills more (or fewer)."""
        return Spent(
            self.day,
            max(0, self.day_count + count),
            max(0, self.day_micros + amount_micros),
            max(0, self.month_micros + amount_micros),
        )

    def without(self, opened_at_ms: int, amount_micros: int) -> "Spent":
        """Without a refill that was opened at a moment and brought nothing."""
        day = _utc(opened_at_ms).strftime("%Y-%m-%d")
        if day == self.day:
            return self.plus(-1, -amount_micros)
        if day[:7] == self.day[:7]:
            return replace(self, month_micros=max(0, self.month_micros - amount_micros))
        return self


@dataclass(frozen=True)
class Standing:
    """A wallet's refill rule, and how it has fared. Every change is a new version; two changes at once are one.

    `declines` are those in a row, `tried` the cards that were declined in the present round, `dead` those never asked
    again. `opened_ms` are the latest openings.
    """

    owner_id: str
    version: int = 0
    rule: RefillRule = NO_RULE
    open_refill_id: str | None = None
    stop: Stop | None = None
    wake_at_ms: int | None = None
    declines: int = 0
    tried: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    spent: Spent = Spent()
    opened_ms: tuple[int, ...] = ()

    def state(self) -> RefillState:
        """What people see."""
        if self.open_refill_id is not None:
            return RefillState.CHARGING
        if not self.rule.enabled:
            return RefillState.OFF
        return self.stop.state if self.stop else RefillState.OK

    def rests_at(self, now_ms: int) -> bool:
        """Whether something keeps refills from being tried now."""
        return self.stop is not None and (self.stop.until_ms is None or self.stop.until_ms > now_ms)

    def too_many_at(self, now_ms: int) -> bool:
        """Whether there were more refills than the rules allow: that is a mistake of ours, or worse."""
        return len(self._lately(now_ms)) > BREAKER_REFILLS

    def waits_until_ms(self, now_ms: int) -> int | None:
        """Until when the next refill waits because there were so many lately."""
        lately = self._lately(now_ms)
        return lately[-BREAKER_REFILLS] + BREAKER_WINDOW_MS if len(lately) >= BREAKER_REFILLS else None

    def _lately(self, now_ms: int) -> tuple[int, ...]:
        return tuple(at for at in self.opened_ms if now_ms - at < BREAKER_WINDOW_MS)

    def usable(self, cards: tuple[str, ...]) -> str | None:
        """The first of these cards (payment method ids) that may be asked now."""
        return next((card for card in cards if card not in self.dead and card not in self.tried), None)

    def opened(self, refill_id: str, amount_micros: int, now_ms: int) -> "Standing":
        """With a refill that has just been opened: counted, and in nobody's way."""
        recent = self._lately(now_ms)
        spent = self.spent.on(now_ms).plus(1, amount_micros)
        return self._next(open_refill_id=refill_id, wake_at_ms=None, spent=spent, opened_ms=(*recent, now_ms))

    def paid(self, refill: Refill, now_ms: int) -> "Standing":
        """After a refill that was paid: everything is well, and the next may open when the cooldown is over."""
        if self.open_refill_id != refill.id:  # it was put aside, and counts after all
            return self.let_go(refill, now_ms)._next(spent=self.spent.on(now_ms).plus(1, refill.amount_micros))
        wake_at_ms = now_ms + self.rule.cooldown_seconds * 1000
        return self._next(open_refill_id=None, stop=None, declines=0, tried=(), wake_at_ms=wake_at_ms)

    def let_go(self, refill: Refill, now_ms: int) -> "Standing":
        """After a refill that brought nothing: it does not count. Unchanged where it was let go of before."""
        if self.open_refill_id == refill.id:
            spent = self.spent.without(refill.opened_at_ms, refill.amount_micros)
            opened_ms = tuple(at for at in self.opened_ms if at != refill.opened_at_ms)
            return self._next(open_refill_id=None, spent=spent, opened_ms=opened_ms, wake_at_ms=now_ms)
        if self.stop is not None and self.stop.cause is Cause.OUT_OF_REACH:
            return self.revived(now_ms)
        return self

    def declined(self, card: str, hard: bool, other_cards: tuple[str, ...], why: str, now_ms: int) -> "Standing":
        """After a card was declined: the next card at once, else the same one later, else no more."""
        known = replace(self, tried=(*self.tried, card), dead=(*self.dead, card) if hard else self.dead)
        if known.usable(other_cards):
            return known._next(stop=Stop(Cause.DECLINED, now_ms, now_ms, why), wake_at_ms=now_ms)
        known = replace(known, tried=(), declines=self.declines + 1)
        if known.usable((card, *other_cards)) is None:
            return known.stopped(Stop(Cause.DECLINED_FOR_GOOD, now_ms, None, why))
        if known.declines >= SUSPENDS_AFTER:
            return known.stopped(Stop(Cause.DECLINED_TOO_OFTEN, now_ms, None, why))
        until_ms = now_ms + RETRY_AFTER_HOURS[known.declines - 1] * 3_600_000
        return known.stopped(Stop(Cause.DECLINED, now_ms, until_ms, why))

    def stopped(self, stop: Stop) -> "Standing":
        """At rest until `stop.until_ms`, or until a person does something."""
        if self.stop is not None and self.stop.cause is stop.cause:
            stop = replace(stop, since_ms=self.stop.since_ms)
        return self._next(stop=stop, wake_at_ms=stop.until_ms)

    def revived(self, now_ms: int) -> "Standing":
        """After a person has done something about it: a new card, a payment, "try again". Dead cards stay dead."""
        return self._next(stop=None, declines=0, tried=(), wake_at_ms=now_ms)

    def awake(self, stop: Stop | None) -> "Standing":
        """In the index of due wallets again."""
        return self._next(wake_at_ms=None, stop=stop)

    def with_rule(self, rule: RefillRule, now_ms: int) -> "Standing":
        """With another rule, and with a fresh start."""
        return replace(self.revived(now_ms), rule=rule, wake_at_ms=None)

    def _next(self, **changes: object) -> "Standing":
        return replace(self, version=self.version + 1, **changes)  # type: ignore[arg-type]  # names are fields


@dataclass(frozen=True)
class Circumstances:
    """What decides about a refill beside the rule. `cards` are payment method ids, the first one first."""

    balance_micros: int
    step_micros: int
    most_micros: int
    cards: tuple[str, ...]
    outside: Cause | None = None  # what forbids every payment for this wallet now


def amount_or_stop(standing: Standing, around: Circumstances, now_ms: int) -> int | Stop:
    """How many micros to take for a wallet that is at or below its threshold, or why nothing may be taken now."""
    rule, stop = standing.rule, standing.stop
    if around.outside is not None:
        return Stop(around.outside, now_ms, now_ms + LOOK_AGAIN_MS)
    if stop is not None and stop.cause is Cause.AUTHENTICATION_REQUIRED:
        return Stop(Cause.AUTHENTICATION_IGNORED, now_ms)
    if standing.usable(around.cards) is None:
        all_dead = bool(around.cards) and set(around.cards) <= set(standing.dead)
        return Stop(Cause.DECLINED_FOR_GOOD if all_dead else Cause.NO_CARD, now_ms)
    waits_until_ms = standing.waits_until_ms(now_ms)
    if waits_until_ms is not None:
        return Stop(Cause.TOO_OFTEN, now_ms, waits_until_ms)
    amount_micros = rule.payment_micros(around.balance_micros, around.step_micros, around.most_micros)
    if any(
        limit is not None and amount_micros > limit for limit in (rule.daily_limit_micros, rule.monthly_limit_micros)
    ):
        return Stop(Cause.LIMIT_TOO_LOW, now_ms)
    over = _passed_limit(rule, standing.spent.on(now_ms), amount_micros)
    if over is None:
        return amount_micros
    return Stop(over, now_ms, _next_month_ms(now_ms) if over is Cause.MONTHLY_LIMIT else _next_day_ms(now_ms))


def _passed_limit(rule: RefillRule, spent: Spent, amount_micros: int) -> Cause | None:
    if rule.monthly_limit_micros is not None and spent.month_micros + amount_micros > rule.monthly_limit_micros:
        return Cause.MONTHLY_LIMIT
    if rule.daily_limit_micros is not None and spent.day_micros + amount_micros > rule.daily_limit_micros:
        return Cause.DAILY_LIMIT
    return Cause.DAILY_COUNT if spent.day_count >= rule.daily_count_limit else None


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _next_day_ms(now_ms: int) -> int:
    midnight = _utc(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight + timedelta(days=1)).timestamp() * 1000)


def _next_month_ms(now_ms: int) -> int:
    first = _utc(now_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int((first + timedelta(days=32)).replace(day=1).timestamp() * 1000)
