"""Entries and kept usage events as items: how each is keyed, written and read back."""

from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.domain.rating import Charge, PriceType
from chalicelib.domain.usage import Status, UsageEvent
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.storage.cards import price_from_json, price_to_json
from chalicelib.storage.tables import EntryItem

ENTRY_ID_PREFIX = "ent_"
PRICE_MISSING = "price_missing"


def entry_key(kind: EntryKind, source: str, event_id: str) -> str:
    """What makes an entry unique within its workspace. The ids' own letters exclude the separator."""
    return f"{kind.value}#{source}#{event_id}"


def is_new(fingerprint: str) -> Condition:
    """The condition for writing a key: never seen, or the very same was kept because its agent or price was unknown."""
    waited = (EntryItem.status == Status.UNMATCHED.value) | (EntryItem.reason == PRICE_MISSING)
    new: Condition = EntryItem.pk.does_not_exist() | ((EntryItem.fingerprint == fingerprint) & waited)
    return new


def entry_to_item(entry: Entry) -> EntryItem:
    """The one item that carries an entry with both its legs."""
    item = EntryItem(
        entry_key(entry.kind, entry.source, entry.event_id),
        entry.workspace_id,
        sort_id=entry.id.removeprefix(ENTRY_ID_PREFIX),
        status=Status.POSTED.value,
        fingerprint=entry.fingerprint,
        kind=entry.kind.value,
        currency=entry.currency,
        source=entry.source,
        event_id=entry.event_id,
        sub_account_id=entry.sub_account_id,
        occurred_at_ms=entry.occurred_at_ms,
        posted_at_ms=entry.posted_at_ms,
        note=entry.note,
    )
    if entry.workspace_leg is not None:
        item.workspace_wallet = entry.workspace_leg.owner_id
        item.workspace_leg = _leg_to_json(entry.workspace_leg)
    if entry.sub_account_leg is not None:
        item.sub_account_wallet = entry.sub_account_leg.owner_id
        item.sub_account_leg = _leg_to_json(entry.sub_account_leg)
        charge = entry.sub_account_leg.charge
        item.markup_basis_points = charge.price.markup_basis_points or None if charge else None
    if entry.usage is not None:
        _describe_usage(item, entry.usage)
    return item


def kept_to_item(event: UsageEvent, status: Status, reason: str | None, sort_id: str) -> EntryItem:
    """The item of a usage event that moved no wallet. Those that wait for a person are found by `attention`."""
    waits = status in (Status.UNMATCHED, Status.NEEDS_REVIEW, Status.CONFLICT)
    item = EntryItem(
        entry_key(EntryKind.USAGE, event.source, event.event_id),
        event.workspace_id,
        sort_id=sort_id,
        status=status.value,
        reason=reason,
        fingerprint=event.fingerprint,
        kind=EntryKind.USAGE.value,
        source=event.source,
        event_id=event.event_id,
        sub_account_id=event.sub_account_id,
        occurred_at_ms=event.occurred_at_ms,
        attention=attention_key(event.workspace_id, status) if waits else None,
        message=event.to_json() if waits else None,
    )
    _describe_usage(item, event)
    return item


def attention_key(workspace_id: str, status: Status) -> str:
    """Under what the events that wait for a person are found."""
    return f"{workspace_id}#{status.value}"


def _describe_usage(item: EntryItem, event: UsageEvent) -> None:
    item.meter = event.meter
    item.agent_id = event.agent_id
    item.outcome = event.outcome
    item.remarks = ",".join(event.remarks) or None
    item.quantity = event.quantity
    item.answered_at_ms = event.answered_at_ms
    item.ended_at_ms = event.ended_at_ms
    item.received_at_ms = event.received_at_ms


def _leg_to_json(leg: Leg) -> dict[str, Any]:
    """A leg without its owner, and without the markup: from price and markup a client could work out the cost."""
    values: dict[str, Any] = {"amount_micros": leg.amount_micros}
    if leg.charge is not None:
        price = price_to_json(leg.charge.price)
        price.pop("markup_basis_points", None)
        values["price_per_unit"] = leg.charge.price_per_unit
        values["card_effective_at_ms"] = leg.charge.card_effective_at_ms
        values["price"] = price
        if leg.charge.billed_ms is not None:
            values["billed_ms"] = leg.charge.billed_ms
    return values


def entry_from_item(item: EntryItem) -> Entry:
    """The entry that an item holds; read from the sub-account's index it has no workspace leg."""
    return Entry(
        id=ENTRY_ID_PREFIX + item.sort_id,
        kind=EntryKind(item.kind),
        workspace_id=item.sk,
        source=item.source or "",
        event_id=item.event_id or "",
        fingerprint=item.fingerprint or "",
        currency=item.currency or "",
        occurred_at_ms=int(item.occurred_at_ms or 0),
        posted_at_ms=int(item.posted_at_ms or 0),
        workspace_leg=_leg_from_json(item.workspace_wallet, item.workspace_leg),
        sub_account_leg=_leg_from_json(item.sub_account_wallet, item.sub_account_leg, item.markup_basis_points),
        sub_account_id=item.sub_account_id,
        usage=usage_from_item(item) if item.kind == EntryKind.USAGE.value else None,
        note=item.note,
    )


def usage_from_item(item: EntryItem) -> UsageEvent:
    """The usage event behind an item."""
    return UsageEvent(
        workspace_id=item.sk.partition("#")[0],
        source=item.source or "",
        event_id=item.event_id or "",
        meter=item.meter or "",
        agent_id=item.agent_id,
        sub_account_id=item.sub_account_id,
        connected=item.status != Status.NOT_BILLABLE.value,
        answered_at_ms=_int(item.answered_at_ms),
        ended_at_ms=_int(item.ended_at_ms),
        quantity=_int(item.quantity),
        outcome=item.outcome,
        remarks=tuple(item.remarks.split(",")) if item.remarks else (),
        received_at_ms=int(item.received_at_ms or 0),
    )


def _leg_from_json(owner_id: str | None, values: Any, markup_basis_points: float | None = None) -> Leg | None:
    if values is None:
        return None
    charge = None
    if "price" in values:
        price = dict(values["price"])
        if price["price_type"] == PriceType.MARKUP.value and markup_basis_points:
            price["markup_basis_points"] = int(markup_basis_points)
        charge = Charge(
            amount_micros=-values["amount_micros"],
            billed_ms=values.get("billed_ms"),
            price_per_unit=values["price_per_unit"],
            price=price_from_json(price),
            card_effective_at_ms=values["card_effective_at_ms"],
        )
    return Leg(owner_id or "", values["amount_micros"], charge)


def _int(value: float | None) -> int | None:
    return None if value is None else int(value)
