"""JSON from outside: UTF-8, no NaN or Infinity, numbers never as floats, and no deeper than anybody needs."""

import json
from decimal import Decimal
from typing import Any

from chalicelib.domain.errors import Malformed

MAX_DEPTH = 64


def load(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse a JSON body; fractions come back as `Decimal`.

    Raises:
        Malformed: not UTF-8, not JSON, or nested deeper than `max_depth`.
    """
    try:
        text = body.decode("utf-8")
        _check_depth(text, max_depth)
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed_json", f"The body is not JSON: {error}.") from error


def _check_depth(text: str, max_depth: int) -> None:
    """Count brackets before parsing: the parser itself would go as deep as the sender likes."""
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > max_depth:
                raise Malformed("json_too_deep", f"The body is nested deeper than {max_depth} levels.")
        elif character in "]}":
            depth -= 1


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
