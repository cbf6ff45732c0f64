"""Usage events that moved no wallet (yet): receipts for what is queued, and what is kept for a person or for later."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite
from ulid import ULID

from chalicelib.domain.accounts import agent_provider
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.usage import DAY_MS, Status, UsageEvent
from chalicelib.domain.wallet import Entry, EntryKind
from chalicelib.storage.accounts import agent_key
from chalicelib.storage.entries import (
    PRICE_MISSING,
    attention_key,
    entry_from_item,
    entry_key,
    is_new,
    kept_to_item,
    key_parts,
    usage_from_item,
)
from chalicelib.storage.tables import AccountItem, EntryItem, connection, store_trouble_is_ours

RECEIPT_DAYS = 60


class AgentWasAssigned(Exception):
    """Somebody said whose agent it is while its event was being put aside: it can be posted after all."""


@dataclass(frozen=True)
class KeptEvent:
    """What became of one usage event. `entry` is there once it is posted; `received_at_ms` is when we accepted it."""

    workspace_id: str
    source: str
    event_id: str
    status: Status
    received_at_ms: int
    reason: str | None = None
    usage: UsageEvent | None = None
    entry: Entry | None = None
    contradictions: tuple[UsageEvent, ...] = ()
    note: str | None = None  # of who dismissed it


def give_receipts(events: Sequence[UsageEvent]) -> None:
    """Note that these events are queued. Written in batches, without conditions: an entry has its own key and wins."""
    items = {(event.workspace_id, event.source, event.event_id): _receipt(event) for event in events}
    with store_trouble_is_ours(), EntryItem.batch_write() as batch:
        for item in items.values():
            batch.save(item)


def _receipt(event: UsageEvent) -> EntryItem:
    return EntryItem(
        entry_key(EntryKind.USAGE, event.source, event.event_id),
        f"{event.workspace_id}#receipt",
        sort_id=str(ULID()),
        status=Status.QUEUED.value,
        received_at_ms=event.received_at_ms,
        expires_at=(event.received_at_ms + RECEIPT_DAYS * DAY_MS) // 1000,
    )


def keep(event: UsageEvent, status: Status, reason: str | None) -> bool:
    """Keep an event that moves no wallet. True where it is kept, now or before; False where it contradicts what is.

    Raises:
        AgentWasAssigned: the event was to wait for its agent, which has just been assigned.
    """
    item = kept_to_item(event, status, reason, str(ULID()))
    try:
        if status is Status.UNMATCHED:
            _keep_while_unassigned(event, item)
        else:
            item.save(condition=is_new(event.fingerprint))
    except (PutError, TransactWriteError) as error:
        return _is_kept_already(event, error)
    return True


def _keep_while_unassigned(event: UsageEvent, item: EntryItem) -> None:
    with TransactWrite(connection=connection()) as transaction:
        transaction.condition_check(
            AccountItem,
            event.workspace_id,
            agent_key(agent_provider(event.source), event.agent_id or ""),
            condition=AccountItem.pk.does_not_exist(),
        )
        transaction.save(item, condition=is_new(event.fingerprint))


def _is_kept_already(event: UsageEvent, error: PutError | TransactWriteError) -> bool:
    reasons = error.cancellation_reasons if isinstance(error, TransactWriteError) else []
    if reasons and reasons[0] is not None and reasons[0].code == "ConditionalCheckFailed":
        raise AgentWasAssigned
    refused = any(reason is not None and reason.code == "ConditionalCheckFailed" for reason in reasons)
    if not refused and error.cause_response_code != "ConditionalCheckFailedException":
        raise Unavailable("The wallet store") from error
    with store_trouble_is_ours():
        kept = EntryItem.get(entry_key(EntryKind.USAGE, event.source, event.event_id), event.workspace_id, True)
    return kept.fingerprint == event.fingerprint


def keep_contradiction(event: UsageEvent) -> None:
    """Keep, beside what is posted, a delivery that says something else of the same event."""
    item = kept_to_item(event, Status.CONFLICT, "differs_from_what_is_kept", str(ULID()))
    item.sk = f"{event.workspace_id}#conflict#{event.fingerprint}"
    try:
        item.save(condition=EntryItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error


def find_usage(source: str, event_id: str) -> list[KeptEvent]:
    """Everything known of the events with this source and id, one for each workspace that reported it."""
    with store_trouble_is_ours():
        items = list(EntryItem.query(entry_key(EntryKind.USAGE, source, event_id), consistent_read=True))
    by_workspace: dict[str, list[EntryItem]] = {}
    for item in items:
        by_workspace.setdefault(item.sk.partition("#")[0], []).append(item)
    return [_tell(workspace_id, found) for workspace_id, found in by_workspace.items()]


def find_usage_of(workspace_id: str, source: str, event_id: str) -> KeptEvent | None:
    """Everything known of an event in one workspace."""
    return next((kept for kept in find_usage(source, event_id) if kept.workspace_id == workspace_id), None)


def _tell(workspace_id: str, items: Iterable[EntryItem]) -> KeptEvent:
    parts = {item.sk: item for item in items}
    receipt, kept = parts.get(f"{workspace_id}#receipt"), parts.get(workspace_id)
    contradictions = [item for sk, item in sorted(parts.items()) if _is_contradiction(item)]
    shown = kept or receipt or next(iter(parts.values()))
    _, source, event_id = key_parts(shown.pk)
    return KeptEvent(
        workspace_id=workspace_id,
        source=source,
        event_id=event_id,
        status=Status.CONFLICT if any(item.attention for item in contradictions) else Status(shown.status),
        received_at_ms=int(shown.received_at_ms or 0),
        reason=shown.reason,
        usage=usage_from_item(kept) if kept else None,
        entry=entry_from_item(kept) if kept and kept.status == Status.POSTED.value else None,
        contradictions=tuple(usage_from_item(item) for item in contradictions),
        note=next((item.note for item in parts.values() if item.status == Status.DISMISSED), None),
    )


def _is_contradiction(item: EntryItem) -> bool:
    return "#conflict#" in item.sk


def dismiss(kept: KeptEvent, only_contradictions: bool, by: str, note: str | None) -> bool:
    """Nothing of this event waits for a person any more, and it is never posted; its contradictions alone, if so asked.

    False where nothing has waited, or what did was posted meanwhile.
    """
    with store_trouble_is_ours():
        found = EntryItem.query(entry_key(EntryKind.USAGE, kept.source, kept.event_id), consistent_read=True)
        waiting = [item for item in found if item.attention and item.sk.partition("#")[0] == kept.workspace_id]
    asked = [item for item in waiting if _is_contradiction(item) or not only_contradictions]
    done = [_dismiss(item, by, note) for item in asked]
    return any(done)


def _dismiss(item: EntryItem, by: str, note: str | None) -> bool:
    """Written whole, as a new one is: nobody has the right to update an entry."""
    waited = item.attention
    item.status, item.given_by, item.note = Status.DISMISSED.value, by, note
    item.attention = item.message = item.waits = None
    try:
        item.save(condition=EntryItem.attention == waited)
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return False
    return True


def waiting_events(
    workspace_id: str, status: Status, limit: int, after: str | None = None
) -> tuple[list[tuple[str, KeptEvent]], bool]:
    """A workspace's events that wait for a person, newest first, each with its cursor; and whether there are more."""
    key = attention_key(workspace_id, status)
    with store_trouble_is_ours():
        older = EntryItem.sort_id < after if after else None
        found = EntryItem.by_attention.query(key, older, scan_index_forward=False, limit=limit + 1)
        rows = [(item.sort_id, _waiting(item)) for item in found]
    return rows[:limit], len(rows) > limit


def _waiting(item: EntryItem) -> KeptEvent:
    usage = usage_from_item(item)
    return KeptEvent(
        workspace_id=usage.workspace_id,
        source=usage.source,
        event_id=usage.event_id,
        status=Status(item.status),
        received_at_ms=usage.received_at_ms,
        reason=item.reason,
        usage=usage,
    )


def messages_waiting_for_agent(workspace_id: str, agent_id: str) -> list[str]:
    """The queue messages of all events that wait for an agent with this id to be assigned."""
    return _messages(attention_key(workspace_id, Status.UNMATCHED), EntryItem.agent_id == agent_id)


def messages_waiting_for_price(workspace_id: str, sub_account_id: str | None) -> list[str]:
    """The queue messages of all events that wait for a price: one sub-account's, or the whole workspace's."""
    waits = EntryItem.reason == PRICE_MISSING
    if sub_account_id is not None:
        waits &= EntryItem.sub_account_id == sub_account_id
    return _messages(attention_key(workspace_id, Status.NEEDS_REVIEW), waits)


def _messages(key: str, waits: Condition) -> list[str]:
    with store_trouble_is_ours():
        return [item.message for item in EntryItem.by_attention.query(key, filter_condition=waits) if item.message]
