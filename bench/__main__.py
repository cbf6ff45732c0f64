"""`python -m bench`: everything measured in one run against MiniStack, and a verdict for each claim.

`--quick` takes a minute or two; `--write-docs` also writes docs/benchmarks.md. Ends with 1 if a claim fails.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import Part, Steps, machine_facts, steps
from local.stack import Stack
from local.template import create_resources

STAGE = "bench"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, print, and say whether every claim holds."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure posting, the gate, and refills.")
    parser.add_argument("--quick", action="store_true", help="a minute or two instead of a quarter of an hour")
    parser.add_argument("--write-docs", action="store_true", help="also write the tables to docs/benchmarks.md")
    options = parser.parse_args()
    started_at = time.monotonic()
    facts = machine_facts("quick" if options.quick else "full")
    print("Rebill's bench", *(f"  {fact}" for fact in facts), sep="\n", flush=True)
    with Stack() as stack:
        _use(stack)
        create_resources(stack.endpoint_url, STAGE)
        with steps() as display:
            parts = _measure(stack, options.quick, display)
    for table in (table for part in parts for table in part.tables):
        print(table.as_text())
    verdicts = [verdict for part in parts for verdict in part.verdicts]
    print("\nVerdicts\n", *(verdict.as_text() for verdict in verdicts), sep="\n")
    print(f"\nTook {time.monotonic() - started_at:.0f} s.")
    if options.write_docs:
        DOCS.write_text(_markdown(facts, parts))
        print("Wrote docs/benchmarks.md.")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _use(stack: Stack) -> None:
    """Point our code at this stack, and at nothing of the user's. Must come before any import of chalicelib."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REBILL_", "POWERTOOLS_"))]:
        del os.environ[name]
    os.environ.update(stack.environment(), REBILL_STAGE=STAGE)


def _measure(stack: Stack, quick: bool, display: Steps) -> list[Part]:
    # Settings and pynamodb read the environment when they are imported, so not before it is set.
    from bench import costs, gate, hot, posting, refills, starts

    endpoint_url = stack.endpoint_url
    plan = posting.QUICK if quick else posting.FULL
    doors = hot.Doors()
    with display.step("a workspace with its clients", 1):
        world = hot.HotWorkspace(doors, max(20, *plan.clients))
    parts = [
        posting.measure(endpoint_url, STAGE, plan, world, display),
        costs.measure(endpoint_url, STAGE, doors, world, display),
        gate.measure(endpoint_url, STAGE, doors, 100 if quick else 500, display),
        starts.measure(world.messages(plan.batch, 20), 2 if quick else 9, display),
    ]
    stack.reset()  # the wallets so far are not of the sizes to come, and nobody needs them any more
    create_resources(endpoint_url, STAGE)
    return [*parts, refills.measure(endpoint_url, STAGE, refills.QUICK if quick else refills.FULL, display)]


def _markdown(facts: Sequence[str], parts: Sequence[Part]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m bench --write-docs`: every figure is measured, none is typed in.",
        "",
    ]
    lines += [f"- {fact}" for fact in facts]
    lines += [table.as_markdown() for part in parts for table in part.tables]
    lines += ["", "## Verdicts", ""]
    lines += [f"- {verdict.as_text()}" for part in parts for verdict in part.verdicts]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
