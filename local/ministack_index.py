"""MiniStack's queries, in the time that they take in AWS: an index is read in its order, from where it is asked for.

MiniStack alone sorts all that a partition of an index holds, and reads the expression anew for every item of it: a
second for a wallet with thirteen thousand entries. What it answers stays its own: it is only shown fewer items, those
that the key condition, the cursor and the limit leave. Runs inside MiniStack's process, and imports nothing of ours.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from ministack.services import dynamodb  # type: ignore[import-untyped]  # MiniStack has no types

Item = dict[str, Any]
Table = dict[str, Any]
Row = tuple[tuple[Any, ...], tuple[str, str]]  # where an item stands in the index; its keys in the table
Bounds = tuple[int, int]
Term = tuple[str, bool, str]  # a name, whether the value is all of its text or the beginning, the value's name
Terms = tuple[Term, ...]

NAMES = ("IDENT", "NAME_REF")  # as MiniStack calls the parts of an expression
COMPARISONS = ("EQ", "LT", "LE", "GT", "GE")
TERM = re.compile(r"(#?\w+) = (:\w+)|begins_with ?\((#?\w+), (:\w+)\)")


class Indexes:
    """The partitions that were asked for, each in the order of its index, moved by every write."""

    def __init__(self) -> None:
        self._orders: dict[tuple[int, str, Any], tuple[Any, list[Row]]] = {}
        self._asked: dict[str, Any] | None = None
        self._query, self._members, self._move = dynamodb._query, dynamodb._index_members, dynamodb._index_item

    def install(self) -> None:
        """Answer from now on."""
        dynamodb._query, dynamodb._index_members, dynamodb._index_item = self.query, self.members, self.move

    def query(self, data: dict[str, Any]) -> Any:
        """As MiniStack's own."""
        self._asked = data
        try:
            return self._query(data)
        finally:
            self._asked = None

    def members(self, table: Table) -> Any:
        """As MiniStack's own; within a query, partitions that show what is asked for and no more."""
        known, asked = self._members(table), self._asked
        name = asked and asked.get("IndexName")
        return known if asked is None or name not in known else {name: _Asked(self, table, asked, known[name])}

    def move(self, table: Table, pk: str, sk: str, item: Item, add: bool) -> None:
        """As MiniStack's own: an item comes into the indexes that it has the keys of, or leaves them."""
        self._move(table, pk, sk, item, add)
        for name, hashes, ranges in dynamodb._index_key_schemas(table):
            kept = self._orders.get((id(table), name, dynamodb._index_partition(item, hashes, ranges)))
            if kept is None:
                continue
            rows, row = kept[1], (_place(table, ranges, item), (pk, sk))
            at = bisect_left(rows, row)
            is_there = at < len(rows) and rows[at] == row
            if add and not is_there:
                rows.insert(at, row)
            elif is_there and not add:
                del rows[at]

    def rows(self, table: Table, name: str, partition: Any, members: Any) -> list[Row]:
        """A partition in order. `members` are MiniStack's own: where they are not the same, it has begun anew."""
        key = id(table), name, partition
        kept = self._orders.get(key)
        if kept is None or kept[0] is not members:
            ranges, items = _ranges(table, name), table["items"]
            kept = members, sorted((_place(table, ranges, items[pk][sk]), (pk, sk)) for pk, sk in members)
            self._orders[key] = kept
        return kept[1]


class _Asked:
    """The partitions of an index as a query reads them: `get` is all that it calls."""

    def __init__(self, indexes: Indexes, table: Table, asked: dict[str, Any], partitions: Any) -> None:
        self._indexes, self._table, self._asked, self._partitions = indexes, table, asked, partitions

    def get(self, partition: Any, default: Any) -> Any:
        members, name = self._partitions.get(partition), self._asked["IndexName"]
        ranges = _ranges(self._table, name)
        if members is None or len(ranges) != 1:
            return default if members is None else members
        rows = self._indexes.rows(self._table, name, partition, members)
        return [keys for _, keys in _narrowed(rows, self._table, ranges, self._asked)]


def _narrowed(rows: list[Row], table: Table, ranges: Sequence[str], asked: dict[str, Any]) -> list[Row]:
    bounds = _bounds(rows, table, ranges[0], asked)
    if bounds is None:
        return rows
    (first, end), forward = bounds, asked.get("ScanIndexForward", True)
    if cursor := asked.get("ExclusiveStartKey"):
        after = _place(table, ranges, cursor)
        if forward:
            first = max(first, bisect_right(rows, after, key=_whole))
        else:
            end = min(end, bisect_left(rows, after, key=_whole))
    if limit := asked.get("Limit"):
        first, end = (first, min(end, first + int(limit))) if forward else (max(first, end - int(limit)), end)
    return rows[first:end]


def _bounds(rows: list[Row], table: Table, name: str, asked: dict[str, Any]) -> Bounds | None:
    """From where to where the key condition leads; None where it is better left to MiniStack."""
    kinds = dynamodb._tokenize(asked.get("KeyConditionExpression") or "")
    names, values = asked.get("ExpressionAttributeNames") or {}, asked.get("ExpressionAttributeValues") or {}
    at = [place for place, (kind, text) in enumerate(kinds) if kind in NAMES and names.get(text, text) == name]
    if not at:
        return 0, len(rows)
    comparison, (_, reference) = kinds[at[0] + 1][0], kinds[at[0] + 2]
    if comparison not in COMPARISONS or reference not in values:
        return None
    value = dynamodb._sort_key_value(values[reference], dynamodb._get_attr_type(table, name))
    before, after = bisect_left(rows, value, key=_first), bisect_right(rows, value, key=_first)
    ends = {"EQ": (before, after), "LT": (0, before), "LE": (0, after), "GT": (after, None), "GE": (before, None)}
    first, end = ends[comparison]
    return first, len(rows) if end is None else end


def _place(table: Table, ranges: Sequence[str], item: Item) -> tuple[Any, ...]:
    keys = dynamodb._index_order_keys(table, ranges)
    return tuple(dynamodb._index_order_value(item, name, kind) for name, kind in keys)


def _ranges(table: Table, name: str) -> list[str]:
    return next((ranges for known, _, ranges in dynamodb._index_key_schemas(table) if known == name), [])


def _first(row: Row) -> Any:
    return row[0][0]


def _whole(row: Row) -> Any:
    return row[0]


class Expressions:
    """Conditions that were read before and found to be right are not read again for the next item."""

    def __init__(self) -> None:
        self._evaluate: Callable[..., bool] = dynamodb._evaluate_condition
        self._read: dict[tuple[str, str], tuple[Any, Terms]] = {}

    def install(self) -> None:
        """Answer from now on."""
        dynamodb._evaluate_condition = self.evaluate

    def evaluate(self, text: str, item: Item, values: Any, names: Any, slot: str = "ConditionExpression") -> bool:
        """As MiniStack's own, which also says what is wrong."""
        known = self._read.get((text, slot))
        if known is None:
            answer = self._evaluate(text, item, values, names, slot=slot)
            if text and "BETWEEN" not in text.upper():  # there, values decide whether it is right
                self._read[text, slot] = dynamodb._tokenize(text), _terms(text)
            return answer
        tokens, terms = known
        try:
            if terms:
                held = [_holds(term, item, values, names) for term in terms]  # all of them: any may be wrong
                return all(held)
            found: bool = dynamodb._ExprEval(tokens, item, values, names).evaluate()
        except Exception:  # noqa: BLE001 - MiniStack's own then raises the right one
            return self._evaluate(text, item, values, names, slot=slot)
        return found


def _terms(text: str) -> Terms:
    """A condition of equal texts and beginnings of texts, as most keys have; empty for any other."""
    parts = [TERM.fullmatch(part) for part in text.split(" AND ")]
    if not all(parts):
        return ()
    return tuple((part[1] or part[3], part[1] is not None, part[2] or part[4]) for part in parts if part)


def _holds(term: Term, item: Item, values: Any, names: Any) -> bool:
    """Raises KeyError where something is no text: MiniStack's own then knows what that means."""
    name, is_whole, reference = term
    wanted, there = values[reference]["S"], item.get((names or {}).get(name, name))
    if there is None:
        return False
    return bool(there["S"] == wanted if is_whole else there["S"].startswith(wanted))


def install() -> None:
    """Both, for as long as the process lives."""
    Indexes().install()
    Expressions().install()
