"""Every night all workspaces have their turn, whatever becomes of one of them, and however many runs it takes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from click.testing import CliRunner

import app
from chalicelib.clock import now_ms
from chalicelib.domain.reconcile import WORDS, Cause
from chalicelib.flows import nightly
from chalicelib.flows.nightly import Night, OutOfTime
from chalicelib.flows.reconcile import reconcile_tonight
from chalicelib.storage.nightly import all_workspaces
from ops.__main__ import main
from tests.reconcile.bookkeeping import DAY_MS, HOUR_MS, Bookkeeping
from tests.world import Context, World

PLENTY_SECONDS = 60.0


def seen_by(night: Night, stop_after: int = 100) -> list[str]:
    """The workspaces that a run sees to; its time is over after so many."""
    seen: list[str] = []

    def see_to(workspace_id: str) -> None:
        if len(seen) == stop_after:
            raise OutOfTime
        seen.append(workspace_id)

    night.each(all_workspaces(), see_to)
    return seen


def test_a_run_goes_on_where_the_last_one_stopped(world: World) -> None:
    workspaces = sorted(world.workspace() for _ in range(5))

    first = seen_by(Night("reconcile", PLENTY_SECONDS), stop_after=2)
    second = seen_by(Night("reconcile", PLENTY_SECONDS))

    assert (first, second) == (workspaces[:2], workspaces[2:])
    assert Night("reconcile", PLENTY_SECONDS).is_over
    assert not Night("sweep", PLENTY_SECONDS).is_over


def test_the_next_night_begins_anew(world: World) -> None:
    workspace = world.workspace()
    seen_by(Night("reconcile", PLENTY_SECONDS))

    with time_machine.travel((now_ms() + DAY_MS) / 1000):
        assert seen_by(Night("reconcile", PLENTY_SECONDS)) == [workspace]


def test_a_workspace_that_fails_keeps_no_other_from_its_turn(world: World, alarms: Callable[[], list[str]]) -> None:
    workspaces = sorted(world.workspace() for _ in range(3))
    seen: list[str] = []

    def fail_at_the_second(workspace_id: str) -> None:
        seen.append(workspace_id)
        if workspace_id == workspaces[1]:
            raise ValueError

    assert Night("reconcile", PLENTY_SECONDS).each(all_workspaces(), fail_at_the_second)
    assert seen == workspaces
    assert alarms() == ["nightly_work_failed"]


def test_a_workspace_for_which_a_whole_run_is_too_short_is_passed_over_loudly(
    world: World, alarms: Callable[[], list[str]]
) -> None:
    first, second = sorted(world.workspace() for _ in range(2))

    def too_slow(workspace_id: str) -> None:
        if workspace_id == first:
            raise OutOfTime

    assert Night("reconcile", PLENTY_SECONDS).each(all_workspaces(), too_slow)
    assert alarms() == ["nightly_work_too_long"]
    assert second


def test_a_run_without_time_ends_within_a_workspace(
    books: Bookkeeping, monkeypatch: pytest.MonkeyPatch, alarms: Callable[[], list[str]]
) -> None:
    moments = iter(range(100_000))
    monkeypatch.setattr(nightly.time, "monotonic", lambda: float(next(moments)))

    books.move_balance(books.sibling, 7)

    cut_short, at_last = reconcile_tonight(12.0), reconcile_tonight(10_000.0)

    assert cut_short is not None
    assert at_last is not None
    assert (cut_short.workspaces, at_last.workspaces) == (0, 1)
    assert alarms() == ["reconcile_difference"]


def test_every_difference_of_the_night_is_an_alarm_with_its_facts(
    books: Bookkeeping, caplog: pytest.LogCaptureFixture
) -> None:
    books.move_balance(books.sibling, 7)

    with time_machine.travel((now_ms() + HOUR_MS) / 1000):
        app.reconcile(_scheduled(), Context())

    (told,) = [line.__dict__ for line in caplog.records if getattr(line, "alarm", "") == "reconcile_difference"]
    assert (told["cause"], told["owner_id"]) == (Cause.BALANCE_EDITED, books.sibling)
    assert told["ours_micros"] - told["theirs_micros"] == 7
    (summary,) = [line.__dict__ for line in caplog.records if line.msg == "reconciled"]
    assert (summary["differences"], summary["workspaces"], summary["finished"]) == (1, 1, True)


def test_a_second_run_of_the_night_does_nothing(books: Bookkeeping, alarms: Callable[[], list[str]]) -> None:
    books.move_balance(books.sibling, 7)

    app.reconcile(_scheduled(), Context())
    first = alarms()
    app.reconcile(_scheduled(), Context())

    assert ("reconcile_difference" in first, alarms()) == (True, [])


def test_without_stripe_the_books_are_still_held_against_themselves(
    world: World, alarms: Callable[[], list[str]]
) -> None:
    workspace = world.workspace()
    world.credit(workspace, "10.00")

    report = reconcile_tonight(PLENTY_SECONDS)

    assert report is not None
    assert (report.wallets, report.differences, report.unreachable) == (1, [], ["platform"])


def test_strangers_on_the_platforms_account_are_told_once(books: Bookkeeping) -> None:
    with time_machine.travel((now_ms() + HOUR_MS) / 1000):
        books.pay_a_stranger(account=None, metadata={"rebill": "rfl_of_nobody"})
        books.pay_a_stranger(account=None)
    with time_machine.travel((now_ms() + 2 * HOUR_MS) / 1000):
        report = reconcile_tonight(PLENTY_SECONDS)

    assert report is not None
    assert [(each.cause, each.workspace_id) for each in report.differences] == [(Cause.FOREIGN_PAYMENT, "platform")]
    assert report.foreign == 1


def test_the_command_tells_each_difference_and_what_to_do(books: Bookkeeping) -> None:
    clean = CliRunner().invoke(main, ["reconcile"])
    assert (clean.exit_code, "✔ No differences." in clean.stdout) == (0, True), clean.output

    books.move_balance(books.sibling, 7)
    told = CliRunner().invoke(main, ["reconcile", "--workspace", books.workspace])
    assert told.exit_code == 1
    assert "balance_edited" in told.stdout
    assert WORDS[Cause.BALANCE_EDITED][1] in told.stdout
    assert "30.000007" in told.stdout

    lines = CliRunner().invoke(main, ["reconcile", "--json"]).stdout.splitlines()
    facts: list[Any] = [json.loads(line) for line in lines]
    assert facts[0]["cause"] == "balance_edited"
    assert facts[-1]["differences"] == 1


def test_a_workspace_that_is_none_is_refused_in_plain_words(store: object) -> None:
    told = CliRunner().invoke(main, ["reconcile", "--workspace", "ws_nobody"])

    assert (told.exit_code, "There is no such workspace." in told.output) == (1, True)


def test_every_cause_has_its_words() -> None:
    assert WORDS.keys() == set(Cause)


def _scheduled() -> dict[str, Any]:
    return {
        "version": "0",
        "id": "1",
        "detail-type": "",
        "source": "",
        "account": "",
        "time": "",
        "region": "",
        "resources": [],
        "detail": {},
    }
