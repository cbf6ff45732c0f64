"""Wallets: what can be spent, and the state a person should see."""

import dataclasses

import pytest

from chalicelib.domain.wallet import Entry, EntryKind, Leg, Wallet, WalletStatus

DOLLAR = 1_000_000


def wallet(balance_micros: int, credit_limit_micros: int = 0, refill_threshold_micros: int | None = None) -> Wallet:
    return Wallet("sa_abc_def", "usd", balance_micros, credit_limit_micros, refill_threshold_micros)


def entry(**legs: Leg | None) -> Entry:
    return Entry("ent_1", EntryKind.USAGE, "ws_abc", "retell", "call_1", "f" * 32, "usd", 1, 2, **legs)


def test_what_can_be_spent_is_the_balance_and_the_credit() -> None:
    assert Wallet("sa_abc_def", "usd", 5 * DOLLAR).available_micros == 5 * DOLLAR
    assert wallet(-2 * DOLLAR, credit_limit_micros=5 * DOLLAR).available_micros == 3 * DOLLAR
    assert wallet(-6 * DOLLAR, credit_limit_micros=5 * DOLLAR).available_micros == -1 * DOLLAR


@pytest.mark.parametrize(
    ("balance_micros", "status"),
    [
        (-1, WalletStatus.EMPTY),
        (0, WalletStatus.EMPTY),
        (1, WalletStatus.LOW),
        (10 * DOLLAR - 1, WalletStatus.LOW),
        (10 * DOLLAR, WalletStatus.OK),
    ],
)
def test_a_wallet_is_low_below_10_and_empty_at_nothing(balance_micros: int, status: WalletStatus) -> None:
    assert wallet(balance_micros).status() is status


@pytest.mark.parametrize(
    ("balance_micros", "threshold_micros", "status"),
    [
        (25 * DOLLAR - 1, 25 * DOLLAR, WalletStatus.LOW),
        (25 * DOLLAR, 25 * DOLLAR, WalletStatus.OK),
        (1, 0, WalletStatus.OK),
        (0, 0, WalletStatus.EMPTY),
    ],
)
def test_a_wallet_with_a_refill_rule_is_low_below_its_own_threshold(
    balance_micros: int, threshold_micros: int, status: WalletStatus
) -> None:
    assert wallet(balance_micros, refill_threshold_micros=threshold_micros).status() is status


def test_a_wallet_on_credit_is_empty_only_when_the_credit_is_used_up() -> None:
    assert wallet(-1 * DOLLAR, credit_limit_micros=1 * DOLLAR).status() is WalletStatus.EMPTY
    assert wallet(-1 * DOLLAR + 1, credit_limit_micros=1 * DOLLAR).status() is WalletStatus.LOW
    assert wallet(0, credit_limit_micros=10 * DOLLAR).status() is WalletStatus.OK


def test_an_entry_moves_the_wallets_that_it_names_and_no_other() -> None:
    of_workspace, of_client = Leg("ws_abc", -49_000), Leg("sa_abc_def", -105_000)

    assert entry(workspace_leg=of_workspace, sub_account_leg=of_client).legs == (of_workspace, of_client)
    assert entry(workspace_leg=of_workspace).legs == (of_workspace,)
    assert entry(sub_account_leg=of_client).legs == (of_client,)
    assert entry().legs == ()


def test_an_entry_is_never_changed() -> None:
    posted = entry(workspace_leg=Leg("ws_abc", -49_000))

    with pytest.raises(dataclasses.FrozenInstanceError):
        posted.workspace_leg = None  # type: ignore[misc]  # what must not work


def test_the_words_that_others_read_are_those_of_the_api() -> None:
    assert {status.value for status in WalletStatus} == {"ok", "low", "empty", "frozen"}
    assert {kind.value for kind in EntryKind} == {
        *("usage", "credit", "top_up", "refill", "refund", "dispute", "correction")
    }
