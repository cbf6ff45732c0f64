"""Settings: owners say who is let in, when they are told, how much a top-up may be; and see who changed what."""

import pytest

from tests.dashboard.visiting import Visitor
from tests.world import World

OWNER, ADMIN = "owner@acme.example", "admin@acme.example"


@pytest.fixture
def workspace(world: World) -> str:
    return world.workspace()


@pytest.fixture
def owner(world: World, workspace: str) -> Visitor:
    return Visitor(world, OWNER, workspace)


def people(world: World, workspace: str) -> dict[str, str]:
    return {each["email"]: each["role"] for each in world.get(f"/v1/workspaces/{workspace}/people")["data"]}


def test_an_owner_lets_somebody_in_changes_their_role_and_removes_them(
    world: World, workspace: str, owner: Visitor
) -> None:
    page = owner.send(owner.open("settings").form("add-person"), email=" Admin@acme.example ", role="admin")
    assert "is let in" in page.text
    assert people(world, workspace) == {OWNER: "owner", ADMIN: "admin"}

    page = owner.send(page.form("set-role", person=ADMIN), role="owner")
    assert "is owner now" in page.text
    assert people(world, workspace)[ADMIN] == "owner"

    owner.send(page.form("remove-person", person=ADMIN))
    assert people(world, workspace) == {OWNER: "owner"}


def test_the_last_owner_stays(world: World, workspace: str, owner: Visitor) -> None:
    page = owner.send(owner.open("settings").form("remove-person", person=OWNER))

    assert page.status == 409
    assert "owner" in page.text
    assert people(world, workspace) == {OWNER: "owner"}


def test_a_wrong_address_is_kept_and_said_at_the_field(owner: Visitor) -> None:
    page = owner.send(owner.open("settings").form("add-person"), email="not an address", role="admin")

    assert page.status == 422
    assert "must be an e-mail address" in page.field_problem("email")
    assert page.form("add-person").fields["email"] == "not an address"


def test_an_owner_says_at_which_balances_to_be_told(world: World, workspace: str, owner: Visitor) -> None:
    form = owner.open("settings").form("set-levels")
    assert form.fields["levels"] == "20.00 5.00 0.00"

    page = owner.send(form, levels="100 25.50")
    assert page.form("set-levels").fields["levels"] == "100.00 25.50"

    owner.send(form, levels="")
    assert world.get(f"/v1/workspaces/{workspace}/wallet/notice-levels")["levels"] == []


@pytest.mark.parametrize("typed", ["1,000", "20 20", "1 2 3 4 5 6", "-5", "soon"])
def test_balances_that_cannot_be_are_kept_and_said_at_the_field(owner: Visitor, typed: str) -> None:
    page = owner.send(owner.open("settings").form("set-levels"), levels=typed)

    assert page.status == 422
    assert "with spaces between" in page.field_problem("levels")
    assert page.form("set-levels").fields["levels"] == typed


def test_an_owner_sets_the_limits_of_top_ups(world: World, workspace: str, owner: Visitor) -> None:
    form = owner.open("settings").form("set-limits")
    assert form.fields["sub_accounts.minimum"] == "5.00"

    owner.send(form, **{"sub_accounts.minimum": "25", "workspace.maximum": "900"})

    limits = world.get(f"/v1/workspaces/{workspace}")["top_up_limits"]
    assert limits == {
        "workspace": {"minimum": "10.00", "maximum": "900.00"},
        "sub_accounts": {"minimum": "25.00", "maximum": "10000.00"},
    }


def test_a_limit_that_cannot_be_is_said_at_the_field(owner: Visitor) -> None:
    page = owner.send(owner.open("settings").form("set-limits"), **{"workspace.maximum": "9"})

    assert page.field_problem("workspace.maximum").startswith("Most for your own wallet")


def test_an_owner_stops_all_refills_and_lets_them_go_on(world: World, workspace: str, owner: Visitor) -> None:
    form = owner.open("settings").form("switch-refills")
    assert "Say why" in owner.send(form, reason=" ").field_problem("reason")

    page = owner.send(form, reason="a card was stolen")
    assert "Stopped for this workspace and all its clients" in page.text
    assert "All refills of this workspace are stopped. a card was stolen" in owner.open("rebilling").text

    owner.send(page.form("switch-refills"), reason="it was found")
    assert not world.get(f"/v1/workspaces/{workspace}/refill-switch")["stopped"]


def test_every_change_is_listed_with_who_and_from_what_to_what(world: World, workspace: str, owner: Visitor) -> None:
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.09"})
    page = owner.send(owner.open("settings").form("set-levels"), levels="100")

    changes = page.text.partition("Who changed what")[2].partition("create workspace")[0]

    assert f"{OWNER} set workspace notice levels" in changes
    assert "the platform's (the platform) set cost" in changes
    assert "levels : 20.00, 5.00, 0.00 → 100.00" in changes
    assert "cost prices voice price per minute : 0.07 → 0.09" in changes
    assert "minimum seconds" not in changes, "what stayed as it was is no change"


def test_older_changes_are_on_the_next_page(world: World, workspace: str, owner: Visitor) -> None:
    for number in range(23):
        world.put(f"/v1/workspaces/{workspace}/wallet/notice-levels", {"levels": [f"{number + 1}.00"]})

    first = owner.open("settings")
    older = owner.go(first.links["Older changes"])

    assert first.text.count("set workspace notice levels") == 20
    assert 3 <= older.text.count("set workspace notice levels") < 20
    assert "Older changes" not in older.links
    assert "Newest changes" in older.links


def test_settings_are_for_owners(world: World, workspace: str) -> None:
    world.put(f"/v1/workspaces/{workspace}/people/{ADMIN}", {"role": "admin"})
    admin = Visitor(world, ADMIN, workspace)

    page = admin.open("settings")

    assert page.status == 403
    assert OWNER in page.text, "it says who can help"
    assert "Settings" not in admin.open("rebilling").links


def test_a_form_without_the_sessions_word_changes_nothing(world: World, workspace: str, owner: Visitor) -> None:
    page = owner.send(owner.open("settings").form("add-person"), csrf="guessed", email=ADMIN, role="owner")

    assert page.status == 401
    assert people(world, workspace) == {OWNER: "owner"}
