"""A workspace's entries for a month, with both legs, for its bookkeeper: exact, whole, and summed up."""

import csv
import heapq
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from chalicelib.clock import now_ms, rfc3339, utc_day
from chalicelib.domain.money import format_amount
from chalicelib.domain.usage import CLOCK_SKEW_MS
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from ops.plain import as_json, in_plain_words, table

AMOUNTS = ("workspace_amount", "sub_account_amount")
COLUMNS = (
    *("id", "kind", "occurred_at", "posted_at", "currency", "workspace", "workspace_amount"),
    *("sub_account", "sub_account_amount", "source", "event_id", "meter", "quantity"),
    *("workspace_price", "workspace_billed_seconds", "sub_account_price", "sub_account_billed_seconds"),
    *("note", "credit_kind", "by"),
)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)

Sums = dict[str, list[int]]  # kind -> entries, micros that moved the workspace's wallet, micros that moved clients'


@click.command()
@click.option("--workspace", required=True, help="Whose entries, its sub-accounts' among them (ws_...).")
@click.option("--month", required=True, help="In which month (UTC) what they are for happened: 2026-11.")
@click.option("--format", "shape", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, instead of standard output.")
@as_json
@in_plain_words
def export(workspace: str, month: str, shape: str, out: Path | None, as_json: bool) -> None:
    """Every entry of a month with both its legs. The sums stand on standard error (--json: as JSON) and are held
    against the days' totals: exit code 1 where a month that is over does not agree with them."""
    if not _MONTH.fullmatch(month):
        raise click.ClickException(f"--month is a year and a month, such as 2026-11; it is {month!r}.")
    from chalicelib.storage import accounts, wallets  # reads the environment, which the command line may have set

    accounts.get_workspace(workspace)
    days = wallets.day_totals(workspace, f"{month}-01", f"{month}-31")
    calls = sum(day.calls for day in days)
    sums: Sums = defaultdict(lambda: [0, 0, 0])
    with _output(out) as file, click.progressbar(length=max(1, calls), label="Exporting", file=sys.stderr) as bar:
        write = _writer(file, shape)
        for entry in entries_of(workspace, month):
            write(row_of(entry))
            _add(sums, entry)
            bar.update(1 if entry.kind is EntryKind.USAGE else 0)
    said = (sum(day.cost_micros for day in days), sum(day.revenue_micros for day in days))
    _say(sums, said, as_json)
    _, cost, revenue = sums[EntryKind.USAGE]
    if (-cost, -revenue) != said:
        if month == utc_day(now_ms())[:7]:
            click.echo("Calls are still being posted this month: the days' totals are of another moment.", err=True)
        else:
            raise click.ClickException("The entries do not come to the days' totals: `ops reconcile` says why.")


def entries_of(workspace_id: str, month: str) -> Iterator[Entry]:
    """Every entry of a workspace and its sub-accounts for what happened in a month, in the order of their ids.

    A call may be posted long after it happened, so reading goes on until now; never before, but for other clocks.
    """
    from chalicelib.storage import histories, overview

    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    from_ms = int(first.timestamp() * 1000) - CLOCK_SKEW_MS
    streams = [histories.entries_since(workspace_id, from_ms)]
    # A client's use stands in its workspace's statement already; what moved only its own wallet does not.
    streams += [
        histories.entries_since(each.id, from_ms, with_usage=False) for each in overview.sub_accounts_of(workspace_id)
    ]
    for entry in heapq.merge(*streams, key=lambda each: each.id):
        if utc_day(entry.occurred_at_ms)[:7] == month:
            yield entry


def row_of(entry: Entry) -> dict[str, Any]:
    """An entry as one row; amounts are signed decimal strings with all six digits, empty where no wallet moved."""
    usage = entry.usage
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "occurred_at": rfc3339(entry.occurred_at_ms),
        "posted_at": rfc3339(entry.posted_at_ms),
        "currency": entry.currency,
        "workspace": entry.workspace_id,
        "sub_account": entry.sub_account_id,
        "source": entry.source,
        "event_id": entry.event_id,
        "meter": usage.meter if usage else None,
        "quantity": usage.quantity if usage else None,
        "note": entry.note,
        "credit_kind": entry.credit_kind.value if entry.credit_kind else None,
        "by": entry.by,
        **_leg("workspace", entry.workspace_leg),
        **_leg("sub_account", entry.sub_account_leg),
    }


def _leg(whose: str, leg: Leg | None) -> dict[str, Any]:
    charge = leg.charge if leg else None
    billed_ms = charge.billed_ms if charge else None
    return {
        f"{whose}_amount": format_amount(leg.amount_micros) if leg else None,
        f"{whose}_price": charge.price_per_unit if charge else None,
        f"{whose}_billed_seconds": None if billed_ms is None else f"{billed_ms // 1000}.{billed_ms % 1000:03d}",
    }


def _add(sums: Sums, entry: Entry) -> None:
    of_kind = sums[entry.kind]
    of_kind[0] += 1
    of_kind[1] += entry.workspace_leg.amount_micros if entry.workspace_leg else 0
    of_kind[2] += entry.sub_account_leg.amount_micros if entry.sub_account_leg else 0


def _writer(file: TextIO, shape: str) -> Any:
    """What writes one row."""
    if shape == "jsonl":
        return lambda row: file.write(json.dumps(row) + "\n")
    # The statement's own guard against cells that a spreadsheet would run as formulas.
    from chalicelib.web.routes.wallets import harmless

    rows = csv.DictWriter(file, COLUMNS, lineterminator="\r\n")
    rows.writeheader()

    def safe(name: str, value: Any) -> Any:
        return harmless(value) if isinstance(value, str) and name not in AMOUNTS else value

    return lambda row: rows.writerow({name: safe(name, row[name]) for name in COLUMNS})


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that is there whole or not at all."""
    if out is None:
        yield sys.stdout
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", newline="", encoding="utf-8") as file:
            yield file
        part.replace(out)
    except OSError as trouble:
        raise click.ClickException(f"{out} cannot be written: {trouble.strerror}.") from trouble
    finally:
        part.unlink(missing_ok=True)


def _say(sums: Sums, said: tuple[int, int], as_json: bool) -> None:
    """The sums by kind, and what the days' totals say of use."""
    rows = [
        (kind, str(count), format_amount(own), format_amount(clients)) for kind, (count, own, clients) in sums.items()
    ]
    totals = ("usage by the days' totals", "", format_amount(-said[0]), format_amount(-said[1]))
    if as_json:
        names = ("kind", "entries", *AMOUNTS)
        found = {
            "sums": [dict(zip(names, row, strict=True)) for row in rows],
            "days": dict(zip(names, totals, strict=True)),
        }
        click.echo(json.dumps(found), err=True)
        return
    head = ("kind", "entries", "workspace", "sub-accounts")
    for line in table([head, *rows, totals]):
        click.echo(line, err=True)
