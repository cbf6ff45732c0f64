"""JSON from outside: UTF-8, no NaN or Infinity, numbers never as floats, and no deeper than anybody needs."""

import json
import re
from decimal import Decimal
from typing import Any

from chalicelib.domain.errors import Malformed

MAX_DEPTH = 64
# Every string is consumed at once, one that never ends included: no text makes this look twice at a character.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
LARGEST_EXPONENT = 400  # a double of any other program fits


def load(body: bytes, max_depth: int = MAX_DEPTH, names_once: bool = False) -> Any:
    """Parse a JSON body; fractions come back as `Decimal`.

    `names_once` refuses an object that says the same name twice: of two amounts, nobody knows which is meant. What
    other people's platforms send is not held to it.

    Raises:
        Malformed: not UTF-8, not JSON, or nested deeper than `max_depth`.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text, max_depth)
        return json.loads(
            text,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse,
            object_pairs_hook=_once if names_once else None,
        )
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed_json", f"The body is not JSON: {error}.", "body") from error


def _check_depth(text: str, max_depth: int) -> None:
    """Count brackets before parsing: the parser itself would go as deep as the sender likes."""
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth > max_depth:
                raise Malformed("json_too_deep", f"The body is nested deeper than {max_depth} levels.", "body")
        elif token[0] in ("]", "}"):
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object names a field twice")
    return found


class BeyondMeaning:
    """Stands where a number was that nobody can mean: ten bytes must not become ten million digits.

    It has no type that a field may have, so whatever reads the field refuses it by the field's own name, and a body
    in which nobody reads it is not lost.
    """


def _decimal(text: str) -> Decimal | BeyondMeaning:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return BeyondMeaning()
    return number if abs(number.adjusted()) <= LARGEST_EXPONENT else BeyondMeaning()


def _integer(text: str) -> int | BeyondMeaning:
    return int(text) if len(text) <= LARGEST_EXPONENT else BeyondMeaning()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
