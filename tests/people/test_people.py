"""Who is let in, and who lets them in: roles, authorized users, and an owner who is always there."""

import pytest

from tests.people.callers import enter
from tests.world import World


def people_of(world: World, workspace: str) -> dict[str, str]:
    found = world.get(f"/v1/workspaces/{workspace}/people")["data"]
    return {person["email"]: person["role"] for person in found}


def test_a_new_workspace_has_its_owner(world: World) -> None:
    workspace = world.workspace(owner_email="Owner@Acme.example")
    assert people_of(world, workspace) == {"owner@acme.example": "owner"}


def test_people_are_added_changed_and_removed(world: World) -> None:
    workspace = world.workspace()
    path = f"/v1/workspaces/{workspace}/people/kim@acme.example"
    for role in ("admin", "admin", "owner"):
        assert world.put(path, {"role": role}) == {"object": "person", "email": "kim@acme.example", "role": role}
    assert people_of(world, workspace) == {"owner@acme.example": "owner", "kim@acme.example": "owner"}
    left = world.call("DELETE", path)
    assert [person["email"] for person in left.json["data"]] == ["owner@acme.example"]
    assert world.call("DELETE", path).status == 404


@pytest.mark.parametrize("way", ["removed", "made an admin"])
def test_the_last_owner_stays(world: World, way: str) -> None:
    workspace = world.workspace()
    world.put(f"/v1/workspaces/{workspace}/people/kim@acme.example", {"role": "admin"})
    path = f"/v1/workspaces/{workspace}/people/owner@acme.example"
    answer = world.call("DELETE", path) if way == "removed" else world.call("PUT", path, {"role": "admin"})
    assert (answer.status, answer.json["code"]) == (409, "last_owner")
    assert people_of(world, workspace)["owner@acme.example"] == "owner"


def test_an_authorized_user_is_added_listed_and_removed_and_twice_is_once(world: World) -> None:
    client = world.sub_account(world.workspace())
    users = f"/v1/sub-accounts/{client}/authorized-users"
    for _ in range(2):
        world.put(f"{users}/Pat@Client.example")
    assert [user["email"] for user in world.get(users)["data"]] == ["pat@client.example"]
    assert world.call("DELETE", f"{users}/pat@client.example").json["data"] == []
    assert world.call("DELETE", f"{users}/pat@client.example").status == 404


def test_somebody_without_access_gets_no_link(world: World) -> None:
    client = world.sub_account(world.workspace())
    body = {"email": "stranger@client.example", "sub_account": client}
    refused = world.post("/v1/dashboard-sessions", body, 404)
    assert (refused["code"], refused["param"]) == ("no_access", "email")


def test_one_person_sees_the_accounts_that_they_were_let_into_and_no_others(world: World) -> None:
    workspace = world.workspace()
    one, two, other = (world.sub_account(workspace) for _ in range(3))
    for client in (one, two):
        world.put(f"/v1/sub-accounts/{client}/authorized-users/pat@client.example")
    headers = {"Authorization": f"Bearer {enter(world, 'pat@client.example', one)}"}
    session = world.call("GET", "/v1/session", headers=headers, key=None).json
    assert (session["role"], session["sub_accounts"]) == (None, sorted([one, two]))
    statuses = [
        world.call("GET", f"/v1/sub-accounts/{each}/wallet", headers=headers, key=None).status
        for each in (one, two, other)
    ]
    assert statuses == [200, 200, 404]
