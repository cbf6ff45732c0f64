"""The page Accounts: an agency sees all its clients at a glance, and does the usual things from there."""

import pytest

from tests.calls import call
from tests.dashboard.visiting import Page, Visitor
from tests.world import World

OWNER = "owner@acme.example"
RIGHT_TO_LEFT = "\u202e\u0645\u0631\u062d\u0628\u0627"  # Arabic for hello, with a mark that turns what follows around
HOSTILE = ("<script>alert(1)</script>", "n" * 200, RIGHT_TO_LEFT, '"><img src=x onerror=alert(1)>')


class Agency:
    """An agency with balance, and its owner in front of the dashboard."""

    def __init__(self, world: World) -> None:
        self.world, self.id = world, world.workspace()
        world.credit(self.id, "1000.00")
        self.owner = Visitor(world, OWNER, self.id)

    def client(self, name: str, price: str | None = None, balance: str = "") -> str:
        client = self.world.sub_account(self.id, price, name=name)
        if balance:
            self.world.credit(client, balance, key=client)
        return client

    def talk(self, client: str, seconds: int) -> None:
        self.world.report(call(client, f"call.of.{client}", seconds=seconds))
        assert self.world.drain() == []

    def accounts(self, **query: str) -> Page:
        return self.owner.open("accounts", **query)


@pytest.fixture
def agency(world: World) -> Agency:
    """An agency."""
    return Agency(world)


def order(page: Page, *names: str) -> list[str]:
    """These names as they come on the page, from the top down."""
    assert all(name in page.text for name in names)
    return sorted(names, key=page.text.index)


def test_an_agency_without_clients_is_asked_to_add_the_first_one(agency: Agency) -> None:
    page = agency.accounts()

    assert page.status == 200
    assert "No clients yet" in page.text
    made = agency.owner.send(page.form("new-account"), name="Bright Dental")
    assert "Made. Say what this client pays" in made.text
    assert "Bright Dental" in agency.accounts().text


def test_a_client_without_a_name_is_not_made_and_the_field_says_why(agency: Agency) -> None:
    page = agency.owner.send(agency.accounts().form("new-account"), name="  ")

    assert page.status == 422
    assert page.field_problem("name").startswith("The name")
    assert "No clients yet" in agency.accounts().text


def test_each_client_has_its_price_balance_state_and_what_the_month_came_to(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15", "100.00")
    agency.talk(client, 60)

    page = agency.accounts()

    assert "Bright Dental ▭ on $0.15 $99.85 ● ok $0.15 $0.07 $0.08 53 %" in page.text


def test_clients_that_are_not_re_billed_empty_or_paused_say_so(agency: Agency) -> None:
    agency.client("Alder Realty")
    agency.client("Cedar Legal", "0.15")
    paused = agency.client("Harbor Plumbing", "0.15", "50.00")
    agency.world.post(f"/v1/sub-accounts/{paused}/pause", {}, 200)

    text = agency.accounts().text

    assert "Alder Realty ○ off · $0.00" in text
    assert "Cedar Legal ▭ on $0.15 $0.00 ○ empty" in text
    assert "Harbor Plumbing ▭ on $0.15 $50.00 ❚❚ frozen" in text


def test_a_markup_and_a_free_client_are_told_from_a_fixed_price(agency: Agency) -> None:
    markup, free = agency.client("Cedar Legal"), agency.client("Juniper Hotel")
    for client, voice in (
        (markup, {"price_type": "markup", "markup_percent": "80"}),
        (free, {"price_type": "absorb"}),
    ):
        agency.world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice})

    text = agency.accounts().text

    assert "Cedar Legal ▭ on cost + 80.00 %" in text
    assert "Juniper Hotel ▭ on free" in text


def test_the_list_is_sorted_by_what_the_person_asks_for(agency: Agency) -> None:
    agency.talk(agency.client("Much", "0.15", "10.00"), 60)
    agency.talk(agency.client("Little", "0.20", "30.00"), 30)
    agency.talk(agency.client("At a loss", None, "20.00"), 45)

    def sorted_by(label: str) -> list[str]:
        return order(agency.owner.go(agency.accounts().links[label]), "Much", "Little", "At a loss")

    assert sorted_by("Client") == ["At a loss", "Little", "Much"]
    assert sorted_by("Balance") == ["Much", "At a loss", "Little"]
    assert sorted_by("Revenue") == ["Much", "Little", "At a loss"]
    assert sorted_by("Cost") == ["Much", "At a loss", "Little"]
    assert sorted_by("Margin") == ["At a loss", "Little", "Much"]


def test_many_clients_come_25_to_a_page_each_of_them_once(agency: Agency) -> None:
    names = [f"Client {number:02d}." for number in range(30)]
    for name in names:
        agency.client(name)

    first = agency.accounts(sort="name")
    second = agency.owner.go(first.links["Next page"])

    on_first = [name for name in names if name in first.text]
    on_second = [name for name in names if name in second.text]
    assert (len(on_first), len(on_second)) == (25, 5)
    assert sorted(on_first + on_second) == names
    assert "Next page" not in second.links
    assert "within this page" in first.text
    assert agency.owner.go(second.links["To the first page"]).status == 200


def test_re_billing_is_turned_off_from_the_list_and_the_price_is_remembered(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15", "10.00")

    page = agency.owner.send(agency.accounts().form("account-rebilling-off"))

    assert "Re-billing is off" in page.text
    assert "Bright Dental ○ off" in page.text
    agency.talk(client, 60)
    assert agency.world.balance(client) == "10.000000"
    again = agency.owner.go(page.links["Turn on Re-billing"])
    assert again.form("account-rebilling").fields["voice.price_per_minute"] == "0.15"


def test_a_client_is_paused_and_resumed_from_the_list(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15", "10.00")
    gate = f"/v1/sub-accounts/{client}/access"

    page = agency.owner.send(agency.accounts().form("account-pause"))

    assert "Paused." in page.text
    assert agency.world.get(gate, 403)["code"] == "sub_account_paused"
    page = agency.owner.send(page.form("account-resume"))
    assert "Resumed." in page.text
    assert agency.world.get(gate)["allowed"] is True


def test_the_menu_leads_to_price_access_and_balance_of_that_client(agency: Agency) -> None:
    agency.client("Bright Dental", "0.15")
    page = agency.accounts()

    for words, heading in (
        ("Manage re-billing", "Manage re-billing"),
        ("Manage access", "Manage access"),
        ("Add balance", "Add balance"),
    ):
        opened = agency.owner.go(page.links[words])
        assert opened.status == 200
        assert f"<h2>{heading}</h2>" in opened.html


def test_names_that_are_markup_very_long_or_right_to_left_stay_text(agency: Agency) -> None:
    for name in HOSTILE:
        agency.client(name)

    page = agency.accounts()

    assert page.status == 200
    assert all(name in page.text for name in HOSTILE)
    assert [attrs for tag, attrs in page.tags if tag == "script" and "src" not in attrs] == []
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert sum(tag == "bdi" for tag, _ in page.tags) >= len(HOSTILE)


def test_a_clients_own_people_cannot_open_the_list(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15")
    agency.world.put(f"/v1/sub-accounts/{client}/authorized-users/pat@bright.example")
    pat = Visitor(agency.world, "pat@bright.example", client)

    page = pat.open("accounts")

    assert page.status == 403
    assert OWNER in page.text
    assert "Margin" not in page.text


def test_a_page_that_starts_after_nobody_is_not_here(agency: Agency) -> None:
    other = Agency(agency.world)
    foreign = other.client("Foreign Client")

    page = agency.accounts(starting_after=foreign)

    assert "Foreign Client" not in page.text
