"""`python -m ops kill-switch`: nobody's card is asked any more, and it is known who said so."""

import pytest

from tests.ops.commands import done, ops, refused, told
from tests.refills.refilling import Refilling
from tests.world import World

WHY = ("--reason", "Stripe has an outage")


def test_nothing_is_switched_before_somebody_says_yes(world: World) -> None:
    said = done("kill-switch", "stop", *WHY)

    assert said.strip() == "Would stop ALL refills. Add --yes to do it."
    assert [each["stopped"] for each in told("kill-switch", "status")] == [False]


def test_while_it_is_thrown_no_card_is_asked_and_afterwards_what_was_due_is_refilled(refilling: Refilling) -> None:
    client = refilling.client(balance="12.00")
    done("kill-switch", "stop", *WHY, "--yes")
    refilling.use(client, 700)
    refilling.tick()
    asked = refilling.asked()
    done("kill-switch", "resume", "--reason", "it is over", "--yes")
    refilling.tick()

    assert asked == 0
    assert refilling.taken(owner=client) == [4500]


def test_one_workspaces_switch_stops_its_clients_and_nobody_elses(refilling: Refilling) -> None:
    client = refilling.client(balance="12.00")
    other = refilling.world.workspace()
    done("kill-switch", "stop", "--workspace", refilling.workspace, *WHY, "--yes")
    refilling.use(client, 700)
    refilling.tick()

    both = {
        each["scope"]: each["stopped"] for each in told("kill-switch", "status", "--workspace", refilling.workspace)
    }
    assert both == {"everybody": False, refilling.workspace: True}
    assert [each["stopped"] for each in told("kill-switch", "status", "--workspace", other)] == [False, False]
    assert refilling.asked() == 0
    assert refilling.refill(client)["cause"] == "switched_off"


def test_who_threw_it_and_why_is_shown_and_kept_in_the_audit_trail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    workspace = world.workspace()
    done("kill-switch", "stop", *WHY, "--yes")
    shown = done("kill-switch", "stop", "--workspace", workspace, *WHY, "--yes")

    (everybodys,) = [each for each in world.get("/v1/audit")["data"] if each["action"] == "set_all_refills"]
    its_own = world.get(f"/v1/workspaces/{workspace}/audit")["data"][0]
    assert its_own["action"] == "set_workspace_refills"
    for change in (everybodys, its_own):
        assert change["by"] == "operator ada"
        assert change["to"] == {"stopped": True, "reason": "Stripe has an outage"}
    lines = shown.splitlines()
    column = lines[0].index("by")
    assert [line[column:].startswith("operator ada") for line in lines[1:3]] == [True, True]
    assert lines[-1] == "0 refills under way: they are settled either way."


def test_what_the_api_shows_is_what_the_operator_has_set(world: World) -> None:
    done("kill-switch", "stop", *WHY, "--yes")

    shown = world.get("/v1/refill-switch")

    assert (shown["stopped"], shown["reason"]) == (True, "Stripe has an outage")


def test_a_workspace_that_does_not_exist_and_a_reason_that_says_nothing_are_refused(world: World) -> None:
    assert refused("kill-switch", "stop", "--workspace", "ws_nobody", *WHY, "--yes") == "There is no such workspace."
    assert refused("kill-switch", "stop", "--reason", " ", "--yes") == "--reason must say something."
    assert ops("kill-switch", "stop", "--yes").exit_code == 2
