"""API keys of the platform: made here, shown once, kept as a hash."""

import click


@click.group()
def keys() -> None:
    """The platform's API keys."""


@keys.command()
@click.argument("name")
def make(name: str) -> None:
    """Make an API key and print it. NAME says who will use it. It is shown this once."""
    from chalicelib.flows.authenticate import issue_api_key  # reads the settings, which the options above have set

    click.echo(issue_api_key(name))
