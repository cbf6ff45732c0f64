"""The gate: how quick, how many requests and read units a check, and whether it drags in what it does not need."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import hot
from bench.capture import Watch, watching
from bench.report import Part, Steps, Table, Verdict
from bench.starts import ask_gate_in_fresh_process
from chalicelib.flows.check_access import check_access

WARM_UP = 20


@dataclass(frozen=True)
class Way:
    """One way to ask, with what it took: seconds of each call, and the requests that a call sent."""

    name: str
    seconds: Sequence[float]
    watch: Watch
    watched_calls: int

    def percentile_ms(self, percent: int) -> str:
        """So many percent of the calls were at least as quick."""
        ordered = sorted(self.seconds)
        return f"{ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000:.2f}"

    @property
    def requests(self) -> float:
        """Sent to the store for one check."""
        return len(self.watch.sent) / self.watched_calls


def measure(endpoint_url: str, stage: str, doors: hot.Doors, calls: int, display: Steps) -> Part:
    """Ask warm, through the door and without it; then once in a process that does nothing else."""
    client = hot.HotWorkspace(doors, 1).clients[0]  # of its own, as the posting runs wallets dry
    path = f"/v1/sub-accounts/{client}/access"
    with display.step(f"{calls} checks at the gate, twice", 2) as step:
        door = _ask(endpoint_url, stage, "through the HTTP door", lambda: doors.call("GET", path), calls)
        step.to(1)
        flow = _ask(endpoint_url, stage, "flows.check_access alone", lambda: check_access(client), calls)
        step.to(2)
    fresh = ask_gate_in_fresh_process(doors.api_key, client)
    ways = (door, flow)
    stripe = [name for name in fresh["modules"] if name.partition(".")[0] == "stripe"]
    verdicts = [_reads_once(ways), _no_stripe(fresh["status"], stripe)]
    return Part([_table(ways, calls)], verdicts)


def _ask(endpoint_url: str, stage: str, name: str, ask: Callable[[], object], calls: int) -> Way:
    for _ in range(WARM_UP):
        ask()
    seconds = []
    for _ in range(calls):
        started_at = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started_at)
    # Watched apart from the clock. The key is still trusted: it was checked within this half minute, by the warm-up.
    with watching(endpoint_url, stage) as watch:
        for _ in range(WARM_UP):
            ask()
    return Way(name, seconds, watch, WARM_UP)


def _table(ways: Sequence[Way], calls: int) -> Table:
    head = ("asked", "p50 ms", "p99 ms", "requests a check", "read units by rules", "reported")
    rows = [
        (
            way.name,
            way.percentile_ms(50),
            way.percentile_ms(99),
            f"{way.requests:.2f}",
            f"{way.watch.read_units / way.watched_calls:.2f}",
            _reported(way),
        )
        for way in ways
    ]
    notes = (
        f"{calls} calls each, warm, in this process; the door's include routing, the key, and the JSON.",
        "Four small items in one eventually consistent BatchGetItem. The key's own read comes once in half a minute.",
    )
    return Table("The gate", head, rows, notes)


def _reported(way: Way) -> str:
    """What the store says; nothing, where it says nothing about batch reads."""
    reported = sum(sent.reported for sent in way.watch.sent)
    return f"{reported / way.watched_calls:.2f}" if reported else "-"


def _reads_once(ways: Sequence[Way]) -> Verdict:
    requests = {f"{way.requests:.2f} {way.name}" for way in ways}
    operations = sorted({sent.operation for way in ways for sent in way.watch.sent})
    holds = all(way.requests == 1.0 for way in ways)
    return Verdict("the gate reads once", holds, f"{', '.join(sorted(requests))}: {', '.join(operations)}")


def _no_stripe(status: int, modules: Sequence[str]) -> Verdict:
    found = ", ".join(modules) or "none"
    return Verdict(
        "the gate's path imports no Stripe",
        status == 200 and not modules,
        f"a fresh process imported the app, asked at the door, got {status}, and held stripe modules: {found}",
    )
