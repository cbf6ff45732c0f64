"""docs/limits.md: what a million calls cost adds up, and measured figures are those that were measured."""

import re
from pathlib import Path

import pytest

from local import template

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "limits.md").read_text()


def cells(name: str) -> list[str]:
    """The row of a table that begins with this."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {name}")]
    return [cell.strip(" *") for cell in row.strip("|").split("|")]


def costs() -> list[list[str]]:
    """The rows of the table of costs: what, its price, how many and how much when busy, the same when quiet."""
    table = PAGE.partition("| USD per million calls")[2].partition("| **together**")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:] if line]


@pytest.mark.parametrize(("many", "much"), [(2, 3), (4, 5)], ids=["busy", "quiet"])
def test_each_row_is_its_price_times_how_many_and_the_rows_come_to_the_sum(many: int, much: int) -> None:
    rows = costs()
    assert len(rows) == 8
    for row in rows:
        price = float(row[1].split(" ")[0])
        assert price * float(row[many]) == pytest.approx(float(row[much]), abs=0.006), row[0]
    assert sum(float(row[much]) for row in rows) == pytest.approx(float(cells("**together**")[much]), abs=0.006)


def test_what_is_said_to_be_measured_stands_in_the_benchmarks() -> None:
    benchmarks = (DOCS / "benchmarks.md").read_text()
    measured = PAGE.partition("- Measured: ")[2].partition("\n- ")[0]
    figures = re.findall(r"\d+\.\d\d\b", measured)

    assert len(figures) == 5
    assert [figure for figure in figures if f" {figure} |" not in benchmarks] == []


def test_queues_keep_messages_for_the_days_that_the_page_says() -> None:
    days = int(cells("a message on a queue")[1].split(" ")[0])
    queues = [each["Properties"] for each in template.resources("dev").values() if each["Type"] == "AWS::SQS::Queue"]

    assert {each["MessageRetentionPeriod"] for each in queues} == {days * 86_400}
