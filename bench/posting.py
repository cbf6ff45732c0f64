"""How fast usage is posted at one hot workspace: in batches, one event at a time, and by the naive yardstick."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import hot, naive
from bench.capture import Watch, watching
from bench.report import Part, Steps, Table, Verdict, per_event, spread
from chalicelib.domain.wallet import Entry
from chalicelib.storage import ledger
from chalicelib.storage.ledger import Outcome

WANTED_RATIO = 5.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    clients: Sequence[int]
    ledger_entries: int
    rounds: int
    batch: int
    alone: int


FULL = Plan(clients=(1, 10, 20, 100), ledger_entries=50_000, rounds=7, batch=500, alone=40)
QUICK = Plan(clients=(1, 20), ledger_entries=1_000, rounds=3, batch=200, alone=10)


@dataclass
class Case:
    """One row: so many clients on a ledger that holds so many entries. Rates are events per second, one a round."""

    clients: int
    entries: int
    batched: list[float] = field(default_factory=list)
    one_by_one: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    batched_units: Watch = field(default_factory=Watch)
    naive_units: Watch = field(default_factory=Watch)

    @property
    def ratios(self) -> list[float]:
        """Batched to naive, round by round."""
        return [ours / theirs for ours, theirs in zip(self.batched, self.naive, strict=True)]

    @property
    def own_ratio(self) -> float:
        """Batched to our own ledger, handed one event at a time."""
        return statistics.median(self.batched) / statistics.median(self.one_by_one)


def measure(endpoint_url: str, stage: str, plan: Plan, world: hot.HotWorkspace, display: Steps) -> Part:
    """All rounds on an empty ledger, then all on a full one."""
    cases: list[Case] = []
    for entries in (0, plan.ledger_entries):
        if entries:
            with display.step(f"filling the ledger with {entries:,} entries", entries) as step:
                for filled in hot.fill(endpoint_url, world, entries):
                    step.to(filled)
        for clients in plan.clients:
            case = Case(clients, entries)
            with display.step(f"posting for {clients} sub-accounts at {entries:,} entries", plan.rounds) as step:
                _measure_case(endpoint_url, stage, plan, world, case, step.to)
            cases.append(case)
    return Part([_speeds(cases, plan), _units(cases, plan)], [_verdict(cases)])


def _measure_case(endpoint_url: str, stage: str, plan: Plan, world: hot.HotWorkspace, case: Case, told: Any) -> None:
    rival = hot.plain_client(endpoint_url)
    for number in range(plan.rounds):
        ways = [
            lambda: case.batched.append(_batched(world, plan.batch, case.clients)),
            lambda: case.one_by_one.append(_one_by_one(world, plan.alone, case.clients)),
            lambda: case.naive.append(_naive(rival, world, plan.alone, case.clients)),
        ]
        for way in ways[number % 3 :] + ways[: number % 3]:  # each goes first in turn
            way()
        told(number + 1)
    with watching(endpoint_url, stage) as case.batched_units:
        _batched(world, plan.batch, case.clients)
    with watching(endpoint_url, stage, [rival]) as case.naive_units:
        _naive(rival, world, plan.alone, case.clients)


def _batched(world: hot.HotWorkspace, count: int, clients: int) -> float:
    messages = world.messages(count, clients)
    started_at = time.perf_counter()
    hot.post(messages)
    return count / (time.perf_counter() - started_at)


def _one_by_one(world: hot.HotWorkspace, count: int, clients: int) -> float:
    post = ledger.post

    def post_alone(entries: Sequence[Entry], give_up_at: float) -> dict[str, Outcome]:
        return {name: outcome for entry in entries for name, outcome in post([entry], give_up_at).items()}

    with hot.posting_by(post_alone):
        return _batched(world, count, clients)


def _naive(dynamodb: Any, world: hot.HotWorkspace, count: int, clients: int) -> float:
    """The same flow up to the ledger, then the yardstick in the ledger's place. Making its items is not counted."""
    messages = world.messages(count, clients)
    started_at = time.perf_counter()
    entries = world.entries(messages)
    flow_seconds = time.perf_counter() - started_at
    items = naive.entry_items(entries)
    started_at = time.perf_counter()
    naive.post(dynamodb, entries, items)
    return count / (flow_seconds + time.perf_counter() - started_at)


def _speeds(cases: Sequence[Case], plan: Plan) -> Table:
    head = ("sub-accounts", "ledger", "batched ev/s", "naive ev/s", "ratio", "ours alone ev/s", "ratio")
    rows = [
        (
            str(case.clients),
            f"{case.entries:,}",
            spread(case.batched),
            spread(case.naive),
            spread(case.ratios, 1),
            f"{statistics.median(case.one_by_one):.0f}",
            f"{case.own_ratio:.1f}",
        )
        for case in cases
    ]
    notes = (
        f"min / median / max of {plan.rounds} rounds, in turns; batched: {plan.batch} messages through the flow.",
        "naive: the same flow, then one transaction per event through the plain boto3 client; its items are free.",
        "ours alone: our own ledger.post, called with one event at a time.",
        "One poster at a time: MiniStack knows no conflicts between two, so none are in these figures.",
    )
    return Table("Posting at one hot workspace: events per second", head, rows, notes)


def _units(cases: Sequence[Case], plan: Plan) -> Table:
    head = (
        "sub-accounts",
        "ledger",
        "events",
        "transactions",
        "batched by rules",
        "reported",
        "naive by rules",
        "reported",
        "batched reads by rules",
    )
    rows = [
        (
            str(case.clients),
            f"{case.entries:,}",
            str(plan.batch),
            str(case.batched_units.transactions),
            per_event(case.batched_units.units.total, plan.batch),
            per_event(case.batched_units.reported, plan.batch),
            per_event(case.naive_units.units.total, plan.alone),
            per_event(case.naive_units.reported, plan.alone),
            per_event(case.batched_units.read_units, plan.batch),
        )
        for case in cases
    ]
    notes = (
        "by rules: DynamoDB's published ones, on the real items before and after; reported: what the store says.",
        "reads: the accounts and agents that a batch looks up first, in read units (a fifth of a write unit's price).",
    )
    return Table("Posting at one hot workspace: write units per event", head, rows, notes)


def _verdict(cases: Sequence[Case]) -> Verdict:
    worst = min(cases, key=lambda case: statistics.median(case.ratios))
    ratio = statistics.median(worst.ratios)
    best = max(statistics.median(case.ratios) for case in cases)
    return Verdict(
        f"at one hot workspace the batched posting is at least {WANTED_RATIO:.0f} times as fast as the naive one",
        ratio >= WANTED_RATIO,
        f"{ratio:.1f} at worst ({worst.clients} sub-accounts, {worst.entries:,} entries), {best:.1f} at best",
    )
