"""What waits for a person can be set aside: it is never billed, and no list shows it any more."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.storage.tables import EntryItem
from tests.calls import call, changed, moment
from tests.dashboard.visiting import Visitor
from tests.test_unmatched import AGENT, CLOUDEVENTS
from tests.web.examples import problem_of
from tests.world import World

SOURCE = "my-platform"
OWNER = "owner@acme.example"
WHY = {"note": "A test call of ours"}


@pytest.fixture
def workspace(world: World) -> str:
    """An agency with balance, whose clients pay $0.15 a minute."""
    workspace = world.workspace()
    world.credit(workspace, "100.00")
    return workspace


@pytest.fixture
def client(world: World, workspace: str) -> str:
    return world.sub_account(workspace, "0.15")


def path(workspace: str, event_id: str = "c1") -> str:
    return f"/v1/workspaces/{workspace}/usage-events/{SOURCE}/{event_id}/dismiss"


def waiting(world: World, workspace: str, status: str) -> list[str]:
    found = world.get(f"/v1/workspaces/{workspace}/usage-events?status={status}")["data"]
    return [each["id"] for each in found]


def report(world: World, event: object) -> None:
    world.report(event)
    world.drain()


def odd_call(client: str, event_id: str = "c1") -> dict[str, Any]:
    """A call that nobody can bill: it ended before it was answered."""
    return call(client, event_id, seconds=-42)


def test_a_call_that_cannot_be_billed_is_dismissed_and_never_billed(world: World, workspace: str, client: str) -> None:
    odd = odd_call(client)
    report(world, odd)
    assert waiting(world, workspace, "needs_review") == ["c1"]

    dismissed = world.post(path(workspace), WHY, 200)

    assert (dismissed["status"], dismissed["note"]) == ("dismissed", "A test call of ours")
    assert dismissed["reason"] == "ended_before_answered", "why it waited stays known"
    assert waiting(world, workspace, "needs_review") == []
    report(world, odd)
    assert world.usage(SOURCE, "c1")["status"] == "dismissed", "its webhook came once more"
    assert (world.balance(workspace), world.balance(client)) == ("100.000000", "0.000000")


def test_what_waited_for_its_price_is_not_billed_once_that_is_set(world: World, workspace: str, client: str) -> None:
    chat = {**call(client), "data": {"meter": "chat", "quantity": 3}}
    report(world, chat)
    assert waiting(world, workspace, "needs_review") == ["call_1"]

    world.post(path(workspace, "call_1"), WHY, 200)
    cost = {"cost_per_minute": "0.07", "meters": {"chat": {"cost_per_unit": "0.01"}}}
    world.put(f"/v1/workspaces/{workspace}/cost", cost)
    report(world, chat)

    assert world.balance(workspace) == "100.000000"
    assert world.usage(SOURCE, "call_1")["status"] == "dismissed"


def test_a_call_of_nobodys_agent_is_not_billed_once_somebody_has_it(world: World, workspace: str, client: str) -> None:
    endpoint = world.endpoint(workspace, "cloudevents")
    CLOUDEVENTS.report(world, endpoint, "c1")
    CLOUDEVENTS.report(world, endpoint, "c2")
    world.drain()
    assert sorted(waiting(world, workspace, "unmatched")) == ["c1", "c2"]

    world.post(path(workspace, "c1"), WHY, 200)
    world.put(f"/v1/sub-accounts/{client}/voice-agents/cloudevents/{AGENT}", {})
    world.drain()

    assert [world.usage(SOURCE, each)["status"] for each in ("c1", "c2")] == ["dismissed", "posted"]
    assert len(world.entries(client)) == 1


def test_what_contradicts_a_billed_call_is_seen_and_the_call_stays_billed(
    world: World, workspace: str, client: str
) -> None:
    first = call(client, "c1", seconds=60)
    report(world, first)
    second = changed(first, ended_at=moment(90))
    report(world, second)
    assert waiting(world, workspace, "conflict") == ["c1"]

    seen = world.post(path(workspace), WHY, 200)

    assert seen["status"] == "posted"
    assert len(seen["conflicts"]) == 1, "what was told later is kept"
    assert waiting(world, workspace, "conflict") == []
    assert world.balance(client) == "-0.150000"
    report(world, second)
    assert waiting(world, workspace, "conflict") == [], "the same contradiction once more is no news"
    report(world, changed(first, ended_at=moment(120)))
    assert waiting(world, workspace, "conflict") == ["c1"], "another one is"


def test_an_agency_sees_a_contradiction_off_and_cannot_waive_what_it_owes_the_platform(
    world: World, workspace: str, client: str
) -> None:
    first = call(client, "told_twice", seconds=60)
    report(world, first)
    report(world, changed(first, ended_at=moment(90)))
    report(world, odd_call(client, "odd"))
    owner = Visitor(world, OWNER, workspace)
    form = owner.open("waiting", status="conflict").form("dismiss-event")

    assert "What was billed first stands" in owner.send(form).text
    assert waiting(world, workspace, "conflict") == []

    assert not owner.open("waiting", status="needs_review").has_form("dismiss-event")
    owner.send(replace(form, fields=form.fields | {"event_id": "odd"}))
    assert waiting(world, workspace, "needs_review") == ["odd"]


def test_a_call_that_was_billed_while_somebody_dismissed_it_stays_billed(
    world: World, workspace: str, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    CLOUDEVENTS.report(world, world.endpoint(workspace, "cloudevents"), "c1")
    world.drain()
    save = EntryItem.save

    def too_late(item: Any, *given: Any, **named: Any) -> Any:
        monkeypatch.setattr(EntryItem, "save", save)
        world.put(f"/v1/sub-accounts/{client}/voice-agents/cloudevents/{AGENT}", {})
        world.drain()
        return save(item, *given, **named)

    monkeypatch.setattr(EntryItem, "save", too_late)

    refused = world.call("POST", path(workspace), WHY)

    assert (refused.status, problem_of(refused)["detail"]) == (409, "This event waits for nobody: it is posted.")
    assert world.balance(client) == "-0.105000"


def test_what_waits_and_is_contradicted_goes_on_waiting_once_an_agency_has_seen_the_contradiction(
    world: World, workspace: str, client: str
) -> None:
    odd = odd_call(client)
    report(world, odd)
    report(world, changed(odd, ended_at=moment(90)))
    owner = Visitor(world, OWNER, workspace)

    owner.send(owner.open("waiting", status="conflict").form("dismiss-event"))

    assert waiting(world, workspace, "conflict") == []
    assert waiting(world, workspace, "needs_review") == ["c1"]
    assert world.usage(SOURCE, "c1")["status"] == "needs_review"


def test_what_waits_for_nobody_cannot_be_dismissed(world: World, workspace: str, client: str) -> None:
    report(world, call(client, "c1"))

    refused = world.call("POST", path(workspace), WHY)
    unknown = world.call("POST", path(workspace, "another"), WHY)
    elsewhere = world.call("POST", path(world.workspace()), WHY)

    assert refused.status == 409
    assert problem_of(refused)["detail"] == "This event waits for nobody: it is posted."
    assert [each.status for each in (unknown, elsewhere)] == [404, 404]


def test_who_dismissed_what_stands_in_the_trail_of_changes(world: World, workspace: str, client: str) -> None:
    report(world, odd_call(client))

    world.post(path(workspace), WHY, 200)

    newest = world.get(f"/v1/workspaces/{workspace}/audit")["data"][0]
    assert (newest["action"], newest["to"]["status"], newest["to"]["note"]) == (
        "dismiss_event",
        "dismissed",
        WHY["note"],
    )
