"""Calls of agents that nobody has assigned yet: kept, listed, posted once they are; never from a stranger's wallet."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.domain.usage import Status
from chalicelib.storage import usage_events
from tests.calls import call
from tests.gateways.voice_platforms import body_of, sign_cloudevents, sign_retell
from tests.web.examples import problem_of
from tests.world import Answer, World

RETELL_SECRET = "key_4d1f90"
AGENT = "agent_c7e15a4408"


@dataclass(frozen=True)
class Platform:
    """A voice platform as it reports a call of 42 s that was answered just now."""

    provider: str
    source: str
    payload: Callable[[str, str], Any]
    signed: Callable[[bytes, str], dict[str, str]]
    secret: str | None = None

    def report(self, world: World, endpoint: Any, event_id: str = "call_1", agent: str = AGENT, **more: Any) -> Answer:
        raw = json.dumps({**self.payload(event_id, agent), **more}).encode()
        headers = self.signed(raw, endpoint["secret"])
        return world.call("POST", _path_of(endpoint), raw=raw, headers=headers, key=None)


def _retell_call(event_id: str, agent: str) -> Any:
    payload = json.loads(body_of("retell/call_ended.json"))
    answered_at = now_ms()
    times = {"start_timestamp": answered_at, "end_timestamp": answered_at + 42_000, "duration_ms": 42_000}
    payload["call"] |= {"call_id": event_id, "agent_id": agent, **times}
    return payload


CLOUDEVENTS = Platform(
    "cloudevents",
    "my-platform",
    lambda event_id, agent: call(agent, event_id, seconds=42),
    lambda raw, secret: sign_cloudevents(raw, secret, str(now_ms() // 1000), ""),
)
RETELL = Platform(
    "retell",
    "retell",
    _retell_call,
    lambda raw, secret: sign_retell(raw, secret, str(now_ms()), ""),
    RETELL_SECRET,
)
BOTH = pytest.mark.parametrize("platform", [CLOUDEVENTS, RETELL], ids=lambda platform: platform.provider)


@BOTH
def test_an_unknown_agents_call_waits_in_the_list_and_costs_nobody_anything(world: World, platform: Platform) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, platform)

    answer = platform.report(world, endpoint)
    world.drain()

    assert answer.status == 202
    told = world.usage(platform.source, "call_1")
    assert (told["status"], told["reason"]) == ("unmatched", "agent_not_assigned")
    assert (told["workspace"], told["sub_account"], told["charges"]) == (workspace, None, None)
    (listed,) = _unmatched(world, workspace)
    assert (listed["id"], listed["source"], listed["usage"]["agent_id"]) == ("call_1", platform.source, AGENT)
    assert world.balance(workspace) == "100.000000"
    assert world.balance(client) == "20.000000"


@BOTH
def test_once_its_agent_is_assigned_a_waiting_call_is_posted_once(world: World, platform: Platform) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, platform)
    first = platform.payload("call_1", AGENT)
    platform.report(world, endpoint, **first)
    world.drain()

    _assign(world, platform, client)
    _assign(world, platform, client)
    world.drain()
    platform.report(world, endpoint, **first)
    world.drain()

    # 42 s at 0.07 a minute are 0.049; at 0.15 a minute they are 0.105.
    assert world.balance(workspace) == "99.951000"
    assert world.balance(client) == "19.895000"
    assert [entry["kind"] for entry in world.entries(client)] == ["usage", "credit"]
    told = world.usage(platform.source, "call_1")
    assert (told["status"], told["sub_account"]) == ("posted", client)
    assert _unmatched(world, workspace) == []


def test_all_of_an_agents_calls_are_posted_when_it_is_assigned_and_nobody_elses(world: World) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, CLOUDEVENTS)
    for number in range(12):
        CLOUDEVENTS.report(world, endpoint, f"call_{number}", agent="ours" if number % 2 else "theirs")
    world.drain()

    _assign(world, CLOUDEVENTS, client, "ours")
    world.drain()

    # Six calls of 42 s: 6 * 0.049 and 6 * 0.105.
    assert world.balance(workspace) == "99.706000"
    assert world.balance(client) == "19.370000"
    assert {event["usage"]["agent_id"] for event in _unmatched(world, workspace)} == {"theirs"}
    assert len(_unmatched(world, workspace)) == 6


def test_a_call_that_waited_is_rated_by_the_prices_of_its_own_time(world: World) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, CLOUDEVENTS)
    answered_before = CLOUDEVENTS.payload("call_1", AGENT)
    _past_the_answer_of(answered_before)
    world.rebill(client, "0.45")
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})

    CLOUDEVENTS.report(world, endpoint, **answered_before)
    world.drain()
    _assign(world, CLOUDEVENTS, client)
    world.drain()

    charges = world.usage("my-platform", "call_1")["charges"]
    assert (charges["workspace"]["amount"], charges["sub_account"]["amount"]) == ("0.049000", "0.105000")


def test_the_same_agent_at_another_platform_is_another_agent(world: World) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, RETELL)

    _assign(world, CLOUDEVENTS, client)
    RETELL.report(world, endpoint)
    world.drain()

    assert world.usage("retell", "call_1")["status"] == "unmatched"
    assert world.balance(workspace) == "100.000000"


@BOTH
def test_an_agent_assigned_between_the_look_and_the_putting_aside_loses_no_call(
    world: World, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, platform)
    platform.report(world, endpoint)
    taken = world.messages()
    keep = usage_events.keep

    def keep_too_late(event: Any, status: Status, reason: str | None) -> bool:
        _assign(world, platform, client)
        return keep(event, status, reason)

    monkeypatch.setattr(usage_events, "keep", keep_too_late)
    refused = world.handle(taken)
    monkeypatch.undo()
    refused_again = world.handle(taken)
    world.drain()

    assert refused == [message["MessageId"] for message in taken]
    assert refused_again == []
    assert world.usage(platform.source, "call_1")["status"] == "posted"
    assert world.balance(workspace) == "99.951000"
    assert world.balance(client) == "19.895000"
    assert _unmatched(world, workspace) == []


def test_an_agent_assigned_a_moment_after_the_putting_aside_loses_no_call_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, CLOUDEVENTS)
    CLOUDEVENTS.report(world, endpoint)
    keep = usage_events.keep

    def assign_at_once(event: Any, status: Status, reason: str | None) -> bool:
        kept = keep(event, status, reason)
        _assign(world, CLOUDEVENTS, client)
        return kept

    monkeypatch.setattr(usage_events, "keep", assign_at_once)
    world.drain()
    monkeypatch.undo()
    world.drain()

    assert world.usage("my-platform", "call_1")["status"] == "posted"
    assert world.balance(client) == "19.895000"
    assert _unmatched(world, workspace) == []


@BOTH
def test_an_agent_that_moves_to_another_client_takes_its_later_calls_along_and_leaves_the_earlier_ones(
    world: World, platform: Platform
) -> None:
    workspace, client, endpoint = _agency_client_and_endpoint(world, platform)
    successor = world.sub_account(workspace, "0.30")
    first = platform.payload("call_1", AGENT)

    _assign(world, platform, client)
    platform.report(world, endpoint, **first)
    world.drain()
    _assign(world, platform, successor)
    platform.report(world, endpoint, "call_2")
    platform.report(world, endpoint, **first)
    world.drain()

    assert world.usage(platform.source, "call_1")["sub_account"] == client
    assert world.usage(platform.source, "call_1")["status"] == "posted"
    assert world.usage(platform.source, "call_2")["sub_account"] == successor
    assert world.balance(client) == "19.895000"
    assert world.balance(successor) == "-0.210000"
    assert world.balance(workspace) == "99.902000"


@BOTH
def test_one_agencys_signature_does_not_reach_the_agent_of_another(world: World, platform: Platform) -> None:
    mine, _, endpoint = _agency_client_and_endpoint(world, platform)
    theirs, their_client, _ = _agency_client_and_endpoint(world, platform)
    _assign(world, platform, their_client)

    answer = platform.report(world, endpoint)
    world.drain()

    assert answer.status == 202
    assert world.usage(platform.source, "call_1")["status"] == "unmatched"
    assert world.usage(platform.source, "call_1")["workspace"] == mine
    assert _unmatched(world, theirs) == []
    assert len(_unmatched(world, mine)) == 1
    assert (world.balance(theirs), world.balance(their_client)) == ("100.000000", "20.000000")


def test_one_agencys_signature_does_not_reach_the_client_of_another(world: World) -> None:
    _, client, endpoint = _agency_client_and_endpoint(world, CLOUDEVENTS)
    theirs, their_client, _ = _agency_client_and_endpoint(world, CLOUDEVENTS)

    alone = CLOUDEVENTS.report(world, endpoint, agent=their_client)
    own = CLOUDEVENTS.report(world, endpoint, agent=client)
    world.drain()

    assert alone.status == 422
    assert (problem_of(alone)["param"], problem_of(alone)["code"]) == ("subject", "unknown_sub_account")
    assert own.status == 202
    assert (world.balance(theirs), world.balance(their_client)) == ("100.000000", "20.000000")
    assert world.balance(client) == "19.895000"


def test_a_batch_in_which_one_call_is_of_another_agencys_client_is_refused_whole(world: World) -> None:
    mine, client, endpoint = _agency_client_and_endpoint(world, CLOUDEVENTS)
    theirs, their_client, _ = _agency_client_and_endpoint(world, CLOUDEVENTS)
    raw = json.dumps([call(client, "call_1"), call(their_client, "call_2")]).encode()

    headers = CLOUDEVENTS.signed(raw, endpoint["secret"])
    answer = world.call("POST", _path_of(endpoint), raw=raw, headers=headers, key=None)
    world.drain()

    assert answer.status == 422
    assert problem_of(answer)["param"] == "[1].subject"
    assert [world.balance(owner) for owner in (mine, client)] == ["100.000000", "20.000000"]
    assert [world.balance(owner) for owner in (theirs, their_client)] == ["100.000000", "20.000000"]


@BOTH
def test_one_agencys_secret_does_not_open_the_endpoint_of_another(world: World, platform: Platform) -> None:
    mine, _, _ = _agency_client_and_endpoint(world, platform)
    theirs, their_client, their_endpoint = _agency_client_and_endpoint(world, platform)
    _assign(world, platform, their_client)
    my_secret = world.endpoint(mine, platform.provider, "key_of_my_own" if platform.secret else None)["secret"]

    answer = platform.report(world, {**their_endpoint, "secret": my_secret})
    world.drain()

    assert answer.status == 401
    assert problem_of(answer)["code"] == "signature_invalid"
    assert world.call("GET", f"/v1/usage-events/{platform.source}/call_1").status == 404
    assert (world.balance(theirs), world.balance(their_client)) == ("100.000000", "20.000000")


def test_two_agencies_whose_platforms_give_a_call_the_same_id_each_pay_for_their_own(world: World) -> None:
    mine, client, endpoint = _agency_client_and_endpoint(world, RETELL)
    theirs, their_client, their_endpoint = _agency_client_and_endpoint(world, RETELL)
    _assign(world, RETELL, client)
    _assign(world, RETELL, their_client)

    RETELL.report(world, endpoint)
    RETELL.report(world, their_endpoint)
    world.drain()

    assert [world.balance(owner) for owner in (mine, client)] == ["99.951000", "19.895000"]
    assert [world.balance(owner) for owner in (theirs, their_client)] == ["99.951000", "19.895000"]
    undecided = world.call("GET", "/v1/usage-events/retell/call_1")
    assert (undecided.status, problem_of(undecided)["param"]) == (422, "workspace")
    told = world.get(f"/v1/usage-events/retell/call_1?workspace={theirs}")
    assert (told["workspace"], told["sub_account"]) == (theirs, their_client)


def _agency_client_and_endpoint(world: World, platform: Platform) -> tuple[str, str, Any]:
    """An agency with 100 in its wallet, a client of its with 20 that pays 0.15 a minute, and a webhook address."""
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.credit(workspace, "100.00")
    world.credit(client, "20.00")
    return workspace, client, world.endpoint(workspace, platform.provider, platform.secret)


def _assign(world: World, platform: Platform, client: str, agent: str = AGENT) -> None:
    world.put(f"/v1/sub-accounts/{client}/voice-agents/{platform.provider}/{agent}")


def _unmatched(world: World, workspace: str) -> list[Any]:
    found: list[Any] = world.get(f"/v1/workspaces/{workspace}/usage-events?status=unmatched&limit=100")["data"]
    return found


def _path_of(endpoint: Any) -> str:
    return f"/webhooks/voice/{endpoint['provider']}/{endpoint['id']}"


def _past_the_answer_of(event: Any) -> None:
    """Cards count from their millisecond on: the next one must be later than this call's."""
    while CLOUDEVENTS.payload("-", "-")["data"]["answered_at"] <= event["data"]["answered_at"]:
        pass
