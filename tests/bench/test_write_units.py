"""Write units worked out by hand from AWS's published rules, against what the bench counts.

Sizes of items, numbers and nested values:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
A transaction writes each item twice, to prepare and to commit:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
What a write to a table costs in its global secondary indexes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from typing import Any

import pytest

from bench.write_units import (
    Index,
    Item,
    Table,
    Units,
    cancelled_units,
    index_entry,
    item_size,
    number_size,
    read_units,
    started_kilobytes,
    value_size,
    write_units,
)
from local.template import resources

BY_OWNER = Index("by_owner", ("owner", "at"), frozenset({"id", "owner", "at", "amount"}))
TABLE = Table("calls", ("id",), (BY_OWNER,))
CALL: Item = {
    "id": {"S": "c1"},
    "owner": {"S": "ws"},
    "at": {"N": "15"},
    "amount": {"N": "-49"},
    "secret": {"S": "x" * 2000},
}


@pytest.mark.parametrize(
    ("number", "size"),
    [
        ("7", 2),  # one digit: half a pair, and the exponent
        ("42", 2),
        ("427", 3),
        ("-42", 3),
        ("0", 1),
        ("1000000", 2),  # zeros at the end are trimmed
        ("0.0042", 2),  # and so are zeros at the beginning
        ("10.05", 3),
        ("1795375898517", 8),  # a moment in milliseconds: 13 digits are 7 bytes
        ("9" * 38, 20),
    ],
)
def test_a_number_has_a_byte_for_two_digits_and_one_more(number: str, size: int) -> None:
    assert number_size(number) == size


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "abc"}, 3),
        ({"S": "é€👌"}, 2 + 3 + 4),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"B": b"\x00\x01\x02"}, 3),
        ({"B": "AAEC"}, 3),  # as it travels
        ({"SS": ["ab", "c"]}, 3),
        ({"NS": ["1", "-22"]}, 2 + 3),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + (1 + 2) + (1 + 2)),
        ({"M": {}}, 3),
        ({"M": {"k": {"S": "abc"}, "n": {"L": [{"BOOL": True}]}}}, 3 + (1 + 1 + 3) + (1 + 1 + (3 + 1 + 1))),
    ],
)
def test_a_value_has_the_published_size_of_its_type(value: dict[str, Any], size: int) -> None:
    assert value_size(value) == size


def test_an_item_is_its_names_and_its_values() -> None:
    # owner_id 8 + 15, balance_micros 14 + (10 digits: 5 + 1), note 4 + 1
    item: Item = {"owner_id": {"S": "ws_7c3z3fntgx7t"}, "balance_micros": {"N": "1234567891"}, "note": {"NULL": True}}

    assert item_size(item) == 23 + 20 + 5


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (2048, 2), (3584, 4)])
def test_every_started_kilobyte_is_a_unit(size: int, units: int) -> None:
    assert started_kilobytes(size) == units


def test_an_index_holds_what_is_projected_and_only_items_with_its_whole_key() -> None:
    without_owner = {name: value for name, value in CALL.items() if name != "owner"}

    assert index_entry(CALL, BY_OWNER) == {name: CALL[name] for name in ("id", "owner", "at", "amount")}
    assert index_entry(without_owner, BY_OWNER) is None
    assert index_entry(None, BY_OWNER) is None


def test_a_new_item_is_paid_by_its_size_and_once_in_its_index() -> None:
    # 2 + 2, 5 + 2, 2 + 2, 6 + 3, 6 + 2000: 2,030 bytes are two units; the entry in the index has 24 bytes.
    assert item_size(CALL) == 2030
    assert write_units(TABLE, None, CALL, in_transaction=False) == Units(table=2, indexes=1)


def test_a_transaction_doubles_the_item_and_not_its_index() -> None:
    assert write_units(TABLE, None, CALL, in_transaction=True) == Units(table=4, indexes=1)


def test_the_larger_of_before_and_after_is_paid() -> None:
    small = {**CALL, "secret": {"S": "x"}}

    assert write_units(TABLE, CALL, small, in_transaction=False).table == 2
    assert write_units(TABLE, small, CALL, in_transaction=False).table == 2
    assert write_units(TABLE, small, small, in_transaction=False).table == 1


def test_a_change_of_what_is_not_projected_costs_nothing_in_the_index() -> None:
    changed = {**CALL, "secret": {"S": "y"}}

    assert write_units(TABLE, CALL, changed, in_transaction=False).indexes == 0


def test_a_change_of_what_is_projected_costs_one_write_in_the_index() -> None:
    changed = {**CALL, "amount": {"N": "-50"}}

    assert write_units(TABLE, CALL, changed, in_transaction=True).indexes == 1


def test_a_change_of_the_indexs_key_deletes_and_puts() -> None:
    changed = {**CALL, "at": {"N": "16"}}

    assert write_units(TABLE, CALL, changed, in_transaction=True).indexes == 2


def test_entering_and_leaving_an_index_is_one_write_each() -> None:
    outside = {name: value for name, value in CALL.items() if name != "owner"}

    assert write_units(TABLE, outside, CALL, in_transaction=False).indexes == 1
    assert write_units(TABLE, CALL, outside, in_transaction=False).indexes == 1
    assert write_units(TABLE, CALL, None, in_transaction=False) == Units(table=2, indexes=1)
    assert write_units(TABLE, outside, outside, in_transaction=False).indexes == 0


def test_a_large_index_entry_is_paid_by_its_kilobytes() -> None:
    everything = Table("calls", ("id",), (Index("all", ("owner", "at"), None),))
    moved = {**CALL, "at": {"N": "16"}}

    assert write_units(everything, None, CALL, in_transaction=True) == Units(table=4, indexes=2)
    assert write_units(everything, CALL, moved, in_transaction=True) == Units(table=4, indexes=2 + 2)


def test_a_cancelled_item_is_paid_twice_and_leaves_the_indexes_alone() -> None:
    assert cancelled_units(None, CALL) == Units(table=4, indexes=0)
    assert cancelled_units(CALL, {"id": {"S": "c1"}}) == Units(table=4, indexes=0)


def test_reads_are_rounded_up_item_by_item_and_halved_when_eventual() -> None:
    small: Item = {"id": {"S": "c1"}}
    large: Item = {"id": {"S": "x" * 5000}}

    assert read_units([small, small, large, None], consistent=True) == 1 + 1 + 2 + 1
    assert read_units([small, small, large, None], consistent=False) == 2.5


def test_units_add_up() -> None:
    assert (Units(4, 1) + Units(2, 2)).total == 9


def test_a_table_is_read_from_the_template_that_deploys_it() -> None:
    wallets = Table.from_properties(resources("test")["WalletsTable"]["Properties"])
    entries = Table.from_properties(resources("test")["EntriesTable"]["Properties"])

    due = Index(
        "due_refills",
        ("refill_shard", "headroom_micros"),
        frozenset({"owner_id", "refill_shard", "headroom_micros"}),
    )
    by_name = {index.name: index for index in entries.indexes}
    assert wallets == Table("rebill-test-wallets", ("owner_id",), (due,))
    assert by_name["by_workspace"].projected is None
    assert "workspace_leg" not in (by_name["by_sub_account"].projected or ())


def test_one_call_costs_twelve_units_when_it_is_posted_alone() -> None:
    """One entry 2 and its two statements 1 each, two wallets 2 each, two day totals 2 each: by hand."""
    entry = write_units(TABLE, None, {**CALL, "secret": {"S": "x"}}, in_transaction=True)
    wallet = write_units(Table("wallets", ("id",)), {"id": {"S": "w"}}, {"id": {"S": "w"}}, in_transaction=True)

    assert entry.table + 2 * entry.indexes + 4 * wallet.total == 12
