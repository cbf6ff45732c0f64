"""Wrong values for every field, found from the doors' own models: a new field is swept without anybody remembering it.

A field's JSON schema says which of these values are wrong for it; what a schema cannot say (a date that is none, the
bounds of an amount) is added by the kind of the field.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import BaseModel

NOT_THERE = object()
HALF_A_CHARACTER = "half \ud800"
FIVE_THOUSAND_DIGITS = Decimal("9" * 5_000)
MONEY = r"^\d{1,9}(\.\d{1,6})?$"

TEXTS = (
    *("", " ", "\u0000", "\n", "nobody", "null", "true", "-1", "+1", "1e3", "1E400", "NaN", "Infinity", "-Infinity"),
    *("0x10", "1_000", "1,50", ".5", "5.", " 0.15", "0.15 ", "0.1234567", "$5", "--1", "0.1.5", "1/2", "½", "²"),
    *(
        "\u0661\u0662",
        "\u0660.\u0661\u0665",
        "\uff11\uff12",
        "\uff10.\uff11\uff15",
        "\u0967\u0968",
        "\U0001d7d9\U0001d7da",
    ),
    *("9" * 400, str(10**30), "x" * 3000, "\u202e0.15", "'; drop table", "../..", "{}", "[]", "é", "💸", "a b", "a#b"),
)
NUMBERS = (
    *(-1, -(10**30), 10**30, int("9" * 400), Decimal("0.5"), Decimal("-0.5"), Decimal("1e3"), Decimal("0.1234567")),
    *(
        Decimal("1e400"),
        Decimal("-1e400"),
        Decimal("1e-400"),
        Decimal("1e999999"),
        Decimal("60.5"),
        FIVE_THOUSAND_DIGITS,
    ),
)
OTHERS = (True, False, None, [], {}, [1], ["0.15"], {"value": "0.15"}, [[]], {"": None})
NO_DATES = (
    *("yesterday", "2026-11-22", "2026-11-22T18:35:00", "2026-11-22 18:35:00Z", "2026-13-01T00:00:00Z", "1790000000"),
    *("2026-02-30T00:00:00Z", "2026-11-22T24:61:00Z", "2026-11-22T18:35:00+99:00", "1999-12-31T23:59:59Z"),
    *(
        "2101-01-01T00:00:00Z",
        "12026-11-22T18:35:00Z",
        "\u0662\u0660\u0662\u0666-11-22T18:35:00Z",
        "-2026-11-22T18:35:00Z",
    ),
)
NO_CURRENCIES = ("us", "usdx", "xyz", "btc", " usd", "usd ", "u$d", "\uff55\uff53\uff44", "XXX")
NO_PERCENTS = (
    "-1",
    "1001",
    "1e2",
    "33.333",
    "50%",
    1001,
    -1,
    Decimal("33.333"),
    Decimal("1e3"),
    Decimal("0.001"),
    FIVE_THOUSAND_DIGITS,
)
NOT_BLANK = ("name", "note")


@dataclass(frozen=True)
class Field:
    """One field of a model: where it stands, what its schema says, and whether it must be there."""

    path: tuple[str, ...]
    schema: dict[str, Any]
    required: bool
    closed: bool  # whether an object that admits no other fields

    @property
    def param(self) -> str:
        return ".".join(self.path)

    def wrong_values(self) -> list[Any]:
        """Values that this field may not have."""
        refused = Draft202012Validator(self.schema)
        found = [value for value in (*TEXTS, *NUMBERS, *OTHERS) if not refused.is_valid(value)]
        return found + [value for value in self._by_kind() if value not in found]

    def _by_kind(self) -> list[Any]:
        kinds = [self.schema, *self.schema.get("anyOf", [])]
        found: list[Any] = []
        for kind in kinds:
            if kind.get("type") == "string":
                found.append(HALF_A_CHARACTER)
            if kind.get("format") == "date-time":
                found += [*TEXTS, *NO_DATES]
            if kind.get("pattern") == MONEY:
                low, high = re.findall(r"(\d+\.\d+) to (\d+\.\d+)\.", kind["description"])[0]
                found += [format(Decimal(high) + Decimal("0.000001"), "f"), "999999999", "1000000000"]
                found += ["0"] if Decimal(low) else []
            if kind.get("type") == ["number", "string"]:
                found += [*(text for text in TEXTS if text), *NO_PERCENTS]
        if self.path[-1] == "currency":
            found += NO_CURRENCIES
        if self.path[-1] in NOT_BLANK:
            found += ["    ", "\t\n \t"]
        return found


def fields_of(model: type[BaseModel], body: Any) -> list[Field]:
    """Every field of a model, those of the objects inside it too. `body` is a valid one: it names the maps' keys."""
    schema = model.model_json_schema()
    definitions = {"$defs": schema.get("$defs", {})}
    top = Field((), schema, True, schema.get("additionalProperties") is False)
    return [top, *_inside(schema, definitions, body, ())]


def _inside(schema: dict[str, Any], definitions: dict[str, Any], body: Any, path: tuple[str, ...]) -> Iterator[Field]:
    body = body if isinstance(body, dict) else {}
    described: dict[str, Any] = schema.get("properties") or {}
    if not described:
        values = [schema["additionalProperties"]] if isinstance(schema.get("additionalProperties"), dict) else []
        values += schema.get("patternProperties", {}).values()
        described = {key: value for value in values for key in body}
    for name, known in described.items():
        shape = _shape(known, definitions)
        required = name in schema.get("required", [])
        yield Field((*path, name), {**known, **definitions}, required, shape.get("additionalProperties") is False)
        yield from _inside(shape, definitions, body.get(name), (*path, name))


def _shape(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references and "or null"."""
    (schema, *_) = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    while "$ref" in schema:
        schema = definitions["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def changed(body: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy of the body with another value at this path; `NOT_THERE` takes the field away."""
    other = copy.deepcopy(body)
    parent = other
    for step in path[:-1]:
        parent = parent[step]
    if value is NOT_THERE:
        parent.pop(path[-1], None)
    else:
        parent[path[-1]] = value
    return other
