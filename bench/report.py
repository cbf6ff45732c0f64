"""How the bench speaks: tables that line up, as plain text and as Markdown; verdicts; and what it is doing just now."""

import os
import platform
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@dataclass(frozen=True)
class Table:
    """One table: what it shows, its head, its rows, and what one has to know to read it."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def as_text(self) -> str:
        """For a terminal or a log."""
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        lines = [_aligned(self.head, widths), "  ".join("-" * width for width in widths)]
        lines += [_aligned(row, widths) for row in self.rows]
        return "\n".join(["", self.title, "", *lines, *(f"  * {note}" for note in self.notes)])

    def as_markdown(self) -> str:
        """For the docs."""
        marks = ["---" if column == 0 else "---:" for column in range(len(self.head))]
        lines = [f"| {' | '.join(row)} |" for row in (self.head, marks, *self.rows)]
        return "\n".join(["", f"## {self.title}", "", *lines, "", *(f"- {note}" for note in self.notes)])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, and the figures that say so."""

    claim: str
    holds: bool
    measured: str

    def as_text(self) -> str:
        """One sentence."""
        return f"{'holds' if self.holds else 'DOES NOT HOLD'}: {self.claim}. Measured: {self.measured}."


@dataclass(frozen=True)
class Part:
    """What one part of the bench found."""

    tables: Sequence[Table]
    verdicts: Sequence[Verdict] = ()


def spread(values: Sequence[float], digits: int = 0) -> str:
    """The smallest, the median and the largest."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))


def per_event(units: float, events: int) -> str:
    """Units of one event."""
    return f"{units / events:.2f}"


class Steps:
    """Says what is being done: a bar on a terminal, a line for each step elsewhere."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    @contextmanager
    def step(self, text: str, total: int) -> Iterator["Step"]:
        """A stretch of work in so many pieces."""
        if self._progress is None:
            print(f"... {text}", file=sys.stderr, flush=True)
            yield Step(None, None)
            return
        task = self._progress.add_task(text, total=total)
        yield Step(self._progress, task)
        self._progress.remove_task(task)


@dataclass(frozen=True)
class Step:
    """One stretch of work that is being done."""

    progress: Progress | None
    task: int | None

    def to(self, done: int) -> None:
        """So many pieces are done."""
        if self.progress is not None:
            self.progress.update(self.task, completed=done)  # type: ignore[arg-type]


@contextmanager
def steps() -> Iterator[Steps]:
    """The display of a whole run. It goes to standard error, so that the tables can be piped alone."""
    if not sys.stderr.isatty():
        yield Steps(None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, transient=True) as progress:
        yield Steps(progress)


def machine_facts(mode: str) -> list[str]:
    """What the figures depend on. Nothing that tells whose machine it is."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {version(name)}" for name in ("ministack", "pynamodb", "botocore", "chalice"))
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {mode} run",
        f"{cores} cores, {platform.system()} on {platform.machine()}, load {os.getloadavg()[0]:.1f} when it began",
        f"Python {platform.python_version()}, {versions}",
        "The store is MiniStack on the same machine: events per second compare one way of posting with another, "
        "measured in turns; they say nothing of AWS. Write units by the rules do.",
    ]
