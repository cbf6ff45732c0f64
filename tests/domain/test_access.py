"""The gate: may the next call start, and for how long?"""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.access import Allowed, Denied, decide, minutes_left_tenths, wallet_status
from chalicelib.domain.accounts import AccountStatus, GatePolicy, SubAccount, Workspace
from chalicelib.domain.rating import VOICE, Price, PriceType, RateCard, rate
from chalicelib.domain.wallet import Wallet, WalletStatus

NOW_MS = 1_000_000
DOLLAR = 1_000_000
COST = Price(PriceType.FIXED, 70_000)
FIFTEEN_CENTS = Price(PriceType.FIXED, 150_000)
ABSORBED = Price(PriceType.ABSORB)
PAUSED = AccountStatus.PAUSED


def workspace(cost: Price | None = COST, **facts: Any) -> Workspace:
    cards = (RateCard(0, prices={} if cost is None else {VOICE: cost}),)
    return dataclasses.replace(Workspace("ws_abc", "Acme", "usd", "owner@example.com", 0, cards), **facts)


def sub_account(price: Price | None = FIFTEEN_CENTS, **facts: Any) -> SubAccount:
    cards = (RateCard(0, prices={VOICE: price}),)
    return dataclasses.replace(SubAccount("sa_abc_def", "ws_abc", "Client", 0, cards), **facts)


def wallet(balance_micros: int, credit_limit_micros: int = 0) -> Wallet:
    return Wallet("ws_abc", "usd", balance_micros, credit_limit_micros)


def ask(
    workspace_micros: int = 1_000 * DOLLAR,
    sub_account_micros: int = 1_000 * DOLLAR,
    agency: Workspace | None = None,
    client: SubAccount | None = None,
) -> Allowed | Denied:
    own = wallet(sub_account_micros)
    return decide(agency or workspace(), wallet(workspace_micros), client or sub_account(), own, NOW_MS)


# Allowed


def test_with_full_wallets_a_call_may_last_as_long_as_any_call_may() -> None:
    assert ask() == Allowed(max_seconds=3600, sub_account_pays=True)


def test_a_call_may_last_as_long_as_the_poorer_wallet_can_pay() -> None:
    # the client's 1.00 at 0.15 a minute: 400 s; the workspace's 0.35 at 0.07 a minute: 300 s
    assert ask(1_000 * DOLLAR, 1 * DOLLAR) == Allowed(400, sub_account_pays=True)
    assert ask(350_000, 1_000 * DOLLAR) == Allowed(300, sub_account_pays=True)
    assert ask(350_000, 1 * DOLLAR) == Allowed(300, sub_account_pays=True)


def test_a_call_may_not_last_longer_than_the_policy_says_however_full_the_wallets() -> None:
    assert ask(agency=workspace(gate=GatePolicy(max_call_seconds=900))) == Allowed(900, sub_account_pays=True)


def test_a_call_that_can_pay_exactly_its_first_minute_may_start_and_one_micro_less_may_not() -> None:
    assert ask(sub_account_micros=150_000) == Allowed(60, sub_account_pays=True)
    assert ask(sub_account_micros=149_000).code == "sub_account_wallet_empty"
    assert ask(workspace_micros=70_000) == Allowed(60, sub_account_pays=True)
    assert ask(workspace_micros=69_000).code == "workspace_wallet_empty"


def test_a_wallet_that_cannot_pay_the_first_second_starts_no_call() -> None:
    agency = workspace(gate=GatePolicy(min_start_seconds=1))

    # a second at 0.15 a minute is 0.0025
    assert ask(sub_account_micros=2_500, agency=agency) == Allowed(1, sub_account_pays=True)
    assert ask(sub_account_micros=2_499, agency=agency).code == "sub_account_wallet_empty"


def test_the_shortest_start_never_asks_for_more_than_the_longest_call() -> None:
    policy = GatePolicy(min_start_seconds=60, max_call_seconds=30)

    # half a minute at 0.15 is 0.075
    assert ask(sub_account_micros=75_000, agency=workspace(gate=policy)) == Allowed(30, sub_account_pays=True)


def test_full_minutes_are_promised_only_as_full_minutes() -> None:
    by_the_minute = Price(PriceType.FIXED, 150_000, initial_increment_seconds=60, increment_seconds=60)

    # 0.44 pays two full minutes of 0.15, and a third would be begun by the 121st second
    assert ask(sub_account_micros=440_000, client=sub_account(by_the_minute)) == Allowed(120, sub_account_pays=True)


def test_a_connect_fee_is_set_aside_before_any_talk() -> None:
    with_fee = Price(PriceType.FIXED, 150_000, connect_fee_micros=100_000)

    # 0.40 less 0.10 pays two minutes of 0.15
    assert ask(sub_account_micros=400_000, client=sub_account(with_fee)) == Allowed(120, sub_account_pays=True)


def test_a_markup_is_paid_on_the_cost_of_today() -> None:
    half_more = Price(PriceType.MARKUP, markup_basis_points=5_000)

    # 1.05 at 0.07 x 1.5 = 0.105 a minute: 10 minutes
    assert ask(sub_account_micros=1_050_000, client=sub_account(half_more)) == Allowed(600, sub_account_pays=True)


@pytest.mark.parametrize(
    "rebilling_cards",
    [
        (),
        (RateCard(0, enabled=False, prices={VOICE: FIFTEEN_CENTS}),),
        (RateCard(0, prices={VOICE: None}),),
        (RateCard(0, prices={VOICE: ABSORBED}),),
        (RateCard(NOW_MS + 1, prices={VOICE: FIFTEEN_CENTS}),),
    ],
    ids=["no card", "re-billing off", "voice not billed", "absorbed", "re-billing from tomorrow"],
)
@pytest.mark.parametrize("own_micros", [-5 * DOLLAR, 0, 1_000 * DOLLAR])
def test_a_client_who_does_not_pay_may_call_whatever_is_in_its_wallet(
    rebilling_cards: tuple[RateCard, ...], own_micros: int
) -> None:
    client = sub_account(rebilling_cards=rebilling_cards)

    assert ask(350_000, own_micros, client=client) == Allowed(300, sub_account_pays=False)


def test_the_workspace_pays_even_for_clients_who_do_not() -> None:
    assert ask(workspace_micros=0, client=sub_account(ABSORBED)).code == "workspace_wallet_empty"


def test_credit_is_spent_like_balance() -> None:
    # 0.50 owed of a credit of 1.50 leaves 1.00: 400 s at 0.15 a minute
    own = wallet(-500_000, credit_limit_micros=1_500_000)

    assert decide(workspace(), wallet(100 * DOLLAR), sub_account(), own, NOW_MS) == Allowed(400, sub_account_pays=True)


# Denied


@pytest.mark.parametrize("own_micros", [0, -1, -5 * DOLLAR])
def test_an_empty_wallet_starts_no_call_even_at_a_price_of_zero(own_micros: int) -> None:
    free = sub_account(Price(PriceType.FIXED, 0))

    for denied in (ask(sub_account_micros=own_micros), ask(sub_account_micros=own_micros, client=free)):
        assert (denied.code, denied.scope) == ("sub_account_wallet_empty", "sub_account")


@pytest.mark.parametrize("micros", [0, -1, -5 * DOLLAR])
def test_an_empty_workspace_wallet_starts_no_call_of_any_client(micros: int) -> None:
    denied = ask(workspace_micros=micros)

    assert (denied.code, denied.scope) == ("workspace_wallet_empty", "workspace")


def test_credit_that_is_used_up_is_an_empty_wallet() -> None:
    own = wallet(-1_500_000, credit_limit_micros=1_500_000)

    assert decide(workspace(), wallet(100 * DOLLAR), sub_account(), own, NOW_MS).code == "sub_account_wallet_empty"


def test_a_paused_client_starts_no_call() -> None:
    denied = ask(client=sub_account(status=PAUSED))

    assert (denied.code, denied.scope) == ("sub_account_paused", "sub_account")


def test_a_paused_workspace_starts_no_call() -> None:
    denied = ask(agency=workspace(status=PAUSED))

    assert (denied.code, denied.scope) == ("workspace_paused", "workspace")


def test_the_first_thing_to_mend_is_said_first() -> None:
    paused_client, silent = sub_account(status=PAUSED), sub_account(rebilling_cards=(RateCard(0),))

    assert ask(0, 0, workspace(status=PAUSED), paused_client).code == "workspace_paused"
    assert ask(0, 0, client=paused_client).code == "sub_account_paused"
    assert ask(0, 0, client=silent).code == "price_missing"
    assert ask(0, 0).code == "workspace_wallet_empty"


def test_a_client_without_a_price_starts_no_call_because_free_must_be_said() -> None:
    denied = ask(client=sub_account(rebilling_cards=(RateCard(0),)))

    assert (denied.code, denied.scope) == ("price_missing", "sub_account")
    assert "sub-account" in denied.detail


def test_a_workspace_without_a_cost_starts_no_call_and_that_is_the_workspaces_trouble() -> None:
    denied = ask(agency=workspace(cost=None))

    assert denied.code == "price_missing"
    assert "workspace" in denied.detail
    assert denied.scope == "workspace"


def test_every_denial_has_a_sentence_for_people() -> None:
    denials = [ask(0), ask(sub_account_micros=0), ask(agency=workspace(status=PAUSED))]

    assert all(denied.detail.endswith(".") for denied in denials)


# What holds for every price and every balance


prices = st.builds(
    Price,
    price_type=st.sampled_from([PriceType.FIXED, PriceType.MARKUP]),
    price_per_unit_micros=st.integers(0, 3_000),
    markup_basis_points=st.integers(0, 20_000),
    initial_increment_seconds=st.integers(1, 70),
    increment_seconds=st.integers(1, 70),
    minimum_seconds=st.integers(0, 90),
    connect_fee_micros=st.integers(0, 500),
)
costs = st.builds(Price, st.just(PriceType.FIXED), st.integers(0, 3_000), increment_seconds=st.integers(1, 60))
policies = st.builds(GatePolicy, st.integers(1, 90), st.integers(1, 200))
balances = st.integers(-50, 5_000)


def affordable_seconds(own: Wallet, price: Price, cost: Price, policy: GatePolicy) -> int | None:
    """Every length tried, one by one."""
    lengths = range(policy.max_call_seconds + 1)
    paid = [n for n in lengths if rate(n * 1000, VOICE, price, 0, cost).amount_micros <= own.available_micros]
    shortest = min(policy.min_start_seconds, policy.max_call_seconds)
    return max(paid) if own.available_micros > 0 and max(paid) >= shortest else None


@given(costs, prices, balances, balances, st.integers(0, 500), policies)
def test_the_promised_seconds_are_exactly_those_that_counting_one_by_one_finds(
    cost: Price, price: Price, workspace_micros: int, own_micros: int, credit_micros: int, policy: GatePolicy
) -> None:
    workspace_wallet, own_wallet = wallet(workspace_micros), wallet(own_micros, credit_micros)
    longest = affordable_seconds(workspace_wallet, cost, cost, policy)
    own_longest = affordable_seconds(own_wallet, price, cost, policy)

    decision = decide(workspace(cost, gate=policy), workspace_wallet, sub_account(price), own_wallet, NOW_MS)

    if longest is None:
        assert decision.code == "workspace_wallet_empty"
    elif own_longest is None:
        assert decision.code == "sub_account_wallet_empty"
    else:
        assert decision == Allowed(min(longest, own_longest), sub_account_pays=True)


@given(costs, prices, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_call_that_ends_in_the_promised_time_leaves_neither_wallet_below_zero(
    cost: Price, price: Price, workspace_micros: int, own_micros: int
) -> None:
    decision = ask(workspace_micros, own_micros, workspace(cost), sub_account(price))

    if isinstance(decision, Allowed):
        talk_ms = decision.max_seconds * 1000
        assert rate(talk_ms, VOICE, cost, 0).amount_micros <= workspace_micros
        assert rate(talk_ms, VOICE, price, 0, cost).amount_micros <= own_micros


# How a wallet stands


@pytest.mark.parametrize("balance_micros", [-5 * DOLLAR, 0, 5 * DOLLAR, 500 * DOLLAR])
def test_the_wallet_of_a_paused_account_is_frozen_whatever_is_in_it(balance_micros: int) -> None:
    own = wallet(balance_micros)

    assert wallet_status(own, workspace(status=PAUSED), None, NOW_MS) is WalletStatus.FROZEN
    assert wallet_status(own, workspace(), sub_account(status=PAUSED), NOW_MS) is WalletStatus.FROZEN


def test_a_wallet_that_the_gate_would_refuse_is_empty_though_a_little_is_left_in_it() -> None:
    # 60 s at 0.15 a minute are 0.15
    assert wallet_status(wallet(149_000), workspace(), sub_account(), NOW_MS) is WalletStatus.EMPTY
    assert wallet_status(wallet(150_000), workspace(), sub_account(), NOW_MS) is WalletStatus.LOW
    assert wallet_status(wallet(69_000), workspace(), None, NOW_MS) is WalletStatus.EMPTY


@pytest.mark.parametrize("price", [None, Price(PriceType.ABSORB)])
def test_an_empty_wallet_that_pays_nothing_is_no_trouble_and_one_in_debt_is(price: Price | None) -> None:
    assert wallet_status(wallet(0), workspace(), sub_account(price), NOW_MS) is WalletStatus.OK
    assert wallet_status(wallet(-1), workspace(), sub_account(price), NOW_MS) is WalletStatus.EMPTY


def test_the_minutes_left_are_rounded_down_to_a_tenth_and_never_negative() -> None:
    # 1.00 at 0.15 a minute: 6.666... minutes
    assert minutes_left_tenths(wallet(1 * DOLLAR), workspace(), sub_account(), NOW_MS) == 66
    assert minutes_left_tenths(wallet(-1 * DOLLAR), workspace(), sub_account(), NOW_MS) == 0
    assert minutes_left_tenths(wallet(1 * DOLLAR), workspace(), None, NOW_MS) == 142
    assert minutes_left_tenths(wallet(1 * DOLLAR), workspace(), sub_account(None), NOW_MS) is None
    assert minutes_left_tenths(wallet(1 * DOLLAR), workspace(cost=None), sub_account(), NOW_MS) is None
