"""How a wallet's refills stand: what stops them, what makes them go on, and that a shortage is paid for once."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.refill import Refill, RefillRule
from chalicelib.domain.standing import (
    BREAKER_REFILLS,
    BREAKER_WINDOW_MS,
    IN_PLAIN_WORDS,
    LOOK_AGAIN_MS,
    STATE_OF,
    SUSPENDS_AFTER,
    Cause,
    Circumstances,
    RefillState,
    Spent,
    Standing,
    Stop,
    amount_or_stop,
)

DOLLAR, CENT, HOUR_MS, DAY_MS = 1_000_000, 10_000, 3_600_000, 86_400_000
OWNER, FIRST, BACKUP = "sa_abc_def", "pm_first", "pm_backup"
ON = RefillRule(enabled=True)


def at(moment: str) -> int:
    """Milliseconds of a moment in UTC: `2026-11-22 14:05`."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)


NOON = at("2026-11-22 12:00")
MOMENTS = st.integers(at("2023-12-30 00:00"), at("2029-03-02 00:00"))
AMOUNTS = st.integers(1, 10_000 * DOLLAR)


def standing(**more: object) -> Standing:
    return replace(Standing(OWNER, version=7, rule=ON), **more)  # type: ignore[arg-type]  # names are fields


def refill(at_ms: int = NOON, micros: int = 40 * DOLLAR, name: str = "rfl_1", card: str = FIRST) -> Refill:
    return Refill(name, OWNER, "ws_abc", micros, "usd", "acct_1", 1, False, "cus_1", card, at_ms)


def around(*cards: str, balance: int = 10, outside: Cause | None = None) -> Circumstances:
    return Circumstances(balance * DOLLAR, CENT, 10_000 * DOLLAR, cards, outside)


def open_one(at_ms: int = NOON, **more: object) -> tuple[Standing, Refill]:
    """A standing with a refill that was just opened, and that refill."""
    opened = refill(at_ms)
    return standing(**more).opened(opened.id, opened.amount_micros, at_ms), opened


# What people see


def test_refills_are_off_until_somebody_turns_them_on() -> None:
    assert Standing(OWNER).state() is RefillState.OFF
    assert standing().state() is RefillState.OK


def test_a_refill_on_its_way_is_shown_whatever_else_is_so() -> None:
    stop = Stop(Cause.DECLINED, NOON, NOON)
    assert standing(open_refill_id="rfl_1", stop=stop).state() is RefillState.CHARGING
    assert standing(open_refill_id="rfl_1", rule=RefillRule()).state() is RefillState.CHARGING


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_a_state_and_a_sentence_for_people(cause: Cause) -> None:
    stop = Stop(cause, NOON, why="it has expired")

    assert standing(stop=stop).state() is stop.state is STATE_OF[cause]
    assert stop.state not in (RefillState.OFF, RefillState.OK, RefillState.CHARGING)
    assert ("it has expired" in stop.detail) is ("{why}" in IN_PLAIN_WORDS[cause])
    assert stop.detail.endswith(".")
    assert not {"{", "}", "_"} & set(stop.detail)


def test_a_bank_that_did_not_say_why_is_quoted_as_such() -> None:
    assert "declined: the bank did not say why." in Stop(Cause.DECLINED, NOON).detail


def test_a_stop_of_a_rule_that_was_turned_off_is_not_shown() -> None:
    assert standing(rule=RefillRule(), stop=Stop(Cause.NO_CARD, NOON)).state() is RefillState.OFF


@pytest.mark.parametrize(("until_ms", "rests"), [(None, True), (NOON + 1, True), (NOON, False), (NOON - 1, False)])
def test_a_stop_lasts_until_its_time_or_until_somebody_acts(until_ms: int | None, rests: bool) -> None:
    assert standing(stop=Stop(Cause.DECLINED, NOON - HOUR_MS, until_ms)).rests_at(NOON) is rests
    assert not standing().rests_at(NOON)


# What refills came to


def test_a_new_day_begins_at_nothing_and_keeps_the_months_sum() -> None:
    before = Spent("2026-11-22", 2, 80 * DOLLAR, 300 * DOLLAR)

    assert before.on(at("2026-11-22 23:59:59.999")) == before
    assert before.on(at("2026-11-23 00:00")) == Spent("2026-11-23", 0, 0, 300 * DOLLAR)


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ("2026-11-30", "2026-12-01 00:00"),
        ("2026-12-31", "2027-01-01 00:00"),
        ("2028-02-29", "2028-03-01 00:00"),
        ("2026-11-22", "2027-11-22 00:00"),  # the same month of another year is another month
    ],
)
def test_a_new_month_begins_at_nothing(last: str, first: str) -> None:
    assert Spent(last, 2, 80 * DOLLAR, 300 * DOLLAR).on(at(first)) == Spent(first[:10], 0, 0, 0)


def test_the_29th_of_february_is_no_new_month() -> None:
    assert Spent("2028-02-28", 1, DOLLAR, DOLLAR).on(at("2028-02-29 00:00")) == Spent("2028-02-29", 0, 0, DOLLAR)


def test_a_refill_that_brought_nothing_is_taken_off_the_day_and_the_month_it_was_counted_in() -> None:
    today = Spent("2026-11-22", 2, 80 * DOLLAR, 300 * DOLLAR)

    assert today.without(NOON, 30 * DOLLAR) == Spent("2026-11-22", 1, 50 * DOLLAR, 270 * DOLLAR)
    assert today.without(NOON - DAY_MS, 30 * DOLLAR) == replace(today, month_micros=270 * DOLLAR)
    assert today.without(at("2026-10-31 23:59"), 30 * DOLLAR) == today


@given(MOMENTS, st.lists(st.tuples(st.integers(0, 40 * DAY_MS), AMOUNTS), min_size=1, max_size=12))
def test_what_was_spent_is_what_was_opened_this_day_and_this_month(
    start_ms: int, openings: list[tuple[int, int]]
) -> None:
    spent, opened = Spent(), []
    for pause_ms, micros in openings:
        start_ms += pause_ms
        spent = spent.on(start_ms).plus(1, micros)
        opened.append((datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%d"), micros))

    today = opened[-1][0]
    of_today = [micros for day, micros in opened if day == today]
    of_month = [micros for day, micros in opened if day[:7] == today[:7]]
    assert spent == Spent(today, len(of_today), sum(of_today), sum(of_month))


@given(MOMENTS, st.integers(0, 70 * DAY_MS), AMOUNTS, AMOUNTS)
def test_taking_a_refill_off_leaves_what_the_others_came_to(
    opened_ms: int, pause_ms: int, lost_micros: int, other_micros: int
) -> None:
    later_ms = opened_ms + pause_ms
    both = Spent().on(opened_ms).plus(1, lost_micros).on(later_ms).plus(1, other_micros)

    assert both.without(opened_ms, lost_micros) == Spent().on(later_ms).plus(1, other_micros)


@given(MOMENTS, AMOUNTS)
def test_taking_a_refill_off_twice_never_goes_below_nothing(opened_ms: int, micros: int) -> None:
    once = Spent().on(opened_ms).plus(1, micros).without(opened_ms, micros)
    next_day = once.on(opened_ms + DAY_MS)

    assert once.without(opened_ms, micros) == once == Spent(once.day)
    assert next_day.without(opened_ms, micros) == next_day == Spent(next_day.day)


# One refill from its opening to its end


def test_an_opened_refill_counts_at_once_and_takes_the_wallet_off_the_alarm_clock() -> None:
    opened = standing(wake_at_ms=NOON).opened("rfl_1", 40 * DOLLAR, NOON)

    assert (opened.open_refill_id, opened.wake_at_ms, opened.opened_ms) == ("rfl_1", None, (NOON,))
    assert opened.spent == Spent("2026-11-22", 1, 40 * DOLLAR, 40 * DOLLAR)


def test_a_paid_refill_makes_everything_well_and_the_next_waits_for_the_cooldown() -> None:
    opened, it = open_one(declines=2, tried=(BACKUP,), stop=Stop(Cause.DECLINED, NOON, NOON))

    paid = opened.paid(it, NOON + 5_000)

    assert (paid.open_refill_id, paid.stop, paid.declines, paid.tried) == (None, None, 0, ())
    assert paid.wake_at_ms == NOON + 5_000 + 60_000
    assert paid.spent == opened.spent


def test_a_refill_that_brought_nothing_does_not_count_and_is_looked_at_again_at_once() -> None:
    opened, it = open_one(spent=Spent("2026-11-22", 1, 30 * DOLLAR, 90 * DOLLAR), opened_ms=(NOON - 1,))

    let_go = opened.let_go(it, NOON + 5_000)

    assert let_go.spent == Spent("2026-11-22", 1, 30 * DOLLAR, 90 * DOLLAR)
    assert (let_go.open_refill_id, let_go.opened_ms, let_go.wake_at_ms) == (None, (NOON - 1,), NOON + 5_000)


def test_a_refill_that_ends_after_midnight_comes_off_the_day_that_it_was_opened_on() -> None:
    opened, it = open_one(at("2026-12-31 23:59"), spent=Spent("2026-12-31", 1, 30 * DOLLAR, 90 * DOLLAR))

    let_go = opened.let_go(it, at("2027-01-01 00:01"))

    assert let_go.spent.on(at("2027-01-01 00:01")) == Spent("2027-01-01", 0, 0, 0)
    assert let_go.spent == Spent("2026-12-31", 1, 30 * DOLLAR, 90 * DOLLAR)


def test_a_refill_that_was_let_go_of_before_changes_nothing_when_it_is_let_go_of_again() -> None:
    opened, it = open_one()
    ended = opened.let_go(it, NOON + 1)

    assert ended.let_go(it, NOON + 2) == ended
    assert ended.opened("rfl_2", DOLLAR, NOON + 2).let_go(it, NOON + 3).open_refill_id == "rfl_2"


def test_a_refill_that_was_let_go_of_and_was_paid_after_all_counts_after_all() -> None:
    opened, it = open_one()

    paid = opened.let_go(it, NOON + 1).opened("rfl_2", DOLLAR, NOON + 2).paid(it, NOON + 3)

    assert (paid.open_refill_id, paid.spent.day_count) == ("rfl_2", 2)
    assert paid.spent.day_micros == it.amount_micros + DOLLAR


@pytest.mark.parametrize("end", [Standing.paid, Standing.let_go])
def test_refills_go_on_once_it_is_known_what_became_of_the_one_that_was_out_of_reach(
    end: Callable[[Standing, Refill, int], Standing],
) -> None:
    opened, it = open_one()
    aside = opened.let_go(it, NOON).stopped(Stop(Cause.OUT_OF_REACH, NOON))
    assert (aside.state(), aside.rests_at(NOON + DAY_MS)) == (RefillState.HELD, True)

    known = end(aside, it, NOON + DAY_MS)

    assert (known.state(), known.wake_at_ms) == (RefillState.OK, NOON + DAY_MS)


# Declines


def declined(before: Standing, card: str, now_ms: int, hard: bool = False, others: tuple[str, ...] = ()) -> Standing:
    return before.declined(card, hard, others, "there is not enough money on it", now_ms)


def test_a_declined_card_is_tried_after_an_hour_after_six_and_then_no_more() -> None:
    first = declined(standing(), FIRST, NOON)
    second = declined(first, FIRST, NOON + HOUR_MS)
    third = declined(second, FIRST, NOON + 7 * HOUR_MS)

    assert [each.wake_at_ms for each in (first, second, third)] == [NOON + HOUR_MS, NOON + 7 * HOUR_MS, None]
    assert [each.state() for each in (first, second)] == [RefillState.RETRYING] * 2
    assert (third.state(), third.stop and third.stop.cause) == (RefillState.SUSPENDED, Cause.DECLINED_TOO_OFTEN)
    assert third.rests_at(NOON + 365 * DAY_MS)
    assert SUSPENDS_AFTER == 3


def test_the_backup_card_is_asked_at_once_and_both_count_as_one_round() -> None:
    first = declined(standing(), FIRST, NOON, others=(BACKUP,))
    assert (first.usable((FIRST, BACKUP)), first.wake_at_ms, first.rests_at(NOON)) == (BACKUP, NOON, False)
    assert first.declines == 0

    both = declined(first, BACKUP, NOON + 60_000, others=(FIRST,))

    assert (both.usable((FIRST, BACKUP)), both.wake_at_ms) == (FIRST, NOON + 60_000 + HOUR_MS)
    assert (both.declines, both.dead) == (1, ())


def test_three_rounds_of_both_cards_suspend_the_rule() -> None:
    now_ms, asked, current = NOON, [], standing()
    while not current.rests_at(now_ms + DAY_MS):
        card = current.usable((FIRST, BACKUP))
        assert card is not None
        asked.append(card)
        current = declined(current, card, now_ms, others=(FIRST, BACKUP) if card == BACKUP else (BACKUP,))
        now_ms = max(now_ms, current.wake_at_ms or 0)

    assert asked == [FIRST, BACKUP] * 3
    assert current.stop and current.stop.cause is Cause.DECLINED_TOO_OFTEN


def test_a_card_that_is_declined_for_good_is_never_chosen_again() -> None:
    alone = declined(standing(), FIRST, NOON, hard=True)
    assert alone.stop and (alone.stop.cause, alone.stop.until_ms) == (Cause.DECLINED_FOR_GOOD, None)
    assert alone.usable((FIRST,)) is None
    assert alone.revived(NOON).usable((FIRST,)) is None
    assert alone.with_rule(ON, NOON).usable((FIRST,)) is None
    assert alone.revived(NOON).usable((FIRST, "pm_new")) == "pm_new"


def test_a_dead_card_with_a_backup_leaves_the_backup_to_be_tried_later() -> None:
    first = declined(standing(), FIRST, NOON, hard=True, others=(BACKUP,))
    later = declined(first, BACKUP, NOON + 1, others=(FIRST,))

    assert later.usable((FIRST, BACKUP)) == BACKUP
    assert later.stop and (later.stop.cause, later.stop.until_ms) == (Cause.DECLINED, NOON + 1 + HOUR_MS)


def test_a_stop_for_the_same_cause_keeps_its_beginning_and_another_cause_begins_anew() -> None:
    held = standing().stopped(Stop(Cause.DISPUTED, NOON, NOON + LOOK_AGAIN_MS))
    still = held.stopped(Stop(Cause.DISPUTED, NOON + LOOK_AGAIN_MS, NOON + 2 * LOOK_AGAIN_MS))
    other = still.stopped(Stop(Cause.PAUSED, NOON + 2 * LOOK_AGAIN_MS, None))

    assert still.stop == Stop(Cause.DISPUTED, NOON, NOON + 2 * LOOK_AGAIN_MS)
    assert other.stop == Stop(Cause.PAUSED, NOON + 2 * LOOK_AGAIN_MS, None)
    assert (still.wake_at_ms, other.wake_at_ms) == (NOON + 2 * LOOK_AGAIN_MS, None)


def test_whoever_acts_gets_a_fresh_start_at_once() -> None:
    once = declined(standing(), FIRST, NOON)
    stuck = replace(declined(once, FIRST, NOON), tried=(FIRST,))
    assert stuck.rests_at(NOON)

    for fresh in (stuck.revived(NOON), stuck.with_rule(ON, NOON)):
        assert (fresh.stop, fresh.declines, fresh.tried, fresh.state()) == (None, 0, (), RefillState.OK)
    assert (stuck.revived(NOON).wake_at_ms, stuck.with_rule(ON, NOON).wake_at_ms) == (NOON, None)


def test_a_wallet_whose_rest_is_over_is_watched_again_and_says_still_what_had_stopped_it() -> None:
    rested = declined(standing(), FIRST, NOON)

    still_due, filled = rested.awake(rested.stop), rested.awake(None)

    assert (still_due.wake_at_ms, still_due.state()) == (None, RefillState.RETRYING)
    assert (filled.wake_at_ms, filled.state()) == (None, RefillState.OK)


def test_another_rule_leaves_a_refill_that_is_under_way_and_what_was_spent() -> None:
    opened, _ = open_one()
    changed = opened.with_rule(RefillRule(enabled=False), NOON)

    assert (changed.open_refill_id, changed.spent, changed.opened_ms) == ("rfl_1", opened.spent, opened.opened_ms)
    assert not changed.rule.enabled


# More refills of one wallet than can be right


def test_a_fourth_refill_waits_until_the_first_of_the_three_is_ten_minutes_old() -> None:
    current = standing()
    for number in range(BREAKER_REFILLS):
        assert current.waits_until_ms(NOON + number) is None
        current = current.opened(f"rfl_{number}", DOLLAR, NOON + number)
        current = current.paid(refill(NOON + number, name=f"rfl_{number}"), NOON + number)

    held = stop_of(amount_or_stop(current, around(FIRST), NOON + BREAKER_WINDOW_MS - 1))

    assert (held.cause, held.until_ms) == (Cause.TOO_OFTEN, NOON + BREAKER_WINDOW_MS)
    assert current.waits_until_ms(NOON + BREAKER_WINDOW_MS) is None
    assert not current.too_many_at(NOON + BREAKER_REFILLS)


def test_more_than_three_refills_within_ten_minutes_are_more_than_can_be_right() -> None:
    current = standing(opened_ms=tuple(NOON + number for number in range(BREAKER_REFILLS + 1)))

    assert current.too_many_at(NOON + BREAKER_WINDOW_MS - 1)
    assert not current.too_many_at(NOON + BREAKER_WINDOW_MS)


def test_only_the_last_ten_minutes_of_openings_are_kept() -> None:
    old = standing(opened_ms=(NOON - BREAKER_WINDOW_MS, NOON - BREAKER_WINDOW_MS + 1))

    assert old.opened("rfl_1", DOLLAR, NOON).opened_ms == (NOON - BREAKER_WINDOW_MS + 1, NOON)


# May it be refilled now, and by how much?


def stop_of(found: int | Stop) -> Stop:
    assert isinstance(found, Stop)
    return found


def test_a_wallet_that_nothing_speaks_against_is_refilled_by_what_its_rule_says() -> None:
    assert amount_or_stop(standing(), around(FIRST, balance=-113), NOON) == 163 * DOLLAR


def test_one_payment_takes_no_more_than_one_may() -> None:
    cut = replace(around(FIRST, balance=-113), most_micros=100 * DOLLAR)
    assert amount_or_stop(standing(), cut, NOON) == 100 * DOLLAR


@pytest.mark.parametrize(
    "cause",
    [
        Cause.NOT_CONNECTED,
        Cause.PAYMENTS_DISABLED,
        Cause.DISPUTED,
        Cause.PAUSED,
        Cause.SWITCHED_OFF,
    ],
)
def test_what_holds_a_refill_from_outside_is_looked_at_again_in_five_minutes(cause: Cause) -> None:
    stop = stop_of(amount_or_stop(standing(), around(FIRST, outside=cause), NOON))

    assert (stop.cause, stop.since_ms, stop.until_ms) == (cause, NOON, NOON + 5 * 60_000)
    assert stop.state is RefillState.HELD


def test_without_any_card_refills_wait_for_one() -> None:
    assert amount_or_stop(standing(), around(), NOON) == Stop(Cause.NO_CARD, NOON)


def test_whoever_tries_again_with_a_card_that_was_declined_for_good_is_told_to_save_another() -> None:
    dead = declined(standing(dead=("pm_before",)), FIRST, NOON, hard=True)

    for asked_again in (dead, dead.revived(NOON), dead.with_rule(ON, NOON)):
        stop = stop_of(amount_or_stop(asked_again, around(FIRST), NOON))
        assert (stop.cause, stop.until_ms) == (Cause.DECLINED_FOR_GOOD, None)


def test_a_link_that_nobody_used_is_a_stop_of_its_own_until_somebody_acts() -> None:
    asked = standing(stop=Stop(Cause.AUTHENTICATION_REQUIRED, NOON - DAY_MS, NOON, url="/payments/action"))

    assert amount_or_stop(asked, around(FIRST), NOON) == Stop(Cause.AUTHENTICATION_IGNORED, NOON)
    assert amount_or_stop(asked.revived(NOON), around(FIRST), NOON) == 40 * DOLLAR


def limited(spent_count: int = 0, spent: int = 0, **limits: int) -> Standing:
    """On the 22nd, with so much spent on that day and 100 more earlier in the month."""
    of_day = Spent("2026-11-22", spent_count, spent * DOLLAR, (spent + 100) * DOLLAR)
    return standing(rule=replace(ON, **limits), spent=of_day)  # type: ignore[arg-type]  # names are fields


@pytest.mark.parametrize(
    ("limits", "cause", "until"),
    [
        ({"daily_limit_micros": 70 * DOLLAR}, Cause.DAILY_LIMIT, "2026-11-23 00:00"),
        ({"monthly_limit_micros": 170 * DOLLAR}, Cause.MONTHLY_LIMIT, "2026-12-01 00:00"),
    ],
)
def test_a_limit_is_kept_to_the_last_millionth(limits: dict[str, int], cause: Cause, until: str) -> None:
    ((name, limit_micros),) = limits.items()

    assert amount_or_stop(limited(spent=30, **limits), around(FIRST), NOON) == 40 * DOLLAR
    stop = stop_of(amount_or_stop(limited(spent=30, **{name: limit_micros - 1}), around(FIRST), NOON))
    assert (stop.cause, stop.until_ms) == (cause, at(until))


def test_the_days_count_is_kept_and_begins_again_at_midnight() -> None:
    full = limited(spent_count=2, daily_count_limit=2)

    stop = stop_of(amount_or_stop(full, around(FIRST), NOON))

    assert (stop.cause, stop.until_ms) == (Cause.DAILY_COUNT, at("2026-11-23 00:00"))
    assert amount_or_stop(full, around(FIRST), at("2026-11-23 00:00")) == 40 * DOLLAR


def test_of_two_limits_the_one_that_lasts_longer_is_named() -> None:
    both = limited(spent=30, daily_limit_micros=50 * DOLLAR, monthly_limit_micros=150 * DOLLAR)

    assert stop_of(amount_or_stop(both, around(FIRST), NOON)).cause is Cause.MONTHLY_LIMIT


@pytest.mark.parametrize(
    ("now", "next_day", "next_month"),
    [
        ("2026-12-31 23:59:59.999", "2027-01-01 00:00", "2027-01-01 00:00"),
        ("2026-12-01 00:00", "2026-12-02 00:00", "2027-01-01 00:00"),
        ("2027-01-31 12:00", "2027-02-01 00:00", "2027-02-01 00:00"),
        ("2027-02-28 12:00", "2027-03-01 00:00", "2027-03-01 00:00"),
        ("2028-02-28 12:00", "2028-02-29 00:00", "2028-03-01 00:00"),
        ("2028-02-29 00:00", "2028-03-01 00:00", "2028-03-01 00:00"),
    ],
)
def test_refills_go_on_at_the_first_moment_of_the_next_day_or_month(now: str, next_day: str, next_month: str) -> None:
    rules = (replace(ON, daily_limit_micros=50 * DOLLAR), replace(ON, monthly_limit_micros=50 * DOLLAR))

    stops = [stop_of(amount_or_stop(nearly_at_its_limit(rule, at(now)), around(FIRST), at(now))) for rule in rules]

    assert [stop.until_ms for stop in stops] == [at(next_day), at(next_month)]


def nearly_at_its_limit(rule: RefillRule, now_ms: int) -> Standing:
    """Fifty dollars may be spent, forty were."""
    return standing(
        rule=rule, spent=Spent(f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d}", 1, 40 * DOLLAR, 40 * DOLLAR)
    )


@given(MOMENTS)
def test_the_next_day_and_month_begin_later_and_at_their_very_beginning(now_ms: int) -> None:
    of_a_day, of_a_month = replace(ON, daily_limit_micros=50 * DOLLAR), replace(ON, monthly_limit_micros=50 * DOLLAR)
    for rule, most_days in ((of_a_day, 1), (of_a_month, 31)):
        until_ms = stop_of(amount_or_stop(nearly_at_its_limit(rule, now_ms), around(FIRST), now_ms)).until_ms
        assert until_ms is not None
        assert now_ms < until_ms <= now_ms + most_days * DAY_MS
        assert until_ms % DAY_MS == 0
        assert most_days == 1 or datetime.fromtimestamp(until_ms / 1000, UTC).day == 1


# A whole life


@dataclass
class Life:
    """A wallet at its threshold with two cards, minute by minute as the clock sees it; it remembers what was done."""

    rule: RefillRule
    now_ms: int = NOON
    current: Standing = field(default_factory=lambda: standing(version=0))
    asked: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    paid: list[tuple[int, int]] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.move(self.current.with_rule(self.rule, self.now_ms))

    def move(self, after: Standing) -> None:
        self.versions.append(after.version)
        self.current = after

    def tick(self, outcome: str) -> None:
        """What one look at the wallet does, where a card that is asked answers like this."""
        if self.current.rests_at(self.now_ms) or self.now_ms < (self.current.wake_at_ms or 0):
            return
        found = amount_or_stop(self.current, around(FIRST, BACKUP), self.now_ms)
        if isinstance(found, Stop):
            self.move(self.current.stopped(found))
            return
        card = self.current.usable((FIRST, BACKUP))
        assert card is not None
        assert self.current.open_refill_id is None
        it = replace(refill(self.now_ms, found, f"rfl_{len(self.asked)}"), payment_method_id=card)
        self.move(self.current.opened(it.id, found, self.now_ms))
        self.asked.append(card)
        self.end(it, outcome)

    def end(self, it: Refill, outcome: str) -> None:
        free, card = self.current.let_go(it, self.now_ms), it.payment_method_id
        if outcome == "paid":
            self.paid.append((self.now_ms, it.amount_micros))
            self.move(self.current.paid(it, self.now_ms))
        elif outcome == "abandoned":
            self.move(free)
        else:
            self.dead |= {card} if outcome == "dead" else set()
            others = tuple(other for other in (FIRST, BACKUP) if other != card)
            self.move(declined(free, card, self.now_ms, outcome == "dead", others))


OUTCOMES = st.sampled_from(["paid", "soft", "soft", "dead", "abandoned"])
HISTORIES = st.lists(st.tuples(OUTCOMES, st.sampled_from([1, 60, 360, 1_440])), min_size=1, max_size=40)


@given(HISTORIES)
def test_whatever_happens_no_dead_card_is_asked_and_every_change_is_a_newer_version(
    history: list[tuple[str, int]],
) -> None:
    life = Life(ON)
    for outcome, minutes in history:
        known_dead, asked_before = set(life.dead), len(life.asked)
        life.tick(outcome)
        assert not known_dead & set(life.asked[asked_before:])
        life.now_ms += minutes * 60_000

    assert life.versions == sorted(set(life.versions))
    assert life.current.open_refill_id is None


@given(HISTORIES)
def test_whatever_happens_the_limits_of_the_day_and_the_month_are_kept(history: list[tuple[str, int]]) -> None:
    life = Life(replace(ON, daily_limit_micros=90 * DOLLAR, monthly_limit_micros=150 * DOLLAR, daily_count_limit=3))
    for outcome, minutes in history:
        life.tick(outcome)
        life.now_ms += minutes * 60_000

    days, months = Counter[str](), Counter[str]()
    for at_ms, micros in life.paid:
        day = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
        days[day] += micros
        months[day[:7]] += micros
    assert max(days.values(), default=0) <= 90 * DOLLAR
    assert max(months.values(), default=0) <= 150 * DOLLAR


@given(HISTORIES)
def test_cards_that_are_only_ever_declined_are_asked_at_most_three_times_each(history: list[tuple[str, int]]) -> None:
    life = Life(ON)
    for outcome, minutes in history:
        life.tick("soft" if outcome in ("paid", "abandoned") else outcome)
        life.now_ms += minutes * 60_000

    assert max(life.asked.count(card) for card in (FIRST, BACKUP)) <= SUSPENDS_AFTER
