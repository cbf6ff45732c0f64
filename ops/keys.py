"""API keys of the platform: made here, shown once, kept as a hash."""

import json
from collections.abc import Sequence

import click

from chalicelib.clock import rfc3339
from chalicelib.domain.errors import NotFound
from chalicelib.domain.people import ALL_SCOPES, Scope


@click.group()
def keys() -> None:
    """The platform's API keys."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may be used for; say it again for more. Without it: everything.",
)
def make(name: str, scopes: Sequence[str]) -> None:
    """Make an API key and print it. NAME says who will use it. It is shown this once."""
    from chalicelib.flows.authenticate import issue_api_key  # reads the settings, which the options above have set

    click.echo(issue_api_key(name, frozenset(Scope(scope) for scope in scopes) or ALL_SCOPES))


@keys.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_keys(as_json: bool) -> None:
    """One line for each key, the oldest first. The keys themselves are nowhere."""
    from chalicelib.flows.authenticate import list_api_keys

    found = [
        {
            "id": known.id,
            "name": known.name,
            "scopes": sorted(known.scopes),
            "created_at": rfc3339(known.created_at_ms),
            "revoked": known.revoked,
        }
        for known in list_api_keys()
    ]
    if as_json:
        for facts in found:
            click.echo(json.dumps(facts))
        return
    rows = [("id", "name", "scopes", "created", "")]
    rows += [(f["id"], f["name"], _scopes(f["scopes"]), f["created_at"], "revoked" * f["revoked"]) for f in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Refuse a key from now on: everywhere within 30 seconds. KEY_ID is what the list shows."""
    from chalicelib.flows.authenticate import revoke_api_key

    try:
        known = revoke_api_key(key_id)
    except NotFound as unknown:
        raise click.ClickException(unknown.detail) from unknown
    click.echo(f"Revoked {known.id} ({known.name}).")


def _scopes(scopes: Sequence[str]) -> str:
    return "all" if len(scopes) == len(ALL_SCOPES) else " ".join(scopes)
