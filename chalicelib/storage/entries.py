"""Entries and kept usage events as items: how each is keyed, written and read back."""

import json
from typing import Any

from pynamodb.expressions.condition import Condition

from chalicelib.domain.rating import Charge, PriceType
from chalicelib.domain.usage import WAITS_FOR_A_PERSON, Status, UsageEvent
from chalicelib.domain.wallet import CreditKind, Entry, EntryKind, Leg
from chalicelib.storage.cards import price_from_json, price_to_json
from chalicelib.storage.tables import EntryItem

ENTRY_ID_PREFIX = "ent_"
PRICE_MISSING = "price_missing"

# A key may be written if it was never seen, or if the very same event has waited there for its agent or its price.
IS_NEW = "attribute_not_exists(pk) OR waits = :fingerprint"

_LEGS = ("workspace_leg", "sub_account_leg")
_Row: Any = type("_Row", (), dict.fromkeys(EntryItem.get_attributes()))  # what an item does not hold is None

Values = dict[str, Any]  # text, integers, and None for what is left out


def entry_key(kind: EntryKind, source: str, event_id: str) -> str:
    """What makes an entry unique within its workspace. The parts' own letters exclude the separator."""
    return f"{kind.value}#{source}#{event_id}"


def key_parts(key: str) -> tuple[EntryKind, str, str]:
    """The kind, source and id that `entry_key` put together."""
    kind, source, event_id = key.split("#")
    return EntryKind(kind), source, event_id


def is_new(fingerprint: str) -> Condition:
    """`IS_NEW` as pynamodb writes it."""
    new: Condition = EntryItem.pk.does_not_exist() | (EntryItem.waits == fingerprint)
    return new


def entry_values(entry: Entry) -> Values:
    """The one item that carries an entry with both its legs. What follows from another attribute is left out."""
    workspace, client, usage = entry.workspace_leg, entry.sub_account_leg, entry.usage
    values: Values = {
        "pk": entry_key(entry.kind, entry.source, entry.event_id),
        "sk": entry.workspace_id,
        "sort_id": entry.id.removeprefix(ENTRY_ID_PREFIX),
        "status": Status.POSTED.value,
        "fingerprint": entry.fingerprint,
        "currency": entry.currency,
        "posted_at_ms": entry.posted_at_ms,
        "note": entry.note,
        "credit_kind": entry.credit_kind,
        "given_by": entry.by,
        **(_usage_values(usage) if usage else {}),
    }
    if usage is None or usage.ended_at_ms != entry.occurred_at_ms:
        values["occurred_at_ms"] = entry.occurred_at_ms
    if workspace is not None:
        values |= {"workspace_wallet": workspace.owner_id, "workspace_leg": _leg_to_text(workspace)}
    if client is None:
        values["sub_account_id"] = entry.sub_account_id
        return values
    markup = client.charge.price.markup_basis_points if client.charge else 0
    values |= {"sub_account_wallet": client.owner_id, "sub_account_leg": _leg_to_text(client)}
    return values | ({"markup_basis_points": markup} if markup else {})


def to_attributes(values: Values) -> dict[str, dict[str, str]]:
    """Values as DynamoDB takes them, written out by hand: posting does this for every entry of every batch."""
    return {
        name: {"S": value} if isinstance(value, str) else {"N": str(value)}
        for name, value in values.items()
        if value is not None
    }


def kept_to_item(event: UsageEvent, status: Status, reason: str | None, sort_id: str) -> EntryItem:
    """The item of a usage event that moved no wallet. Those that wait for a person are found by `attention`."""
    needs_a_person = status in WAITS_FOR_A_PERSON
    may_be_posted_later = status is Status.UNMATCHED or reason == PRICE_MISSING
    return EntryItem(
        entry_key(EntryKind.USAGE, event.source, event.event_id),
        event.workspace_id,
        sort_id=sort_id,
        status=status.value,
        reason=reason,
        fingerprint=event.fingerprint,
        waits=event.fingerprint if may_be_posted_later else None,
        sub_account_id=event.sub_account_id,
        occurred_at_ms=event.occurred_at_ms,
        attention=attention_key(event.workspace_id, status) if needs_a_person else None,
        message=event.to_json() if needs_a_person else None,
        **_usage_values(event),
    )


def attention_key(workspace_id: str, status: Status) -> str:
    """Under what the events that wait for a person are found."""
    return f"{workspace_id}#{status.value}"


def _usage_values(event: UsageEvent) -> Values:
    return {
        "meter": event.meter,
        "agent_id": event.agent_id,
        "outcome": event.outcome,
        "remarks": ",".join(event.remarks) or None,
        "quantity": event.quantity,
        "answered_at_ms": event.answered_at_ms,
        "ended_at_ms": event.ended_at_ms,
        "received_at_ms": event.received_at_ms,
    }


def _leg_to_text(leg: Leg) -> str:
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
    return json.dumps(values, separators=(",", ":"))


def row_from_raw(raw: dict[str, dict[str, str]]) -> Any:
    """What an item holds, under the names of an `EntryItem`: a statement has a thousand rows, and pynamodb's model of
    each would take longer than the store."""
    row = _Row()
    vars(row).update({name: int(typed["N"]) if "N" in typed else typed["S"] for name, typed in raw.items()})
    for name in _LEGS:
        if name in raw:
            setattr(row, name, json.loads(raw[name]["S"]))
    return row


def entry_from_item(item: EntryItem) -> Entry:
    """The entry that an item holds; read from the sub-account's index it has no workspace leg."""
    kind, source, event_id = key_parts(item.pk)
    return Entry(
        id=ENTRY_ID_PREFIX + item.sort_id,
        kind=kind,
        workspace_id=item.sk,
        source=source,
        event_id=event_id,
        fingerprint=item.fingerprint or "",
        currency=item.currency or "",
        occurred_at_ms=int(item.occurred_at_ms or item.ended_at_ms or 0),
        posted_at_ms=int(item.posted_at_ms or 0),
        workspace_leg=_leg_from_json(item.workspace_wallet, item.workspace_leg),
        sub_account_leg=_leg_from_json(item.sub_account_wallet, item.sub_account_leg, item.markup_basis_points),
        sub_account_id=item.sub_account_wallet or item.sub_account_id,
        usage=usage_from_item(item) if kind is EntryKind.USAGE else None,
        note=item.note,
        credit_kind=CreditKind(item.credit_kind) if item.credit_kind else None,
        by=item.given_by,
    )


def usage_from_item(item: EntryItem) -> UsageEvent:
    """The usage event behind an item."""
    _, source, event_id = key_parts(item.pk)
    return UsageEvent(
        workspace_id=item.sk.partition("#")[0],
        source=source,
        event_id=event_id,
        meter=item.meter or "",
        agent_id=item.agent_id,
        sub_account_id=item.sub_account_wallet or item.sub_account_id,
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
