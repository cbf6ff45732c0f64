"""All clients of a workspace at a glance: accounts and wallets, read by the hundred.

A page reads a thousand of each: pynamodb's models would cost more time than the store.
"""

import json
from dataclasses import dataclass
from functools import lru_cache

from chalicelib.domain.accounts import AccountStatus, SubAccount
from chalicelib.domain.rating import RateCard
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.batches import Raw, get_all
from chalicelib.storage.cards import card_from_json
from chalicelib.storage.items import together
from chalicelib.storage.tables import AccountItem, WalletItem, connection, store_trouble_is_ours


@dataclass(frozen=True)
class Client:
    """A sub-account with its wallet. `refills_rest`: its refill rule is on, and something keeps it from being used now:
    a payment under way, the cooldown after one, or whatever has stopped it."""

    sub_account: SubAccount
    wallet: Wallet
    refills_rest: bool


def sub_accounts_of(workspace_id: str) -> list[SubAccount]:
    """Every sub-account of a workspace, in the order of their ids, without what was last said of its status."""
    return [_sub_account(workspace_id, raw) for raw in _account_items(workspace_id)]


def clients_of(workspace_id: str) -> list[Client]:
    """Every sub-account of a workspace with its wallet, in no order; balances may lag a moment.

    Raises:
        Unavailable: the store did not answer in full.
    """
    found = _account_items(workspace_id)
    table = WalletItem.Meta.table_name
    with together() as reads:
        wallets = reads.begin(get_all, [(table, {"owner_id": raw["sk"]}) for raw in found])
        known = {raw["sk"]["S"]: _sub_account(workspace_id, raw) for raw in found}  # while the store looks for wallets
    return [_client(known[raw["owner_id"]["S"]], raw) for raw in wallets.result().get(table, [])]


def _account_items(workspace_id: str) -> list[Raw]:
    asked: Raw = {
        "TableName": AccountItem.Meta.table_name,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": {"S": workspace_id}, ":prefix": {"S": "sa_"}},
    }
    found: list[Raw] = []
    while True:
        with store_trouble_is_ours():
            answer: Raw = connection().dispatch("Query", asked)
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return found
        asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _sub_account(workspace_id: str, raw: Raw) -> SubAccount:
    return SubAccount(
        id=raw["sk"]["S"],
        workspace_id=workspace_id,
        name=raw["name"]["S"],
        created_at_ms=int(raw["created_at_ms"]["N"]),
        rebilling_cards=_cards(raw["cards"]["S"]),
        status=AccountStatus(raw["status"]["S"]),
    )


@lru_cache(maxsize=2_000)
def _cards(text: str) -> tuple[RateCard, ...]:
    """The same text is the same cards: most are what they were when the page was last looked at."""
    return tuple(card_from_json(card) for card in json.loads(text))


def _client(sub_account: SubAccount, raw: Raw) -> Client:
    threshold = raw.get("refill_threshold_micros")
    wallet = Wallet(
        owner_id=sub_account.id,
        currency=raw["currency"]["S"],
        balance_micros=int(raw["balance_micros"]["N"]),
        credit_limit_micros=int(raw["credit_limit_micros"]["N"]),
        refill_threshold_micros=int(threshold["N"]) if threshold else None,
    )
    return Client(sub_account, wallet, refills_rest=threshold is not None and "refill_shard" not in raw)
