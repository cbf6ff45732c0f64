"""Fills a stage, or the product at home, with workspaces, sub-accounts and entries to look at and to measure."""

import sys

import click

from chalicelib.domain.errors import Conflict
from ops.plain import as_json, do_it, in_plain_words, say_json


@click.command()
@click.option("--workspaces", default=2, show_default=True, help="How many workspaces.")
@click.option("--sub-accounts", default=20, show_default=True, help="How many sub-accounts in all.")
@click.option("--entries", default=1_000, show_default=True, help="How many calls in all.")
@click.option("--days", default=30, show_default=True, help="Over how many days until now the calls are spread.")
@click.option("--seed", "number", default=1, show_default=True, help="Another number makes others of the same size.")
@do_it
@as_json
@in_plain_words
def seed(workspaces: int, sub_accounts: int, entries: int, days: int, number: int, yes: bool, as_json: bool) -> None:
    """Fill a stage that takes no real money. The same command again goes on where it was cut short."""
    from chalicelib.settings import settings  # reads the environment, which the command line may have set
    from local import seed as seeding

    _refuse_real_money()
    what = f"{workspaces} workspaces, {sub_accounts} sub-accounts and {entries:,} calls on stage {settings().stage}"
    if not yes:
        say_json({"done": False, "would_make": what}) if as_json else click.echo(
            f"Would make {what}. Add --yes to do it."
        )
        return
    steps = seeding.steps(workspaces, sub_accounts, entries)
    try:
        with click.progressbar(length=steps, label="Seeding", file=sys.stderr, show_pos=True) as bar:
            made = seeding.seed(workspaces, sub_accounts, entries, bar.update, number, days)
    except (ValueError, seeding.SeedError) as refused:
        raise click.ClickException(str(refused)) from refused
    for each in made:
        if as_json:
            say_json({"workspace": each.workspace_id, "sub_accounts": list(each.sub_account_ids)})
        else:
            click.echo(
                f"{each.workspace_id}  {len(each.sub_account_ids)} sub-accounts, busiest {each.sub_account_ids[0]}"
            )


def _refuse_real_money() -> None:
    """Invented calls have no place beside real ones."""
    from chalicelib.settings import settings, stripe_settings

    try:
        live = stripe_settings().livemode
    except Conflict:  # no Stripe at all
        return
    if live:
        raise click.ClickException(f"Stage {settings().stage} takes real money: it is not seeded.")
