"""The tables, as `infra/resources.json` makes them and docs/ledger.md explains them."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBConnectionError, PynamoDBException
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from chalicelib.domain.errors import Unavailable
from chalicelib.settings import settings
from chalicelib.storage.connecting import connection as connection  # stands beside the tables for all who use both
from chalicelib.storage.items import Item

# What a client may see of an entry beside its keys. No cost is among it, so none is in the index at all.
SEEN_BY_SUB_ACCOUNT = [
    "meter",
    "occurred_at_ms",
    "posted_at_ms",
    "answered_at_ms",
    "ended_at_ms",
    "quantity",
    "currency",
    "note",
    "credit_kind",
    "given_by",
    "outcome",
    "agent_id",
    "sub_account_leg",
]


class AccountItem(Item):
    """Workspaces, and under their ids sub-accounts, people, voice agents and endpoints; API keys and one-time links by
    their hash."""

    class Meta:
        table_name = settings().table_name("accounts")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    created_at_ms = NumberAttribute()
    name = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    owner_email = UnicodeAttribute(null=True)
    gate = JSONAttribute(null=True)
    cards = JSONAttribute(null=True)
    cards_version = NumberAttribute(null=True)
    status_change = JSONAttribute(null=True)
    closing_key = UnicodeAttribute(null=True)
    sub_account_id = UnicodeAttribute(null=True)
    provider = UnicodeAttribute(null=True)
    secret = UnicodeAttribute(null=True)
    revoked = BooleanAttribute(null=True)
    facts = JSONAttribute(null=True)
    version = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)


class DueRefills(GlobalSecondaryIndex["WalletItem"]):
    """Wallets whose refill rule is on, poorest first. Sparse: a wallet without a rule is not in it."""

    class Meta:
        index_name = "due_refills"
        projection = KeysOnlyProjection()

    refill_shard = UnicodeAttribute(hash_key=True)
    headroom_micros = NumberAttribute(range_key=True)


class WalletItem(Item):
    """One wallet. `headroom_micros` is balance minus refill threshold, moved by the same ADD as the balance."""

    class Meta:
        table_name = settings().table_name("wallets")

    owner_id = UnicodeAttribute(hash_key=True)
    currency = UnicodeAttribute()
    balance_micros = NumberAttribute()
    headroom_micros = NumberAttribute()
    credit_limit_micros = NumberAttribute()
    refill_shard = UnicodeAttribute(null=True)
    refill_threshold_micros = NumberAttribute(null=True)
    notice_levels = JSONAttribute(null=True)
    notified_level_micros = NumberAttribute(null=True)
    due_refills = DueRefills()


class DayTotalItem(Item):
    """What one owner's calls came to on one UTC day."""

    class Meta:
        table_name = settings().table_name("day-totals")

    owner_id = UnicodeAttribute(hash_key=True)
    day = UnicodeAttribute(range_key=True)
    calls = NumberAttribute(default=0)
    talk_ms = NumberAttribute(default=0)
    cost_micros = NumberAttribute(default=0)
    revenue_micros = NumberAttribute(default=0)


class ByWorkspace(GlobalSecondaryIndex["EntryItem"]):
    """A workspace's statement."""

    class Meta:
        index_name = "by_workspace"
        projection = AllProjection()

    workspace_wallet = UnicodeAttribute(hash_key=True)
    sort_id = UnicodeAttribute(range_key=True)


class BySubAccount(GlobalSecondaryIndex["EntryItem"]):
    """A sub-account's statement, without the agency's cost."""

    class Meta:
        index_name = "by_sub_account"
        projection = IncludeProjection(SEEN_BY_SUB_ACCOUNT)

    sub_account_wallet = UnicodeAttribute(hash_key=True)
    sort_id = UnicodeAttribute(range_key=True)


class ByAttention(GlobalSecondaryIndex["EntryItem"]):
    """Usage events that wait for a person. Sparse: a posted event is not in it."""

    class Meta:
        index_name = "by_attention"
        projection = AllProjection()

    attention = UnicodeAttribute(hash_key=True)
    sort_id = UnicodeAttribute(range_key=True)


class EntryItem(Item):
    """One usage event with both its legs, or one other movement; also what was kept without moving anything.

    Kind, source and id are in the key and nowhere else, and what follows from another attribute is left out: an entry
    with the longest ids still fits one write unit of 1,024 bytes.
    """

    class Meta:
        table_name = settings().table_name("entries")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    sort_id = UnicodeAttribute()
    status = UnicodeAttribute()
    fingerprint = UnicodeAttribute(null=True)
    waits = UnicodeAttribute(null=True)
    currency = UnicodeAttribute(null=True)
    meter = UnicodeAttribute(null=True)
    agent_id = UnicodeAttribute(null=True)
    sub_account_id = UnicodeAttribute(null=True)
    outcome = UnicodeAttribute(null=True)
    remarks = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    note = UnicodeAttribute(null=True)
    credit_kind = UnicodeAttribute(null=True)
    given_by = UnicodeAttribute(null=True)
    quantity = NumberAttribute(null=True)
    answered_at_ms = NumberAttribute(null=True)
    ended_at_ms = NumberAttribute(null=True)
    occurred_at_ms = NumberAttribute(null=True)
    received_at_ms = NumberAttribute(null=True)
    posted_at_ms = NumberAttribute(null=True)
    workspace_wallet = UnicodeAttribute(null=True)
    sub_account_wallet = UnicodeAttribute(null=True)
    workspace_leg = JSONAttribute(null=True)
    sub_account_leg = JSONAttribute(null=True)
    markup_basis_points = NumberAttribute(null=True)
    attention = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    by_workspace = ByWorkspace()
    by_sub_account = BySubAccount()
    by_attention = ByAttention()


class OpenPayments(GlobalSecondaryIndex["PaymentItem"]):
    """What waits at a moment: open top-ups and refills, the oldest first, and wallets that rest until then. Sparse."""

    class Meta:
        index_name = "open_payments"
        projection = KeysOnlyProjection()

    open_shard = UnicodeAttribute(hash_key=True)
    opened_at_ms = NumberAttribute(range_key=True)


class PaymentItem(Item):
    """Connections, OAuth states, customers, cards, top-ups, refills, payments: what is known of money at Stripe."""

    class Meta:
        table_name = settings().table_name("payments")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    state = UnicodeAttribute(null=True)
    facts = JSONAttribute(null=True)
    reference = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute(null=True)
    browser_hash = UnicodeAttribute(null=True)
    reversed_micros = NumberAttribute(null=True)
    reversals = NumberAttribute(null=True)
    disputed_micros = NumberAttribute(null=True)
    held = BooleanAttribute(null=True)
    version = NumberAttribute(null=True)
    open_shard = UnicodeAttribute(null=True)
    opened_at_ms = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    open_payments = OpenPayments()


class DueDeliveries(GlobalSecondaryIndex["ActivityItem"]):
    """What is still to be sent, the longest due first. Sparse: what was sent or given up is not in it."""

    class Meta:
        index_name = "due_deliveries"
        projection = IncludeProjection(["queued_at_ms"])

    due_shard = UnicodeAttribute(hash_key=True)
    due_at_ms = NumberAttribute(range_key=True)


class ActivityItem(Item):
    """Notices under their owner's id, the deliveries of each under their endpoint's, and the endpoints themselves."""

    class Meta:
        table_name = settings().table_name("activity")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute(null=True)
    notice_key = UnicodeAttribute(null=True)
    workspace_id = UnicodeAttribute(null=True)
    occurred_at_ms = NumberAttribute(null=True)
    data = JSONAttribute(null=True)
    due_shard = UnicodeAttribute(null=True)
    due_at_ms = NumberAttribute(null=True)
    queued_at_ms = NumberAttribute(null=True)
    body = UnicodeAttribute(null=True)
    recipient = UnicodeAttribute(null=True)
    state = UnicodeAttribute(null=True)
    endpoint_id = UnicodeAttribute(null=True)
    url = UnicodeAttribute(null=True)
    secret = UnicodeAttribute(null=True)
    types = JSONAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    created_at_ms = NumberAttribute(null=True)
    enabled_at_ms = NumberAttribute(null=True)
    disabled_at_ms = NumberAttribute(null=True)
    last_success_at_ms = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    due_deliveries = DueDeliveries()


@contextmanager
def store_trouble_is_ours() -> Iterator[None]:
    """Turn whatever the store could not do into `Unavailable`: never the caller's fault, never a verdict."""
    try:
        yield
    except (PynamoDBException, PynamoDBConnectionError, BotoCoreError, ClientError) as error:
        raise Unavailable("The wallet store") from error
