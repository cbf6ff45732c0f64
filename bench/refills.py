"""The tick of refills: what it costs to find and refill ten wallets among ten, a thousand, a hundred thousand.

Its rival is what a system without the index of due wallets would do every minute: look at every wallet there is.
"""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import stripe as sdk

from bench.capture import WRITES, Watch, our_clients, watching
from bench.refilling import DUE, Refilling
from bench.report import Part, Step, Steps, Table, Verdict, spread
from bench.write_units import READ_UNIT_BYTES, item_size
from chalicelib.clock import now_ms
from chalicelib.flows import refill_wallets
from chalicelib.storage import refill_switch, wallets
from chalicelib.storage.tables import WalletItem
from local.pretend_stripe import PretendStripe

USUAL_REFILLS_AN_HOUR = 10_000  # of this platform: the breaker has nothing to say
PLENTY_SECONDS = 120.0
SEARCHES = ("Query", "Scan")
MOST_SLOWER = 2.0  # a tick that looked at every wallet would be ten thousand times as slow


@dataclass(frozen=True)
class Plan:
    """How much to measure: so many wallets, so many timed rounds each."""

    wallets: Sequence[int]
    rounds: int


FULL = Plan(wallets=(10, 1_000, 100_000), rounds=3)
QUICK = Plan(wallets=(10, 1_000, 10_000), rounds=3)


@dataclass
class Cost:
    """What one stretch of work asked of the store, and of Stripe."""

    watch: Watch = field(default_factory=Watch)
    searches: list[tuple[str, float]] = field(default_factory=list)
    stripe_requests: int = 0

    @property
    def read_units(self) -> float:
        """By the rules: reads by key, and searches."""
        return self.watch.read_units + sum(units for _, units in self.searches)

    @property
    def finding_units(self) -> float:
        """Read units of the queries for due wallets."""
        return sum(units for searched, units in self.searches if searched == WalletItem.due_refills.Meta.index_name)

    @property
    def kinds(self) -> Counter[str]:
        """The store's operation -> how often it was asked for."""
        return Counter(sent.operation for sent in self.watch.sent)

    @property
    def figures(self) -> tuple[float, ...]:
        """Requests to Stripe, to the store, those that write; read units; write units of items and of index entries."""
        writes = sum(count for kind, count in self.kinds.items() if kind in WRITES)
        units = self.watch.units
        return self.stripe_requests, len(self.watch.sent), writes, self.read_units, units.table, units.indexes


@dataclass
class Case:
    """One row: ten due wallets among so many. Milliseconds of each round."""

    wallets: int
    tick_ms: list[float] = field(default_factory=list)
    finding_ms: list[float] = field(default_factory=list)
    scan_ms: list[float] = field(default_factory=list)
    idle: Cost = field(default_factory=Cost)
    tick: Cost = field(default_factory=Cost)
    scan: Cost = field(default_factory=Cost)

    @property
    def rest_ms(self) -> list[float]:
        """The tick without the search for due wallets, round by round."""
        return [tick - finding for tick, finding in zip(self.tick_ms, self.finding_ms, strict=True)]


# Measuring


def measure(endpoint_url: str, stage: str, plan: Plan, display: Steps) -> Part:
    """Ten due wallets in each round, on a store that is filled up between the sizes. It must be empty to begin with."""
    cases = [Case(count) for count in plan.wallets]
    with PretendStripe() as pretend:
        world = Refilling(endpoint_url, stage, pretend)
        there = _watched_wallets()
        refill_switch.count_opened(USUAL_REFILLS_AN_HOUR, now_ms() - 3_600_000)
        world.make_due()
        _tick(DUE)  # nobody's first time counts
        for case in cases:
            missing = case.wallets - DUE - there
            there += max(0, missing)
            with display.step(f"writing {max(0, missing):,} wallets", max(1, missing)) as step:
                for added in world.add(missing):
                    step.to(added)
            with display.step(f"ticks among {case.wallets:,} wallets", plan.rounds + 2) as step:
                _measure_case(endpoint_url, stage, plan, world, case, step)
    return Part([_tick_table(cases, plan), _refill_table(cases[0])], [_same_work(cases), _same_time(cases)])


def _measure_case(endpoint_url: str, stage: str, plan: Plan, world: Refilling, case: Case, step: Step) -> None:
    for number in range(plan.rounds):
        world.make_due()
        ways = [lambda: case.scan_ms.append(_timed(_scan)), lambda: _timed_tick(case)]
        for way in ways[number % 2 :] + ways[: number % 2]:  # each goes first in turn
            way()
        step.to(number + 1)
    world.make_due()
    with _counting(endpoint_url, stage) as case.tick:
        _tick(DUE)
    with _counting(endpoint_url, stage) as case.idle:
        _tick(0)
    with _counting(endpoint_url, stage) as case.scan:
        list(WalletItem.scan())


def _tick(due: int) -> None:
    opened = refill_wallets.refill_wallets(PLENTY_SECONDS)
    if opened != due:
        raise RuntimeError(f"{opened} refills were opened where {due} were due")


def _timed_tick(case: Case) -> None:
    search, found_ms = wallets.due_for_refill, [0.0]

    def timed(limit: int) -> list[str]:
        started_at = time.perf_counter()
        found = search(limit)
        found_ms[0] = (time.perf_counter() - started_at) * 1000
        return found

    wallets.due_for_refill = timed
    try:
        case.tick_ms.append(_timed(lambda: _tick(DUE)))
    finally:
        wallets.due_for_refill = search
    case.finding_ms.append(found_ms[0])


def _scan() -> None:
    """Look at every wallet, as kindly to the wire as can be: only those that are due come back."""
    list(WalletItem.scan(WalletItem.refill_shard.exists() & (WalletItem.headroom_micros <= 0)))


def _timed(work: Any) -> float:
    started_at = time.perf_counter()
    work()
    return (time.perf_counter() - started_at) * 1000


def _watched_wallets() -> int:
    return sum(WalletItem.due_refills.count(shard) for shard in wallets.REFILL_SHARDS)


@contextmanager
def _counting(endpoint_url: str, stage: str) -> Iterator[Cost]:
    """Count what is sent to the store and to Stripe, by one hand alone: the watch knows no calls that overlap."""
    cost, clients = Cost(), our_clients()
    hands, refill_wallets.AT_ONCE = refill_wallets.AT_ONCE, 1
    request = sdk.RequestsClient.request

    def counted(*args: Any, **more: Any) -> Any:
        cost.stripe_requests += 1
        return request(*args, **more)

    try:
        with watching(endpoint_url, stage, clients) as cost.watch, searching(clients) as cost.searches:
            sdk.RequestsClient.request = counted  # type: ignore[method-assign]  # put back below
            yield cost
    finally:
        refill_wallets.AT_ONCE, sdk.RequestsClient.request = hands, request  # type: ignore[method-assign]  # see above


@contextmanager
def searching(clients: Sequence[Any]) -> Iterator[list[tuple[str, float]]]:
    """Note each page of a query or scan: what was searched, and its read units by the rules.

    All that is found on a page is rounded up together. The page of a filtered search would show too little.
    """
    found: list[tuple[str, float]] = []

    def begin(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "FilterExpression" in params:
            raise RuntimeError("What a filter leaves out is read as well, and cannot be counted here")
        context["searched"] = params.get("IndexName", params["TableName"])
        context["units"] = 1.0 if params.get("ConsistentRead") else 0.5

    def end(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        size = sum(item_size(item) for item in parsed["Items"])
        found.append((context["searched"], max(1, -(-size // READ_UNIT_BYTES)) * context["units"]))

    with ExitStack() as hooks:
        for emitter in (each.meta.events for each in clients):
            for event, hook in (("before-parameter-build", begin), ("after-call", end)):
                for operation in SEARCHES:
                    emitter.register(f"{event}.dynamodb.{operation}", hook)
                    hooks.callback(emitter.unregister, f"{event}.dynamodb.{operation}", hook)
        yield found


# What it shows


def _tick_table(cases: Sequence[Case], plan: Plan) -> Table:
    head = (
        "wallets",
        "finding ms",
        "read units",
        "a scan instead ms",
        "read units",
        "the rest of the tick ms",
        "requests",
        "read units",
        "write units",
    )
    rows = [
        (
            f"{case.wallets:,}",
            spread(case.finding_ms),
            f"{case.tick.finding_units:.1f}",
            spread(case.scan_ms),
            f"{case.scan.read_units:,.1f}",
            spread(case.rest_ms),
            str(len(case.tick.watch.sent) - wallets.SHARDS),
            f"{case.tick.read_units - case.tick.finding_units:.1f}",
            str(case.tick.watch.units.total),
        )
        for case in cases
    ]
    notes = (
        f"min / median / max of {plan.rounds} rounds. In each, {DUE} wallets are due and are refilled by card; the "
        "others have a rule that is on, and balance enough. Units by the rules.",
        f"finding: {wallets.SHARDS} queries of the index of due wallets. MiniStack walks through all that an index "
        "holds, so here their time grows; DynamoDB reads no more than what it answers with, and charges for no more.",
        "a scan: what a system without the index would do every minute to find the same ten.",
        "the rest: opening, a pretend Stripe in this process, settling, telling; eight wallets at once.",
    )
    return Table("The tick of refills: ten due wallets among so many", head, rows, notes)


def _refill_table(case: Case) -> Table:
    """One refill is a tick with ten of them, less a tick with none, by ten."""
    head = ("what", "to Stripe", "to the store", "of these writes", "read units", "items", "index entries")
    each = [(ten - none) / DUE for ten, none in zip(case.tick.figures, case.idle.figures, strict=True)]
    rows = [
        (what, *(f"{figure:.1f}" for figure in figures))
        for what, figures in (
            ("a tick with nothing due", case.idle.figures),
            ("a tick with ten due", case.tick.figures),
            ("one refill, from due to paid", each),
        )
    ]
    kinds = case.tick.kinds - case.idle.kinds
    reported = (case.tick.watch.reported - case.idle.watch.reported) / DUE
    notes = (
        f"Of ten refills: {', '.join(f'{count} {name}' for name, count in sorted(kinds.items()))}.",
        "items: write units of the tables' own items, twice in a transaction; index entries: once. For one refill the "
        f"store itself reports {reported:.1f} write units.",
    )
    return Table("What one refill costs: requests and units by the rules", head, rows, notes)


def _same_work(cases: Sequence[Case]) -> Verdict:
    found = {case.tick.figures for case in cases}
    asked = " or ".join(sorted({f"{figures[1]} requests, {figures[3]:.1f} read units" for figures in found}))
    ours, scan = cases[-1].tick.finding_units, cases[-1].scan.read_units
    return Verdict(
        f"a tick with {DUE} due wallets asks the same of the store among {cases[-1].wallets:,} wallets as among "
        f"{cases[0].wallets:,}",
        len(found) == 1,
        f"{asked}; {ours:.1f} of these find the due ones, for which a scan reads {scan:,.1f} units",
    )


def _same_time(cases: Sequence[Case]) -> Verdict:
    medians = [statistics.median(case.rest_ms) for case in cases]
    return Verdict(
        f"apart from MiniStack's way through its index, that tick is at most {MOST_SLOWER:.0f} times as slow",
        max(medians) <= MOST_SLOWER * medians[0],
        ", ".join(f"{ms:.0f} ms among {case.wallets:,}" for ms, case in zip(medians, cases, strict=True)),
    )
