"""Rate cards: dated, and a call is rated under the one in force when it was answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid, PriceMissing
from chalicelib.domain.rating import VOICE, Price, PriceType, RateCard, card_in_force, rate_both, rebilled_price

CHANGE_MS = 1_000_000
COST = Price(PriceType.FIXED, 70_000)
COST_CARDS = (RateCard(0, prices={VOICE: COST}),)


def card(effective_at_ms: int, price_per_minute_micros: int = 0, enabled: bool = True) -> RateCard:
    return RateCard(effective_at_ms, enabled, {VOICE: Price(PriceType.FIXED, price_per_minute_micros)})


@pytest.mark.parametrize(
    ("at_ms", "price_micros"),
    [(CHANGE_MS - 1, 150_000), (CHANGE_MS, 200_000), (CHANGE_MS + 1, 200_000)],
)
def test_a_new_price_counts_from_its_very_millisecond_on(at_ms: int, price_micros: int) -> None:
    cards = (card(0, 150_000), card(CHANGE_MS, 200_000))

    in_force = card_in_force(cards, at_ms)

    assert in_force.prices[VOICE].price_per_unit_micros == price_micros


def test_before_the_first_card_there_is_none() -> None:
    assert card_in_force((card(CHANGE_MS),), CHANGE_MS - 1) is None
    assert card_in_force((), CHANGE_MS) is None


def test_of_two_cards_with_the_same_date_the_later_said_counts() -> None:
    said_first, said_later = card(CHANGE_MS, 150_000), card(CHANGE_MS, 200_000)

    assert card_in_force((card(0), said_first, said_later), CHANGE_MS) is said_later
    assert card_in_force((said_first, said_later, card(0)), CHANGE_MS + 1) is said_later


@given(st.lists(st.integers(0, 50), unique=True, max_size=8), st.integers(-1, 51), st.randoms(use_true_random=False))
def test_the_order_in_which_cards_are_kept_does_not_matter(dates: list[int], at_ms: int, random) -> None:
    shuffled = random.sample(dates, len(dates))
    latest = max((date for date in dates if date <= at_ms), default=None)

    in_force = card_in_force([card(date) for date in shuffled], at_ms)

    assert (in_force.effective_at_ms if in_force else None) == latest


def test_a_card_for_next_week_changes_nothing_today() -> None:
    today, next_week = card(0, 150_000), card(CHANGE_MS, 900_000)

    _, charge = rate_both(60_000, VOICE, CHANGE_MS - 1, COST_CARDS, (today, next_week))

    assert charge.amount_micros == 150_000
    assert charge.card_effective_at_ms == 0


def test_both_legs_are_rated_under_the_cards_of_the_same_moment() -> None:
    cost_cards = (
        RateCard(0, prices={VOICE: COST}),
        RateCard(CHANGE_MS, prices={VOICE: Price(PriceType.FIXED, 80_000)}),
    )
    rebilling_cards = (RateCard(0, prices={VOICE: Price(PriceType.MARKUP, markup_basis_points=5_000)}),)

    before = rate_both(60_000, VOICE, CHANGE_MS - 1, cost_cards, rebilling_cards)
    after = rate_both(60_000, VOICE, CHANGE_MS, cost_cards, rebilling_cards)

    # 0.07 and 0.07 x 1.5 = 0.105; then 0.08 and 0.08 x 1.5 = 0.12
    assert [charge.amount_micros for charge in before] == [70_000, 105_000]
    assert [charge.amount_micros for charge in after] == [80_000, 120_000]
    assert [charge.card_effective_at_ms for charge in after] == [CHANGE_MS, 0]


def test_a_client_pays_nothing_for_calls_answered_before_re_billing_was_turned_on() -> None:
    rebilling_cards = (card(0, 150_000, enabled=False), card(CHANGE_MS, 150_000))

    workspace_charge, before = rate_both(60_000, VOICE, CHANGE_MS - 1, COST_CARDS, rebilling_cards)
    _, after = rate_both(60_000, VOICE, CHANGE_MS, COST_CARDS, rebilling_cards)

    assert workspace_charge.amount_micros == 70_000
    assert before is None
    assert after.amount_micros == 150_000


def test_a_client_still_pays_for_calls_answered_before_re_billing_was_turned_off() -> None:
    rebilling_cards = (card(0, 150_000), card(CHANGE_MS, enabled=False))

    _, before = rate_both(60_000, VOICE, CHANGE_MS - 1, COST_CARDS, rebilling_cards)
    _, after = rate_both(60_000, VOICE, CHANGE_MS, COST_CARDS, rebilling_cards)

    assert before.amount_micros == 150_000
    assert after is None


def test_a_client_without_any_card_is_not_re_billed() -> None:
    workspace_charge, charge = rate_both(60_000, VOICE, 0, COST_CARDS, ())

    assert workspace_charge.amount_micros == 70_000
    assert charge is None


def test_an_absorbed_call_has_a_client_leg_of_zero_because_it_was_said_to_be_free() -> None:
    _, charge = rate_both(60_000, VOICE, 0, COST_CARDS, (RateCard(0, prices={VOICE: Price(PriceType.ABSORB)}),))

    assert charge.amount_micros == 0


def test_a_price_below_cost_is_charged_as_it_was_agreed() -> None:
    workspace_charge, charge = rate_both(60_000, VOICE, 0, COST_CARDS, (card(0, 10_000),))

    assert (workspace_charge.amount_micros, charge.amount_micros) == (70_000, 10_000)


def test_a_meter_that_is_deliberately_not_billed_is_no_missing_price() -> None:
    not_billed = RateCard(0, prices={VOICE: None})

    assert rebilled_price(not_billed, VOICE) is None
    assert rate_both(60_000, VOICE, 0, COST_CARDS, (not_billed,))[1] is None


def test_a_card_that_is_silent_about_a_meter_is_a_missing_price_and_never_free() -> None:
    cost_cards = (RateCard(0, prices={VOICE: COST, "chat": COST}),)

    with pytest.raises(PriceMissing) as missing:
        rate_both(3, "chat", 0, cost_cards, (card(0, 150_000),))

    assert isinstance(missing.value, Invalid)
    assert (missing.value.code, missing.value.param) == ("price_missing", "chat")
    assert "sub-account" in missing.value.detail


def test_a_silent_card_is_no_trouble_while_re_billing_is_off() -> None:
    assert rebilled_price(RateCard(0, enabled=False), VOICE) is None
    assert rebilled_price(None, VOICE) is None


CHAT_COST = (RateCard(0, prices={"chat": Price(PriceType.FIXED, 1_000)}),)


def chat_card(effective_at_ms: int, price_micros: int) -> RateCard:
    return RateCard(effective_at_ms, prices={"chat": Price(PriceType.FIXED, price_micros)})


def test_what_waited_for_its_price_is_rated_by_the_first_one_that_is_set() -> None:
    set_later = (chat_card(30, 3_000), card(0), card(10), chat_card(20, 2_000))

    _, charge = rate_both(5, "chat", 0, CHAT_COST, set_later)

    assert charge.amount_micros == 10_000
    assert charge.card_effective_at_ms == 20


def test_a_price_that_was_corrected_in_the_same_moment_counts_as_corrected() -> None:
    set_later = (card(0), chat_card(20, 9_000), chat_card(20, 2_000))

    _, waited = rate_both(5, "chat", 0, CHAT_COST, set_later)
    _, punctual = rate_both(5, "chat", 20, CHAT_COST, set_later)

    assert waited.amount_micros == punctual.amount_micros == 10_000


def test_a_later_price_never_replaces_the_one_that_was_in_force() -> None:
    _, charge = rate_both(5, "chat", 19, CHAT_COST, (chat_card(0, 1_000), chat_card(20, 2_000)))

    assert charge.amount_micros == 5_000


@pytest.mark.parametrize(
    "cost_cards",
    [(), (RateCard(0),), (RateCard(0, prices={VOICE: None}),), (RateCard(CHANGE_MS, prices={VOICE: COST}),)],
    ids=["no card", "a silent card", "a card that says not billed", "a card of later"],
)
def test_a_workspace_always_has_a_cost_or_nothing_is_rated(cost_cards: tuple[RateCard, ...]) -> None:
    with pytest.raises(PriceMissing) as missing:
        rate_both(60_000, VOICE, 0, cost_cards, (card(0, 150_000),))

    assert "workspace" in missing.value.detail
