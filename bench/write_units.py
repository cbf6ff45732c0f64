"""Write units and read units by DynamoDB's published rules, from the real items before and after a request.

Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
Transactions: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
Indexes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
Refused conditions: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
TRANSACTION_WRITES = 2  # one to prepare, one to commit
CONTAINER_BYTES = 3
ELEMENT_BYTES = 1


@dataclass(frozen=True)
class Index:
    """A global secondary index: its key, and the attributes in it (None means all of them)."""

    name: str
    keys: tuple[str, ...]
    projected: frozenset[str] | None


@dataclass(frozen=True)
class Table:
    """A table, as far as its writes are concerned."""

    name: str
    keys: tuple[str, ...]
    indexes: tuple[Index, ...] = ()

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> "Table":
        """The table that a CloudFormation template describes."""
        keys = _key_names(properties)
        indexes = tuple(_index(found, keys) for found in properties.get("GlobalSecondaryIndexes", ()))
        return cls(properties["TableName"], keys, indexes)


def _key_names(properties: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in properties["KeySchema"])


def _index(properties: Mapping[str, Any], table_keys: tuple[str, ...]) -> Index:
    projection = properties["Projection"]
    keys = _key_names(properties)
    projected = None
    if projection["ProjectionType"] != "ALL":
        projected = frozenset((*table_keys, *keys, *projection.get("NonKeyAttributes", ())))
    return Index(properties["IndexName"], keys, projected)


# Sizes


def item_size(item: Item) -> int:
    """The bytes of an item in the store's own JSON (`{"name": {"S": "value"}}`): every name and every value."""
    return sum(_text_size(name) + value_size(value) for name, value in item.items())


def value_size(typed: Mapping[str, Any]) -> int:
    """The bytes of one value, without the name that it stands under."""
    ((kind, value),) = typed.items()
    if kind == "S":
        return _text_size(value)
    if kind == "N":
        return number_size(value)
    if kind == "B":
        return _binary_size(value)
    if kind == "L":
        return CONTAINER_BYTES + sum(ELEMENT_BYTES + value_size(each) for each in value)
    if kind == "M":
        return CONTAINER_BYTES + sum(
            ELEMENT_BYTES + _text_size(name) + value_size(each) for name, each in value.items()
        )
    if kind in ("SS", "NS", "BS"):
        return sum(value_size({kind[0]: each}) for each in value)
    return 1  # BOOL and NULL


def number_size(text: str) -> int:
    """A byte for each two significant digits, one for the exponent, one more below zero. Outer zeros are free."""
    number = Decimal(text)
    digits = len("".join(map(str, number.as_tuple().digits)).strip("0"))
    return (digits + 1) // 2 + 1 + (number < 0)


def _text_size(text: str) -> int:
    return len(text.encode())


def _binary_size(value: str | bytes) -> int:
    return len(value) if isinstance(value, bytes) else len(base64.b64decode(value))


def index_entry(item: Item | None, index: Index) -> Item | None:
    """What an item puts into an index; None where it lacks a part of the index's key."""
    if item is None or any(name not in item for name in index.keys):
        return None
    return {name: value for name, value in item.items() if index.projected is None or name in index.projected}


# Units


@dataclass(frozen=True)
class Units:
    """Write units of the tables' own items, and of their indexes."""

    table: int = 0
    indexes: int = 0

    @property
    def total(self) -> int:
        """What is paid."""
        return self.table + self.indexes

    def __add__(self, other: "Units") -> "Units":
        return Units(self.table + other.table, self.indexes + other.indexes)


def started_kilobytes(size: int) -> int:
    """Write units of one item of this size: at least one."""
    return max(1, -(-size // WRITE_UNIT_BYTES))


def write_units(table: Table, before: Item | None, after: Item | None, in_transaction: bool) -> Units:
    """One item written: the larger of before and after; a transaction writes it twice, its index entries once."""
    return Units(
        _item_units(before, after) * (TRANSACTION_WRITES if in_transaction else 1),
        sum(_index_units(index_entry(before, index), index_entry(after, index), index) for index in table.indexes),
    )


def cancelled_units(before: Item | None, offered: Item | None) -> Units:
    """One item of a transaction that was cancelled, counted as if both its writes had been made; no index is touched.

    AWS documents that a refused condition is paid, but not how much a cancelled transaction is: this is the most.
    """
    return Units(_item_units(before, offered) * TRANSACTION_WRITES)


def _item_units(before: Item | None, after: Item | None) -> int:
    return started_kilobytes(max(item_size(before or {}), item_size(after or {})))


def _index_units(before: Item | None, after: Item | None, index: Index) -> int:
    if before == after:
        return 0
    if before is None or after is None:
        return started_kilobytes(item_size(before or after or {}))
    if any(before[name] != after[name] for name in index.keys):  # the old entry is deleted, the new one put
        return started_kilobytes(item_size(before)) + started_kilobytes(item_size(after))
    return started_kilobytes(max(item_size(before), item_size(after)))


def read_units(items: Iterable[Item | None], consistent: bool) -> float:
    """Items read one by one by their key, each rounded up alone; one that is not there costs as the smallest does."""
    whole = sum(max(1, -(-item_size(item or {}) // READ_UNIT_BYTES)) for item in items)
    return whole if consistent else whole / 2
