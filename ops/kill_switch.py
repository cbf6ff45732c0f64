"""The kill switch of automatic refills: from now on no card is asked; what is under way is still settled."""

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from chalicelib.clock import rfc3339
from chalicelib.domain.people import ALL_SCOPES, Key
from ops.plain import as_json, do_it, in_plain_words, say_json, table

if TYPE_CHECKING:
    from chalicelib.storage.refill_switch import Switch

MOST_COUNTED = 200

of_workspace = click.option("--workspace", default="", help="Only this one's and its sub-accounts' (default: all).")


@click.group("kill-switch")
def kill_switch() -> None:
    """Stop automatic refills, for everybody or for one workspace, and let them go on."""


@kill_switch.command()
@of_workspace
@as_json
@in_plain_words
def status(workspace: str, as_json: bool) -> None:
    """Whether refills are stopped, since when, by whom and why; and how many are under way."""
    _show(workspace, as_json)


@kill_switch.command()
@of_workspace
@click.option("--reason", required=True, help="Why. It is shown to whoever asks why a wallet is not refilled.")
@do_it
@as_json
@in_plain_words
def stop(workspace: str, reason: str, yes: bool, as_json: bool) -> None:
    """Ask no card any more, at once. What a card was asked already is still settled and credited."""
    _switch(workspace, True, reason, yes, as_json)


@kill_switch.command()
@of_workspace
@click.option("--reason", required=True, help="Why it may go on.")
@do_it
@as_json
@in_plain_words
def resume(workspace: str, reason: str, yes: bool, as_json: bool) -> None:
    """Let refills go on: each wallet within five minutes. A workspace that is stopped by itself stays so."""
    _switch(workspace, False, reason, yes, as_json)


def _switch(workspace: str, stopped: bool, reason: str, yes: bool, as_json: bool) -> None:
    from chalicelib.domain.errors import Invalid
    from chalicelib.flows import audit  # reads the settings, which the command line may have set
    from chalicelib.flows.stop_refills import switch_refills
    from chalicelib.storage import accounts, refill_switch

    if not reason.strip():
        raise Invalid("reason", "--reason must say something.")
    scope = accounts.get_workspace(workspace).id if workspace else refill_switch.EVERYBODY
    whose = f"the refills of {workspace}" if workspace else "ALL refills"
    if not yes:
        what = f"Would {'stop' if stopped else 'let go on'} {whose}."
        say_json({"done": False, "what": what}) if as_json else click.echo(f"{what} Add --yes to do it.")
        return
    operator = Key(f"operator {getpass.getuser()}", ALL_SCOPES)
    before = refill_switch.get_switch(scope)
    after = switch_refills(scope, stopped, reason.strip(), operator.name)
    # The trail shows the same as when the switch is thrown through the API.
    action = "set_workspace_refills" if workspace else "set_all_refills"
    values = {"workspace_id": workspace} if workspace else {}
    audit.record(operator, action, values, _settings(before), _settings(after))
    _show(workspace, as_json)


def _settings(switch: "Switch") -> dict[str, Any]:
    return {"stopped": switch.stopped, "reason": switch.reason}


def _show(workspace: str, as_json: bool) -> None:
    from chalicelib.storage import accounts, refill_switch, refills

    scopes = [refill_switch.EVERYBODY, *([accounts.get_workspace(workspace).id] if workspace else [])]
    switches = [refill_switch.get_switch(scope) for scope in scopes]
    open_now = len(refills.open_refills(MOST_COUNTED))
    if as_json:
        for each in switches:
            at = rfc3339(each.at_ms) if each.at_ms else None
            say_json({**asdict(each), "at": at, "refills_under_way": open_now})
        return
    rows = [("scope", "refills", "since", "by", "reason")]
    for each in switches:
        since = rfc3339(each.at_ms) if each.at_ms else "ever"
        rows.append((each.scope, "STOPPED" if each.stopped else "go on", since, each.by, each.reason))
    for line in table(rows):
        click.echo(line)
    more = " or more" if open_now == MOST_COUNTED else ""
    click.echo(f"{open_now}{more} refill{'s' * (open_now != 1)} under way: they are settled either way.")
