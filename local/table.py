"""The picture of the running product: a live table in a terminal, plain lines anywhere else."""

import os
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.board import Board, Counts, Row

SYMBOLS = {"ok": "●", "low": "▲", "empty": "■", "frozen": "=", "unused": "·"}
STYLES = {"ok": "green", "low": "yellow", "empty": "bold red", "frozen": "blue", "unused": "dim"}
TABLE_EVERY_SECONDS = 0.25
LINES_EVERY_SECONDS = 0.25
SUMMARY_EVERY_SECONDS = 10.0
CALLS_NOTE = "In time-lapse: calls of 20 to 300 s, by their own times, are reported at once."
NO_DEMO_NOTE = "No demo (DEMO=0): everything is empty. The API key is in .run.json."


class LiveTable:
    """A table that redraws itself. Without alternate screen: what was last seen stays in the terminal."""

    pause_seconds = TABLE_EVERY_SECONDS

    def __init__(self, out: TextIO, base_url: str, board: Board) -> None:
        self._base_url = base_url
        self._board = board
        console = Console(file=out, highlight=False)
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def start(self) -> None:
        """Take the screen."""
        self._live.start()

    def show(self) -> None:
        """Draw what is known now."""
        self._live.update(self._picture(), refresh=True)

    def stop(self) -> None:
        """Leave the screen as it is."""
        self._live.stop()

    def _picture(self) -> RenderableType:
        rows, counts = self._board.snapshot()
        url = self._base_url
        head = [
            Text(f"Rebill at home  {url}  {url}/docs", style="bold", overflow="fold"),
            Text(f"{url}/openapi.json  key: .run.json  log: .state/app.log", overflow="fold"),
            Text(CALLS_NOTE if rows else NO_DEMO_NOTE, style="dim"),
        ]
        foot = [Text(str(counts)), Text("Ctrl-C ends it; state is kept.", style="dim")]
        return Group(*head, *([_table(rows)] if rows else []), *foot)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, expand=True, header_style="dim")
    table.add_column("", width=18, no_wrap=True)
    table.add_column("price/min", width=10, no_wrap=True)
    table.add_column("balance", width=9, justify="right", no_wrap=True)
    table.add_column("minutes", width=7, justify="right", no_wrap=True)
    table.add_column("today", width=5, justify="right", no_wrap=True)
    table.add_column("state", width=8, no_wrap=True)
    table.add_column("last", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(
            Text(row.name, style="bold") if row.is_agency else Text(f"  {row.name}"),
            row.price,
            _amount(row.balance) if row.pays else "",
            row.minutes_left or "",
            str(row.calls_today),
            Text(f"{SYMBOLS.get(row.state, ' ')} {row.state}", style=STYLES.get(row.state, "")),
            row.last,
        )
    return table


def _amount(amount: Decimal | None) -> str:
    """Four decimals, enough to see every call; the API has all six."""
    return "" if amount is None else f"{amount:.4f}"


class PlainLines:
    """One line a change, and now and then a summary; nothing but text, each line flushed."""

    pause_seconds = LINES_EVERY_SECONDS

    def __init__(self, out: TextIO, base_url: str, board: Board) -> None:
        self._out = out
        self._base_url = base_url
        self._board = board
        self._summary_at = time.monotonic() + SUMMARY_EVERY_SECONDS

    def start(self) -> None:
        """Say where everything is."""
        url = self._base_url
        self._say(f"Rebill at home: {url}  {url}/docs  {url}/openapi.json")
        self._say("API key and webhook addresses: .run.json; log: .state/app.log; Ctrl-C ends it.")
        self._say(CALLS_NOTE if self._board.rows else NO_DEMO_NOTE)

    def show(self) -> None:
        """Tell what has changed since the last time."""
        for line in self._board.take_lines():
            moved = "" if line.moved is None else f"{line.moved:+.4f}"
            balance = _amount(line.row.balance) if line.row.pays else ""
            self._say(f"{_now()}  {line.row.name:<16} {moved:>9} {balance:>10}  {line.row.state:<6}  {line.text}")
        if self._board.rows and time.monotonic() >= self._summary_at:
            self._summary_at += SUMMARY_EVERY_SECONDS
            self._summarise(*self._board.snapshot())

    def stop(self) -> None:
        """Nothing is left to tell."""

    def _summarise(self, rows: Sequence[Row], counts: Counts) -> None:
        for row in rows:
            if row.is_agency:
                self._say(f"{_now()}  {row.name:<16} {'':>9} {_amount(row.balance):>10}  {row.state}")
        self._say(f"{_now()}  {counts}")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _now() -> str:
    return time.strftime("%H:%M:%S")


def display(out: TextIO, base_url: str, board: Board) -> LiveTable | PlainLines:
    """The picture that suits where it is shown."""
    is_terminal = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return (LiveTable if is_terminal else PlainLines)(out, base_url, board)
