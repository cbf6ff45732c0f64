"""What reconciling reads of our own tables: everything of one workspace, page by page, and changes nothing."""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from chalicelib.domain.payments import Payment, TopUpState
from chalicelib.domain.reconcile import PaymentKey, Purchase, Totals
from chalicelib.domain.refill import OPEN_STEPS, RefillStep
from chalicelib.domain.wallet import Entry, Wallet
from chalicelib.storage.closings import CLOSING
from chalicelib.storage.connections import CONNECTION
from chalicelib.storage.customers import HOLDER
from chalicelib.storage.entries import entry_from_item, row_from_raw
from chalicelib.storage.payments import PAYMENT, payment_key
from chalicelib.storage.tables import (
    AccountItem,
    EntryItem,
    PaymentItem,
    WalletItem,
    connection,
    store_trouble_is_ours,
)
from chalicelib.storage.wallets import day_totals, wallet_from_item

KEYS = 100  # of one BatchGetItem
FIRST_DAY, LAST_DAY = "0000-00-00", "9999-99-99"
TOP_UP_PREFIX, REFILL_PREFIX = "top_", "rfl_"


def entries_of(owner_id: str, since: str | None = None) -> Iterator[Entry]:
    """The entries of a wallet, the oldest first, `since` a time-sorted id or from the beginning. A sub-account's calls
    are among its workspace's entries, with both their legs, and are left out here.
    """
    if owner_id.startswith("ws_"):
        yield from (entry_from_item(row_from_raw(raw)) for raw in _whole_statement(owner_id, since or " "))
        return
    newer = EntryItem.sort_id >= since if since else None
    with store_trouble_is_ours():
        others = EntryItem.by_sub_account.query(owner_id, newer, filter_condition=EntryItem.meter.does_not_exist())
        keys = ((each.pk, each.sk) for each in others)
        while some := list(islice(keys, KEYS)):  # whole, for that index leaves out what clients may not see
            for item in EntryItem.batch_get(some, consistent_read=True):
                yield entry_from_item(item)


def _whole_statement(workspace_id: str, since: str) -> Iterator[dict[str, Any]]:
    """As DynamoDB writes them: of millions, pynamodb's models would cost more than the store."""
    asked: dict[str, Any] = {
        "TableName": EntryItem.Meta.table_name,
        "IndexName": EntryItem.by_workspace.Meta.index_name,
        "KeyConditionExpression": "workspace_wallet = :owner AND sort_id >= :since",
        "ExpressionAttributeValues": {":owner": {"S": workspace_id}, ":since": {"S": since}},
    }
    while True:
        with store_trouble_is_ours():
            answer: dict[str, Any] = connection().dispatch("Query", asked)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def wallets_of(owner_ids: Collection[str]) -> Iterator[tuple[Wallet, int]]:
    """The wallets of these owners as they are now, in no order, each with its headroom in micros."""
    with store_trouble_is_ours():
        for item in WalletItem.batch_get(list(owner_ids), consistent_read=True):
            yield wallet_from_item(item), int(item.headroom_micros)


def days_of(owner_id: str) -> dict[str, Totals]:
    """All the days of an owner that have totals."""
    return {
        found.day: Totals(found.calls, found.talk_ms, found.cost_micros, found.revenue_micros)
        for found in day_totals(owner_id, FIRST_DAY, LAST_DAY)
    }


def purchases_of(owner_id: str) -> Iterator[Purchase]:
    """The top-ups and refills of a wallet, whatever became of them."""
    with store_trouble_is_ours():
        for prefix in (TOP_UP_PREFIX, REFILL_PREFIX):
            for item in PaymentItem.query(owner_id, PaymentItem.sk.startswith(prefix), consistent_read=True):
                yield _purchase(item)


def _purchase(item: PaymentItem) -> Purchase:
    facts: dict[str, Any] = dict(item.facts)
    opened_at_ms = facts["created_at_ms"] if item.sk.startswith(TOP_UP_PREFIX) else facts["opened_at_ms"]
    return Purchase(
        id=item.sk,
        owner_id=facts["owner_id"],
        account_id=facts["account_id"],
        payment_intent_id=facts["payment_intent_id"],
        amount_micros=facts["amount_micros"],
        currency=facts["currency"],
        opened_at_ms=opened_at_ms,
        is_open=item.state in (TopUpState.OPEN, *OPEN_STEPS),
        succeeded=item.state in (TopUpState.SUCCEEDED, RefillStep.SUCCEEDED),
        refused=item.state in (TopUpState.REFUSED, RefillStep.REFUSED),
    )


def payments_by_key(keys: Iterable[PaymentKey]) -> dict[PaymentKey, Payment]:
    """Our records of these payments, of those that we have one of."""
    wanted = sorted({(payment_key(*key), PAYMENT) for key in keys})
    with store_trouble_is_ours():
        records = [_payment(item) for item in PaymentItem.batch_get(wanted, consistent_read=True)]
    return {(each.account_id, each.payment_intent_id): each for each in records}


def _payment(item: PaymentItem) -> Payment:
    seen = {name: int(getattr(item, name) or 0) for name in ("reversed_micros", "reversals", "disputed_micros")}
    return Payment(**{**item.facts, **seen})


def owners_of_customers(customer_ids: Iterable[str]) -> dict[str, str]:
    """Whose customers these are, of those that are ours."""
    wanted = sorted({(f"holder#{each}", HOLDER) for each in customer_ids})
    with store_trouble_is_ours():
        items = PaymentItem.batch_get(wanted, consistent_read=True)
        return {item.pk.partition("#")[2]: item.facts["owner_id"] for item in items}


def accounts_of(workspace_id: str) -> frozenset[str]:
    """Every Stripe account that a workspace is or was linked to."""
    with store_trouble_is_ours():
        links = PaymentItem.query(workspace_id, PaymentItem.sk.startswith(CONNECTION), consistent_read=True)
        return frozenset(str(item.facts["account_id"]) for item in links)


def unfinished_closings(workspace_id: str, opened_before_ms: int) -> list[str]:
    """The closings of a workspace's sub-accounts that were begun before a moment and have not come to their end."""
    with store_trouble_is_ours():
        known = [dict(item.facts) for item in AccountItem.query(workspace_id, AccountItem.sk.startswith(f"{CLOSING}#"))]
    return [each["id"] for each in known if not each["ended"] and each["opened_at_ms"] < opened_before_ms]
