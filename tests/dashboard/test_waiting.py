"""Calls that wait for a person: counted, listed, and billed once somebody says whose they are."""

import pytest

from tests.calls import call, changed
from tests.dashboard.visiting import Visitor
from tests.test_unmatched import AGENT, CLOUDEVENTS, RETELL, Platform
from tests.world import World

OWNER = "owner@acme.example"


@pytest.fixture
def workspace(world: World) -> str:
    found = world.workspace()
    world.credit(found, "100.00")
    return found


def report(world: World, workspace: str, platform: Platform, *events: str) -> None:
    endpoint = world.endpoint(workspace, platform.provider, platform.secret)
    for event in events:
        assert platform.report(world, endpoint, event).status == 202
    world.drain()


@pytest.mark.parametrize("platform", [CLOUDEVENTS, RETELL], ids=lambda platform: platform.provider)
def test_calls_of_an_unknown_agent_are_billed_once_somebody_says_whose_it_is(
    world: World, workspace: str, platform: Platform
) -> None:
    client = world.sub_account(workspace, "0.15")
    report(world, workspace, platform, "call_1", "call_2")
    owner = Visitor(world, OWNER, workspace)

    page = owner.open("rebilling")
    assert "2 calls wait for a client" in page.text
    listed = owner.go(page.links["Look"])
    assert "call_1" in listed.text
    form = listed.form("assign-agent")
    assert form.offered["agent"] == [f"{platform.provider} {AGENT}"], "an agent is offered once, not once a call"

    done = owner.send(form, client=client)
    assert "Assigned. Its calls that wait are billed" in done.text
    world.drain()

    assert world.balance(client) == "-0.210000"
    assert "None here" in owner.open("waiting").text
    assert "wait for a client" not in owner.open("rebilling").text


def test_a_report_that_contradicts_what_was_billed_is_shown_with_the_first(world: World, workspace: str) -> None:
    client = world.sub_account(workspace, "0.15", name="<b>Bright</b> Dental")
    first = call(client, "told_twice", seconds=42)
    for event in (first, changed(first, ended_at=first["data"]["answered_at"])):
        world.report(event)
        world.drain()
    owner = Visitor(world, OWNER, workspace)

    page = owner.open("rebilling")
    assert "1 report contradicts what was billed" in page.text
    listed = owner.go(page.links["Look"])

    assert "told_twice" in listed.text
    assert "<b>Bright</b> Dental" in listed.text
    assert "<b>Bright" not in listed.html


def test_a_kind_that_there_is_not_shows_the_calls_that_wait_for_a_client(world: World, workspace: str) -> None:
    owner = Visitor(world, OWNER, workspace)

    assert "Calls that wait for a client" in owner.open("waiting", status="posted").text


def test_somebody_elses_client_cannot_be_given_the_calls(world: World, workspace: str) -> None:
    stranger = world.sub_account(world.workspace(), "0.15")
    world.sub_account(workspace, "0.15")
    report(world, workspace, CLOUDEVENTS, "call_1")
    owner = Visitor(world, OWNER, workspace)

    page = owner.send(owner.open("waiting").form("assign-agent"), client=stranger)

    assert page.status == 404
    assert "1 call waits for a client" in owner.open("rebilling").text


def test_long_lists_go_on_on_the_next_page(world: World, workspace: str) -> None:
    report(world, workspace, CLOUDEVENTS, *(f"call_{number:03d}" for number in range(55)))
    owner = Visitor(world, OWNER, workspace)

    first = owner.open("waiting")
    older = owner.go(first.links["Older ones"])

    shown = [sum(f"call_{number:03d}" in page.text for number in range(55)) for page in (first, older)]
    assert shown == [50, 5]
    assert "Older ones" not in older.links
