"""What posting and accepting cost to write, for exact batches, by the rules and as the store reports it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench import hot
from bench.capture import Watch, watching
from bench.report import Part, Steps, Table, Verdict, per_event
from bench.write_units import Table as StoreTable
from bench.write_units import index_entry, item_size
from chalicelib.domain.usage import Status
from chalicelib.domain.wallet import Entry
from chalicelib.storage import usage_events
from chalicelib.storage.entries import entry_values, to_attributes
from chalicelib.storage.tables import DayTotalItem, EntryItem, WalletItem
from local.template import client, resources

# One client: the smallest batch that the claim is about, and one full transaction. The same for twenty.
BATCHES = ((1, 40), (1, 96), (20, 40), (20, 58))
MOST_UNITS = {1: 4.5, 20: 7.0}
RECEIPTS = 100


@dataclass(frozen=True)
class Cost:
    """One row."""

    what: str
    clients: int
    refill_rule: bool
    events: int
    watch: Watch

    @property
    def per_event(self) -> float:
        """Write units of one event, by the rules."""
        return self.watch.units.total / self.events


def measure(endpoint_url: str, stage: str, doors: hot.Doors, plain: hot.HotWorkspace, display: Steps) -> Part:
    """Every batch without and with a refill rule on every wallet, one with a duplicate in it, and the receipts."""
    ruled = hot.HotWorkspace(doors, max(clients for clients, _ in BATCHES), refill_rule=True)
    costs: list[Cost] = []
    with display.step("write units of exact batches", 2 * len(BATCHES)) as step:
        for world in (plain, ruled):
            for clients, events in BATCHES:
                watch = _watch_batch(endpoint_url, stage, world, clients, events)
                costs.append(Cost("a batch", clients, world is ruled, events, watch))
                step.to(len(costs))
        duplicate = _watch_duplicate(endpoint_url, stage, plain)
    others = [Cost("with one duplicate: cancelled, written again", 1, False, 96, duplicate)]
    with watching(endpoint_url, stage) as receipts:
        usage_events.give_receipts([plain.event(number % 20) for number in range(RECEIPTS)])
    others.append(Cost("accepting: receipts", 20, False, RECEIPTS, receipts))
    tables = [_cost_table([*costs, *others]), _size_table(endpoint_url, stage, plain)]
    return Part(tables, [_verdict(costs, clients) for clients in MOST_UNITS])


def _watch_batch(endpoint_url: str, stage: str, world: hot.HotWorkspace, clients: int, events: int) -> Watch:
    hot.post(world.messages(clients, clients))  # so that today's totals exist, as they do all day but once
    with watching(endpoint_url, stage) as watch:
        hot.post(world.messages(events, clients))
    if watch.transactions != 1:
        raise RuntimeError(f"{events} events of {clients} clients took {watch.transactions} transactions")
    return watch


def _watch_duplicate(endpoint_url: str, stage: str, world: hot.HotWorkspace) -> Watch:
    """A delivery of 96, one of them posted before: its transaction is cancelled, and a second carries the rest."""
    messages = world.messages(96, 1)
    hot.post(messages[:1])
    with watching(endpoint_url, stage) as watch:
        hot.post(messages)
    if [sent.cancelled for sent in watch.sent if sent.operation == "TransactWriteItems"] != [True, False]:
        raise RuntimeError("The duplicate did not cancel exactly one transaction")
    return watch


def _cost_table(costs: Sequence[Cost]) -> Table:
    head = (
        "what",
        "sub-accounts",
        "refill rule",
        "events",
        "items",
        "index entries",
        "units by rules",
        "per event",
        "reported",
    )
    rows = [
        (
            cost.what,
            str(cost.clients),
            "on every wallet" if cost.refill_rule else "none",
            str(cost.events),
            str(cost.watch.units.table),
            str(cost.watch.units.indexes),
            str(cost.watch.units.total),
            f"{cost.per_event:.2f}",
            per_event(cost.watch.reported, cost.events),
        )
        for cost in costs
    ]
    notes = (
        "items: write units of the tables' own items, twice in a transaction; index entries: once, as AWS writes "
        "them after the commit. per event: both together. reported: per event, by the store itself.",
        "A cancelled transaction is counted as if both writes of each item had been made, the most that it can be; "
        "the store reports nothing for it.",
    )
    return Table("Write units of exact batches", head, rows, notes)


def _verdict(costs: Sequence[Cost], clients: int) -> Verdict:
    ours = [cost for cost in costs if cost.clients == clients]
    worst = max((cost for cost in ours if not cost.refill_rule), key=lambda cost: cost.per_event)
    ruled = max((cost for cost in ours if cost.refill_rule), key=lambda cost: cost.per_event)
    who = "one sub-account" if clients == 1 else f"{clients} sub-accounts"
    return Verdict(
        f"posting writes at most {MOST_UNITS[clients]} units per event in batches of 40 or more with {who}",
        worst.per_event <= MOST_UNITS[clients],
        f"{worst.per_event:.2f} in a batch of {worst.events}; "
        f"with a refill rule on every wallet {ruled.per_event:.2f} in a batch of {ruled.events}",
    )


# Sizes


def _size_table(endpoint_url: str, stage: str, world: hot.HotWorkspace) -> Table:
    usual = to_attributes(entry_values(world.entries(world.messages(1, 1))[0]))
    ascii_only, any_text = (
        to_attributes(entry_values(_longest(world, letter))) for letter in ("o", "\N{OK HAND SIGN}")
    )
    event = world.event(0)
    receipt = usage_events._receipt(event).serialize()
    stored = _stored(endpoint_url, stage, world)
    items = [
        ("an entry, usual", EntryItem, usual),
        ("an entry, every id at its longest", EntryItem, ascii_only),
        ("the same, its outcome in four-byte letters", EntryItem, any_text),
        ("a receipt", EntryItem, receipt),
        ("a wallet", WalletItem, stored["wallet"]),
        ("a day's total", DayTotalItem, stored["day"]),
    ]
    tables = _tables(stage)
    rows = [
        (what, str(item_size(item)), *_index_sizes(tables[model.Meta.table_name], item)) for what, model, item in items
    ]
    ids = f"{len(world.id)} (workspace), {len(world.clients[0])} (sub-account), {len(event.event_id)} (event)"
    notes = (
        f"Ids in characters: {ids}, {len(event.agent_id or '')} (agent), source {event.source!r}.",
        "At its longest: source 64, event id 128, agent id 128, outcome 128 characters, every field of a price set.",
        "A write unit is a started 1,024 bytes.",
    )
    return Table(
        "Bytes of an item, and of its entries in the indexes", ("item", "bytes", "in its indexes"), rows, notes
    )


def _tables(stage: str) -> dict[str, StoreTable]:
    found = [each["Properties"] for each in resources(stage).values() if each["Type"] == "AWS::DynamoDB::Table"]
    return {properties["TableName"]: StoreTable.from_properties(properties) for properties in found}


def _index_sizes(table: StoreTable, item: Any) -> tuple[str]:
    entries = [(index.name, index_entry(item, index)) for index in table.indexes]
    return (", ".join(f"{name} {item_size(entry)}" for name, entry in entries if entry is not None) or "-",)


def _stored(endpoint_url: str, stage: str, world: hot.HotWorkspace) -> dict[str, Any]:
    dynamodb = client(endpoint_url, "dynamodb")
    key = {"owner_id": {"S": world.id}}
    wallet = dynamodb.get_item(TableName=WalletItem.Meta.table_name, Key=key)["Item"]
    days = dynamodb.query(
        TableName=DayTotalItem.Meta.table_name,
        KeyConditionExpression="owner_id = :owner",
        ExpressionAttributeValues={":owner": key["owner_id"]},
    )
    return {"wallet": wallet, "day": days["Items"][-1]}


def _longest(world: hot.HotWorkspace, letter: str) -> Entry:
    """The largest entry that the doors let in: every id as long as it may be, and a price with nothing left out."""
    (entry,) = world.entries(world.messages(1, 1))
    if entry.usage is None or entry.sub_account_leg is None or entry.sub_account_leg.charge is None:
        raise RuntimeError(f"Not a re-billed call: {Status.POSTED} was expected")
    usage = replace(
        entry.usage,
        source="s" * 64,
        event_id="e" * 128,
        agent_id="a" * 128,
        outcome=letter * 128,
        remarks=("durations_disagree",),
    )
    price = replace(
        hot.PRICE, initial_increment_seconds=60, increment_seconds=60, minimum_seconds=60, connect_fee_micros=123_456
    )
    legs = {
        name: replace(leg, charge=replace(leg.charge, price=price))
        for name, leg in (("workspace_leg", entry.workspace_leg), ("sub_account_leg", entry.sub_account_leg))
        if leg is not None and leg.charge is not None
    }
    return replace(entry, source=usage.source, event_id=usage.event_id, usage=usage, **legs)
