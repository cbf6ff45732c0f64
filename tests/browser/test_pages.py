"""Every page of the product, as everybody can use it: axe-core finds no serious fault on a desktop and on a phone, in
light and in dark; a phone shows it without scrolling sideways; the browser's console has nothing to complain of.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.person import Person
from tests.browser.product import VOICE_SIGNING, Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OWNER, CLIENT = "owner@fernhill.example", "pat@summit.example"
STRANGE_NAME = "Summit <b>Fitness</b> " + "and very long words " * 8
SERIOUS = ("serious", "critical")
# In the dark only colours change, and on a phone only what has to do with places: the rest is looked at once.
CHECKS: tuple[tuple[int, Literal["light", "dark"], Sequence[str]], ...] = (
    (1280, "light", ()),
    (1280, "dark", ("color-contrast",)),
    (360, "light", ("color-contrast", "scrollable-region-focusable", "target-size")),
)
SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# Every page is given axe-core when it is opened, and compiles it when it is asked: sent with each question it would
# cost as much again as what it does. Of what it finds, only what is looked at comes back.
HAVE_AXE = f"window.haveAxe = () => {{ {AXE_SCRIPT}\n}}"
ASK_AXE = """options => {
    if (!window.axe) haveAxe();
    return axe.run(document, options).then(({ violations, incomplete }) => ({ violations, incomplete }));
}"""


@dataclass
class Fernhill:
    """An agency in the middle of things, its people, and what their pages are about."""

    product: Product
    owner: Person
    client: Person
    stranger: Person
    agency: str
    empty: str
    busy: str
    entry: str


@pytest.fixture
def fernhill(browser: "Browser", product: Product) -> Iterator[Fernhill]:
    agency = product.make("/v1/workspaces", {"name": "Fernhill AI", "currency": "usd", "owner_email": OWNER})["id"]
    busy, empty = (
        product.make(f"/v1/workspaces/{agency}/sub-accounts", {"name": name})["id"] for name in (STRANGE_NAME, "Spa")
    )
    endpoint = product.make(f"/v1/workspaces/{agency}/voice-endpoints", VOICE_SIGNING)
    for each, agent in ((busy, "agent_busy"), (empty, "agent_empty")):
        price = {"enabled": True, "voice": {"price_per_minute": "0.05", "accept_below_cost": True}}
        product.make(f"/v1/sub-accounts/{each}/rebilling", price, method="PUT")
        product.make(f"/v1/sub-accounts/{each}/voice-agents/retell/{agent}", None, method="PUT")
        product.make(f"/v1/sub-accounts/{each}/authorized-users/{CLIENT}", None, method="PUT")
    credit = {"amount": "20.00", "kind": "promo", "note": '=HYPERLINK("//x.example")'}
    product.make(f"/v1/sub-accounts/{busy}/wallet/credits", credit)
    product.calls_arrive(endpoint, *["agent_busy"] * 3, "agent_empty")
    entry = product.get(f"/v1/sub-accounts/{busy}/wallet/entries")["data"][0]["id"]
    owner, client, stranger = people = [Person(browser, product) for _ in range(3)]
    owner.comes_in(OWNER, agency)
    owner.connects_stripe(product.new_stripe_account(f"Payments of {agency}"))
    client.comes_in(CLIENT, busy)
    for person in people:
        person.page.add_init_script(HAVE_AXE)
    yield Fernhill(product, owner, client, stranger, agency, empty, busy, entry)
    for person in people:
        person.leaves()


Go = Callable[[Fernhill], Person]


def of_the_owner(page: str, **query: str) -> Go:
    def go(fernhill: Fernhill) -> Person:
        fernhill.owner.opens(page, **{name: getattr(fernhill, value, value) for name, value in query.items()})
        return fernhill.owner

    return go


def of_the_client(page: str, **query: str) -> Go:
    def go(fernhill: Fernhill) -> Person:
        fernhill.client.opens(page, **{name: getattr(fernhill, value, value) for name, value in query.items()})
        return fernhill.client

    return go


def of_a_stranger(path: str) -> Go:
    def go(fernhill: Fernhill) -> Person:
        fernhill.stranger.page.goto(fernhill.product.base_url + path)
        return fernhill.stranger

    return go


def open_menu(fernhill: Fernhill) -> Person:
    fernhill.owner.opens("accounts", sort="margin")
    fernhill.owner.page.get_by_label("Actions for Spa").click()
    return fernhill.owner


def wrong_amount(fernhill: Fernhill) -> Person:
    fernhill.owner.opens("account", sub_account=fernhill.busy, tab="balance")
    fernhill.owner.types("Amount (USD)", "ten")
    fernhill.owner.types("Note", "A mistake")
    fernhill.owner.presses("Add balance")
    fernhill.owner.reads("Not done.")
    return fernhill.owner


def payment_under_way(fernhill: Fernhill) -> Person:
    fernhill.client.opens("billing", sub_account=fernhill.empty)
    if fernhill.client.page.locator("img.qr").count() == 0:
        fernhill.client.types("Another amount (USD)", "25")
        fernhill.client.presses("Pay on a phone")
    return fernhill.client


def refill_asks(fernhill: Fernhill) -> Person:
    """Saving a rule below which the balance is already: what it takes now is asked first."""
    fernhill.client.opens("billing", sub_account=fernhill.busy)
    fernhill.client.page.get_by_label("Refill the balance by itself").check()
    fernhill.client.types("When the balance is at or below (USD)", "50")
    fernhill.client.types("Balance to refill to (USD)", "100")
    fernhill.client.presses("Save automatic refills")
    return fernhill.client


PAGES: dict[str, Go] = {
    "Re-billing": of_the_owner("rebilling"),
    "Accounts": of_the_owner("accounts"),
    "Accounts with its menu open": open_menu,
    **{
        f"an account's {tab}": of_the_owner("account", sub_account="busy", tab=tab)
        for tab in ("overview", "rebilling", "access", "balance", "state", "close")
    },
    "a form with a mistake": wrong_amount,
    "the snapshot": of_the_owner("snapshot"),
    "Settings": of_the_owner("settings"),
    "calls that wait": of_the_owner("waiting"),
    "why this charge, for the agency": of_the_owner("charge", entry="entry"),
    "not allowed": of_the_owner("billing", sub_account="busy"),
    "no such page": of_the_owner("nothing"),
    "Billing": of_the_client("billing", sub_account="busy"),
    "Billing of an empty wallet, with a payment under way": payment_under_way,
    "Billing that asks before it takes money": refill_asks,
    "why this charge, for the client": of_the_client("charge", entry="entry", sub_account="busy"),
    "signed out": of_a_stranger("/dashboard"),
    "a link that does not work any more": of_a_stranger("/dashboard/enter?link=used"),
    "back from a payment": of_a_stranger("/payments/return?card=saved"),
    "Stripe is not connected": of_a_stranger("/oauth/stripe/callback?error=access_denied"),
}


def test_no_page_has_a_serious_fault_on_any_screen_in_any_light(fernhill: Fernhill) -> None:
    found = [fault for name, go in PAGES.items() for fault in _faults_of(name, go, fernhill)]
    consoles = fernhill.owner.faults + fernhill.client.faults + fernhill.stranger.faults

    assert not found, "\n".join(found)
    assert [said for said in consoles if "status of 4" not in said] == []  # refusals are pages here, too


def _faults_of(name: str, go: Go, fernhill: Fernhill) -> Iterator[str]:
    shown = 0
    for width, scheme, rules in CHECKS:
        if width != shown:
            for person in (fernhill.owner, fernhill.client, fernhill.stranger):
                person.page.set_viewport_size({"width": width, "height": 900})
            page, shown = go(fernhill).page, width
        page.emulate_media(color_scheme=scheme)
        if page.evaluate(SCROLLS):
            yield f"{name}: scrolls sideways at {width} pixels, {scheme}"
        yield from (f"{name}, {width} pixels, {scheme}: {fault}" for fault in _serious(page, rules))


def _serious(page: "Page", rules: Sequence[str]) -> Iterator[str]:
    options = {"resultTypes": ["violations", "incomplete"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate(ASK_AXE, options)
    for fault in found["violations"]:
        if fault["impact"] in SERIOUS:
            yield f"{fault['help']}: {_places(fault['nodes'])}"
    # Words in the very colour of their background are nothing that axe-core is sure about.
    for doubt in found["incomplete"]:
        if nodes := [node for node in doubt["nodes"] if '"equalRatio"' in json.dumps(node["any"])]:
            yield f"Words cannot be seen: {_places(nodes)}"


def _places(nodes: Sequence[dict[str, list[object]]]) -> str:
    return ", ".join(str(node["target"][0]) for node in nodes)
