"""docs/benchmarks.md: written anew, or, where some parts were measured, with their sections in place of the old."""

from collections.abc import Sequence
from dataclasses import replace

from bench.report import Part

MEASURED = ". Measured: "
VERDICTS = "Verdicts"
HEAD = """# Benchmarks

Written by `python -m bench --write-docs`: every figure is measured, none is typed in.
"""


def document(facts: Sequence[str], parts: Sequence[Part], before: str = "") -> str:
    """The whole text. `before` is what it was, where `parts` are not all."""
    tables = [table for part in parts for table in part.tables]
    verdicts = [f"- {verdict.as_text()}" for part in parts for verdict in part.verdicts]
    if not before:
        sections = {table.title: table.as_markdown().strip() for table in tables}
        return _joined("\n".join([HEAD, *(f"- {fact}" for fact in facts)]), sections, verdicts)
    note = f"Measured by its part alone: {'; '.join(facts[:2])}."
    head, *texts = before.split("\n## ")
    sections = {text.partition("\n")[0]: f"## {text.strip()}" for text in texts}
    kept = sections.pop(VERDICTS, "").splitlines()[2:]
    sections |= {table.title: replace(table, notes=[*table.notes, note]).as_markdown().strip() for table in tables}
    new = {_claim(verdict) for verdict in verdicts}
    return _joined(head.strip(), sections, [*(each for each in kept if _claim(each) not in new), *verdicts])


def _claim(verdict: str) -> str:
    return verdict.partition(MEASURED)[0].partition(": ")[2]


def _joined(head: str, sections: dict[str, str], verdicts: Sequence[str]) -> str:
    last = "\n".join([f"## {VERDICTS}", "", *verdicts])
    return "\n\n".join([head, *sections.values(), last]) + "\n"
