"""Whatever answer of Stripe's is lost while a connection begins, goes on or ends, and whenever it is tried again.

There is one link or none, it is the one that the page speaks of, and saying it again comes to the end.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.flows.follow_stripe import follow
from local.stack import Stack
from tests.payments.conftest import Paying
from tests.payments.connecting import connection, disconnect, granted, not_connected
from tests.stripe_stand import lasting_stage

DELAYS = {"at once": 0, "after an hour": 3_600, "after 25 hours": 90_000}
TOKEN, DEAUTHORIZE, ACCOUNT = "/oauth/token", "/oauth/deauthorize", "/v1/accounts/[^/]+"
# How often each must happen to a call that the SDK tries twice, so that the second try does not hide it.
TWICE = ("lost_before", "lost_after", "conflict_409", "error_500", "error_500_after")
TIMES = {**dict.fromkeys(TWICE, 2), "rate_limit_429": 1}
OF_A_READ = {"lost_before": 2, "conflict_409": 2, "rate_limit_429": 1, "error_500": 1}
# What had no effect and left nothing behind is nothing to a later try: one kind of it is tried at every time.
LEAVES_NOTHING = ("conflict_409", "rate_limit_429", "error_500")
WRITES, READS = [
    [
        (kind, delay)
        for kind, delay in itertools.product(kinds, DELAYS)
        if kind not in LEAVES_NOTHING or not DELAYS[delay]
    ]
    for kinds in (TIMES, OF_A_READ)
]
# After these Stripe has ended the access, and its answer to the second try says so.
DONE_BY_THE_SECOND_TRY = ("lost_after", "error_500_after")


@pytest.fixture(scope="module")
def stage(stack: Stack) -> Iterator[Paying]:
    """One for the whole sweep; every case has agencies and accounts of its own."""
    with lasting_stage(stack) as paying:
        yield paying


@pytest.fixture
def paying(stage: Paying) -> Iterator[Paying]:
    """Nothing of the case before is about to be said, or about to go wrong."""
    stage.pretend.control.take()
    stage.pretend.control.clear_faults()
    yield stage
    stage.pretend.control.clear_faults()


@pytest.fixture
def account(paying: Paying) -> str:
    """A Stripe account that is connected to nobody."""
    return an_account(paying)


def an_account(paying: Paying) -> str:
    return str(paying.pretend.control.add_account("Bright Voice")["id"])


def all_happened(paying: Paying) -> bool:
    return paying.pretend.control.state()["faults"] == []


def pass_by(time_machine: Any, delay: str) -> None:
    """Time passes; the pretend Stripe's clock moves with ours."""
    time_machine.move_to(now_ms() / 1000 + DELAYS[delay])


def can_be_paid(paying: Paying, client: str) -> bool:
    return paying.top_up(client)["state"] == "open"


@pytest.mark.parametrize(("kind", "delay"), WRITES)
def test_where_the_answer_to_the_exchange_is_lost_nothing_is_linked_and_a_fresh_start_works_at_any_time(
    paying: Paying, account: str, time_machine: Any, kind: str, delay: str
) -> None:
    workspace = paying.world.workspace()
    client = paying.world.sub_account(workspace)
    cookie, location = paying.start(workspace)
    came_back = paying.choose(location, account)
    paying.pretend.control.plan_fault(kind, path=TOKEN)

    page = paying.come_back(came_back, cookie)
    assert all_happened(paying)
    pass_by(time_machine, delay)
    reloaded = paying.come_back(came_back, cookie)
    linked_by_then = not not_connected(paying, workspace)
    again = paying.connect(workspace, account)

    assert page.status == 503
    assert "again" in page.text
    assert reloaded.status == 400
    assert not linked_by_then
    assert "Stripe is connected" in again.text
    assert connection(paying, workspace)["account"] == account
    assert can_be_paid(paying, client)


@pytest.mark.parametrize(("kind", "delay"), READS)
def test_where_the_account_cannot_be_read_nothing_is_linked_and_a_fresh_start_works_at_any_time(
    paying: Paying, account: str, time_machine: Any, kind: str, delay: str
) -> None:
    workspace = paying.world.workspace()
    client = paying.world.sub_account(workspace)
    paying.pretend.control.plan_fault(kind, OF_A_READ[kind], "GET", ACCOUNT)

    page = paying.connect(workspace, account)
    assert all_happened(paying)
    pass_by(time_machine, delay)
    linked_by_then = not not_connected(paying, workspace)
    again = paying.connect(workspace, account)

    assert page.status == 503
    assert not linked_by_then
    assert "Stripe is connected" in again.text
    assert can_be_paid(paying, client)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        *(("POST", TOKEN, kind) for kind in TIMES),
        *(("GET", ACCOUNT, kind) for kind in OF_A_READ),
    ],
)
def test_trouble_on_the_way_to_another_account_leaves_the_first_one_as_it_was(
    paying: Paying, account: str, method: str, path: str, kind: str
) -> None:
    workspace, client = paying.agency(account)
    before = connection(paying, workspace)
    times = 1 if path == TOKEN else OF_A_READ[kind]
    paying.pretend.control.plan_fault(kind, times, method, path)

    page = paying.connect(workspace, an_account(paying))

    assert all_happened(paying)
    assert page.status == 503
    assert connection(paying, workspace) == before
    assert can_be_paid(paying, client)


@pytest.mark.parametrize(("kind", "delay"), WRITES)
def test_where_the_answer_to_disconnecting_is_lost_payments_have_stopped_and_saying_it_again_at_any_time_ends_it(
    paying: Paying, account: str, time_machine: Any, kind: str, delay: str
) -> None:
    workspace, client = paying.agency(account)
    paying.pretend.control.plan_fault(kind, TIMES[kind], path=DEAUTHORIZE)

    answer = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    refusal = paying.top_up(client, expect=409)["code"]
    paying.pretend.control.clear_faults()
    pass_by(time_machine, delay)
    shown = disconnect(paying, workspace)

    assert answer.status == (200 if kind in DONE_BY_THE_SECOND_TRY else 503)
    assert refusal == "stripe_not_connected"
    assert shown["state"] == "disconnected"
    assert not granted(paying, account)
    assert "Stripe is connected" in paying.connect(paying.world.workspace(), account).text


@pytest.mark.parametrize(("kind", "delay"), READS)
def test_where_neither_disconnecting_nor_a_look_at_the_account_is_answered_saying_it_again_at_any_time_ends_it(
    paying: Paying, account: str, time_machine: Any, kind: str, delay: str
) -> None:
    workspace, client = paying.agency(account)
    paying.pretend.control.plan_fault("lost_after", 1, path=DEAUTHORIZE)
    paying.pretend.control.plan_fault(kind, OF_A_READ[kind], "GET", ACCOUNT)

    answer = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    assert all_happened(paying)
    refusal = paying.top_up(client, expect=409)["code"]
    pass_by(time_machine, delay)
    shown = disconnect(paying, workspace)

    assert answer.status == 503
    assert refusal == "stripe_not_connected"
    assert shown["state"] == "disconnected"


@pytest.mark.parametrize("ends", [False, True], ids=["new name", "access ended"])
@pytest.mark.parametrize(("kind", "delay"), READS)
def test_news_of_an_account_that_could_not_be_read_come_again_and_are_followed_then(
    paying: Paying, account: str, time_machine: Any, kind: str, delay: str, ends: bool
) -> None:
    workspace, _ = paying.agency(account)
    paying.deliver()
    if ends:
        paying.pretend.control.deauthorize(account)
    else:
        paying.pretend.control.set_account(account, name="Brighter Voices")
    news = paying.pretend.control.take()
    paying.pretend.control.plan_fault(kind, OF_A_READ[kind], "GET", ACCOUNT)

    for each in news:
        assert paying.knock(each.endpoint, each.body, each.headers) == 200
    waiting = paying.take_waiting()
    failed = follow(waiting)
    assert all_happened(paying)
    meanwhile = connection(paying, workspace)
    pass_by(time_machine, delay)
    failed_again = follow([each for each in waiting if each[0] in failed])
    shown = connection(paying, workspace)

    assert (len(failed), failed_again) == (1, [])
    assert (meanwhile["state"], meanwhile["account_name"]) == ("connected", "Bright Voice")
    expected = ("deauthorized", "Bright Voice") if ends else ("connected", "Brighter Voices")
    assert (shown["state"], shown["account_name"]) == expected
