"""What pages ask of the store: each item once, no more trips for many clients than for few, and nothing remembered."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

from chalicelib.storage.tables import connection
from tests.dashboard.visiting import Visitor
from tests.world import World

OWNER = "owner@acme.example"
MOST_TRIPS = {
    "rebilling": 11,
    "accounts": 8,
    "account": 7,
    "snapshot": 4,
    "waiting": 5,
    "settings": 6,
    "billing": 8,
}

Asked = list[tuple[str, str]]  # the operation, and an item's key or the query in it


@contextmanager
def requests_to_the_store() -> Iterator[tuple[list[str], Asked]]:
    """The operations until the block ends, and the single items that were asked for."""
    operations: list[str] = []
    items: Asked = []
    lock = Lock()  # pages read several things at once

    def note(model: Any, params: dict[str, Any], **_: Any) -> None:
        asked = json.loads(params["body"])
        tables = asked.get("RequestItems", {asked.get("TableName"): {"Keys": [asked["Key"]] if "Key" in asked else []}})
        with lock:
            operations.append(model.name)
            items.extend((table, json.dumps(key)) for table, each in tables.items() for key in each["Keys"])

    events = connection().client.meta.events
    events.register("before-call.dynamodb", note)
    try:
        yield operations, items
    finally:
        events.unregister("before-call.dynamodb", note)


@pytest.fixture
def workspace(world: World) -> str:
    return world.workspace()


def visitor_of(page: str, world: World, workspace: str, client: str) -> Visitor:
    if page != "billing":
        return Visitor(world, OWNER, workspace)
    world.put(f"/v1/sub-accounts/{client}/authorized-users/pat@client.example")
    return Visitor(world, "pat@client.example", client)


@pytest.mark.parametrize("page", MOST_TRIPS)
def test_a_page_asks_the_store_for_no_item_twice_and_in_few_trips(page: str, world: World, workspace: str) -> None:
    client = world.sub_account(workspace, price="0.15")
    for _ in range(12):
        world.sub_account(workspace)
    visitor = visitor_of(page, world, workspace, client)

    with requests_to_the_store() as (operations, items):
        opened = visitor.open(page, **({"sub_account": client} if page in ("account", "billing") else {}))

    assert opened.status == 200
    assert [item for item, times in Counter(items).items() if times > 1] == []
    assert 1 < len(operations) <= MOST_TRIPS[page], operations


def test_what_has_changed_since_is_on_the_next_page(world: World, workspace: str) -> None:
    owner = Visitor(world, OWNER, workspace)
    assert "$20.00" not in owner.open("rebilling").text

    world.credit(workspace, "20.00")

    assert "$20.00" in owner.open("rebilling").text


def test_whoever_was_removed_since_sees_no_next_page(world: World, workspace: str) -> None:
    world.put(f"/v1/workspaces/{workspace}/people/ann@acme.example", {"role": "admin"})
    ann = Visitor(world, "ann@acme.example", workspace)
    assert ann.open("accounts").status == 200

    assert world.call("DELETE", f"/v1/workspaces/{workspace}/people/ann@acme.example").status < 300

    assert ann.open("accounts").status == 401
