"""The load: one hot workspace with its clients, the messages that the queue would hand over, and a ledger to stand on.

Everything is made through the real doors and flows. Ids are as long as real ones: 36 characters for calls and agents.
"""

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
from botocore.config import Config
from chalice.config import Config as ChaliceConfig
from chalice.local import LocalChalice, LocalGateway
from ulid import ULID

from app import app
from bench.naive import Item
from chalicelib.clock import now_ms
from chalicelib.domain.money import MICROS_PER_UNIT
from chalicelib.domain.rating import VOICE, Price, PriceType, RateCard
from chalicelib.domain.refill import RefillRule
from chalicelib.domain.usage import DAY_MS, Report, UsageEvent
from chalicelib.domain.wallet import Entry
from chalicelib.flows import authenticate, configure
from chalicelib.flows.give_credit import give_credit
from chalicelib.flows.post_usage import Message, post_usage
from chalicelib.storage import ledger, refills
from chalicelib.storage.entries import entry_key, entry_values, key_parts, to_attributes
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.tables import EntryItem

PROVIDER = "vapi"
PRICE = Price(PriceType.FIXED, 150_000)
LONGEST_TALK_MS = 600_000
PLENTY_MICROS = 10**6 * MICROS_PER_UNIT  # a door gives no more than ten thousand at once, and these use more
FILL_BATCH = 25  # of one BatchWriteItem
FILL_THREADS = 2
SECONDS_TO_POST = 120.0
MINUTE_MS = 60_000

app.__class__ = LocalChalice  # a request belongs to its thread


class Doors:
    """The HTTP doors, in this process."""

    def __init__(self) -> None:
        self.api_key = authenticate.issue_api_key("the bench's")
        self._gateway = LocalGateway(app, ChaliceConfig(config_from_disk={"lambda_timeout": 29}))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What a door answers, as JSON.

        Raises:
            RuntimeError: it refused; the message is what it said.
        """
        sent = {"host": "bench.example", "content-type": "application/json", "authorization": f"Bearer {self.api_key}"}
        payload = b"" if body is None else json.dumps(body).encode()
        answer = self._gateway.handle_request(method, path, sent | headers, payload)
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"{method} {path} answered {answer['statusCode']}: {answer['body']}")
        return json.loads(answer["body"])


class HotWorkspace:
    """A workspace whose clients are all re-billed at a fixed price, each with one voice agent."""

    def __init__(self, doors: Doors, clients: int, refill_rule: bool = False) -> None:
        owner = {"name": "Acme Voice", "currency": "usd", "owner_email": "owner@acme.example"}
        self.id: str = doors.call("POST", "/v1/workspaces", owner)["id"]
        self.agents = [str(uuid.uuid4()) for _ in range(clients)]
        self.clients = [self._client(doors, agent) for agent in self.agents]
        give_credit(self.id, PLENTY_MICROS, "for the bench", "bench")
        for owner_id in [self.id, *self.clients] if refill_rule else []:
            no_rule = refills.get_standing(owner_id)
            refills.save_rule(no_rule, no_rule.with_rule(RefillRule(enabled=True), now_ms()))

    def _client(self, doors: Doors, agent: str) -> str:
        made: str = doors.call("POST", f"/v1/workspaces/{self.id}/sub-accounts", {"name": "Bright Dental"})["id"]
        # A call is rated by the card of the moment it was answered, and ours were answered before this line runs.
        # The door sets prices from now on only, so the card goes in through the flow behind it.
        configure.set_rebilling(made, RateCard(now_ms() - DAY_MS, prices={VOICE: PRICE}), ())
        doors.call("PUT", f"/v1/sub-accounts/{made}/voice-agents/{PROVIDER}/{agent}")
        give_credit(made, PLENTY_MICROS, "for the bench", "bench")
        return made

    def messages(self, count: int, clients: int) -> list[Message]:
        """Finished calls of the first so many clients, by turns, as the queue hands them over."""
        return [Message(str(number), self.event(number % clients).to_json()) for number in range(count)]

    def event(self, client: int, **more: Any) -> UsageEvent:
        """A call that ended a moment ago, surely today: a batch across midnight would move more day totals."""
        now = now_ms()
        ended_at_ms = max(now - 1000, now // DAY_MS * DAY_MS + MINUTE_MS)
        report = Report(
            source=PROVIDER,
            event_id=str(uuid.uuid4()),
            connected=True,
            agent_id=self.agents[client],
            # Never rounder than real milliseconds are: trailing zeros would cost nothing.
            answered_at_ms=ended_at_ms - random.randrange(20_001, LONGEST_TALK_MS),
            ended_at_ms=ended_at_ms,
            outcome="customer-ended-call",
        )
        return replace(UsageEvent.from_report(report, self.id, now), **more)

    def entries(self, messages: Sequence[Message]) -> list[Entry]:
        """What these messages become: the real flow up to the ledger, where it is stopped."""
        taken: list[Entry] = []

        def take(entries: Sequence[Entry], _give_up_at: float) -> dict[str, Outcome]:
            taken.extend(entries)
            return {entry.id: Outcome.POSTED for entry in entries}

        with posting_by(take):
            post(messages)
        return taken


def post(messages: Sequence[Message]) -> None:
    """Post as the queue's handler does.

    Raises:
        RuntimeError: some of them must come again; the figures would be wrong.
    """
    failed = post_usage(messages, SECONDS_TO_POST)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(messages)} messages were not posted")


@contextmanager
def posting_by(replacement: Any) -> Iterator[None]:
    """The flow, with something else in the place of `ledger.post`."""
    original = ledger.post
    ledger.post = replacement
    try:
        yield
    finally:
        ledger.post = original


def plain_client(endpoint_url: str) -> Any:
    """A boto3 client as a well-written program has it, set like the one inside pynamodb: nothing is validated twice."""
    config = Config(parameter_validation=False, retries={"total_max_attempts": 3, "mode": "standard"})
    return boto3.client("dynamodb", endpoint_url=endpoint_url, config=config)


def fill(endpoint_url: str, hot: HotWorkspace, count: int) -> Iterator[int]:
    """Put so many real entry items into the hot workspace's ledger, spread over its clients; yields how many are in."""
    each_client_once = hot.messages(len(hot.clients), len(hot.clients))
    models = [to_attributes(entry_values(entry)) for entry in hot.entries(each_client_once)]
    dynamodb = plain_client(endpoint_url)

    def put(first: int) -> int:
        items = [_another(models[number % len(models)]) for number in range(first, min(first + FILL_BATCH, count))]
        request = {EntryItem.Meta.table_name: [{"PutRequest": {"Item": item}} for item in items]}
        if dynamodb.batch_write_item(RequestItems=request).get("UnprocessedItems"):
            raise RuntimeError("The store did not take a whole batch")
        return len(items)

    filled = 0
    with ThreadPoolExecutor(FILL_THREADS) as pool:
        for done in pool.map(put, range(0, count, FILL_BATCH)):
            filled += done
            yield filled


def _another(model: Item) -> Item:
    """The same entry under another id."""
    kind, source, _ = key_parts(model["pk"]["S"])
    return {**model, "pk": {"S": entry_key(kind, source, str(uuid.uuid4()))}, "sort_id": {"S": str(ULID())}}
