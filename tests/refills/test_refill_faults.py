"""Whatever breaks in a refill, and wherever: one payment for one shortage, and the end is that of the undisturbed one.

Each story is told once undisturbed, and again with one fault in one of its calls to Stripe, or with the process ending
right before or right after one of its writes. Then time passes, ticks come, and the end is compared.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from pynamodb.connection import Connection

from chalicelib.clock import now_ms
from chalicelib.storage import refills
from local.stack import Stack
from tests.refills.refilling import DECLINES, GOOD, Refilling
from tests.stripe_stand import lasting_stage

DELAYS = {"at once": 0, "after an hour": 3_600, "after 25 hours": 90_000}
# How often each must happen, so that the SDK's own second try does not hide it.
FAULTS = {
    "lost_before": 2,
    "lost_after": 2,
    "conflict_409": 2,
    "rate_limit_429": 1,
    "error_500": 1,
    "error_500_after": 1,
}
INTENTS, INTENT = "/v1/payment_intents", "/v1/payment_intents/[^/]+"
CONFIRM, CANCEL = f"{INTENT}/confirm", f"{INTENT}/cancel"


@dataclass(frozen=True)
class Story:
    """A card, and how a refill with it ends. `writes` are its transactions."""

    card: str
    calls: tuple[tuple[str, str], ...]
    writes: int
    balance: str
    taken: tuple[int, ...]
    state: str


LOOK = (("GET", INTENT), ("GET", "/v1/refunds"), ("GET", "/v1/disputes"))
STORIES = {
    "paid": Story(GOOD, (("POST", INTENTS), ("POST", CONFIRM), *LOOK), 6, "50.000000", (4500,), "ok"),
    "declined": Story(
        DECLINES,
        (("POST", CONFIRM), ("GET", INTENT), ("POST", CANCEL)),
        5,
        "5.000000",
        (),
        "retrying",
    ),
}
# A 409 or 429 has no effect and is not kept, a read has none at all: how late the next try comes is nothing to them.
AT_ANY_TIME = ("lost_before", "lost_after", "error_500", "error_500_after")
CASES = [
    pytest.param(name, method, path, fault, delay, id=f"{name}-{method} {path}-{fault}-{delay}")
    for name, story in STORIES.items()
    for method, path in story.calls
    for fault, delay in itertools.product(FAULTS, DELAYS)
    if (method == "POST" and fault in AT_ANY_TIME) or (delay == "at once" and (method, fault[-5:]) != ("GET", "after"))
    if delay != "after an hour" or fault == "lost_after"
]
CRASHES = [
    pytest.param(name, number, side, delay, id=f"{name}-{side} write {number}-{delay}")
    for name, story in STORIES.items()
    for number in range(story.writes)
    for side, delay in (("before", "at once"), ("after", "at once"), ("after", "after 25 hours"))
]


@pytest.fixture(scope="module")
def stage(stack: Stack) -> Iterator[Refilling]:
    """One agency for the whole sweep."""
    with lasting_stage(stack) as paying:
        yield Refilling(paying)


@pytest.fixture(scope="module")
def begin(stage: Refilling) -> Callable[[str], str]:
    """A client whose wallet has just fallen below its threshold; whatever was done since a case before is undone."""
    anew = stage.paying.remember()

    @cache
    def fallen(card: str) -> tuple[str, Callable[[], None]]:
        anew()
        client = stage.client(card)
        stage.use(client, 700)
        stage.pretend.control.take()
        return client, stage.paying.remember()

    def begun(card: str) -> str:
        client, go_back = fallen(card)
        go_back()
        return client

    return begun


def recover(stage: Refilling, time_machine: Any, delay: str) -> None:
    """Time passes, ticks come, and Stripe tells what it has to tell, twice."""
    time_machine.move_to(now_ms() / 1000 + DELAYS[delay])
    for _ in range(3):
        stage.tick()
        time_machine.move_to(now_ms() / 1000 + 61)
    said = stage.pretend.control.take()
    for _ in range(2):
        stage.paying.deliver(said)
    stage.tick()


def ends_as(stage: Refilling, client: str, story: Story) -> None:
    standing = refills.get_standing(client)
    assert stage.balance(client) == story.balance
    assert stage.taken(owner=client) == list(story.taken)
    assert stage.state(client) == story.state
    assert standing.open_refill_id is None
    assert [refill for refill in refills.open_refills(100) if refill.owner_id == client] == []
    assert (standing.spent.day_micros, standing.spent.day_count) in (
        (0, 0),
        (sum(story.taken) * 10_000, len(story.taken)),
    )
    entries = stage.world.entries(client)
    assert sum(int(each["amount"].replace(".", "")) for each in entries) == int(story.balance.replace(".", ""))


@pytest.mark.parametrize("name", STORIES)
def test_an_undisturbed_refill_ends_as_told_by_the_calls_and_writes_that_the_sweep_disturbs(
    stage: Refilling, begin: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    story = STORIES[name]
    client = begin(story.card)
    writes = counted(monkeypatch, -1, "before")
    stage.tick()
    assert len(writes) == story.writes
    ends_as(stage, client, story)


@pytest.mark.parametrize(("name", "method", "path", "fault", "delay"), CASES)
def test_after_trouble_at_stripe_a_refill_ends_where_the_undisturbed_one_ends(
    stage: Refilling,
    begin: Callable[[str], str],
    time_machine: Any,
    name: str,
    method: str,
    path: str,
    fault: str,
    delay: str,
) -> None:
    story = STORIES[name]
    client = begin(story.card)
    stage.pretend.control.plan_fault(fault, FAULTS[fault], method, path)
    stage.tick()
    left = [each for each in stage.pretend.control.state()["faults"] if each["times"]]
    assert left == [], "the fault has not happened"
    recover(stage, time_machine, delay)
    ends_as(stage, client, story)


@pytest.mark.parametrize(("name", "number", "side", "delay"), CRASHES)
def test_after_a_crash_at_any_write_a_refill_ends_where_the_undisturbed_one_ends(
    stage: Refilling,
    begin: Callable[[str], str],
    time_machine: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    side: str,
    delay: str,
) -> None:
    story = STORIES[name]
    client = begin(story.card)
    writes = counted(monkeypatch, number, side)
    stage.tick()
    assert writes[number] == "crashed"
    monkeypatch.undo()
    recover(stage, time_machine, delay)
    ends_as(stage, client, story)


def counted(monkeypatch: pytest.MonkeyPatch, crash_at: int, side: str) -> list[str]:
    """Note every transaction; the process ends before or after the one with this number."""
    seen: list[str] = []
    real = Connection.transact_write_items

    def write(connection: Connection, *args: Any, **more: Any) -> Any:
        number = len(seen)
        seen.append("crashed" if number == crash_at else "done")
        if number == crash_at and side == "before":
            raise MemoryError("the process ends here")
        answer = real(connection, *args, **more)
        if number == crash_at:
            raise MemoryError("the process ends here")
        return answer

    monkeypatch.setattr(Connection, "transact_write_items", write)
    return seen
