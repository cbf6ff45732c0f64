"""`python -m ops`: what an operator does by hand. `--home` speaks to the product that `make run` started."""

import json
import os

import click

from local.options import HomeError, read_options
from ops.dead_letters import dlq
from ops.keys import keys


@click.group()
@click.option("--home", is_flag=True, help="The product that `make run` started, instead of AWS.")
@click.option("--stage", default=None, help="The stage on AWS (default: REBILL_STAGE, else dev).")
def main(home: bool, stage: str | None) -> None:
    """Rebill's operator commands. On AWS they use your own credentials and region, as the AWS CLI does."""
    if home:
        os.environ.update(_environment_at_home())
    if stage:
        os.environ["REBILL_STAGE"] = stage


def _environment_at_home() -> dict[str, str]:
    try:
        found = json.loads(read_options(os.environ).run_file.read_text())
    except HomeError as wrong:
        raise click.ClickException(str(wrong)) from None
    except FileNotFoundError:
        raise click.ClickException("Nothing runs at home: start it with `make run`.") from None
    environment: dict[str, str] = found["environment"]
    return environment


main.add_command(dlq)
main.add_command(keys)

if __name__ == "__main__":
    main(prog_name="python -m ops")
