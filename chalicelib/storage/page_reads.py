"""What pages know that they will need, read in one trip: inside `reading_once`, nobody asks for it again."""

from chalicelib.storage.accounts import WORKSPACE, WorkspaceItem
from chalicelib.storage.batches import Raw, get_all
from chalicelib.storage.connections import CONNECTION
from chalicelib.storage.customers import BACKUP, CARD
from chalicelib.storage.items import Item, Key, keep, not_read_yet
from chalicelib.storage.people import PEOPLE, reach_key, signed_out_key
from chalicelib.storage.refill_switch import EVERYBODY, SWITCH
from chalicelib.storage.refills import STANDING
from chalicelib.storage.tables import AccountItem, PaymentItem, WalletItem
from chalicelib.storage.top_ups import PAYING


def read_visitor(workspace_id: str, email: str, session_id: str) -> None:
    """Whether a session is over, its workspace, and what somebody may do there."""
    _read(
        (AccountItem, *signed_out_key(session_id)),
        (WorkspaceItem, workspace_id, WORKSPACE),
        (AccountItem, workspace_id, PEOPLE),
        (AccountItem, workspace_id, reach_key(email)),
    )


def read_wallet_page(workspace_id: str, owner_id: str, connection_version: int = 0) -> None:
    """A wallet, its refill rule, its cards under one connection, what is being paid, and the switches of refills."""
    accounts = [] if owner_id == workspace_id else [(AccountItem, workspace_id, owner_id)]
    _read(
        *accounts,
        (WalletItem, owner_id),
        (PaymentItem, owner_id, STANDING),
        (PaymentItem, owner_id, PAYING),
        (PaymentItem, owner_id, f"{CARD}#{connection_version:06d}"),
        (PaymentItem, owner_id, f"{BACKUP}#{connection_version:06d}"),
        (PaymentItem, workspace_id, CONNECTION),
        (PaymentItem, workspace_id, SWITCH),
        (PaymentItem, EVERYBODY, SWITCH),
    )


def _read(*keys: Key) -> None:
    missing = not_read_yet(keys)
    found = get_all([_place(*key) for key in missing], consistent=True)
    known = {
        (table, *(raw[name]["S"] for name in _names(table))): raw for table, items in found.items() for raw in items
    }
    for kind, *key in missing:
        raw = known.get((kind.Meta.table_name, *key))
        keep((kind, *key), None if raw is None else kind.from_raw_data(raw))


def _place(kind: type[Item], *key: str) -> tuple[str, Raw]:
    table: str = kind.Meta.table_name
    return table, {name: {"S": value} for name, value in zip(_names(table), key, strict=True)}


def _names(table: str) -> tuple[str, ...]:
    return ("owner_id",) if table == WalletItem.Meta.table_name else ("pk", "sk")
