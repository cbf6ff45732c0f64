"""An agency's webhook addresses for voice platforms: all of them can be seen, and one can be switched off for good."""

import json
from typing import Any

import time_machine

from chalicelib.clock import now_ms
from chalicelib.storage import accounts
from tests.calls import call
from tests.gateways.voice_platforms import sign_cloudevents
from tests.people.callers import authorize, enter, set_role
from tests.web.examples import problem_of
from tests.world import Answer, World

VAPI_SECRET, VAPI_KEY = "a-secret-of-vapi-s-own", "the-private-key-at-vapi"


def path_of(workspace: str, endpoint_id: str = "") -> str:
    return f"/v1/workspaces/{workspace}/voice-endpoints" + (f"/{endpoint_id}" if endpoint_id else "")


def delete(world: World, workspace: str, endpoint_id: str, key: str = "") -> Answer:
    return world.call("DELETE", path_of(workspace, endpoint_id), key=key)


def deliver(world: World, endpoint: Any, client: str, event_id: str) -> Answer:
    """A call of this client's is delivered to this address, signed with its secret."""
    raw = json.dumps(call(client, event_id)).encode()
    headers = sign_cloudevents(raw, endpoint["secret"], str(now_ms() // 1000), "")
    path = f"/webhooks/voice/{endpoint['provider']}/{endpoint['id']}"
    return world.call("POST", path, raw=raw, headers=headers, key=None)


def test_all_addresses_of_a_workspace_are_listed_the_oldest_first_and_nobody_elses(world: World) -> None:
    workspace, neighbour = world.workspace(), world.workspace()
    world.endpoint(neighbour, "cloudevents")
    empty = world.get(path_of(workspace))
    made = []
    for minute in range(4):
        with time_machine.travel(f"2100-06-01T08:0{minute}:00Z"):
            made.append(world.endpoint(workspace, "cloudevents"))

    listed = world.get(path_of(workspace))

    assert empty == {"object": "list", "data": [], "has_more": False}
    assert [each["id"] for each in listed["data"]] == [each["id"] for each in made]
    shown = ("object", "id", "workspace", "provider", "url", "created_at")
    for each, known in zip(listed["data"], made, strict=True):
        assert {name: each[name] for name in shown} == {name: known[name] for name in shown}
    assert listed["data"][2]["created_at"].startswith("2100-06-01T08:02:00")


def test_a_list_says_whether_there_is_an_api_key_and_shows_neither_it_nor_a_secret(world: World) -> None:
    workspace = world.workspace()
    made = world.post(path_of(workspace), {"provider": "vapi", "secret": VAPI_SECRET, "api_key": VAPI_KEY})
    ours = world.endpoint(workspace, "cloudevents")

    answer = world.call("GET", path_of(workspace))

    assert {each["id"]: each["has_api_key"] for each in answer.json["data"]} == {made["id"]: True, ours["id"]: False}
    assert (made["has_api_key"], ours["has_api_key"]) == (True, False)
    for hidden in (VAPI_SECRET, VAPI_KEY, ours["secret"], '"secret"', '"api_key"'):
        assert hidden not in answer.text


def test_a_deleted_address_answers_as_one_that_never_was_and_the_others_go_on(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    leaked, other = world.endpoint(workspace, "cloudevents"), world.endpoint(workspace, "cloudevents")
    before = deliver(world, leaked, client, "call_1")

    answer = delete(world, workspace, leaked["id"])

    after, never_was = (
        deliver(world, leaked, client, "call_2"),
        deliver(world, {**leaked, "id": leaked["id"][:-1] + "_"}, client, "call_2"),
    )
    assert (before.status, answer.status, after.status, never_was.status) == (202, 200, 404, 404)
    said, would_say = problem_of(after), problem_of(never_was)
    assert {**said, "request_id": ""} == {**would_say, "request_id": ""}
    assert deliver(world, other, client, "call_3").status == 202
    world.drain()
    assert world.usage("my-platform", "call_1")["status"] == "posted"
    assert world.call("GET", "/v1/usage-events/my-platform/call_2").status == 404
    assert world.usage("my-platform", "call_3")["status"] == "posted"


def test_what_was_deleted_is_answered_without_its_secret_and_listed_no_more(world: World) -> None:
    workspace = world.workspace()
    gone, kept = world.endpoint(workspace, "vapi", VAPI_SECRET), world.endpoint(workspace, "cloudevents")

    answer = delete(world, workspace, gone["id"])

    assert answer.json == {name: value for name, value in gone.items() if name != "secret"}
    assert VAPI_SECRET not in answer.text
    assert [each["id"] for each in world.get(path_of(workspace))["data"]] == [kept["id"]]


def test_deleting_twice_is_not_found_and_says_why(world: World) -> None:
    workspace = world.workspace()
    endpoint = world.endpoint(workspace, "cloudevents")
    delete(world, workspace, endpoint["id"])

    again = delete(world, workspace, endpoint["id"])

    told = problem_of(again)
    assert (told["status"], told["code"], told["param"]) == (404, "not_found", "endpoint_id")
    assert "no such voice endpoint" in told["detail"]
    assert "deleted" in told["detail"]


def test_nobody_deletes_the_address_of_another_agency(world: World) -> None:
    mine, theirs = world.workspace(), world.workspace(owner_email="owner@north.example")
    their_client, endpoint = world.sub_account(theirs, "0.15"), world.endpoint(theirs, "cloudevents")
    owner = enter(world, "owner@acme.example", mine)

    from_here, from_there = delete(world, mine, endpoint["id"], owner), delete(world, theirs, endpoint["id"], owner)

    assert (from_here.status, from_there.status) == (404, 404)
    assert delete(world, mine, endpoint["id"]).status == 404  # and the platform's own key reaches it under its own only
    assert deliver(world, endpoint, their_client, "call_1").status == 202


def test_only_addresses_can_be_deleted_whatever_else_a_workspace_has(world: World) -> None:
    """All of a workspace stands in one place of the store: its people, its clients, its agents, and itself."""
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    authorize(world, client, "client@bright.example")
    world.put(f"/v1/sub-accounts/{client}/voice-agents/vapi/agent_7")
    world.endpoint(workspace, "cloudevents")
    before = world.call("GET", f"/v1/workspaces/{workspace}/people").json
    part = workspace.removeprefix("ws_")

    others = ("workspace", "people", client, workspace, "agent%23vapi%23agent_7", "reach%23client@bright.example")
    for name in (*others, f"users%23{client}", "whe_", f"whe_{part}", f"whe_{part}_", f"whe_{part}_nothing", "*"):
        assert delete(world, workspace, name).status == 404, name

    assert world.call("GET", f"/v1/workspaces/{workspace}/people").json == before
    assert world.get(f"/v1/sub-accounts/{client}/authorized-users")["data"][0]["email"] == "client@bright.example"
    assert world.get(f"/v1/sub-accounts/{client}/voice-agents")["data"][0]["agent_id"] == "agent_7"
    assert len(world.get(path_of(workspace))["data"]) == 1


def test_owners_and_admins_see_to_addresses_and_clients_do_not(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    set_role(world, workspace, "admin@acme.example")
    authorize(world, client, "client@bright.example")

    for email, account in (("owner@acme.example", workspace), ("admin@acme.example", workspace)):
        session, endpoint = enter(world, email, account), world.endpoint(workspace, "cloudevents")
        assert world.call("GET", path_of(workspace), key=session).status == 200
        assert delete(world, workspace, endpoint["id"], session).status == 200
    session, endpoint = enter(world, "client@bright.example", client), world.endpoint(workspace, "cloudevents")
    assert world.call("GET", path_of(workspace), key=session).status == 403
    assert delete(world, workspace, endpoint["id"], session).status == 403


def test_who_switched_an_address_off_can_be_read_in_the_workspaces_trail_without_its_secrets(world: World) -> None:
    workspace = world.workspace()
    made = world.post(path_of(workspace), {"provider": "vapi", "secret": VAPI_SECRET, "api_key": VAPI_KEY})
    session = enter(world, "owner@acme.example", workspace)

    delete(world, workspace, made["id"], session)

    trail = world.call("GET", f"/v1/workspaces/{workspace}/audit?limit=100")
    change, *_ = trail.json["data"]
    assert (change["by"], change["action"], change["on"]) == (
        "owner@acme.example",
        "delete_voice_endpoint",
        made["id"],
    )
    assert (change["from"]["provider"], change["from"]["has_api_key"], change["to"]) == ("vapi", True, None)
    assert VAPI_SECRET not in trail.text
    assert VAPI_KEY not in trail.text
    assert world.get("/v1/audit")["data"] == []


def test_a_deletion_whose_answer_was_lost_on_the_way_from_the_store_is_a_deletion(
    world: World, monkeypatch: Any
) -> None:
    """The client of the store asks again by itself, and finds nothing any more: that must not become a refusal."""
    workspace = world.workspace()
    endpoint = world.endpoint(workspace, "cloudevents")
    ask = accounts.EndpointItem.delete

    def twice(item: Any, *given: Any, **named: Any) -> Any:
        ask(item, *given, **named)
        return ask(item, *given, **named)

    monkeypatch.setattr(accounts.EndpointItem, "delete", twice)

    assert delete(world, workspace, endpoint["id"]).status == 200
