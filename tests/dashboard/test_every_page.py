"""All that clicking reaches: with names that want to be code, and with a cost that must stay hidden."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.web.every_door import DOORS
from tests.calls import call
from tests.dashboard.visiting import Page, Visitor
from tests.payments.conftest import Paying
from tests.world import Answer

CLIENT, OWNER = "client@bright.example", "owner@acme.example"
MOST_PAGES = 60
UNLINKED = ("/dashboard?page=waiting", "/dashboard?page=nothing-of-the-kind", "/dashboard?page=rebilling")
SCRIPT, FORMULA = "<script>alert('x')</script>", '=HYPERLINK("http://evil.example","pay")'
LONG, RIGHT_TO_LEFT = "n" * 200, "\u202e\u05de\u05e8\u05e4\u05d0\u05d4 dental"
NAMES = {"a script": SCRIPT, "a formula": FORMULA, "200 characters": LONG, "right to left": RIGHT_TO_LEFT}
# What no two stories have in common: ids, tokens, and what is signed.
OF_THE_MOMENT = re.compile(
    r"\b(?:ws|sa|ent|rfl|top|gte|whe)_[0-9A-Za-z_]{12,64}\b|\b[0-9A-HJKMNP-TV-Z]{26}\b|[\w-]{32,}(?:\.[\w-]+)*"
)


@dataclass(frozen=True)
class Pair:
    """An agency and its client, each with somebody at a browser."""

    workspace: str
    client: str
    owner: Visitor
    user: Visitor


def every_page(visitor: Visitor) -> Iterator[tuple[str, Page]]:
    """Each page and file that a person finds by following links, from the first one on."""
    waiting, seen = [visitor.first_page, *UNLINKED], set()
    while waiting:
        address = waiting.pop(0)
        page = visitor.go(address)
        yield address, page
        for link in (known["href"] for tag, known in page.tags if tag == "a" and known.get("href")):
            path = link.removeprefix("https://rebill.example").partition("#")[0]
            if path.startswith(("/dashboard", "?")) and path not in seen and len(seen) < MOST_PAGES:
                seen.add(path)
                waiting.append(path if path.startswith("/") else f"/dashboard{path}")


def agency(paying: Paying, cost: str, name: str = "Bright Dental", price: dict[str, Any] | None = None) -> Pair:
    """A client that has had calls and credit, and whoever may see its billing."""
    world = paying.world
    workspace = world.workspace(name=f"Acme {name}"[:200])
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": cost})
    world.credit(workspace, "500.00", key="plenty")
    client = world.sub_account(workspace, name=name)
    voice = {"enabled": True, **(price or {"price_type": "fixed", "price_per_minute": "0.19"})}
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice})
    credit = {"amount": "20.00", "kind": "promo", "note": name}
    world.post(f"/v1/sub-accounts/{client}/wallet/credits", credit, headers={"Idempotency-Key": "n"})
    world.put(f"/v1/sub-accounts/{client}/authorized-users/{CLIENT}")
    for number, seconds in enumerate((60, 90, 0)):
        world.report(call(client, f"call_{number}", seconds=seconds))
    world.drain()
    return Pair(workspace, client, Visitor(world, OWNER, workspace), Visitor(world, CLIENT, client))


def test_the_walk_reaches_the_pages_that_there_are(paying: Paying) -> None:
    pair = agency(paying, "0.07")

    def reached(visitor: Visitor) -> set[str]:
        return {found for address, _ in every_page(visitor) for found in re.findall(r"page=(\w+)", address)}

    assert reached(pair.owner) >= {"rebilling", "accounts", "account", "snapshot", "settings", "billing"}
    assert reached(pair.user) >= {"billing", "charge"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_whatever_a_name_looks_like_it_is_a_name_on_every_page_and_in_every_file(paying: Paying, name: str) -> None:
    pair = agency(paying, "0.07", name=name)

    shown = 0
    for address, page in [*every_page(pair.owner), *every_page(pair.user)]:
        assert page.status in (200, 403, 404), address
        if page.headers["content-type"].startswith("text/csv"):
            assert_harmless_file(page.html)
            shown += name in page.html or f"'{name}" in page.html.replace('""', '"')
            continue
        assert_harmless(address, page)
        shown += name in page.text

    assert shown >= 8  # it is not harmless by being left out


def assert_harmless(address: str, page: Page) -> None:
    for tag, known in page.tags:
        assert tag != "script" or "/static/" in known["src"], address
        assert not any(name.startswith("on") or name == "style" for name in known), (address, tag, known)
        if tag in ("a", "form"):
            leads_to = known.get("href", known.get("action", "")).lower()
            assert not leads_to.startswith(("javascript:", "data:", "http://evil")), (address, known)
    assert "unsafe" not in page.headers["content-security-policy"]


def assert_harmless_file(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1, "a name has added or taken a column"
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
        assert not cell.startswith("-") or re.fullmatch(r"-[0-9.]+", cell), cell


def everything_that_a_client_reads(pair: Pair) -> dict[str, str]:
    """Pages and files by clicking, and what every readable door answers, as pages name it and as it comes."""
    read = {str(number): page.html for number, (_, page) in enumerate(every_page(pair.user))}
    world = pair.user.world
    values = {
        "sub_account_id": pair.client,
        "workspace_id": pair.workspace,
        "entry_id": world.entries(pair.client)[0]["id"],
        "source": "my-platform",
        "event_id": "call_0",
    }
    for door in DOORS:
        if door.method == "GET" and door.needs_key:
            path = re.sub(r"{(\w+)}", lambda found: values.get(found[1], "x"), door.path)
            answer = world.call("GET", path, headers={"cookie": pair.user.cookie}, key=None)
            read[f"{door.method} {door.path}"] = f"{answer.status} {told(answer)}"
    return {where: OF_THE_MOMENT.sub("~", text) for where, text in read.items()}


def told(answer: Answer) -> str:
    return re.sub(r'"request_id": ?"[^"]*"', "", answer.text)


def test_two_agencies_with_different_costs_are_the_same_to_their_clients(paying: Paying, time_machine: Any) -> None:
    """Whatever could be read, guessed or worked out of an answer would make the two differ."""
    time_machine.move_to("2026-11-10T12:00:00Z", tick=False)
    cheap, dear = agency(paying, "0.021337"), agency(paying, "0.173331")

    of_cheap, of_dear = everything_that_a_client_reads(cheap), everything_that_a_client_reads(dear)

    assert len(of_cheap) > 30
    assert of_cheap.keys() == of_dear.keys()
    for where in of_cheap:
        lines = zip(of_cheap[where].splitlines(), of_dear[where].splitlines(), strict=True)
        assert [pair for pair in lines if pair[0] != pair[1]] == [], where
    owners = [OF_THE_MOMENT.sub("~", pair.owner.open("rebilling").html) for pair in (cheap, dear)]
    assert owners[0] != owners[1]  # there is something to be read, by those who may


def test_a_client_with_a_markup_sees_its_price_and_neither_the_cost_nor_the_percentage(paying: Paying) -> None:
    markup = {"price_type": "markup", "markup_percent": "37.31"}

    read = everything_that_a_client_reads(agency(paying, "0.073137", price=markup))

    assert any("0.100424" in text for text in read.values())  # the price of a minute: that is the client's to know
    for where, text in read.items():
        for secret in ("0.073137", "73137", "0.109706", "37.31", "3731", "0.027287", "markup", "margin"):
            assert secret not in text.lower(), where
