"""Whatever answer is lost at Stripe or in the store, and whenever it is tried again: paid once, credited once.

Each story is told once undisturbed, then again with one fault in one of its calls, and the end must be the same.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError

from chalicelib.clock import now_ms
from chalicelib.flows import follow_stripe
from chalicelib.flows.follow_stripe import follow, sweep_top_ups
from chalicelib.flows.settle_payment import settle_top_up
from chalicelib.storage import customers, payments, tables, top_ups
from local.pretend_stripe.faults import Faults
from local.stack import Stack
from tests.payments.conftest import BRIGHT, Paying
from tests.stripe_stand import lasting_stage

HEARD = ("checkout.session.completed", "charge.refunded")
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


class Client:
    """A client of one agency. Its steps may be repeated; each says whether it has come to its end."""

    def __init__(self, paying: Paying, workspace_id: str) -> None:
        self.paying, self.world, self.control = paying, paying.world, paying.pretend.control
        self.id = self.world.sub_account(workspace_id)
        self.pages: dict[str, Any] = {}
        self.missed: list[tuple[str, str]] = []

    def again(self) -> "Client":
        """The same, when everything has gone back to how it is now for this one."""
        other = copy(self)
        other.pages, other.missed = dict(self.pages), list(self.missed)
        return other

    def asks(self, key: str = "first") -> bool:
        path, headers = f"/v1/sub-accounts/{self.id}/wallet/top-ups", {"Idempotency-Key": key}
        answer = self.world.call("POST", path, {"amount": "50.00"}, headers=headers)
        assert answer.status in (201, 503), answer.text
        if answer.status == 201:
            self.pages[key] = answer.json
        return answer.status == 201

    def asks_again(self) -> bool:
        return self.asks("second")

    def pays(self) -> bool:
        self.intent = self.paying.pay(list(self.pages.values())[-1])
        return True

    def is_refunded(self) -> bool:
        self.control.refund(self.intent, 1000)
        return True

    def is_heard_of(self) -> bool:
        """Stripe tells, and what was not followed comes again."""
        for each in self.control.take():
            if each.event_type in HEARD:
                assert self.paying.knock(each.endpoint, each.body, each.headers) == 200
        while taken := self.paying.take_waiting():
            self.missed += taken
        failed = follow(self.missed)
        self.missed = [message for message in self.missed if message[0] in failed]
        return not self.missed

    def is_looked_after(self) -> bool:
        """The clock's sweep, which may come at any time."""
        sweep_top_ups()
        return True

    def leaves_a_card(self) -> bool:
        path, headers = f"/v1/sub-accounts/{self.id}/wallet/payment-method", {"Idempotency-Key": "card"}
        answer = self.world.call("POST", path, headers=headers)
        assert answer.status in (201, 503), answer.text
        if answer.status == 201:
            self.pages["card"] = answer.json
        return answer.status == 201

    def looks_at_its_receipts(self) -> bool:
        answer = self.world.call("POST", f"/v1/sub-accounts/{self.id}/wallet/portal")
        assert answer.status in (201, 503), answer.text
        return answer.status == 201

    def outcome(self) -> dict[str, Any]:
        """What there is in the end: at us, and at Stripe."""
        space = self.control.state()["spaces"].get(f"{BRIGHT}:test", {})
        ids = {page["id"] for page in self.pages.values() if "id" in page}
        intents = [each for each in space.get("payment_intent", {}).values() if each["metadata"].get("rebill") in ids]
        charges = [space["charge"][each["latest_charge"]] for each in intents]
        card = customers.card_of(self.id, 1)
        return {
            "balance": self.world.balance(self.id),
            "entries": self.paying.amounts(self.id),
            "top_ups": {key: self._state(page["id"]) for key, page in self.pages.items() if "id" in page},
            "pending": top_ups.pending_top_up(self.id) is not None,
            "card": card and (card.brand, card.last4),
            "paid_at_stripe": [each["amount_received"] for each in intents],
            "refunded_at_stripe": sum(charge["amount_refunded"] for charge in charges),
        }

    def _state(self, top_up_id: str) -> str:
        return top_ups.get_top_up(self.id, top_up_id).state.value


Step = Callable[[Client], bool]
TOP_UP: tuple[Step, ...] = (Client.asks, Client.pays, Client.is_heard_of)
STORIES: dict[str, tuple[Step, ...]] = {
    "a top-up": TOP_UP,
    "a second page after one that was left": (Client.asks, Client.asks_again, Client.pays, Client.is_heard_of),
    "a refund": (*TOP_UP, Client.is_refunded, Client.is_heard_of),
    "a card alone": (Client.leaves_a_card, Client.pays, Client.is_heard_of),
    "receipts": (Client.looks_at_its_receipts,),
}
CUSTOMERS, SESSIONS, SESSION = "/v1/customers", "/v1/checkout/sessions", "/v1/checkout/sessions/[^/]+"
EXPIRE, PORTAL = "/v1/checkout/sessions/[^/]+/expire", "/v1/billing_portal/sessions"
INTENT, SETUP = "/v1/payment_intents/[^/]+", "/v1/setup_intents/[^/]+"
REFUNDS, DISPUTES = "/v1/refunds", "/v1/disputes"
LOOK = (("GET", INTENT), ("GET", REFUNDS), ("GET", DISPUTES))


@dataclass(frozen=True)
class Call:
    """One call that a story makes to Stripe: in which step, and after how many others of its kind there."""

    story: str
    step: int
    method: str
    path: str
    others_before: int = 0

    def __str__(self) -> str:
        return f"{self.story}-{self.step}-{self.method} {self.path}-{self.others_before}"


CALLS = (
    Call("a top-up", 0, "POST", CUSTOMERS),
    Call("a top-up", 0, "POST", SESSIONS),
    Call("a top-up", 2, "GET", SESSION),
    *(Call("a top-up", 2, *look) for look in LOOK),
    Call("a second page after one that was left", 1, "GET", SESSION),
    Call("a second page after one that was left", 1, "POST", EXPIRE),
    Call("a second page after one that was left", 1, "GET", SESSION, 1),
    Call("a second page after one that was left", 1, "POST", SESSIONS),
    *(Call("a refund", 4, *look) for look in LOOK),
    Call("a card alone", 0, "POST", SESSIONS),
    Call("a card alone", 2, "GET", SESSION),
    Call("a card alone", 2, "GET", SETUP),
    Call("receipts", 0, "POST", PORTAL),
)
EVERY_FAULT = tuple(itertools.product(FAULTS, DELAYS))
# Keys are forgotten after a day, so an hour differs from it only where something may have happened unheard.
OF_WRITES = tuple((fault, delay) for fault, delay in EVERY_FAULT if fault.startswith("lost") or delay[-4:] != "hour")
# Time changes nothing about most reads, and the portal's page leaves nothing behind.
OF_READS = tuple((fault, delay) for fault, delay in EVERY_FAULT if fault == "lost_before" or delay == "at once")
CASES = [
    pytest.param(call, fault, delay, id=f"{call}-{fault}-{delay}")
    for call in CALLS
    for fault, delay in (OF_READS if call.method == "GET" or call.path == PORTAL else OF_WRITES)
    if call.method != "GET" or "after" not in fault
]


@pytest.fixture(scope="module")
def stage(stack: Stack) -> Iterator[tuple[Paying, str]]:
    """One agency for the whole sweep."""
    with lasting_stage(stack) as paying:
        workspace, _ = paying.agency()
        paying.pretend.control.take()
        yield paying, workspace


@pytest.fixture(scope="module")
def begin(stage: tuple[Paying, str]) -> Callable[[str, int], Client]:
    """A client for whom a story has come, undisturbed, to a step; whatever was done since a case before is undone."""
    paying, workspace = stage
    anew = paying.remember()

    @cache
    def come_to(steps: tuple[Step, ...]) -> tuple[Client, Callable[[], None]]:
        if not steps:
            anew()
            return Client(paying, workspace), paying.remember()
        client = begun(steps[:-1])
        assert steps[-1](client)
        return client, paying.remember()

    def begun(steps: tuple[Step, ...]) -> Client:
        client, go_back = come_to(steps)
        go_back()
        return client.again()

    return lambda story, step: begun(STORIES[story][:step])


@pytest.fixture
def client(begin: Callable[[str, int], Client]) -> Client:
    """A new client."""
    return begin("a top-up", 0)


@pytest.fixture
def tell(time_machine: Any) -> Callable[..., list[bool]]:
    """Tell the rest of a story; where a step has not come to its end, it is repeated once, `delay` seconds later."""

    def told(client: Client, story: str, first: int = 0, delay: int = 0) -> list[bool]:
        done = []
        for step in STORIES[story][first:]:
            done.append(step(client))
            if not done[-1]:
                time_machine.move_to((now_ms() + delay * 1000) / 1000)  # the pretend Stripe's clock moves with ours
                assert step(client), f"{step.__name__} fails still"
        return done

    return told


UNDISTURBED: dict[str, dict[str, Any]] = {
    "a top-up": {
        "balance": "50.000000",
        "entries": [("top_up", "50.000000")],
        "top_ups": {"first": "succeeded"},
        "pending": False,
        "card": ("visa", "4242"),
        "paid_at_stripe": [5000],
        "refunded_at_stripe": 0,
    },
}
UNDISTURBED["a second page after one that was left"] = UNDISTURBED["a top-up"] | {
    "top_ups": {"first": "expired", "second": "succeeded"},
}
UNDISTURBED["a refund"] = UNDISTURBED["a top-up"] | {
    "balance": "40.000000",
    "entries": [("top_up", "50.000000"), ("refund", "-10.000000")],
    "refunded_at_stripe": 1000,
}
UNDISTURBED["a card alone"] = UNDISTURBED["a top-up"] | {
    "balance": "0.000000",
    "entries": [],
    "top_ups": {},
    "paid_at_stripe": [],
}


UNDISTURBED["receipts"] = UNDISTURBED["a card alone"] | {"card": None}


@pytest.mark.parametrize("story", STORIES)
def test_an_undisturbed_story_ends_as_told_and_its_calls_are_those_that_the_sweep_disturbs(
    client: Client, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[tuple[str, str]]] = []
    take = Faults.take

    def recorded(faults: Faults, method: str, path: str, account: str) -> Any:
        seen[-1].append((method, path))
        return take(faults, method, path, account)

    monkeypatch.setattr(Faults, "take", recorded)
    for step in STORIES[story]:
        seen.append([])
        assert step(client)

    assert client.outcome() == UNDISTURBED[story]
    unknown = [told for calls in seen for told in calls if not any(is_call(*told, each) for each in CALLS)]
    assert unknown == []
    for call in [each for each in CALLS if each.story == story]:
        assert len([told for told in seen[call.step] if is_call(*told, call)]) > call.others_before


def is_call(method: str, path: str, call: Call) -> bool:
    return method == call.method and re.fullmatch(call.path, path) is not None


@pytest.mark.parametrize(("call", "fault", "delay"), CASES)
def test_after_trouble_at_stripe_a_repeat_ends_where_the_undisturbed_story_ends(
    begin: Callable[[str, int], Client], tell: Any, call: Call, fault: str, delay: str
) -> None:
    client = begin(call.story, call.step)
    if call.others_before:
        client.control.plan_fault("latency", call.others_before, call.method, call.path)
    client.control.plan_fault(fault, FAULTS[fault], call.method, call.path)

    done = tell(client, call.story, call.step, DELAYS[delay])

    assert client.control.state()["faults"] == []  # each has happened
    assert not done[0]  # and was felt
    assert client.outcome() == UNDISTURBED[call.story]


@pytest.mark.parametrize("call", [each for each in CALLS if not each.others_before], ids=str)
def test_one_lost_answer_is_never_noticed_by_anybody(
    begin: Callable[[str, int], Client], tell: Any, call: Call
) -> None:
    client = begin(call.story, call.step)
    client.control.plan_fault("lost_after", 1, call.method, call.path)

    done = tell(client, call.story, call.step)

    assert client.control.state()["faults"] == []
    assert all(done)
    assert client.outcome() == UNDISTURBED[call.story]


@pytest.mark.parametrize("delay", DELAYS)
def test_the_sweep_between_a_lost_page_and_its_repeat_costs_nobody_a_payment(
    client: Client, time_machine: Any, delay: str
) -> None:
    client.control.plan_fault("lost_after", 2, "POST", SESSIONS)
    assert not client.asks()
    time_machine.move_to((now_ms() + DELAYS[delay] * 1000) / 1000)

    client.is_looked_after()
    client.asks()
    client.asks("another")
    client.pays()
    client.is_heard_of()

    outcome = client.outcome()
    assert (outcome["balance"], outcome["paid_at_stripe"]) == ("50.000000", [5000])


def test_a_sweep_that_looked_before_the_page_was_there_does_not_give_the_payment_up(
    client: Client, time_machine: Any
) -> None:
    client.control.plan_fault("lost_before", 2, "POST", SESSIONS)
    assert not client.asks()
    time_machine.move_to((now_ms() + 3_700_000) / 1000)
    (seen_without_a_page,) = top_ups.open_top_ups(10)
    assert client.asks()

    settle_top_up(seen_without_a_page)
    client.pays()
    client.is_heard_of()

    assert client.outcome() == UNDISTURBED["a top-up"]


# The store's own answers


class _LostAnswers:
    """While it lasts, the store does what it is asked, and its answers to one operation never arrive."""

    def __init__(self, operation: str, times: int) -> None:
        self._operation, self._left, self.lost = operation, times, 0
        self._events = tables.connection().client.meta.events

    def __enter__(self) -> None:
        self._events.register(f"needs-retry.dynamodb.{self._operation}", self._lose)

    def __exit__(self, *_: Any) -> None:
        self._events.unregister(f"needs-retry.dynamodb.{self._operation}", self._lose)
        assert self.lost, "no answer was lost: this test would show nothing"

    def _lose(self, response: tuple[AWSResponse, Any] | None, **_: Any) -> None:
        if response is not None and self._left > 0:
            self._left, self.lost = self._left - 1, self.lost + 1
            raise ReadTimeoutError(endpoint_url="the store")


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize(("story", "number"), [("a top-up", 0), ("a top-up", 2), ("a refund", 4)])
def test_a_lost_answer_of_the_store_neither_loses_a_payment_nor_counts_it_twice(
    begin: Callable[[str, int], Client], time_machine: Any, story: str, number: int, times: int
) -> None:
    client = begin(story, number)

    with _LostAnswers("TransactWriteItems", times):
        STORIES[story][number](client)
    for step in STORIES[story][number:]:
        assert step(client)

    assert client.outcome() == UNDISTURBED[story]


def test_what_was_settled_while_the_store_was_silent_is_settled_once_a_day_later(
    client: Client, time_machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "SECONDS_TO_TRY", 0.0)
    client.asks()
    client.pays()

    with _LostAnswers("TransactWriteItems", 1_000):
        followed = client.is_heard_of()
    time_machine.move_to((now_ms() + 90_000_000) / 1000)
    again = client.is_heard_of()

    assert (followed, again) == (False, True)
    assert client.outcome() == UNDISTURBED["a top-up"]


def test_an_event_on_which_we_crash_comes_again_alone(
    client: Client, stage: tuple[Paying, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paying, workspace = stage
    other = Client(paying, workspace)
    for each in (client, other):
        each.asks()
        each.pays()
    settle = follow_stripe.settle_top_up

    def crash(top_up: Any) -> Any:
        if top_up.owner_id == client.id:
            raise RuntimeError("a mistake of ours")
        return settle(top_up)

    with monkeypatch.context() as patch:
        patch.setattr(follow_stripe, "settle_top_up", crash)
        followed = other.is_heard_of()
    again = other.is_heard_of()

    assert (followed, again) == (False, True)
    assert other.outcome() == client.outcome() == UNDISTURBED["a top-up"]
