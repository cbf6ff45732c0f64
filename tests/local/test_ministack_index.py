"""MiniStack with our reading of its indexes answers exactly what MiniStack alone answers."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from ministack.services import dynamodb

from local import ministack_index

TABLE = {
    "TableName": "calls",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind} for name, kind in (("pk", "S"), ("whose", "S"), ("place", "N"))
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_whose",
            "KeySchema": [
                {"AttributeName": "whose", "KeyType": "HASH"},
                {"AttributeName": "place", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
CONDITIONS = ("", " AND place = :at", " AND place < :at", " AND #place <= :at", " AND place > :at", " AND place >= :at",
              " AND place BETWEEN :low AND :at")  # fmt: skip
KEPT = ("_query", "_index_members", "_index_item", "_evaluate_condition")


@pytest.fixture
def table() -> Iterator[None]:
    """A table of its own, and MiniStack as it was afterwards."""
    with patch.multiple(dynamodb, **{name: getattr(dynamodb, name) for name in KEPT}):
        dynamodb._create_table(TABLE)
        yield
        dynamodb._delete_table({"TableName": "calls"})


@pytest.mark.usefixtures("table")
def test_every_way_to_ask_an_index_answers_the_same_while_items_come_change_and_go() -> None:
    chance = Random(6)
    alone = {name: getattr(dynamodb, name) for name in KEPT}
    ministack_index.install()

    seen: list[dict[str, Any]] = []
    for _ in range(400):
        _write(chance)
        asked = _query(chance, seen)
        ours, body = _answer(dynamodb._query(json.loads(json.dumps(asked))))
        with patch.multiple(dynamodb, **alone):
            theirs = _answer(dynamodb._query(json.loads(json.dumps(asked))))
        assert (ours, body) == theirs, asked
        seen = body["Items"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("value", [{"S": "cal"}, {"S": "call-1"}, {"S": ""}, {"N": "1"}])
@pytest.mark.parametrize(
    "text", ["#pk = :v", "begins_with(#pk, :v)", "whose = :a AND begins_with (pk, :v)", "nobody = :v"]
)
def test_every_text_that_a_condition_compares_is_compared_as_by_ministack_alone(text: str, value: Any) -> None:
    items: list[Any] = [{"pk": {"S": "call-1"}, "whose": {"S": "a"}}, {"pk": {"S": "call-10"}}, {"pk": {"N": "1"}}, {}]
    alone = [_verdict(text, item, value) for item in items]
    ministack_index.install()

    ours = [[_verdict(text, item, value) for item in items] for _ in range(2)]

    assert ours == [alone, alone]


def _verdict(text: str, item: Any, value: Any) -> bool | str:
    try:
        return bool(dynamodb._evaluate_condition(text, item, {":v": value, ":a": {"S": "a"}}, {"#pk": "pk"}))
    except ValueError as wrong:
        return str(wrong)


@pytest.mark.usefixtures("table")
def test_a_condition_that_is_wrong_is_refused_in_ministacks_own_words_each_time() -> None:
    said = [_complaint("place > ")]
    ministack_index.install()

    said += [_complaint("place > "), _complaint("place > ")]

    assert said[0].startswith("Invalid ConditionExpression")
    assert set(said) == {said[0]}


def _complaint(condition: str) -> str:
    with pytest.raises(ValueError) as refused:
        dynamodb._evaluate_condition(condition, {}, {}, {})
    return str(refused.value)


def _write(chance: Random) -> None:
    key = {"pk": {"S": f"call-{chance.randrange(40)}"}}
    if chance.random() < 0.2:
        dynamodb._delete_item({"TableName": "calls", "Key": key})
        return
    item: dict[str, Any] = {**key, "whose": {"S": chance.choice("ab")}}
    if chance.random() < 0.9:  # an item without the key is not in the index
        item["place"] = {"N": str(chance.randrange(-5, 15))}
    dynamodb._put_item({"TableName": "calls", "Item": item})


def _query(chance: Random, seen: list[dict[str, Any]]) -> dict[str, Any]:
    """Any query; some go on after an item that was just seen."""
    condition = chance.choice(CONDITIONS)
    values = {":whose": {"S": chance.choice("ab")}, ":at": {"N": str(chance.randrange(-5, 15))}, ":low": {"N": "-5"}}
    asked: dict[str, Any] = {
        "TableName": "calls",
        "IndexName": "by_whose",
        "KeyConditionExpression": f"whose = :whose{condition}",
        "ExpressionAttributeValues": {name: values[name] for name in values if name in f"=:whose{condition}"},
        "ScanIndexForward": chance.random() < 0.5,
    }
    if "#place" in condition:
        asked["ExpressionAttributeNames"] = {"#place": "place"}
    if chance.random() < 0.6:
        asked["Limit"] = chance.randrange(1, 8)
    if not condition and seen:
        asked["ExclusiveStartKey"] = chance.choice(seen)
        asked["ExpressionAttributeValues"][":whose"] = asked["ExclusiveStartKey"]["whose"]
    return asked


def _answer(answer: Any) -> tuple[int, Any]:
    status, _, body = answer
    return status, json.loads(body)
