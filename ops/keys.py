"""API keys of the platform: made here, shown once, kept as a hash."""

from collections.abc import Sequence
from typing import Any

import click

from chalicelib.clock import rfc3339
from chalicelib.domain.people import ALL_SCOPES, Scope
from ops.plain import as_json, in_plain_words, say_json, table


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
@as_json
@in_plain_words
def make(name: str, scopes: Sequence[str], as_json: bool) -> None:
    """Make an API key and print it. NAME says who will use it. It is shown this once."""
    from chalicelib.flows.authenticate import issue_api_key  # reads the settings, which the options above have set

    key = issue_api_key(name, frozenset(Scope(scope) for scope in scopes) or ALL_SCOPES)
    say_json({"name": name, "key": key}) if as_json else click.echo(key)


@keys.command(name="list")
@as_json
@in_plain_words
def list_keys(as_json: bool) -> None:
    """One line for each key, the oldest first. The keys themselves are nowhere."""
    from chalicelib.flows.authenticate import list_api_keys

    found: list[dict[str, Any]] = [
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
            say_json(facts)
        return
    rows = [("id", "name", "scopes", "created", "")]
    rows += [(f["id"], f["name"], _scopes(f["scopes"]), f["created_at"], "revoked" * f["revoked"]) for f in found]
    for line in table(rows):
        click.echo(line)


@keys.command()
@click.argument("key_id")
@as_json
@in_plain_words
def revoke(key_id: str, as_json: bool) -> None:
    """Refuse a key from now on: everywhere within 30 seconds. KEY_ID is what the list shows."""
    from chalicelib.flows.authenticate import revoke_api_key

    known = revoke_api_key(key_id)
    say_json({"id": known.id, "revoked": True}) if as_json else click.echo(f"Revoked {known.id} ({known.name}).")


def _scopes(scopes: Sequence[str]) -> str:
    return "all" if len(scopes) == len(ALL_SCOPES) else " ".join(scopes)
