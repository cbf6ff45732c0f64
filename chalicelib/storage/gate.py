"""The gate's one read: both accounts and both wallets of a call in a single BatchGetItem."""

from typing import Any

from chalicelib.domain.accounts import SubAccount, Workspace, owning_workspace
from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.accounts import WORKSPACE, sub_account_from_item, workspace_from_item
from chalicelib.storage.tables import AccountItem, WalletItem, connection, store_trouble_is_ours
from chalicelib.storage.wallets import wallet_from_item


def read_for_gate(sub_account_id: str) -> tuple[Workspace, Wallet, SubAccount, Wallet]:
    """The workspace and its wallet, the sub-account and its wallet: what the gate decides over.

    Reads with eventual consistency: 2 read units for four small items.

    Raises:
        NotFound: no such sub-account. Unavailable: the store did not answer in full.
    """
    workspace_id = owning_workspace(sub_account_id)
    if workspace_id is None or not sub_account_id.startswith("sa_"):
        raise NotFound("not_found", "There is no such sub-account.")
    request = {
        AccountItem.Meta.table_name: {
            "Keys": [_account(workspace_id, WORKSPACE), _account(workspace_id, sub_account_id)]
        },
        WalletItem.Meta.table_name: {"Keys": [{"owner_id": {"S": owner}} for owner in (workspace_id, sub_account_id)]},
    }
    with store_trouble_is_ours():
        answer: dict[str, Any] = connection().dispatch("BatchGetItem", {"RequestItems": request})
    if any(answer.get("UnprocessedKeys", {}).values()):
        raise Unavailable("The wallet store")
    found = answer["Responses"]
    accounts = {raw["sk"]["S"]: AccountItem.from_raw_data(raw) for raw in found.get(AccountItem.Meta.table_name, [])}
    wallets = {raw["owner_id"]["S"]: WalletItem.from_raw_data(raw) for raw in found.get(WalletItem.Meta.table_name, [])}
    if sub_account_id not in accounts:
        raise NotFound("not_found", "There is no such sub-account.")
    return (
        workspace_from_item(accounts[WORKSPACE]),
        wallet_from_item(wallets[workspace_id]),
        sub_account_from_item(accounts[sub_account_id]),
        wallet_from_item(wallets[sub_account_id]),
    )


def _account(pk: str, sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
