"""`python -m ops reconcile`: our books against themselves and against Stripe. It reads, and changes nothing."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.domain.money import format_amount
from chalicelib.domain.payments import PLATFORM
from ops.plain import as_json, in_plain_words, say_json, table

if TYPE_CHECKING:
    from chalicelib.domain.reconcile import Difference
    from chalicelib.flows.reconcile import Report

DAY_MS = 86_400_000
USUAL_DAYS = 3
DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option("--workspace", help="Only this one (ws_...). Without it: all, and what is nobody's.")
@click.option("--since", type=DATE, help="From when on Stripe is looked at (UTC day). Usually three days ago.")
@as_json
@in_plain_words
def reconcile(workspace: str | None, since: datetime | None, as_json: bool) -> None:
    """Find what does not agree: entries, balances, day totals, payments, and Stripe's own books. Exit code 1 if
    anything does not. Our own books are read from their beginning."""
    from chalicelib.flows import reconcile as flow  # reads the settings, which the options above have set

    workspaces = chosen(workspace) if workspace else [PLATFORM, *chosen(None)]
    with progress("Reconciling", len(workspaces), quiet=as_json) as step:
        report = flow.reconcile(workspaces, since_ms(since), progress=step)
    if as_json:
        for difference in report.differences:
            say_json({**asdict(difference), "detail": difference.detail, "advice": difference.advice})
        say_json({**_counted(report), "differences": len(report.differences)})
    else:
        for line in _told(report):
            click.echo(line)
    if report.differences:
        sys.exit(1)


def chosen(workspace: str | None) -> list[str]:
    """The workspaces that are meant: one, which has to exist, or all."""
    from chalicelib.storage import accounts, nightly

    return nightly.all_workspaces() if workspace is None else [accounts.get_workspace(workspace).id]


def since_ms(since: datetime | None) -> int:
    """The beginning of a UTC day; three days ago where none is named."""
    from chalicelib.clock import now_ms

    if since is None:
        return now_ms() - USUAL_DAYS * DAY_MS
    return int(since.replace(tzinfo=UTC).timestamp() * 1000)


@contextmanager
def progress(label: str, total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on standard error, and what to call for each workspace that is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(label, total=total)
        yield lambda workspace_id: bar.advance(task)


def _counted(report: "Report") -> dict[str, object]:
    return {name: value for name, value in asdict(report).items() if name != "differences"}


def _told(report: "Report") -> Iterator[str]:
    for difference in report.differences:
        yield f"✘ {difference.cause.value}  {difference.detail}"
        yield from table(_facts(difference), indent="    ")
        yield ""
    yield (
        f"{report.workspaces:,} workspaces, {report.wallets:,} wallets, {report.entries:,} entries, "
        f"{report.payments:,} payments; {report.foreign:,} payments of others."
    )
    if report.unreachable:
        yield f"Not shown by Stripe, so not held against it: {', '.join(report.unreachable)}."
    if report.unsettled:
        yield f"Moved whenever they were looked at, so look again: {', '.join(report.unsettled)}."
    found = len(report.differences)
    yield f"✘ {found} difference{'s' * (found != 1)}." if found else "✔ No differences."


def _facts(difference: "Difference") -> Sequence[tuple[str, str]]:
    rows = [("look at", ", ".join(difference.ids)), ("workspace", difference.workspace_id or "")]
    rows += [("wallet", difference.owner_id or ""), ("account", difference.account_id or "")]
    rows += [("day", difference.day or ""), ("currency", difference.currency or "")]
    amounts = (("ours", difference.ours_micros), ("theirs", difference.theirs_micros))
    rows += [(name, "" if micros is None else format_amount(micros)) for name, micros in amounts]
    rows += [("do", difference.advice)]
    return [(name, value) for name, value in rows if value]
