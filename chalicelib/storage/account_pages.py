"""What the pages about sub-accounts read, in as few trips as there can be: never one trip for each row."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.standing import Standing
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.accounts import sub_account_from_item
from chalicelib.storage.batches import get_all
from chalicelib.storage.refills import STANDING, standing_from_item
from chalicelib.storage.tables import (
    AccountItem,
    DayTotalItem,
    PaymentItem,
    WalletItem,
    store_trouble_is_ours,
)
from chalicelib.storage.wallets import DayTotal, wallet_from_item

Key = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Row:
    """A sub-account with its wallet, how its refills stand, and what the days asked for came to."""

    sub_account: SubAccount
    wallet: Wallet
    standing: Standing
    days: list[DayTotal]


def read_rows(workspace_id: str, sub_account_ids: Sequence[str], days: Sequence[str]) -> list[Row]:
    """The rows of these sub-accounts that exist, in the order asked for, with the totals of `days` (`2026-11-22`).

    Raises:
        Unavailable: the store did not answer in full.
    """
    accounts_table, wallets_table = AccountItem.Meta.table_name, WalletItem.Meta.table_name
    payments_table, days_table = PaymentItem.Meta.table_name, DayTotalItem.Meta.table_name
    keys = [(accounts_table, _key(pk=workspace_id, sk=each)) for each in sub_account_ids]
    keys += [(wallets_table, _key(owner_id=each)) for each in sub_account_ids]
    keys += [(payments_table, _key(pk=each, sk=STANDING)) for each in sub_account_ids]
    keys += [(days_table, _key(owner_id=each, day=day)) for each in sub_account_ids for day in days]
    found = get_all(keys)
    known = {raw["sk"]["S"]: AccountItem.from_raw_data(raw) for raw in found.get(accounts_table, [])}
    wallets = {raw["owner_id"]["S"]: WalletItem.from_raw_data(raw) for raw in found.get(wallets_table, [])}
    standings = {raw["pk"]["S"]: PaymentItem.from_raw_data(raw) for raw in found.get(payments_table, [])}
    totals: dict[str, list[DayTotal]] = {each: [] for each in sub_account_ids}
    for raw in found.get(days_table, []):
        totals[raw["owner_id"]["S"]].append(_day_total(raw))
    return [
        Row(
            sub_account_from_item(known[each]),
            wallet_from_item(wallets[each]),
            standing_from_item(standings[each]) if each in standings else Standing(each),
            totals[each],
        )
        for each in sub_account_ids
        if each in known
    ]


def agents_of(sub_account: SubAccount) -> list[tuple[str, str]]:
    """The voice agents whose calls are a sub-account's now, as (provider, agent id), in this order."""
    with store_trouble_is_ours():
        mine = AccountItem.sub_account_id == sub_account.id
        agents = AccountItem.sk.startswith("agent#")
        found = AccountItem.query(sub_account.workspace_id, agents, filter_condition=mine, consistent_read=True)
        keys = [item.sk.split("#", 2) for item in found]
    return [(provider, agent_id) for _, provider, agent_id in keys]


def _key(**values: str) -> Key:
    return {name: {"S": value} for name, value in values.items()}


def _day_total(raw: dict[str, dict[str, str]]) -> DayTotal:
    def number(name: str) -> int:
        return int(raw[name]["N"]) if name in raw else 0

    return DayTotal(
        raw["day"]["S"], number("calls"), number("talk_ms"), number("cost_micros"), number("revenue_micros")
    )
