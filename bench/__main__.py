"""`python -m bench`: everything measured in one run against MiniStack, and a verdict for each claim.

`--quick` takes a few minutes; `--only` measures some parts; `--write-docs` also writes what was measured to
docs/benchmarks.md. Ends with 1 if a claim fails.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.document import document
from bench.report import Part, Steps, machine_facts, steps
from local.stack import Stack
from local.template import create_resources

STAGE = "bench"
PARTS = ("posting", "gate", "starts", "refills", "pages")
DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, print, and say whether every claim holds."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure posting, the gate, and refills.")
    parser.add_argument("--quick", action="store_true", help="a minute or two instead of a quarter of an hour")
    parser.add_argument("--write-docs", action="store_true", help="also write the tables to docs/benchmarks.md")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these parts, and no other")
    options = parser.parse_args()
    started_at = time.monotonic()
    facts = machine_facts("quick" if options.quick else "full")
    print("Rebill's bench", *(f"  {fact}" for fact in facts), sep="\n", flush=True)
    with Stack() as stack:
        _use(stack)
        create_resources(stack.endpoint_url, STAGE)
        with steps() as display:
            parts = _measure(stack, options.quick, options.only, display)
    for table in (table for part in parts for table in part.tables):
        print(table.as_text())
    verdicts = [verdict for part in parts for verdict in part.verdicts]
    print("\nVerdicts\n", *(verdict.as_text() for verdict in verdicts), sep="\n")
    print(f"\nTook {time.monotonic() - started_at:.0f} s.")
    if options.write_docs:
        DOCS.write_text(document(facts, parts, "" if set(options.only) == set(PARTS) else DOCS.read_text()))
        print("Wrote docs/benchmarks.md.")
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _use(stack: Stack) -> None:
    """Point our code at this stack, and at nothing of the user's. Must come before any import of chalicelib."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REBILL_", "POWERTOOLS_"))]:
        del os.environ[name]
    os.environ.update(stack.environment(), REBILL_STAGE=STAGE)


def _measure(stack: Stack, quick: bool, only: Sequence[str], display: Steps) -> list[Part]:
    # Settings and pynamodb read the environment when they are imported, so not before it is set.
    from bench import costs, gate, hot, pages, posting, refills, starts

    endpoint_url = stack.endpoint_url
    plan = posting.QUICK if quick else posting.FULL
    parts: list[Part] = []
    if {"posting", "gate", "starts"} & set(only):
        doors = hot.Doors()
        with display.step("a workspace with its clients", 1):
            world = hot.HotWorkspace(doors, max(20, *plan.clients))
        if "posting" in only:
            parts.append(posting.measure(endpoint_url, STAGE, plan, world, display))
            parts.append(costs.measure(endpoint_url, STAGE, doors, world, display))
        if "gate" in only:
            parts.append(gate.measure(endpoint_url, STAGE, doors, 100 if quick else 500, display))
        if "starts" in only:
            parts.append(starts.measure(doors, world, 3 if quick else 9, display))
    for name, part, size in (
        ("refills", refills, refills.QUICK if quick else refills.FULL),
        ("pages", pages, pages.QUICK if quick else pages.FULL),
    ):
        if name in only:
            stack.reset()  # what is there so far is not of the sizes to come, and nobody needs it any more
            create_resources(endpoint_url, STAGE)
            parts.append(part.measure(endpoint_url, STAGE, size, display))
    return parts


if __name__ == "__main__":
    sys.exit(main())
