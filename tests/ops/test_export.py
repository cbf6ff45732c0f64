"""`python -m ops export`: a month of a workspace, whole and exact, as its bookkeeper needs it."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import time_machine

from tests.calls import call
from tests.ops.commands import done, ops, refused
from tests.world import World

NOVEMBER, LATE_IN_OCTOBER = "2026-11-20T10:00:00Z", "2026-10-31T23:59:00Z"
EVIL = '=HYPERLINK("http://evil.example","pay")'


@pytest.fixture
def books(world: World) -> tuple[World, str, str]:
    """An agency with a client, whose last call of October was reported in November; and one call of November."""
    with time_machine.travel(LATE_IN_OCTOBER):
        workspace = world.workspace()
        client = world.sub_account(workspace, "0.15")
        late = call(client, "october", seconds=30)
    with time_machine.travel(NOVEMBER):
        world.post(
            f"/v1/sub-accounts/{client}/wallet/credits",
            {"amount": "20.00", "note": EVIL},
            headers={"Idempotency-Key": "k"},
        )
        world.credit(workspace, "100.00")
        world.report([late, call(client, "november", seconds=60)])
        world.drain()
    return world, workspace, client


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_months_entries_have_both_legs_and_belong_to_the_month_in_which_they_happened(
    books: tuple[World, str, str],
) -> None:
    _, workspace, client = books

    november = rows(done("export", "--workspace", workspace, "--month", "2026-11"))
    october = rows(done("export", "--workspace", workspace, "--month", "2026-10"))

    legs = [(row["kind"], row["event_id"], row["workspace_amount"], row["sub_account_amount"]) for row in november]
    assert sorted(legs) == [
        ("credit", "first", "100.000000", ""),
        ("credit", "k", "", "20.000000"),
        ("usage", "november", "-0.070000", "-0.150000"),
    ]
    assert [(row["event_id"], row["sub_account"]) for row in october] == [("october", client)]
    assert october[0]["posted_at"].startswith("2026-11-20")


def test_no_cell_is_run_as_a_formula_and_amounts_stay_numbers(books: tuple[World, str, str]) -> None:
    _, workspace, _ = books

    november = rows(done("export", "--workspace", workspace, "--month", "2026-11"))

    assert [row["note"] for row in november if row["event_id"] == "k"] == [f"'{EVIL}"]
    assert {row["workspace_amount"][:1] for row in november} == {"", "-", "1"}


def test_the_same_as_lines_of_json_keeps_every_word_as_it_was(books: tuple[World, str, str]) -> None:
    _, workspace, _ = books

    lines = done("export", "--workspace", workspace, "--month", "2026-11", "--format", "jsonl").splitlines()

    found: list[Any] = [json.loads(line) for line in lines]
    assert {each["note"] for each in found} == {EVIL, "paid by bank transfer", None}
    assert [each["quantity"] for each in found if each["kind"] == "usage"] == [60_000]


def test_the_sums_are_those_of_the_entries_and_of_the_days(books: tuple[World, str, str]) -> None:
    world, workspace, client = books
    with time_machine.travel("2026-12-02T10:00:00Z"):
        world.report([call(client, f"december-{number}", seconds=number) for number in range(1, 8)])
        world.drain()
        result = ops("export", "--workspace", workspace, "--month", "2026-12", "--json")
    january = time_machine.travel("2027-01-05T00:00:00Z")
    with january:
        again = ops("export", "--workspace", workspace, "--month", "2026-12", "--json")

    assert (result.exit_code, again.exit_code) == (0, 0)
    said = json.loads(again.stderr.splitlines()[-1])
    (usage,) = said["sums"]
    entries = rows(again.stdout)
    assert Decimal(usage["workspace_amount"]) == sum(Decimal(row["workspace_amount"]) for row in entries) < 0
    assert {name: usage[name] for name in ("workspace_amount", "sub_account_amount")} == {
        name: said["days"][name] for name in ("workspace_amount", "sub_account_amount")
    }


def test_a_month_that_is_over_and_does_not_agree_with_its_days_is_an_error(books: tuple[World, str, str]) -> None:
    from chalicelib.storage.tables import EntryItem

    _, workspace, _ = books
    EntryItem.get("usage#my-platform#october", workspace).delete()

    with time_machine.travel(NOVEMBER):
        said = refused("export", "--workspace", workspace, "--month", "2026-10")

    assert "The entries do not come to the days' totals" in said


def test_a_file_is_there_whole_or_not_at_all(books: tuple[World, str, str], tmp_path: Path) -> None:
    _, workspace, _ = books
    out, nowhere = tmp_path / "november.csv", tmp_path / "missing" / "november.csv"

    done("export", "--workspace", workspace, "--month", "2026-11", "--out", str(out))
    said = refused("export", "--workspace", workspace, "--month", "2026-11", "--out", str(nowhere))

    assert len(rows(out.read_text())) == 3
    assert list(tmp_path.iterdir()) == [out]
    assert "cannot be written: No such file or directory" in said


def test_many_entries_come_in_the_order_of_time_and_each_once(world: World) -> None:
    workspace = world.workspace()
    clients = [world.sub_account(workspace, "0.15") for _ in range(3)]
    for number in range(3):
        for client in clients:
            world.report([call(client, f"{client}-{number}-{each}", seconds=5) for each in range(20)])
            world.credit(client, "1.00", key=str(number))
        world.drain()

    month = done("export", "--workspace", workspace, "--month", world.entries(workspace)[0]["occurred_at"][:7])

    ids = [row["id"] for row in rows(month)]
    assert len(ids) == len(set(ids)) == 3 * 3 * 21
    assert ids == sorted(ids)


def test_a_call_whose_clock_runs_ahead_into_the_next_month_is_in_that_months_export(world: World) -> None:
    with time_machine.travel("2026-10-31T23:58:00Z"):
        workspace = world.workspace()
        client = world.sub_account(workspace, "0.15")
        world.report(call(client, "ahead", seconds=180))
        world.drain()
    with time_machine.travel(NOVEMBER):
        november = rows(done("export", "--workspace", workspace, "--month", "2026-11"))

    assert [(row["event_id"], row["posted_at"][:7], row["occurred_at"][:7]) for row in november] == [
        ("ahead", "2026-10", "2026-11")
    ]


@pytest.mark.parametrize(
    ("month", "sentence"), [("2026-13", "--month is a year and a month"), ("2026-11", "There is no such workspace.")]
)
def test_what_is_not_there_is_said_in_a_sentence(world: World, month: str, sentence: str) -> None:
    assert sentence in refused("export", "--workspace", "ws_nobody", "--month", month)
