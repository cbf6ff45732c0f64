"""`python -m ops keys`: what an operator sees of API keys, and what he can do to them."""

import json

import pytest
from click.testing import CliRunner, Result

from chalicelib.flows import authenticate
from local.stack import Stack
from ops.__main__ import main
from tests.world import World


@pytest.fixture(autouse=True)
def empty(store: Stack) -> None:
    """No keys yet."""


def ops(*words: str) -> Result:
    return CliRunner().invoke(main, ["keys", *words])


def test_a_key_that_was_made_opens_what_its_scopes_say() -> None:
    world = World()
    workspace = world.workspace()
    key = ops("make", "the gate", "--scope", "gate", "--scope", "usage").stdout.strip()

    assert key.startswith("rbk_")
    assert world.call("GET", f"/v1/workspaces/{workspace}", key=key).status == 403
    assert world.call("GET", "/v1/usage-events/x/y", key=key).status == 404


def test_a_key_without_scopes_named_opens_everything() -> None:
    world = World()
    key = ops("make", "the platform").stdout.strip()

    assert world.call("GET", f"/v1/workspaces/{world.workspace()}", key=key).status == 200


def test_a_scope_that_does_not_exist_is_refused_and_no_key_made() -> None:
    refused = ops("make", "the gate", "--scope", "everything")

    assert refused.exit_code == 2
    assert "everything" in refused.output
    assert authenticate.list_api_keys() == []


def test_the_list_is_aligned_and_shows_no_key() -> None:
    key = ops("make", "the gate", "--scope", "gate").stdout.strip()
    ops("make", "reports and statements")

    lines = ops("list").stdout.splitlines()

    assert lines[0].startswith("id ")
    assert len(lines) == 3
    column = lines[0].index("scopes")
    assert {line[column:].split()[0] for line in lines} == {"scopes", "gate", "all"}
    assert key not in "".join(lines)


def test_the_list_as_json_is_one_object_a_line() -> None:
    ops("make", "the gate", "--scope", "gate")

    (shown,) = [json.loads(line) for line in ops("list", "--json").stdout.splitlines()]

    assert (shown["name"], shown["scopes"], shown["revoked"]) == ("the gate", ["gate"], False)
    assert len(shown["id"]) == 12


def test_a_revoked_key_is_refused_and_stays_in_the_list() -> None:
    world = World()
    workspace = world.workspace()
    key = ops("make", "the gate").stdout.strip()
    (key_id,) = [known.id for known in authenticate.list_api_keys() if known.name == "the gate"]

    said = ops("revoke", key_id)
    authenticate.forget_trusted_keys()

    assert said.stdout == f"Revoked {key_id} (the gate).\n"
    assert world.call("GET", f"/v1/workspaces/{workspace}", key=key).status == 401
    assert [line.rpartition("  ")[2] for line in ops("list").stdout.splitlines() if key_id in line] == ["revoked"]


def test_a_key_that_is_not_there_cannot_be_revoked() -> None:
    refused = ops("revoke", "000000000000")

    assert refused.exit_code == 1
    assert "There is no API key 000000000000." in refused.output
