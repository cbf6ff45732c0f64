"""What the operator's commands share: tables that line up, errors in plain words, JSON for programs."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import RebillError

P = ParamSpec("P")
R = TypeVar("R")

as_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs, one object a line.")
do_it = click.option("--yes", is_flag=True, help="Do it; without this, only say what would be done.")


def in_plain_words(command: Callable[P, R]) -> Callable[P, R]:
    """What the product or AWS refuses ends a command with one sentence and exit code 1, not with a traceback."""

    @wraps(command)
    def called(*args: P.args, **values: P.kwargs) -> R:
        try:
            return command(*args, **values)
        except RebillError as refused:
            raise click.ClickException(refused.detail) from refused
        except (BotoCoreError, ClientError) as trouble:
            raise click.ClickException(f"AWS did not do it: {trouble}") from trouble

    return called


def say_json(facts: Any) -> None:
    """One line of JSON."""
    click.echo(json.dumps(facts))


def table(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Rows as lines whose columns line up."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


@contextmanager
def logs_aside() -> Iterator[None]:
    """The product logs to standard output, as Lambda wants it: here to standard error, beside a command's answer."""
    handlers = [each for each in logging.getLogger("rebill").handlers if isinstance(each, logging.StreamHandler)]
    before = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            if stream is not None:
                handler.setStream(stream)
