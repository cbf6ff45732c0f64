"""Posting: exactly once, both legs or neither, whatever is delivered how often, by whom, and what breaks meanwhile."""

import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.refill import RefillRule
from chalicelib.flows import post_usage as posting
from chalicelib.storage import accounts, refills, tables, wallets
from chalicelib.storage.statements import statement
from tests.calls import call
from tests.world import World, handle_batch

PRICES = ("0.15", "0.12", None)


def test_two_hundred_calls_sent_five_times_shuffled_by_eight_senders_at_once_are_posted_once_each(
    world: World,
) -> None:
    workspace = world.workspace()
    clients = [world.sub_account(workspace, price) for price in PRICES]
    calls = [call(clients[number % 3], f"call_{number}", seconds=1 + number) for number in range(200)]
    deliveries = calls * 5
    random.Random(7).shuffle(deliveries)
    chunks = [deliveries[start : start + 25] for start in range(0, len(deliveries), 25)]

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(world.report, chunks))
    messages = _everything_queued(world)
    batches = [messages[start : start + 100] for start in range(0, len(messages), 100)]
    with ThreadPoolExecutor(8) as consumers:
        failed = [message for refused in consumers.map(handle_batch, batches) for message in refused]

    assert len(messages) == 1000
    assert failed == []
    assert len(_all_entries(workspace)) == 200
    assert sum(len(_all_entries(client)) for client in clients) == 134  # every third client is not re-billed
    _balances_equal_their_entries(workspace, *clients)
    _day_totals_equal_the_entries(workspace, *clients)


def test_the_same_batch_handled_by_eight_consumers_at_the_same_moment_moves_the_wallets_once(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, f"call_{number}", seconds=60) for number in range(40)])
    messages = _everything_queued(world)
    together = threading.Barrier(8)

    def consume(_: int) -> list[str]:
        together.wait()
        return handle_batch(messages)

    with ThreadPoolExecutor(8) as consumers:
        failed = [refused for answer in consumers.map(consume, range(8)) for refused in answer]

    assert failed == []
    assert world.balance(workspace) == "-2.800000"
    assert world.balance(client) == "-6.000000"


def test_a_lost_answer_from_the_store_neither_loses_the_calls_nor_posts_them_twice(
    world: World, lose_answers: Any
) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, f"call_{number}", seconds=60) for number in range(10)])

    with lose_answers("TransactWriteItems", times=6):
        failed = world.drain()

    assert failed == []
    assert world.balance(workspace) == "-0.700000"
    assert world.balance(client) == "-1.500000"


def test_a_store_that_stays_silent_hands_every_message_back_and_a_later_try_posts_each_once(
    world: World, lose_answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, f"call_{number}", seconds=60) for number in range(5)])
    messages = _everything_queued(world)

    with lose_answers("TransactWriteItems", times=10_000):
        failed = posting.post_usage([posting.Message(*message) for message in messages], seconds_left=0.5)
    again = handle_batch(messages)

    assert sorted(failed) == sorted(message_id for message_id, _ in messages)
    assert again == []
    assert world.balance(client) == "-0.750000"


def test_a_poison_message_fails_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report(call(client, seconds=60))
    good = _everything_queued(world)
    poison = ["", "not json", "[]", '{"workspace_id": 7}', "[" * 5000, good[0][1].replace("60000", '"60000"')]

    failed = handle_batch([*[(f"poison_{number}", body) for number, body in enumerate(poison)], *good])

    assert failed == [f"poison_{number}" for number in range(len(poison))]
    assert world.balance(client) == "-0.150000"
    assert [getattr(line, "alarm", None) for line in caplog.records].count("usage_message_not_read") == len(poison)


def test_one_workspaces_trouble_is_not_its_neighbours(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report(call(client, seconds=60))
    (good,) = _everything_queued(world)
    gone = good[1].replace(workspace, "ws_nobody000000")

    failed = handle_batch([("gone", gone), good])

    assert failed == ["gone"]
    assert world.balance(workspace) == "-0.070000"


def test_calls_of_many_days_and_more_clients_than_one_transaction_carries_are_all_posted(world: World) -> None:
    workspace = world.workspace()
    clients = [world.sub_account(workspace, "0.10") for _ in range(45)]
    day = 86_400
    calls = [
        call(client, f"{client}_{days_ago}", seconds=60, answered=-days_ago * day)
        for client in clients
        for days_ago in (0, 1, 34)
    ]

    world.report(calls)
    handle_batch(_everything_queued(world))

    assert world.balance(workspace) == "-9.450000"  # 135 minutes at 0.07
    assert world.balance(clients[0]) == "-0.100000"  # only today's: re-billing was not on before
    _day_totals_equal_the_entries(workspace, *clients)


def test_a_transaction_never_holds_more_than_a_hundred_actions(world: World, sent: list[Any]) -> None:
    workspace = world.workspace()
    clients = [world.sub_account(workspace, "0.10") for _ in range(20)]
    world.report([call(clients[number % 20], f"call_{number}") for number in range(150)])

    sent.clear()
    handle_batch(_everything_queued(world))

    sizes = [len(body["TransactItems"]) for name, body in sent if name == "TransactWriteItems"]
    assert max(sizes) <= 100
    assert len(sizes) == 2  # calls of one client stand together, so its wallet is moved by one of them
    assert len(_all_entries(workspace)) == 150


def test_a_call_for_a_client_without_a_wallet_moves_nothing_and_comes_again(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, "lost"), call(world.sub_account(workspace, "0.15"), "found", seconds=60)])
    tables.WalletItem(client).delete()

    failed = handle_batch(_everything_queued(world))

    assert len(failed) == 1
    assert world.balance(workspace) == "-0.070000"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"answered": 0, "seconds": -30}, "ended_before_answered"),
        ({"answered": -90_000, "seconds": 90_000}, "longer_than_24_hours"),
        ({"answered": 0, "seconds": 301}, "from_the_future"),
        ({"answered": -36 * 86_400 - 60, "seconds": 60}, "too_old"),
    ],
)
def test_what_cannot_be_true_is_kept_for_a_person_and_moves_nothing(
    world: World, event: dict[str, Any], reason: str
) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")

    world.report(call(client, **event))
    world.drain()

    assert world.balance(workspace) == world.balance(client) == "0.000000"
    told = world.usage("my-platform", "call_1")
    assert (told["status"], told["reason"]) == ("needs_review", reason)
    listed = world.get(f"/v1/workspaces/{workspace}/usage-events?status=needs_review")["data"]
    assert [(each["id"], each["reason"]) for each in listed] == [("call_1", reason)]


def test_a_call_that_never_connected_costs_nothing_and_is_kept_as_such(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")

    world.report(call(client, data={"connected": False, "outcome": "busy"}))
    world.drain()

    assert world.balance(workspace) == world.balance(client) == "0.000000"
    assert world.usage("my-platform", "call_1")["status"] == "not_billable"
    assert world.usage("my-platform", "call_1")["reason"] == "busy"


def test_replaying_the_queue_after_an_hour_a_day_a_week_and_two_months_changes_nothing(
    world: World, time_machine: Any
) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, "posted", seconds=60), call(client, "odd", seconds=-5)])
    messages = _everything_queued(world)
    handle_batch(messages)
    began_ms = now_ms()

    for hours in (1, 25, 8 * 24, 60 * 24):
        time_machine.move_to((began_ms + hours * 3_600_000) / 1000)
        assert handle_batch(messages) == []

    assert world.balance(client) == "-0.150000"
    assert len(world.entries(client)) == 1
    assert world.usage("my-platform", "odd")["status"] == "needs_review"


def test_a_message_that_waited_two_months_in_the_dead_letter_queue_is_still_posted(
    world: World, time_machine: Any
) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report(call(client, seconds=60))
    messages = _everything_queued(world)

    time_machine.move_to((now_ms() + 60 * 86_400_000) / 1000)
    handle_batch(messages)

    assert world.balance(client) == "-0.150000"


def test_a_receipt_never_hides_what_is_posted(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    finished = call(client, seconds=60)
    world.report(finished)
    world.drain()

    world.report(finished)

    assert world.usage("my-platform", "call_1")["status"] == "posted"


def test_the_same_call_id_from_two_workspaces_is_two_calls(world: World) -> None:
    ours, theirs = world.workspace(), world.workspace()
    our_client, their_client = world.sub_account(ours, "0.15"), world.sub_account(theirs, "0.30")

    world.report([call(our_client, seconds=60), call(their_client, seconds=60)])
    world.drain()

    assert (world.balance(our_client), world.balance(their_client)) == ("-0.150000", "-0.300000")
    assert world.call("GET", "/v1/usage-events/my-platform/call_1").status == 422
    assert world.get(f"/v1/usage-events/my-platform/call_1?workspace={ours}")["sub_account"] == our_client


def test_a_wallet_below_its_threshold_is_in_the_due_index_and_leaves_it_when_it_is_filled(world: World) -> None:
    workspace = world.workspace()
    watched, unwatched = world.sub_account(workspace, "0.60"), world.sub_account(workspace, "0.60")
    world.credit(watched, "12.00")
    no_rule = refills.get_standing(watched)
    assert refills.save_rule(no_rule, no_rule.with_rule(RefillRule(enabled=True), now_ms()))

    above = wallets.due_for_refill(10)
    world.report([call(watched, "one", seconds=280), call(unwatched, "two", seconds=280)])  # 2.80 each
    world.drain()
    below = wallets.due_for_refill(10)
    world.credit(watched, "20.00", key="second")
    filled = wallets.due_for_refill(10)

    assert (above, below, filled) == ([], [watched], [])


def test_an_entry_of_the_usual_size_stays_under_one_write_unit(world: World, sent: list[Any]) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    long_id = "a" * 36
    world.report(call(client, long_id, source="b" * 36))

    handle_batch(_everything_queued(world))

    (write,) = [body for name, body in sent if name == "TransactWriteItems" and "usage#" in json.dumps(body)]
    (entry,) = [action["Put"]["Item"] for action in write["TransactItems"] if "Put" in action]
    assert sum(len(name) + len(str(next(iter(value.values())))) for name, value in entry.items()) < 1024


def test_two_people_changing_prices_at_the_same_moment_are_both_heard(world: World) -> None:
    client = accounts.get_sub_account(world.sub_account(world.workspace()))

    with ThreadPoolExecutor(2) as people:
        list(people.map(lambda price: world.rebill(client.id, price), ("0.20", "0.30")))

    shown = world.get(f"/v1/sub-accounts/{client.id}")["rebilling_cards"]
    assert {card["prices"]["voice"]["price_per_minute"] for card in shown} == {"0.20", "0.30"}


def _everything_queued(world: World) -> list[tuple[str, str]]:
    """All messages on the queue, as (id, body)."""
    found: list[tuple[str, str]] = []
    while taken := world.messages():
        found += [(message["MessageId"], message["Body"]) for message in taken]
    return found


def _all_entries(owner_id: str) -> list[Any]:
    found, has_more = statement(owner_id, 1000)
    assert not has_more
    return found


def _balances_equal_their_entries(*owners: str) -> None:
    for owner_id in owners:
        moved = [
            leg.amount_micros for entry in _all_entries(owner_id) for leg in entry.legs if leg.owner_id == owner_id
        ]
        assert wallets.get_wallet(owner_id).balance_micros == sum(moved)


def _day_totals_equal_the_entries(workspace_id: str, *clients: str) -> None:
    for owner_id in (workspace_id, *clients):
        entries = [each for each in _all_entries(workspace_id) if owner_id in (workspace_id, each.sub_account_id)]
        expected: dict[str, list[int]] = {}
        for entry in entries:
            total = expected.setdefault(utc_day(entry.occurred_at_ms), [0, 0, 0, 0])
            paid_by_client = -entry.sub_account_leg.amount_micros if entry.sub_account_leg else 0
            more = (1, entry.usage.quantity, -entry.workspace_leg.amount_micros, paid_by_client)
            total[:] = [before + added for before, added in zip(total, more, strict=True)]
        shown = wallets.day_totals(owner_id, "2000-01-01", "2100-01-01")
        assert {day.day: [day.calls, day.talk_ms, day.cost_micros, day.revenue_micros] for day in shown} == expected


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """Every request to DynamoDB that spans tables, as (operation, body)."""
    seen: list[Any] = []

    def remember(params: dict[str, Any], model: Any, **_: Any) -> None:
        seen.append((model.name, json.loads(params["body"])))

    events = tables.connection().client.meta.events
    events.register("before-call.dynamodb", remember)
    yield seen
    events.unregister("before-call.dynamodb", remember)


@pytest.fixture
def lose_answers() -> Any:
    """Let the store do what it is asked, and lose its answer on the way back."""
    return _LostAnswers


class _LostAnswers:
    """While it lasts, the answers to one operation never arrive, though the store has done what was asked."""

    def __init__(self, operation: str, times: int) -> None:
        self._operation, self._left, self._lost = operation, times, 0
        self._events = tables.connection().client.meta.events

    def __enter__(self) -> None:
        self._events.register(f"needs-retry.dynamodb.{self._operation}", self._lose)

    def __exit__(self, *_: Any) -> None:
        self._events.unregister(f"needs-retry.dynamodb.{self._operation}", self._lose)
        assert self._lost, "no answer was lost: this test would show nothing"

    def _lose(self, response: tuple[AWSResponse, Any] | None, **_: Any) -> None:
        if response is not None and self._left > 0:
            self._left, self._lost = self._left - 1, self._lost + 1
            raise ReadTimeoutError(endpoint_url="the store")
