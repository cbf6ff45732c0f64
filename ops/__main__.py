"""`python -m ops`: what an operator does by hand. `--home` speaks to the product that `make run` started."""

import json
import os

import click

from local.options import HomeError, read_options
from ops.dead_letters import dlq
from ops.deploy import deploy
from ops.doctor import doctor
from ops.explain import explain
from ops.export import export
from ops.keys import keys
from ops.kill_switch import kill_switch
from ops.plain import logs_aside
from ops.reconcile import reconcile
from ops.seed import seed
from ops.sweep import sweep


@click.group()
@click.option("--home", is_flag=True, help="The product that `make run` started, instead of AWS.")
@click.option("--stage", default=None, help="The stage on AWS (default: REBILL_STAGE, else dev).")
@click.pass_context
def main(context: click.Context, home: bool, stage: str | None) -> None:
    """Rebill's operator commands. On AWS they use your own credentials and region, as the AWS CLI does."""
    if home:
        os.environ.update(_environment_at_home())
    if stage:
        os.environ["REBILL_STAGE"] = stage
    context.with_resource(logs_aside())


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
main.add_command(deploy)
main.add_command(doctor)
main.add_command(keys)
main.add_command(explain)
main.add_command(export)
main.add_command(kill_switch)
main.add_command(seed)
main.add_command(reconcile)
main.add_command(sweep)

if __name__ == "__main__":
    main(prog_name="python -m ops")
