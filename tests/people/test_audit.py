"""Every change of a setting is kept: who made it, when, on what, from what, to what."""

from typing import Any

import pytest
import time_machine

from chalicelib.flows import audit
from chalicelib.web.callers import SAFE_METHODS
from chalicelib.web.changes import CHANGES, CHANGES_NO_SETTING
from chalicelib.web.permissions import PERMITS
from tests.people.callers import authorize, enter, remove, set_role
from tests.web.examples import problem_of
from tests.world import World

OWNER = "owner@acme.example"


def trail(world: World, workspace: str, **query: Any) -> list[dict[str, Any]]:
    asked = "&".join(f"{name}={value}" for name, value in {"limit": 100, **query}.items())
    found: list[dict[str, Any]] = world.get(f"/v1/workspaces/{workspace}/audit?{asked}")["data"]
    return found


def test_every_door_that_may_change_something_says_what_or_that_it_changes_no_setting() -> None:
    doors = {name for name in PERMITS if name.partition(" ")[0] not in SAFE_METHODS}

    assert doors == set(CHANGES) | CHANGES_NO_SETTING, "say in web/changes.py what the new door changes"
    assert not set(CHANGES) & CHANGES_NO_SETTING


def test_a_price_that_a_person_sets_is_kept_with_their_name_and_what_it_was(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    token = enter(world, OWNER, workspace)
    body = {"enabled": True, "voice": {"price_per_minute": "0.18"}}

    with time_machine.travel("2100-06-01T08:00:00Z", tick=False):
        token = enter(world, OWNER, workspace)
        world.call("PUT", f"/v1/sub-accounts/{client}/rebilling", body, key=token)
        (change, *_) = trail(world, workspace)

    assert (change["by_kind"], change["by"], change["action"], change["on"]) == (
        "person",
        OWNER,
        "set_rebilling",
        client,
    )
    assert change["at"].startswith("2100-06-01T08:00:00")
    assert change["from"]["rebilling"]["prices"]["voice"]["price_per_minute"] == "0.15"
    assert change["to"]["rebilling"]["prices"]["voice"]["price_per_minute"] == "0.18"
    assert len(change["to"]["rebilling_cards"]) == 1  # the one that came, however many there are
    assert change["from"]["rebilling_cards"] == []


def test_what_a_program_changes_is_kept_with_the_name_of_its_key(world: World) -> None:
    workspace = world.workspace()
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})

    change, made = trail(world, workspace)

    assert (change["by_kind"], change["by"], change["action"]) == ("api_key", "the platform's", "set_cost")
    assert (made["action"], made["from"], made["to"]["id"]) == ("create_workspace", None, workspace)


def test_what_is_set_to_what_it_was_is_no_change(world: World) -> None:
    workspace = world.workspace()
    set_role(world, workspace, "admin@acme.example")
    before = trail(world, workspace)

    set_role(world, workspace, "admin@acme.example")

    assert trail(world, workspace) == before


def test_what_was_refused_is_no_change(world: World) -> None:
    workspace = world.workspace()
    before = trail(world, workspace)

    world.call("DELETE", f"/v1/workspaces/{workspace}/people/{OWNER}")
    world.call("PUT", f"/v1/workspaces/{workspace}/top-up-limits", {"workspace": {"minimum": "x", "maximum": "1"}})

    assert trail(world, workspace) == before


def test_who_was_let_in_and_put_out_can_be_read(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    set_role(world, workspace, "admin@acme.example")
    remove(world, workspace, "admin@acme.example")
    authorize(world, client, "client@bright.example")

    user, removed, added = trail(world, workspace)[:3]

    assert (added["from"], added["to"]) == ({}, {"admin@acme.example": "admin"})
    assert (removed["from"], removed["to"]) == ({"admin@acme.example": "admin"}, {})
    assert (user["on"], user["to"]) == (client, {"authorized_users": ["client@bright.example"]})


def test_no_secret_is_kept(world: World) -> None:
    workspace = world.workspace()
    secret = world.endpoint(workspace, "vapi", "a-secret-of-twenty-letters")["secret"]

    (made, *_) = trail(world, workspace)

    assert made["action"] == "create_voice_endpoint"
    assert secret not in str(made)
    assert "secret" not in made["to"]


def test_settings_of_the_platform_have_a_trail_of_their_own(world: World) -> None:
    workspace = world.workspace()
    before = trail(world, workspace)
    world.put("/v1/refill-switch", {"stopped": True, "reason": "a look at the bank"})

    (change,) = world.get("/v1/audit")["data"]

    assert (change["on"], change["from"]["stopped"], change["to"]["stopped"]) == ("platform", False, True)
    assert trail(world, workspace) == before


def test_a_trail_is_read_page_by_page_newest_first(world: World) -> None:
    workspace = world.workspace()
    for number in range(5):
        set_role(world, workspace, f"admin{number}@acme.example")
    whole = [change["id"] for change in trail(world, workspace)]

    pages, after = [], ""
    while True:
        page = world.get(f"/v1/workspaces/{workspace}/audit?limit=2" + (f"&starting_after={after}" if after else ""))
        pages.append([change["id"] for change in page["data"]])
        after = pages[-1][-1]
        if not page["has_more"]:
            break

    assert [len(page) for page in pages] == [2, 2, 2]
    assert [each for page in pages for each in page] == whole


def test_admins_clients_and_other_workspaces_do_not_read_it(world: World) -> None:
    workspace, other = world.workspace(), world.workspace(owner_email="owner@north.example")
    set_role(world, workspace, "admin@acme.example")
    path = f"/v1/workspaces/{workspace}/audit"

    assert world.call("GET", path, key=enter(world, OWNER, workspace)).status == 200
    assert world.call("GET", path, key=enter(world, "admin@acme.example", workspace)).status == 403
    assert world.call("GET", path, key=enter(world, "owner@north.example", other)).status == 404
    assert world.call("GET", "/v1/audit", key=enter(world, OWNER, workspace)).status == 403
    unknown = world.call("GET", f"{path}?starting_after=garbage")
    assert (unknown.status, problem_of(unknown)["param"]) == (422, "starting_after")


def test_a_change_that_could_not_be_written_down_is_made_and_a_person_is_called(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> None:
        raise OSError("a password")

    workspace = world.workspace()
    monkeypatch.setattr(audit, "add_change", fail)

    answer = world.call("PUT", f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})

    assert answer.status == 200
    assert "audit_failed" in [getattr(line, "alarm", None) for line in caplog.records]
    assert "a password" not in caplog.text
