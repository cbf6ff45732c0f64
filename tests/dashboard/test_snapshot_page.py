"""The page of the new-account snapshot: what new clients begin with, and how it comes to those that exist."""

import pytest

from tests.dashboard.test_accounts import Agency
from tests.dashboard.visiting import Page
from tests.world import World


@pytest.fixture
def agency(world: World) -> Agency:
    """An agency."""
    return Agency(world)


def save(agency: Agency, **typed: str) -> Page:
    fields = {name.replace("__", "."): value for name, value in typed.items()}
    return agency.owner.send(agency.owner.open("snapshot").form("snapshot-save"), **fields)


def priced(agency: Agency, price: str = "0.20", **more: str) -> Page:
    return save(agency, says_rebilling="on", rebilling__voice__price_per_minute=price, **more)


def price_of(agency: Agency, client: str) -> str | None:
    card = agency.world.get(f"/v1/sub-accounts/{client}")["rebilling"]
    return card["prices"]["voice"]["price_per_minute"] if card else None


def test_a_new_client_begins_with_what_the_page_says(agency: Agency) -> None:
    assert "Nothing is set" in agency.owner.open("snapshot").text

    page = priced(agency, says_notices="on", notice_levels__levels="30, 3", says_credit_limit="on", credit_limit="5")

    assert "Saved, for accounts that are made from now on." in page.text
    assert "Version 1, set" in page.text
    client = agency.client("Bright Dental")
    assert price_of(agency, client) == "0.20"
    assert agency.world.wallet(client)["credit_limit"] == "5.00"
    assert agency.world.get(f"/v1/sub-accounts/{client}/wallet/notice-levels")["levels"] == ["30.00", "3.00"]


def test_what_is_not_ticked_is_not_said(agency: Agency) -> None:
    priced(agency, credit_limit="5", notice_levels__levels="30")

    shown = agency.world.get(f"/v1/workspaces/{agency.id}/snapshot")

    assert (shown["refill"], shown["notice_levels"], shown["credit_limit"]) == (None, None, None)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("rebilling.voice.price_per_minute", "abc", "The price per minute"),
        ("rebilling.voice.price_per_minute", "0.01", "This is less than a minute costs you"),
        ("refill.threshold", "0", "The threshold"),
        ("notice_levels.levels", "20, x", "The balances at which"),
        ("credit_limit", "99999", "The credit limit"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_nothing_is_saved(
    agency: Agency, field: str, typed: str, said: str
) -> None:
    ticked = dict.fromkeys(("says_refill", "says_notices", "says_credit_limit"), "on")

    page = priced(agency, **{**ticked, field: typed})

    assert page.status == 422
    assert page.field_problem(field).startswith(said)
    assert page.form("snapshot-save").fields[field] == typed
    assert agency.world.get(f"/v1/workspaces/{agency.id}/snapshot")["version"] == 0


def test_somebody_who_was_faster_is_not_overwritten(agency: Agency) -> None:
    form = agency.owner.open("snapshot").form("snapshot-save")
    priced(agency)

    page = agency.owner.send(form, says_credit_limit="on", credit_limit="7")

    assert page.status == 409
    assert price_of(agency, agency.client("Bright Dental")) == "0.20"


def test_it_is_looked_at_applied_to_chosen_accounts_and_undone(agency: Agency) -> None:
    first, second = agency.client("Bright Dental", "0.15"), agency.client("Cedar Legal", "0.15")
    page = priced(agency)

    preview = agency.owner.go(page.links["See what it would change in accounts that exist"])
    assert preview.text.count("Re-billing: $0.15 a minute → $0.20 a minute") == 2
    done = agency.owner.send(preview.form("snapshot-apply"), **{second: None})

    assert "Bright Dental · applied" in done.text
    assert (price_of(agency, first), price_of(agency, second)) == ("0.20", "0.15")
    undone = agency.owner.send(done.form("snapshot-undo"))
    assert "Bright Dental · undone" in undone.text
    assert price_of(agency, first) == "0.15"


def test_applying_to_nobody_says_so(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15")
    priced(agency)
    form = agency.owner.open("snapshot", show="preview").form("snapshot-apply")

    page = agency.owner.send(form, **{client: None})

    assert page.status == 422
    assert "Tick at least one account." in page.text


def test_pressing_apply_twice_applies_once(agency: Agency) -> None:
    client = agency.client("Bright Dental", "0.15")
    priced(agency)
    form = agency.owner.open("snapshot", show="preview").form("snapshot-apply")

    for _ in range(2):
        assert agency.owner.send(form).status == 200

    assert len(agency.world.get(f"/v1/sub-accounts/{client}")["rebilling_cards"]) == 2
