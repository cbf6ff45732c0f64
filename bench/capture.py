"""Watches the very requests that are sent to the store: what each would cost by the rules, and what it is said to cost.

The items before and after are read from the store itself, with a client of our own, around each request.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.write_units import Item, Table, Units, cancelled_units, item_size, read_units, write_units
from chalicelib.storage.tables import EntryItem, connection
from local.template import client, resources

WRITES = ("TransactWriteItems", "BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem")
EVENTS = ("before-parameter-build.dynamodb", "after-call.dynamodb")
MOST_KEYS = 100  # of one BatchGetItem

Target = tuple[str, Item]  # a table's name, and a key in it or a whole item


@dataclass
class Sent:
    """One request: what it touched, by the rules and by the store's own account."""

    operation: str
    params: dict[str, Any]
    targets: list[Target]
    before: list[Item | None]
    units: Units = field(default_factory=Units)
    read_units: float = 0.0
    reported: float = 0.0
    cancelled: bool = False
    largest_entry: int = 0


@dataclass
class Watch:
    """All requests of a stretch of time."""

    sent: list[Sent] = field(default_factory=list)

    @property
    def units(self) -> Units:
        """Write units by the rules."""
        return sum((each.units for each in self.sent), Units())

    @property
    def reported(self) -> float:
        """Units of the writes, as the store reports them."""
        return sum(each.reported for each in self.sent if each.operation in WRITES)

    @property
    def read_units(self) -> float:
        """Read units by the rules."""
        return sum(each.read_units for each in self.sent)

    @property
    def transactions(self) -> int:
        """How many were sent, cancelled ones too."""
        return sum(each.operation == "TransactWriteItems" for each in self.sent)


class _Hook:
    """The two ends of a botocore call. Calls do not overlap here, so the last one begun is the one that ends."""

    def __init__(self, watch: Watch, endpoint_url: str, stage: str) -> None:
        self.watch = watch
        self.own_client = client(endpoint_url, "dynamodb")
        tables = [
            Table.from_properties(each["Properties"])
            for each in resources(stage).values()
            if each["Type"] == "AWS::DynamoDB::Table"
        ]
        self.tables = {table.name: table for table in tables}

    def begin(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"
        targets = _targets(model.name, params)
        self.watch.sent.append(Sent(model.name, params, targets, self._read(targets)))

    def end(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        sent = self.watch.sent[-1]
        sent.reported = _reported(parsed)
        sent.read_units = _read_units(sent, parsed)
        if model.name not in WRITES:
            return
        in_transaction = model.name == "TransactWriteItems"
        sent.cancelled = "Error" in parsed
        after = self._read(sent.targets)
        for (name, given), old, new in zip(sent.targets, sent.before, after, strict=True):
            if sent.cancelled:
                sent.units += cancelled_units(old, given)
            else:
                sent.units += write_units(self.tables[name], old, new, in_transaction)
                is_entry = name == EntryItem.Meta.table_name
                sent.largest_entry = max(sent.largest_entry, item_size(new or {}) if is_entry else 0)

    def _read(self, targets: Sequence[Target]) -> list[Item | None]:
        """The items as they are now, in the order of the targets."""
        found: dict[Any, Item] = {}
        for start in range(0, len(targets), MOST_KEYS):
            request: dict[str, Any] = {}
            for name, given in targets[start : start + MOST_KEYS]:
                key = {part: given[part] for part in self.tables[name].keys}
                request.setdefault(name, {"Keys": [], "ConsistentRead": True})["Keys"].append(key)
            for name, items in self.own_client.batch_get_item(RequestItems=request)["Responses"].items():
                found |= {self._identity(name, item): item for item in items}
        return [found.get(self._identity(name, given)) for name, given in targets]

    def _identity(self, name: str, item: Item) -> tuple[str, ...]:
        return name, *(item[part]["S"] for part in self.tables[name].keys)


def _targets(operation: str, params: dict[str, Any]) -> list[Target]:
    if operation == "TransactWriteItems":
        actions = [action for each in params["TransactItems"] for action in each.values()]
        return [(action["TableName"], action.get("Item") or action["Key"]) for action in actions]
    if operation == "BatchWriteItem":
        return [
            (name, request["PutRequest"]["Item"]) for name, made in params["RequestItems"].items() for request in made
        ]
    if operation in WRITES:
        return [(params["TableName"], params.get("Item") or params["Key"])]
    return []


def _read_units(sent: Sent, parsed: dict[str, Any]) -> float:
    """What a read by key costs by the rules; the storage floor sends no other on the watched paths."""
    if sent.operation == "GetItem":
        return read_units([parsed.get("Item")], sent.params.get("ConsistentRead", False))
    if sent.operation != "BatchGetItem":
        return 0.0
    units = 0.0
    for name, asked in sent.params["RequestItems"].items():
        found: list[Item | None] = [*parsed["Responses"].get(name, [])]
        missing: list[Item | None] = [None] * (len(asked["Keys"]) - len(found))
        units += read_units(found + missing, asked.get("ConsistentRead", False))
    return units


def _reported(parsed: dict[str, Any]) -> float:
    consumed = parsed.get("ConsumedCapacity") or []
    return sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))


def our_clients() -> list[Any]:
    """Every botocore client through which the storage floor talks to the store."""
    return [connection().client]


@contextmanager
def watching(endpoint_url: str, stage: str, clients: Sequence[Any] | None = None) -> Iterator[Watch]:
    """Watch these clients' requests (our storage floor's, unless others are named) until the block ends."""
    watch = Watch()
    hook = _Hook(watch, endpoint_url, stage)
    emitters = [each.meta.events for each in (our_clients() if clients is None else clients)]
    for emitter in emitters:
        emitter.register(EVENTS[0], hook.begin)
        emitter.register(EVENTS[1], hook.end)
    try:
        yield watch
    finally:
        for emitter in emitters:
            emitter.unregister(EVENTS[0], hook.begin)
            emitter.unregister(EVENTS[1], hook.end)
