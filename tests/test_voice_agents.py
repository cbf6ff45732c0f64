"""The voice agents of a sub-account: they can be seen, and taken away when a client leaves."""

import json
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.storage import accounts
from tests.calls import call
from tests.gateways.voice_platforms import sign_cloudevents
from tests.people.callers import enter
from tests.web.examples import problem_of
from tests.world import Answer, World

AGENT = "front-desk"


class Agency:
    """An agency with a webhook address, and two clients at 0.15 a minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.workspace = world.workspace()
        self.client, self.other = (world.sub_account(self.workspace, "0.15") for _ in range(2))
        self.endpoint = world.endpoint(self.workspace, "cloudevents")

    def assign(self, client: str, agent: str = AGENT, provider: str = "cloudevents") -> None:
        self.world.put(path_of(client, provider, agent))

    def take_away(self, client: str, agent: str = AGENT, provider: str = "cloudevents", key: str = "") -> Answer:
        return self.world.call("DELETE", path_of(client, provider, agent), key=key)

    def agents(self, client: str) -> list[tuple[str, str]]:
        found = self.world.get(f"/v1/sub-accounts/{client}/voice-agents")["data"]
        assert {each["sub_account"] for each in found} <= {client}
        return [(each["provider"], each["agent_id"]) for each in found]

    def report(self, event: Any) -> None:
        """A call comes in over the webhook, and what is on the queue is seen to."""
        raw = json.dumps(event).encode()
        headers = sign_cloudevents(raw, self.endpoint["secret"], str(now_ms() // 1000), "")
        path = f"/webhooks/voice/cloudevents/{self.endpoint['id']}"
        assert self.world.call("POST", path, raw=raw, headers=headers, key=None).status == 202
        self.world.drain()

    def status(self, event_id: str) -> tuple[str, str | None]:
        told = self.world.usage("my-platform", event_id)
        return told["status"], told["sub_account"]


def path_of(client: str, provider: str, agent: str) -> str:
    return f"/v1/sub-accounts/{client}/voice-agents/{provider}/{agent}"


@pytest.fixture
def agency(world: World) -> Agency:
    return Agency(world)


def test_a_sub_accounts_agents_are_listed_with_their_platform_and_nobody_elses(agency: Agency) -> None:
    elsewhere = Agency(agency.world)
    before = agency.world.get(f"/v1/sub-accounts/{agency.client}/voice-agents")
    for provider, agent in (("vapi", "asst_2"), ("vapi", "asst_1"), ("twilio", "%2B13035550121")):
        agency.assign(agency.client, agent, provider)
    agency.assign(agency.other, "asst_3", "vapi")
    elsewhere.assign(elsewhere.client, "asst_1", "vapi")

    assert before == {"object": "list", "data": [], "has_more": False}
    assert agency.agents(agency.client) == [("twilio", "+13035550121"), ("vapi", "asst_1"), ("vapi", "asst_2")]
    assert agency.agents(agency.other) == [("vapi", "asst_3")]


def test_an_agent_that_moved_is_listed_where_it_is_now(agency: Agency) -> None:
    agency.assign(agency.client)
    agency.assign(agency.other)

    assert (agency.agents(agency.client), agency.agents(agency.other)) == ([], [("cloudevents", AGENT)])


def test_once_an_agent_is_taken_away_its_calls_wait_and_what_was_posted_stays(agency: Agency) -> None:
    agency.assign(agency.client)
    first = call(AGENT, "call_1", seconds=42)
    agency.report(first)

    answer = agency.take_away(agency.client)
    agency.report(call(AGENT, "call_2", seconds=42))
    agency.report(first)

    assert (answer.status, answer.json["agent_id"], answer.json["sub_account"]) == (200, AGENT, agency.client)
    assert agency.agents(agency.client) == []
    assert agency.status("call_1") == ("posted", agency.client)
    assert agency.status("call_2") == ("unmatched", None)
    # 42 s of one call: 0.049 at 0.07 a minute, 0.105 at 0.15.
    assert agency.world.balance(agency.client) == "-0.105000"
    assert agency.world.balance(agency.workspace) == "-0.049000"


def test_an_agent_of_a_client_that_left_is_used_for_another_who_gets_the_calls_that_waited(agency: Agency) -> None:
    agency.assign(agency.client)
    agency.take_away(agency.client)
    agency.report(call(AGENT, "call_1", seconds=42))

    agency.assign(agency.other)
    agency.world.drain()

    assert agency.status("call_1") == ("posted", agency.other)
    assert agency.agents(agency.other) == [("cloudevents", AGENT)]
    assert agency.world.balance(agency.client) == "0.000000"


def test_a_call_that_waited_is_not_lost_where_its_agent_is_taken_away_as_soon_as_it_was_assigned(
    agency: Agency,
) -> None:
    agency.report(call(AGENT, "call_1", seconds=42))

    agency.assign(agency.client)
    agency.take_away(agency.client)
    agency.world.drain()
    waited = agency.status("call_1")
    agency.assign(agency.other)
    agency.world.drain()

    assert waited == ("unmatched", None)
    assert agency.status("call_1") == ("posted", agency.other)


def test_an_agent_that_is_not_this_clients_is_not_found_and_stays_whose_it_is(agency: Agency) -> None:
    elsewhere = Agency(agency.world)
    agency.assign(agency.other)
    elsewhere.assign(elsewhere.client, "their-desk")

    siblings = agency.take_away(agency.client)
    refused = [
        agency.take_away(agency.client, "nobody-knows"),
        agency.take_away(agency.client, AGENT, "vapi"),
        agency.take_away(agency.client, "their-desk"),
        agency.take_away(elsewhere.client),
    ]

    for answer in (siblings, *refused):
        told = problem_of(answer)
        assert (told["status"], told["code"], told["param"]) == (404, "not_found", "agent_id")
    assert agency.other not in siblings.text
    assert agency.agents(agency.other) == [("cloudevents", AGENT)]
    assert elsewhere.agents(elsewhere.client) == [("cloudevents", "their-desk")]


def test_taking_an_agent_away_twice_is_not_found_the_second_time(agency: Agency) -> None:
    agency.assign(agency.client)

    assert [agency.take_away(agency.client).status for _ in range(2)] == [200, 404]


def test_an_agent_assigned_to_another_client_meanwhile_is_not_taken_from_them(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.assign(agency.client)
    delete = accounts.AccountItem.delete

    def too_late(item: Any, *given: Any, **named: Any) -> Any:
        agency.assign(agency.other)
        return delete(item, *given, **named)

    monkeypatch.setattr(accounts.AccountItem, "delete", too_late)

    answer = agency.take_away(agency.client)

    assert (answer.status, problem_of(answer)["param"]) == (404, "agent_id")
    assert agency.agents(agency.other) == [("cloudevents", AGENT)]


def test_taking_away_whose_answer_was_lost_on_the_way_from_the_store_is_done(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of the store asks again by itself, and finds nothing any more: that must not become a refusal."""
    agency.assign(agency.client)
    delete = accounts.AccountItem.delete

    def twice(item: Any, *given: Any, **named: Any) -> Any:
        delete(item, *given, **named)
        return delete(item, *given, **named)

    monkeypatch.setattr(accounts.AccountItem, "delete", twice)

    assert agency.take_away(agency.client).status == 200
    assert agency.agents(agency.client) == []


@pytest.mark.parametrize(
    ("provider", "agent", "status", "param"),
    [
        ("acme", AGENT, 422, "provider"),
        ("Vapi", AGENT, 422, "provider"),
        ("vapi", "x" * 129, 422, "agent_id"),
        ("vapi", "a%23b", 422, "agent_id"),
        ("vapi", "a%20b", 404, None),
    ],
)
def test_what_can_be_no_agent_is_refused_by_name(
    agency: Agency, provider: str, agent: str, status: int, param: str | None
) -> None:
    told = problem_of(agency.take_away(agency.client, agent, provider))

    assert (told["status"], told["param"]) == (status, param)


def test_a_client_that_is_not_there_has_no_agents(agency: Agency) -> None:
    unknown = f"{agency.client}x"

    answers = [agency.world.call("GET", f"/v1/sub-accounts/{unknown}/voice-agents"), agency.take_away(unknown)]

    assert [answer.status for answer in answers] == [404, 404]
    assert [problem_of(answer)["param"] for answer in answers] == [None, None]


def test_the_agents_of_a_closed_client_can_still_be_seen_and_taken_away(agency: Agency) -> None:
    """It is when a client has left that its agents are wanted back."""
    agency.assign(agency.client)
    body = {"settle": "forfeit", "note": "moved to another provider"}
    agency.world.post(f"/v1/sub-accounts/{agency.client}/close", body, 200, headers={"Idempotency-Key": "goodbye"})

    assert agency.agents(agency.client) == [("cloudevents", AGENT)]
    assert agency.take_away(agency.client).status == 200
    assert agency.agents(agency.client) == []


def test_who_took_an_agent_away_can_be_read_in_the_trail(agency: Agency) -> None:
    agency.assign(agency.client)
    session = enter(agency.world, "owner@acme.example", agency.workspace)

    agency.take_away(agency.client, key=session)
    agency.take_away(agency.client, key=session)

    taken, assigned, *_ = agency.world.get(f"/v1/workspaces/{agency.workspace}/audit?limit=100")["data"]
    facts = {"provider": "cloudevents", "agent_id": AGENT, "sub_account": agency.client}
    assert (taken["by"], taken["action"], taken["on"]) == ("owner@acme.example", "remove_voice_agent", agency.client)
    assert (taken["from"], taken["to"]) == (facts, None)
    assert (assigned["action"], assigned["from"], assigned["to"]) == ("assign_voice_agent", None, facts)
