"""docs/operate.md: whoever is called at night finds every alarm under its name."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ops.__main__ import main

HOUSE = Path(__file__).resolve().parents[2]
PAGE = (HOUSE / "docs" / "operate.md").read_text()
COMMAND = re.compile(r"(?:`|python -m )ops (?:--stage \w+ )?([a-z-]+)(?: ([a-z]+))?")


def _calls(source: str) -> Iterator[ast.Call]:
    """Every line that calls a person."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("alarm", "bug"):
            yield node


def alarms_of_the_code() -> list[str]:
    """The names of all alarms, which stand where they are raised."""
    names = []
    for path in [HOUSE / "app.py", *(HOUSE / "chalicelib").rglob("*.py")]:
        for call in _calls(path.read_text()):
            name = call.args[0] if call.args else None
            assert isinstance(name, ast.Constant), f"{path}:{call.lineno} hides its alarm's name"
            names.append(str(name.value))
    return sorted(set(names))


def alarms_of_the_stage() -> list[str]:
    """The names of the template's alarms, without the stage's."""
    resources = json.loads((HOUSE / "infra" / "resources.json").read_text())["Resources"].values()
    names = [each["Properties"]["AlarmName"] for each in resources if each.get("Type") == "AWS::CloudWatch::Alarm"]
    return [(name["Fn::Sub"] if isinstance(name, dict) else name).removeprefix("rebill-${Stage}-") for name in names]


def paragraphs() -> dict[str, str]:
    """What the page says of each alarm."""
    parts = re.split(r"^### `(.+)`\n", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (text.partition("\n## ")[0].strip() for text in parts[1::2]), strict=True))


def test_every_alarm_has_a_paragraph_that_says_something() -> None:
    told = paragraphs()
    missing = [name for name in [*alarms_of_the_code(), *alarms_of_the_stage()] if len(told.get(name, "")) < 20]

    assert len(alarms_of_the_code()) > 40
    assert missing == [], "docs/operate.md has no `### ` paragraph for these alarms"


def test_no_paragraph_is_about_an_alarm_that_there_is_not() -> None:
    known = {*alarms_of_the_code(), *alarms_of_the_stage()}

    assert [name for name in paragraphs() if name not in known] == []


def test_alarms_that_are_named_in_passing_exist() -> None:
    known = {*alarms_of_the_code(), *alarms_of_the_stage()}
    pointers = re.findall(r"[Ss]ee `([a-z_-]+)`", PAGE)

    assert pointers
    assert [name for name in pointers if name not in known] == []


@pytest.mark.parametrize("words", sorted(set(COMMAND.findall(PAGE))), ids="-".join)
def test_every_command_on_the_page_is_one(words: tuple[str, str]) -> None:
    command = main.commands.get(words[0])

    assert command is not None, words
    if isinstance(command, click.Group) and words[1]:
        assert words[1] in command.commands
