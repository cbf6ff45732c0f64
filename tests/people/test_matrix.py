"""Every door, everybody who may stand at it, whatever it may be about: who passes is worked out here once more."""

from pathlib import Path

import pytest

from chalicelib.domain.people import Role, Scope
from chalicelib.web.doors import Door
from chalicelib.web.every_door import DOORS
from chalicelib.web.permissions import PERMITS
from local.permits import table
from tests.people.callers import COST, PEOPLE, Stage
from tests.web.examples import name_of, problem_of
from tests.world import Answer

WITH_KEY = [door for door in DOORS if door.needs_key]
CALLERS = ("key", "key without the scope", *PEOPLE)
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "people.md"
PASSES, UNKNOWN = "passes", "404"


def test_every_door_that_asks_for_a_caller_has_a_row_in_the_table_and_every_row_a_door() -> None:
    assert set(PERMITS) == {name_of(door) for door in WITH_KEY}


def test_the_document_says_what_the_table_says() -> None:
    assert table() in DOCUMENT.read_text(), "docs/people.md is out of date: run python -m local.permits"


def test_moving_a_clients_money_is_the_clients_alone() -> None:
    """By hand, from the table's purpose and not from the table."""
    for what in ("top-ups", "payment-method", "backup-payment-method", "portal"):
        permit = PERMITS[f"POST /v1/sub-accounts/{{sub_account_id}}/wallet/{what}"]
        assert (permit.users, permit.roles, permit.scope) == (True, frozenset(), Scope.MONEY)


def test_what_the_agency_pays_is_set_by_the_platform_alone() -> None:
    permit = PERMITS["PUT /v1/workspaces/{workspace_id}/cost"]

    assert (permit.users, permit.roles) == (False, frozenset())


def test_a_workspaces_webhook_addresses_are_seen_and_deleted_by_those_who_may_make_one() -> None:
    path = "/v1/workspaces/{workspace_id}/voice-endpoints"
    making = PERMITS[f"POST {path}"]

    assert (making.users, making.roles, making.scope) == (False, frozenset(Role), Scope.ACCOUNTS)
    assert [PERMITS[f"GET {path}"], PERMITS[f"DELETE {path}/{{endpoint_id}}"]] == [making] * 2


def test_a_clients_voice_agents_are_seen_and_taken_away_by_those_who_may_assign_one() -> None:
    path = "/v1/sub-accounts/{sub_account_id}/voice-agents"
    assigning = PERMITS[f"PUT {path}/{{provider}}/{{agent_id}}"]

    assert (assigning.users, assigning.roles, assigning.scope) == (False, frozenset(Role), Scope.ACCOUNTS)
    assert [PERMITS[f"GET {path}"], PERMITS[f"DELETE {path}/{{provider}}/{{agent_id}}"]] == [assigning] * 2


def expected(door: Door, caller: str, target: str) -> str:
    """Who passes, worked out from the table's row and nothing of the product's."""
    permit = PERMITS[name_of(door)]
    if caller == "key without the scope":
        return "scope_missing"
    if caller == "key":
        return UNKNOWN if target.startswith("missing") or _is_elsewhere(door, caller, target) else PASSES
    home = "foreign" if caller == "owner of another workspace" else "own"
    theirs = {"own": ("own", "sibling", "missing here"), "foreign": ("foreign",)}[home]
    if target != "of nobody" and target not in theirs:
        return UNKNOWN
    if caller == "removed":
        return "access_removed"
    role = {"owner": Role.OWNER, "admin": Role.ADMIN, "owner of another workspace": Role.OWNER}.get(caller)
    sees = {"user": "own", "user of a sibling": "sibling"}.get(caller)
    about_a_client = "{sub_account_id}" in door.path
    if sees and about_a_client and target != sees:
        return UNKNOWN
    if role in permit.roles or (permit.users and sees == target):
        return UNKNOWN if target == "missing here" or _is_elsewhere(door, caller, target) else PASSES
    if permit.users and role is not None:
        return "not_an_authorized_user"
    return "role_missing" if permit.roles else "platform_only"


def _is_elsewhere(door: Door, caller: str, target: str) -> bool:
    """What a path names beside its account (an event, an application, a top-up, a webhook address, an agent to be taken
    away) is our own workspace's and client's."""
    if door.path == "/v1/usage-events/{source}/{event_id}":
        return caller == "owner of another workspace"
    named = ("{application_id}", "{top_up_id}", "{event_id}/dismiss", "{endpoint_id}")
    names = any(name in door.path for name in named) or (door.method == "DELETE" and "{agent_id}" in door.path)
    return names and target in ("foreign", "sibling")


def found(answer: Answer) -> str:
    """What an answer says of the caller's right."""
    if answer.status == 404:
        told = problem_of(answer)
        nothing = told["code"] == "not_found" and told["param"] in (None, "endpoint_id", "agent_id")
        return UNKNOWN if nothing else PASSES
    if answer.status in (401, 403):
        code: str = problem_of(answer)["code"]
        return code
    assert answer.status < 500, answer.text
    return PASSES


@pytest.mark.parametrize("door", WITH_KEY, ids=name_of)
def test_a_door_opens_for_those_in_the_table_and_nobody_else(stage: Stage, door: Door) -> None:
    wrong = []
    for target, values in stage.targets(door).items():
        request = stage.request(door, values)
        for caller in CALLERS:
            answer = stage.send(request, stage.token_of(caller, PERMITS[name_of(door)].scope))
            said, should = found(answer), expected(door, caller, target)
            gate_said_no = door.path.endswith("/access") and should == PASSES and answer.status == 403
            if said != should and not gate_said_no:
                wrong.append(f"{caller} at {target}: {said} instead of {should}: {answer.status} {answer.text[:150]}")
            wrong += [f"{caller} at {target} reads {word}" for word in _not_for(stage, caller, answer)]
            if said == PASSES:
                stage.leave_as_it_was(door)
                request = stage.request(door, values)  # what it asks for may be done and gone

    assert not wrong, "\n".join(wrong)


def _not_for(stage: Stage, caller: str, answer: Answer) -> list[str]:
    """What a client reads and may not: what its agency pays and earns, and anybody else's ids."""
    if caller not in ("user", "user of a sibling"):
        return []
    others = {stage.scene.client, stage.sibling, stage.scene.other_client, stage.scene.other_workspace}
    others -= {stage.scene.client if caller == "user" else stage.sibling}
    numbers = (COST, "73100", "0.0769", "0.1169")  # a minute's cost, in micros too, and what a minute earns
    words = ("cost_", '"cost', "margin", "markup")
    return [word for word in (*others, *numbers, *words) if word in answer.text]


def test_who_is_refused_is_told_who_can_help(stage: Stage) -> None:
    doors = {name_of(door): door for door in WITH_KEY}
    refused = {
        ("admin", "PUT /v1/workspaces/{workspace_id}/people/{email}"): "owner",
        ("user", "PUT /v1/workspaces/{workspace_id}/people/{email}"): "owner",
        ("user", "GET /v1/workspaces/{workspace_id}/wallet"): "admin or owner",
        ("owner", "PUT /v1/workspaces/{workspace_id}/cost"): "platform",
        ("owner", "POST /v1/sub-accounts/{sub_account_id}/wallet/top-ups"): "authorized users",
        ("removed", "GET /v1/workspaces/{workspace_id}/wallet"): "owner",
        ("key without the scope", "GET /v1/workspaces/{workspace_id}/wallet"): "'money'",
    }
    for (caller, name), who in refused.items():
        request = stage.request(doors[name], {})

        told = problem_of(stage.send(request, stage.token_of(caller, PERMITS[name].scope)))

        assert told["status"] == 403
        assert who in told["detail"]


def test_a_client_reads_its_own_statement_without_what_its_agency_pays(stage: Stage) -> None:
    """The planted cost is really there to be found: the agency reads it where the client does not."""
    path = f"/v1/workspaces/{stage.scene.workspace}/wallet/entries"
    agencys = stage.scene.world.call("GET", path, key=stage.tokens["owner"])
    clients = stage.scene.world.call(
        "GET", f"/v1/sub-accounts/{stage.scene.client}/wallet/entries", key=stage.tokens["user"]
    )

    assert COST in agencys.text
    assert clients.json["data"]
    assert COST not in clients.text
