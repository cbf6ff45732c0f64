"""`python -m ops`: what an operator does by hand. `--home` speaks to the product that `make run` started."""

import json
import os
from pathlib import Path

import click

from ops.dead_letters import dlq
from ops.keys import keys

RUN_FILE = Path(__file__).parent.parent / ".run.json"


@click.group()
@click.option("--home", is_flag=True, help="The product that `make run` started, instead of AWS.")
@click.option("--stage", default=None, help="The stage on AWS (default: REBILL_STAGE, else dev).")
def main(home: bool, stage: str | None) -> None:
    """Rebill's operator commands. On AWS they use your own credentials and region, as the AWS CLI does."""
    if home:
        if not RUN_FILE.exists():
            raise click.ClickException("Nothing runs at home: start it with `make run`.")
        os.environ.update(json.loads(RUN_FILE.read_text())["environment"])
    if stage:
        os.environ["REBILL_STAGE"] = stage


main.add_command(dlq)
main.add_command(keys)

if __name__ == "__main__":
    main(prog_name="python -m ops")
