"""Usage becomes entries: read from the queue, matched, rated, posted to both wallets, a batch at a time."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import SubAccount, Workspace, agent_provider
from chalicelib.domain.errors import Malformed, NotFound, PriceMissing, Unavailable
from chalicelib.domain.rating import rate_both
from chalicelib.domain.usage import Status, UsageEvent, judge
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.flows import redrive_usage
from chalicelib.flows.watch_balances import watch
from chalicelib.storage import accounts, ledger, usage_events
from chalicelib.storage.entries import PRICE_MISSING
from chalicelib.storage.ledger import Outcome
from chalicelib.telemetry import alarm, logger


@dataclass(frozen=True)
class Message:
    """One message of the queue: its id there, and its text."""

    id: str
    body: str


@dataclass
class _Delivery:
    """One usage event and all the messages that say exactly this of it; `settled` once they need not come again."""

    event: UsageEvent
    message_ids: list[str] = field(default_factory=list)
    settled: bool = False


def post_usage(messages: Sequence[Message], seconds_left: float) -> list[str]:
    """Post the usage events in these messages; answers the ids of those that must come again.

    A message that cannot be read fails alone. A workspace's trouble is its own: the others are posted.
    """
    give_up_at = time.monotonic() + seconds_left
    deliveries, failed = _read(messages)
    moved: set[str] = set()
    for workspace_id, rounds in deliveries.items():
        for each_key_once in zip_longest(*rounds.values()):
            moved |= _post_for_workspace(workspace_id, [d for d in each_key_once if d is not None], give_up_at)
    watch(moved)
    unsettled = [d for rounds in deliveries.values() for same_key in rounds.values() for d in same_key if not d.settled]
    return failed + [message_id for delivery in unsettled for message_id in delivery.message_ids]


_ByKey = dict[tuple[str, str], list[_Delivery]]


def _read(messages: Sequence[Message]) -> tuple[dict[str, _ByKey], list[str]]:
    """Workspace -> key -> what was said of it, repeats folded together; and the ids of what cannot be read.

    Two deliveries that say different things of one key stand in one list: they are posted one round after the other,
    so that the ledger decides between them.
    """
    deliveries: dict[str, _ByKey] = defaultdict(lambda: defaultdict(list))
    failed: list[str] = []
    for message in messages:
        try:
            if redrive_usage.answer(message.body):
                continue
            event = UsageEvent.from_json(message.body)
        except (Malformed, Unavailable) as trouble:
            alarm("usage_message_not_read", message_id=message.id, detail=trouble.detail[:200])
            failed.append(message.id)
            continue
        same_key = deliveries[event.workspace_id][event.source, event.event_id]
        known = next((each for each in same_key if each.event.fingerprint == event.fingerprint), None)
        if known is None:
            same_key.append(known := _Delivery(event))
        known.message_ids.append(message.id)
    return deliveries, failed


def _post_for_workspace(workspace_id: str, deliveries: Sequence[_Delivery], give_up_at: float) -> set[str]:
    """Post one workspace's events, no two with the same key, and mark those that are settled.

    Answers whose wallets they have moved, now or when they came before: then somebody may have died before watching.
    """
    try:
        workspace = accounts.get_workspace(workspace_id)
        _match(workspace_id, deliveries)
        clients = accounts.sub_accounts_by_id({delivery.event.sub_account_id or "" for delivery in deliveries})
        entries = {}
        for delivery in deliveries:
            entry = _entry_or_kept(workspace, clients, delivery)
            if entry is not None:
                entries[entry.id] = (entry, delivery)
        outcomes = ledger.post([entry for entry, _ in entries.values()], give_up_at)
        for entry, delivery in entries.values():
            delivery.settled = _is_settled(delivery.event, outcomes[entry.id])
        posted = [entry for entry, _ in entries.values() if outcomes[entry.id] in (Outcome.POSTED, Outcome.REPEAT)]
        return {leg.owner_id for entry in posted for leg in entry.legs if leg.amount_micros}
    except (NotFound, Unavailable) as trouble:
        alarm("usage_not_posted", workspace_id=workspace_id, events=len(deliveries), detail=trouble.detail)
        return set()


def _match(workspace_id: str, deliveries: Sequence[_Delivery]) -> None:
    """Fill in whose each event is, as far as its agent has been assigned."""
    keys = {id(d): _agent_key(d.event) for d in deliveries if d.event.agent_id}
    owners = accounts.sub_accounts_of_agents(workspace_id, set(keys.values()))
    for delivery in deliveries:
        if id(delivery) in keys:
            delivery.event = replace(delivery.event, sub_account_id=owners.get(keys[id(delivery)]))


def _agent_key(event: UsageEvent) -> str:
    return accounts.agent_key(agent_provider(event.source), event.agent_id or "")


def _entry_or_kept(workspace: Workspace, clients: Mapping[str, SubAccount], delivery: _Delivery) -> Entry | None:
    """The entry to post for an event; None where it was kept instead, or must come again."""
    event = delivery.event
    status, reason = judge(event)
    if status is Status.POSTED and event.sub_account_id is None:
        status, reason = Status.UNMATCHED, "agent_not_assigned"
    if status is Status.POSTED and event.sub_account_id not in clients:
        alarm("usage_for_unknown_sub_account", workspace_id=workspace.id, sub_account_id=event.sub_account_id)
        return None
    if status is Status.POSTED:
        try:
            return make_entry(workspace, clients[event.sub_account_id or ""], event)
        except PriceMissing:
            status, reason = Status.NEEDS_REVIEW, PRICE_MISSING
    delivery.settled = _keep(event, status, reason)
    return None


def make_entry(workspace: Workspace, client: SubAccount, event: UsageEvent) -> Entry:
    """Rate an event under the cards of its own time, as the entry that both wallets share.

    Raises:
        PriceMissing: a card is silent about this meter.
    """
    cost, price = rate_both(
        event.quantity or 0, event.meter, event.rated_at_ms, workspace.cost_cards, client.rebilling_cards
    )
    return Entry(
        id=f"ent_{ULID()}",
        kind=EntryKind.USAGE,
        workspace_id=workspace.id,
        source=event.source,
        event_id=event.event_id,
        fingerprint=event.fingerprint,
        currency=workspace.currency,
        occurred_at_ms=event.occurred_at_ms,
        posted_at_ms=now_ms(),
        workspace_leg=Leg(workspace.id, -cost.amount_micros, cost),
        sub_account_leg=Leg(client.id, -price.amount_micros, price) if price else None,
        sub_account_id=client.id,
        usage=event,
    )


def _is_settled(event: UsageEvent, outcome: Outcome) -> bool:
    if outcome is Outcome.CONTRADICTION:
        _refuse_contradiction(event)
    if outcome is Outcome.NO_WALLET:
        alarm("wallet_missing", workspace_id=event.workspace_id, sub_account_id=event.sub_account_id)
    return outcome in (Outcome.POSTED, Outcome.REPEAT, Outcome.CONTRADICTION)


def _keep(event: UsageEvent, status: Status, reason: str | None) -> bool:
    """Keep an event that moves no wallet; False where it must come again."""
    try:
        if not usage_events.keep(event, status, reason):
            _refuse_contradiction(event)
    except usage_events.AgentWasAssigned:
        return False
    if status is not Status.NOT_BILLABLE:
        logger.warning("usage_kept", extra={**_ids(event), "status": status.value, "reason": reason})
    return True


def _refuse_contradiction(event: UsageEvent) -> None:
    """A second delivery says something else of the same event: no balance moves, and a person is told."""
    usage_events.keep_contradiction(event)
    alarm("usage_conflict", **_ids(event))


def _ids(event: UsageEvent) -> dict[str, object]:
    return {"workspace_id": event.workspace_id, "source": event.source, "event_id": event.event_id}
