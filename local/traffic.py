"""The pretend voice platform at work: asks the gate, makes calls, reports them, and does what people would do."""

import heapq
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from threading import Event

import httpx

from local.api import Api
from local.board import Board
from local.demo import Agency, Client, clients_of
from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call
from local.voice_platform.listing import CallLists

SHORTEST_SECONDS, LONGEST_SECONDS = 20, 300
TWICE_SHARE, UNANSWERED_SHARE, STRANGER_SHARE = 0.06, 0.08, 0.02
TWICE_AFTER_SECONDS = 3.0
OPENING_SECONDS = 3.0
CREDIT_AFTER_SECONDS = 20.0
ASSIGN_AFTER_SECONDS = 45.0
WORKSPACE_TOP_UP = "1000"
LONGEST_SLEEP_SECONDS = 0.2

logger = logging.getLogger("rebill.home")


class Traffic:
    """Keeps calls coming, at an even pace, to every client in turn."""

    def __init__(
        self,
        api: Api,
        base_url: str,
        agencies: Sequence[Agency],
        board: Board,
        per_minute: float,
        lists: CallLists,
    ) -> None:
        self._api, self._lists = api, lists
        for agency in agencies:
            for platform, endpoint in agency.endpoints.items():
                if "api_key" in endpoint:
                    lists.open_account(platform, endpoint["api_key"])
        self._base_url = base_url
        self._board = board
        self._pause_seconds = 60 / per_minute if per_minute else 0.0
        self._turns = _turns(agencies)
        self._calls_of_opening = len(list(clients_of(agencies)))
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._helped: set[str] = set()

    def run(self, stop: Event) -> None:
        """Call after call until told to stop; the first few at once. Of a pace that is too fast for this machine, no
        more than that is made up for.
        """
        next_at = time.monotonic() - OPENING_SECONDS
        while self._pause_seconds and not stop.is_set():
            if time.monotonic() >= next_at:
                next_at = max(next_at + self._pause_seconds, time.monotonic() - OPENING_SECONDS)
                self._try(self._next_call, stop)
            while self._later and self._later[0][0] <= time.monotonic():
                self._try(heapq.heappop(self._later)[2], stop)
            stop.wait(max(0.0, min(next_at - time.monotonic(), LONGEST_SLEEP_SECONDS)))

    def _try(self, step: Callable[[], None], stop: Event) -> None:
        try:
            step()
        except httpx.HTTPError as trouble:
            if not stop.is_set():
                self._board.count(troubles=1)
                logger.warning("pretend voice platform: %r", trouble)

    def _in(self, seconds: float, step: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), step))

    def _next_call(self) -> None:
        agency, client = next(self._turns)
        platform = random.choice(list(PLATFORMS))
        self._calls_of_opening -= 1
        if self._happens(STRANGER_SHARE):
            self._call_of_a_stranger(agency, client, platform)
            return
        gate = self._api.ask(f"/v1/sub-accounts/{client.id}/access")
        if gate.status == httpx.codes.FORBIDDEN:
            self._stopped(client, gate.body["code"], gate.body["scope"])
        elif gate.status == httpx.codes.OK:
            self._call(agency, client, platform, gate.body["max_seconds"])
        else:
            self._board.count(troubles=1)
            self._board.happened(client.id, f"gate answers {gate.status}", aloud=True)

    def _happens(self, share: float) -> bool:
        """Nothing out of the ordinary happens in the first calls: they are there to show wallets that move."""
        return self._calls_of_opening < 0 and random.random() < share

    def _call(self, agency: Agency, client: Client, platform: str, max_seconds: int) -> None:
        """A call that the gate let start. It is reported at once, by its own times it ended just now."""
        answered = not self._happens(UNANSWERED_SHARE)
        longest = max(SHORTEST_SECONDS, min(LONGEST_SECONDS, max_seconds))
        call = Call(client.agents[platform], random.randint(SHORTEST_SECONDS, longest) if answered else None)
        self._report(agency, platform, call)
        self._board.count(reported=1, not_answered=0 if answered else 1)
        self._board.happened(client.id, f"{_talk(call)} {platform}", aloud=not (answered and client.pays))
        if self._happens(TWICE_SHARE):
            self._in(random.choice((0.0, TWICE_AFTER_SECONDS)), lambda: self._again(agency, client, platform, call))

    def _again(self, agency: Agency, client: Client, platform: str, call: Call) -> None:
        self._report(agency, platform, call)
        self._board.count(repeats=1)
        self._board.happened(client.id, f"{_talk(call)} {platform}, again", aloud=True)

    def _report(self, agency: Agency, platform: str, call: Call) -> None:
        endpoint, pretend = agency.endpoints[platform], PLATFORMS[platform]
        if "api_key" in endpoint:
            self._lists.remember(platform, endpoint["api_key"], call)
        url = f"{self._base_url}/webhooks/voice/{platform}/{endpoint['id']}"
        for body in pretend.deliveries(call):
            headers = {"Content-Type": pretend.CONTENT_TYPE, **pretend.sign(body, endpoint["secret"], url)}
            self._api.deliver(url, body, headers)

    def _stopped(self, client: Client, code: str, scope: str) -> None:
        """No call starts. After a while somebody notices, and adds balance by hand."""
        self._board.count(stopped=1)
        why = code.removeprefix("sub_account_").replace("_", " ")
        self._board.happened(client.id, f"403 {why}", stopped=True, aloud=True)
        owner_id = client.workspace_id if scope == "workspace" else client.id
        if owner_id not in self._helped:
            self._helped.add(owner_id)
            amount = WORKSPACE_TOP_UP if scope == "workspace" else client.top_up
            self._in(CREDIT_AFTER_SECONDS, lambda: self._help(owner_id, amount))

    def _help(self, owner_id: str, amount: str) -> None:
        self._helped.discard(owner_id)
        self._api.credit(owner_id, amount, "Added by hand, because calls were stopped at the gate")
        self._board.happened(owner_id, f"+{amount} by hand")

    def _call_of_a_stranger(self, agency: Agency, client: Client, platform: str) -> None:
        """An agent that nobody has assigned: its call is kept, and posted once somebody says whose it is."""
        pretend = PLATFORMS[platform]
        call = Call(pretend.new_agent_id(), random.randint(SHORTEST_SECONDS, LONGEST_SECONDS))
        self._report(agency, platform, call)
        self._board.count(reported=1)
        self._board.happened(agency.id, f"unknown agent {platform}", aloud=True)
        self._in(ASSIGN_AFTER_SECONDS, lambda: self._assign(agency, client, platform, call))

    def _assign(self, agency: Agency, client: Client, platform: str, call: Call) -> None:
        self._api.put(f"/v1/sub-accounts/{client.id}/voice-agents/{platform}/{call.agent_id}")
        self._board.happened(agency.id, "agent assigned", aloud=True)
        self._board.happened(client.id, f"{call.talk_seconds} s {platform}, late")


def _talk(call: Call) -> str:
    return "no answer" if call.talk_seconds is None else f"{call.talk_seconds} s"


def _turns(agencies: Sequence[Agency]) -> Iterator[tuple[Agency, Client]]:
    """Every client once, the agencies in turn, and then again and again, in another order each time."""
    clients = sorted(clients_of(agencies), key=lambda pair: pair[0].clients.index(pair[1]))
    while True:
        yield from clients
        random.shuffle(clients)
