"""How the tests of the operator's commands call them."""

import json
from typing import Any

from click.testing import CliRunner, Result

from ops.__main__ import main


def ops(*words: str) -> Result:
    """Call a command; what becomes of it."""
    return CliRunner().invoke(main, list(words))


def done(*words: str) -> str:
    """Call a command that succeeds; what it says."""
    result = ops(*words)
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result.stdout


def told(*words: str) -> list[Any]:
    """Call a command that succeeds, for its JSON: one object for each line."""
    return [json.loads(line) for line in done(*words, "--json").splitlines()]


def refused(*words: str) -> str:
    """Call a command that refuses in one sentence; that sentence."""
    result = ops(*words)
    assert result.exit_code == 1, f"{result.output}{result.exception!r}"
    assert "Traceback" not in result.output
    return result.stderr.strip().removeprefix("Error: ")
