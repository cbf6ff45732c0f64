"""docs/benchmarks.md: what was measured anew takes the place of the old, and nothing else changes."""

from bench.document import document
from bench.report import Part, Table, Verdict

FACTS = ("2026-11-22 20:20 UTC, full run", "4 cores, load 1.1 when it began", "Python 3.11.7")
LATER = ("2026-11-23 08:00 UTC, full run", "4 cores, load 9.0 when it began", "Python 3.11.7")


def part(title: str, figure: str, holds: bool = True) -> Part:
    table = Table(title, ("what", "ms"), [("a page", figure)], ("measured once",))
    return Part([table], [Verdict(f"{title} is quick", holds, f"{figure} ms")])


def test_a_part_that_was_measured_alone_replaces_its_section_and_says_when() -> None:
    before = document(FACTS, [part("Posting", "10"), part("Pages", "200", holds=False)])

    after = document(LATER, [part("Pages", "90")], before)

    assert "| a page | 10 |" in after
    assert "| a page | 200 |" not in after
    assert "| a page | 90 |\n\n- measured once\n- Measured by its part alone: 2026-11-23 08:00 UTC" in after
    assert after.count("## Pages") == after.count("## Verdicts") == 1
    assert after.endswith("- holds: Posting is quick. Measured: 10 ms.\n- holds: Pages is quick. Measured: 90 ms.\n")


def test_a_part_that_is_new_comes_after_the_others_and_before_the_verdicts() -> None:
    before = document(FACTS, [part("Posting", "10")])

    after = document(LATER, [part("Pages", "90")], before)

    assert [line for line in after.splitlines() if line.startswith("## ")] == ["## Posting", "## Pages", "## Verdicts"]
    assert after.splitlines()[:5] == before.splitlines()[:5]
