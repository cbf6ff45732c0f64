"""All clients of a workspace at a glance: accounts and wallets, read by the hundred."""

from dataclasses import dataclass

from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.accounts import list_sub_accounts
from chalicelib.storage.tables import WalletItem, store_trouble_is_ours
from chalicelib.storage.wallets import wallet_from_item

MOST_CLIENTS = 5_000


@dataclass(frozen=True)
class Client:
    """A sub-account with its wallet. `refills_rest`: its refill rule is on, and something keeps it from being used now:
    a payment under way, the cooldown after one, or whatever has stopped it."""

    sub_account: SubAccount
    wallet: Wallet
    refills_rest: bool


def clients_of(workspace_id: str) -> list[Client]:
    """Every sub-account of a workspace, the first few thousand in the order of their ids; balances may lag a moment."""
    found, _ = list_sub_accounts(workspace_id, MOST_CLIENTS)
    known = {each.id: each for each in found}
    with store_trouble_is_ours():
        return [
            Client(
                known[item.owner_id],
                wallet_from_item(item),
                refills_rest=item.refill_threshold_micros is not None and item.refill_shard is None,
            )
            for item in WalletItem.batch_get(list(known))
        ]
