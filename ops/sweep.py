"""`python -m ops sweep`: calls that a voice platform lists and that never reached us."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from chalicelib.clock import now_ms, rfc3339
from ops.plain import as_json, do_it, in_plain_words, say_json, table
from ops.reconcile import DATE, chosen, progress, since_ms

if TYPE_CHECKING:
    from chalicelib.flows.sweep_calls import Missed, Swept


@click.command()
@click.option("--workspace", help="Only this one (ws_...).")
@click.option("--since", type=DATE, help="From when on calls are looked at (UTC day). Usually three days ago.")
@do_it
@as_json
@in_plain_words
def sweep(workspace: str | None, since: datetime | None, yes: bool, as_json: bool) -> None:
    """Look for lost webhooks at Vapi and Retell, and post the calls that were missed (with --yes). Safe to repeat: a
    call is posted once. Exit code 1 if a platform did not let us look."""
    from chalicelib.flows.sweep_calls import sweep_calls  # reads the settings, which the options above have set

    workspaces = chosen(workspace)
    with progress("Looking", len(workspaces), quiet=as_json) as step:
        swept = sweep_calls(workspaces, since_ms(since), post=yes, progress=step)
    if as_json:
        for missed in swept.missed:
            say_json(asdict(missed))
        counted = {name: value for name, value in asdict(swept).items() if name != "missed"}
        say_json({**counted, "missed": len(swept.missed), "posted": yes})
    else:
        for line in _told(swept, yes):
            click.echo(line)
    if swept.refused:
        sys.exit(1)


def _told(swept: "Swept", posted: bool) -> Iterator[str]:
    yield from table([_row(each) for each in swept.missed], indent="  ")
    for endpoint_id, code in swept.refused:
        yield f"✘ {endpoint_id}: {code}. Its calls were not looked at."
    yield f"{swept.calls:,} calls at {swept.endpoints:,} endpoints; {swept.strangers:,} of agents that nobody assigned."
    found = f"{len(swept.missed)} missed"
    yield f"{found}, now on the queue." if posted else f"{found}. Add --yes to post what was missed."


def _row(missed: "Missed") -> tuple[str, ...]:
    report = missed.report
    ended = rfc3339(report.ended_at_ms or now_ms())
    return missed.workspace_id, report.source, report.event_id, report.agent_id or "-", ended
