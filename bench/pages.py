"""The pages of the dashboard, through the server of `make run`: how long each takes, and what it asks of the store."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from app import app
from bench.report import Part, Step, Steps, Table, Verdict
from chalicelib.flows import authenticate
from chalicelib.storage.tables import connection
from local.seed import Seeded, seed
from local.seed import steps as seed_steps
from local.server import Server
from local.template import client

LIMIT_MS = 150
WARM_UP = 2
PAGE = 100  # of entries
CLIENT_USER = "pat@client.example"
OWNER = "owner1@seed.example"
SECRET = "s" * 40  # of sessions that end with this run


@dataclass(frozen=True)
class Plan:
    """How much there is to show, and how often each page is asked for."""

    sub_accounts: int
    entries: int
    rounds: int


QUICK = Plan(sub_accounts=200, entries=10_000, rounds=10)
FULL = Plan(sub_accounts=1_000, entries=100_000, rounds=30)


@dataclass
class Page:
    """One address, whose visitor asks for it, and what was measured: milliseconds of each request, and one watched."""

    name: str
    visitor: httpx.Client
    path: str
    taken_ms: list[float] = field(default_factory=list)
    bytes: int = 0
    requests: int = 0
    longest_ms: float = 0.0
    operations: str = ""

    def ask(self) -> None:
        """Until the last byte.

        Raises:
            RuntimeError: the page was not shown; the figures would be wrong.
        """
        started_at = time.perf_counter()
        answer = self.visitor.get(self.path)
        self.taken_ms.append((time.perf_counter() - started_at) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{self.name} answered {answer.status_code}")
        self.bytes = len(answer.content)

    @property
    def median_ms(self) -> float:
        """Half of the requests were quicker."""
        return statistics.median(self.taken_ms)

    @property
    def p95_ms(self) -> float:
        """So were 95 of 100."""
        return sorted(self.taken_ms)[int(len(self.taken_ms) * 0.95)]


def measure(endpoint_url: str, stage: str, plan: Plan, display: Steps) -> Part:
    """Fill one workspace, then ask for every page in turn, round after round."""
    secret = f"/rebill/{stage}/dashboard/session-secret"
    client(endpoint_url, "ssm").put_parameter(Name=secret, Value=SECRET, Type="SecureString", Overwrite=True)
    total = seed_steps(1, plan.sub_accounts, plan.entries)
    with display.step(f"{plan.sub_accounts} sub-accounts with {plan.entries} entries", total) as step:
        (made,) = seed(1, plan.sub_accounts, plan.entries, _counting(step))
    with ExitStack() as open_here:
        server = open_here.enter_context(Server(0))
        open_here.enter_context(server.serving(app))
        pages = _pages(server.base_url, made, open_here)
        with display.step("pages", plan.rounds) as step:
            for number in range(WARM_UP + plan.rounds):
                for page in pages:
                    page.ask()
                step.to(number - WARM_UP + 1)
        for page in pages:
            del page.taken_ms[:WARM_UP]
            _watch(page)
    return Part([_table(pages, plan)], [_verdict(pages, plan)])


def _counting(step: Step) -> Any:
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        step.to(done)

    return add


def _pages(base_url: str, made: Seeded, open_here: ExitStack) -> list[Page]:
    """Every page, of the client with the most entries where it is about one."""
    key = authenticate.issue_api_key("the pages' bench")
    api = open_here.enter_context(_visitor(base_url, {"Authorization": f"Bearer {key}"}))
    workspace, (busiest, entries) = made.workspace_id, _busiest(api, made)
    api.put(f"/v1/sub-accounts/{busiest}/authorized-users/{CLIENT_USER}").raise_for_status()
    owner = _enter(base_url, api, open_here, {"email": OWNER, "workspace": workspace})
    user = _enter(base_url, api, open_here, {"email": CLIENT_USER, "sub_account": busiest})
    accounts = api.get(f"/v1/workspaces/{workspace}/sub-accounts?limit=100").raise_for_status().json()["data"]
    of_client, of_entry = f"&sub_account={busiest}", f"&entry={entries[3]['id']}"
    asked = (
        ("Re-billing", owner, "rebilling"),
        ("Accounts", owner, "accounts"),
        ("Accounts, by margin", owner, "accounts&sort=margin"),
        ("Accounts, a later page", owner, f"accounts&starting_after={accounts[-1]['id']}"),
        ("One account", owner, f"account{of_client}"),
        ("One account, its price", owner, f"account{of_client}&tab=rebilling"),
        ("Snapshot", owner, "snapshot"),
        ("Calls that wait", owner, "waiting"),
        ("Settings", owner, "settings"),
        ("Billing", user, f"billing{of_client}"),
        ("Billing, older entries", user, f"billing{of_client}&after={entries[-1]['id']}"),
        ("Why this charge, both sides", owner, f"charge{of_client}{of_entry}"),
        ("Why this charge, the client's", user, f"charge{of_client}{of_entry}"),
    )
    pages = [Page(name, visitor, f"/dashboard?page={page}") for name, visitor, page in asked]
    csv = f"/v1/sub-accounts/{busiest}/wallet/entries.csv"
    return [*pages, Page("The statement as CSV", user, csv)]


def _busiest(api: httpx.Client, made: Seeded) -> tuple[str, list[dict[str, Any]]]:
    """The client with the most entries of its own, and the newest of them: those who pay nothing have none."""
    for each in made.sub_account_ids:
        found = api.get(f"/v1/sub-accounts/{each}/wallet/entries?limit={PAGE}").raise_for_status().json()["data"]
        if len(found) == PAGE:
            return each, found
    raise RuntimeError("No client has enough entries")


def _visitor(base_url: str, headers: dict[str, str] | None = None) -> httpx.Client:
    return httpx.Client(base_url=base_url, headers=headers, timeout=30, trust_env=False)


def _enter(base_url: str, api: httpx.Client, open_here: ExitStack, who: dict[str, str]) -> httpx.Client:
    """Somebody who has come in by a one-time link, and keeps the cookie."""
    url = api.post("/v1/dashboard-sessions", json=who).raise_for_status().json()["url"]
    visitor = open_here.enter_context(_visitor(base_url))
    visitor.get(url)
    return visitor


def _watch(page: Page) -> None:
    """One more request, apart from the clock: what it asks of the store."""
    with _store_calls() as calls:
        page.ask()
    page.taken_ms.pop()
    page.requests, page.longest_ms = len(calls), max(taken_ms for _, taken_ms in calls)
    names = [name for name, _ in calls]
    page.operations = ", ".join(f"{names.count(name)} {name}" for name in sorted(set(names)))


@contextmanager
def _store_calls() -> Iterator[list[tuple[str, float]]]:
    """The calls to the store until the block ends, with the milliseconds that each was waited for."""
    calls: list[tuple[str, float]] = []
    begun = threading.local()
    events = connection().client.meta.events

    def begin(**_: Any) -> None:
        begun.at = time.perf_counter()

    def end(model: Any, **_: Any) -> None:
        calls.append((model.name, (time.perf_counter() - begun.at) * 1000))

    events.register("before-call.dynamodb", begin)
    events.register("after-call.dynamodb", end)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", begin)
        events.unregister("after-call.dynamodb", end)


def _table(pages: Sequence[Page], plan: Plan) -> Table:
    head = ("page", "quickest ms", "median ms", "p95 ms", "limit ms", "store requests", "the longest ms", "KB")
    rows = [
        (
            page.name,
            f"{min(page.taken_ms):.0f}",
            f"{page.median_ms:.0f}",
            f"{page.p95_ms:.0f}",
            str(LIMIT_MS),
            str(page.requests),
            f"{page.longest_ms:.0f}",
            f"{page.bytes / 1000:.0f}",
        )
        for page in pages
    ]
    most = max(pages, key=lambda page: page.requests)
    notes = (
        f"One workspace with {plan.sub_accounts:,} sub-accounts and {plan.entries:,} entries; pages of one client are "
        "those of the busiest. Through the server of `make run`, to the last byte, one request at a time.",
        f"{plan.rounds} rounds of all pages. Store requests, and the longest of them: of one more visit each, watched.",
        f"The most requests are {most.name}'s: {most.operations}.",
    )
    return Table("The dashboard's pages", head, rows, notes)


def _verdict(pages: Sequence[Page], plan: Plan) -> Verdict:
    slowest = max(pages, key=lambda page: page.median_ms)
    return Verdict(
        f"every page answers within {LIMIT_MS} ms with {plan.sub_accounts:,} sub-accounts and {plan.entries:,} entries",
        slowest.median_ms <= LIMIT_MS,
        f"{slowest.median_ms:.0f} ms at worst, half of the time ({slowest.name}); "
        f"{max(page.p95_ms for page in pages):.0f} ms in 95 of 100",
    )
