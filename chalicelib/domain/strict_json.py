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


def load(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse a JSON body; fractions come back as `Decimal`.

    Raises:
        Malformed: not UTF-8, not JSON, or nested deeper than `max_depth`.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text, max_depth)
        return json.loads(text, parse_float=_decimal, parse_constant=_refuse)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Malformed("malformed_json", f"The body is not JSON: {error}.") from error


def _check_depth(text: str, max_depth: int) -> None:
    """Count brackets before parsing: the parser itself would go as deep as the sender likes."""
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth > max_depth:
                raise Malformed("json_too_deep", f"The body is nested deeper than {max_depth} levels.")
        elif token[0] in ("]", "}"):
            depth -= 1


def _decimal(text: str) -> Decimal:
    """A fraction, of a size that somebody could mean: ten bytes must not become ten million digits."""
    number = Decimal(text)
    if abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"{text[:40]} is beyond any number that is meant")
    return number


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
