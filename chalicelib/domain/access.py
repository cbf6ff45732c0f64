"""The gate: may the next call start, and for how long? A pure decision over two wallets."""

from dataclasses import dataclass, replace
from functools import lru_cache

from chalicelib.domain.accounts import AccountStatus, GatePolicy, SubAccount, Workspace
from chalicelib.domain.errors import PriceMissing
from chalicelib.domain.rating import MS_PER_MINUTE, VOICE, Price, PriceType, card_in_force, rate, rebilled_price
from chalicelib.domain.wallet import Wallet, WalletStatus

MINUTES_AT_ONCE = 1_000_000  # so that what a minute costs is known to a millionth of a micro


@dataclass(frozen=True)
class Allowed:
    """The call may start and can be paid for `max_seconds`."""

    max_seconds: int
    sub_account_pays: bool


@dataclass(frozen=True)
class Denied:
    """No new call. `scope` says whose trouble it is: `workspace` or `sub_account`."""

    code: str
    scope: str
    detail: str


def decide(
    workspace: Workspace,
    workspace_wallet: Wallet,
    sub_account: SubAccount,
    sub_account_wallet: Wallet,
    now_ms: int,
) -> Allowed | Denied:
    """Decide over one call that wants to start now.

    The workspace's wallet always counts; the sub-account's only while re-billing makes it pay.
    """
    if workspace.status is AccountStatus.PAUSED:
        return Denied("workspace_paused", "workspace", "This workspace is paused: no new calls start.")
    if sub_account.status is AccountStatus.PAUSED:
        return Denied("sub_account_paused", "sub_account", "This sub-account is paused: no new calls start.")
    if sub_account.status is AccountStatus.CLOSED:
        return Denied("sub_account_closed", "sub_account", "This sub-account is closed: no new calls start.")
    try:
        cost, price = voice_prices(workspace, sub_account, now_ms)
    except PriceMissing as missing:
        scope = missing.whose.replace("-", "_")
        return Denied("price_missing", scope, f"{missing.detail} Set one, or say that it is not billed.")
    longest = _affordable_seconds(workspace_wallet, cost, None, workspace.gate)
    if longest is None:
        return Denied("workspace_wallet_empty", "workspace", "The workspace's wallet cannot pay for another call.")
    if price is None or price.price_type is PriceType.ABSORB:
        return Allowed(longest, sub_account_pays=False)
    own = _affordable_seconds(sub_account_wallet, price, cost, workspace.gate)
    if own is None:
        return Denied("sub_account_wallet_empty", "sub_account", "The sub-account's wallet cannot pay another call.")
    return Allowed(min(longest, own), sub_account_pays=True)


def voice_prices(workspace: Workspace, sub_account: SubAccount | None, at_ms: int) -> tuple[Price, Price | None]:
    """What a minute costs the workspace at that moment, and what the wallet in question pays for it.

    That is the sub-account's price, None while it is not re-billed; without a sub-account, the workspace's cost.

    Raises:
        PriceMissing: a card that should name a price for voice does not.
    """
    cost_card = card_in_force(workspace.cost_cards, at_ms)
    cost = cost_card.prices.get(VOICE) if cost_card else None
    if cost is None:
        raise PriceMissing(VOICE, "workspace")
    return cost, rebilled_price(card_in_force(sub_account.rebilling_cards, at_ms), VOICE) if sub_account else cost


def wallet_status(wallet: Wallet, workspace: Workspace, sub_account: SubAccount | None, at_ms: int) -> WalletStatus:
    """How a wallet stands, as the gate sees it: `empty` is what stops a call, though a little may be left in it."""
    if (sub_account or workspace).status is not AccountStatus.ACTIVE:
        return WalletStatus.FROZEN
    try:
        cost, price = voice_prices(workspace, sub_account, at_ms)
    except PriceMissing:
        return wallet.status()
    if price is None or price.price_type is PriceType.ABSORB:  # it pays nothing, so it stops nothing
        return WalletStatus.OK if wallet.available_micros >= 0 else WalletStatus.EMPTY
    return wallet.status() if _can_start(wallet, price, cost, workspace.gate) else WalletStatus.EMPTY


def minutes_left_tenths(wallet: Wallet, workspace: Workspace, sub_account: SubAccount | None, at_ms: int) -> int | None:
    """For how many tenths of a minute the wallet still pays, rounded down; None where its owner pays nothing."""
    try:
        cost, price = voice_prices(workspace, sub_account, at_ms)
    except PriceMissing:
        return None
    if price is None:
        return None
    talk_only = replace(price, connect_fee_micros=0)
    million_minutes_micros = rate(MINUTES_AT_ONCE * MS_PER_MINUTE, VOICE, talk_only, 0, cost).amount_micros
    if not million_minutes_micros:
        return None
    return max(0, wallet.available_micros) * 10 * MINUTES_AT_ONCE // million_minutes_micros


def _affordable_seconds(wallet: Wallet, price: Price, cost: Price | None, policy: GatePolicy) -> int | None:
    """The longest call in whole seconds that the wallet can pay, or None where it may not start one."""
    if wallet.available_micros <= 0:
        return None
    low, high = 0, policy.max_call_seconds
    while low < high:  # what a call costs never falls with its length, so halving finds the exact second
        middle = (low + high + 1) // 2
        if rate(middle * 1000, VOICE, price, 0, cost).amount_micros <= wallet.available_micros:
            low = middle
        else:
            high = middle - 1
    return low if low >= _shortest_seconds(policy) else None


def _can_start(wallet: Wallet, price: Price, cost: Price | None, policy: GatePolicy) -> bool:
    """Whether `_affordable_seconds` would find any: for that, the shortest call is enough to look at."""
    return 0 < wallet.available_micros >= _call_micros(_shortest_seconds(policy), price, cost)


@lru_cache(maxsize=1_000)
def _call_micros(seconds: int, price: Price, cost: Price | None) -> int:
    """What a call of that length costs. A page asks for the shortest call of a thousand clients at few prices."""
    return rate(seconds * 1000, VOICE, price, 0, cost).amount_micros


def _shortest_seconds(policy: GatePolicy) -> int:
    return min(policy.min_start_seconds, policy.max_call_seconds)
