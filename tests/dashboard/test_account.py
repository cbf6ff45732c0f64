"""The page of one account: its price, its people, its balance, and how it is paused and closed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.calls import call
from tests.dashboard.visiting import Page, Visitor
from tests.world import World

OWNER = "owner@acme.example"
PAT = "pat@bright.example"


class Client:
    """An agency's client, and the agency's owner in front of its page."""

    def __init__(self, world: World) -> None:
        self.world, self.agency = world, world.workspace()
        world.credit(self.agency, "1000.00")
        self.id = world.sub_account(self.agency)
        self.path = f"/v1/sub-accounts/{self.id}"
        self.owner = Visitor(world, OWNER, self.agency)

    def open(self, tab: str = "overview", **query: str) -> Page:
        return self.owner.open("account", sub_account=self.id, tab=tab, **query)

    def save_price(self, **typed: str | None) -> Page:
        fields = {f"voice.{name}": value for name, value in typed.items()}
        return self.owner.send(self.open("rebilling").form("account-rebilling"), **fields)

    def voice(self) -> Any:
        return self.world.get(self.path)["rebilling"]["prices"]["voice"]


@pytest.fixture
def client(world: World) -> Client:
    """A client that is not re-billed yet."""
    return Client(world)


# What it pays


def test_turning_re_billing_on_says_plainly_what_begins_and_rates_the_next_call(client: Client) -> None:
    assert "From now on calls stop when this client's wallet is empty, too." in client.open("rebilling").text

    page = client.save_price(price_per_minute="0.15")

    assert "Saved. From now on calls stop when this client's wallet is empty, too." in page.text
    assert "● on" in page.text
    client.world.credit(client.id, "10.00")
    client.world.report(call(client.id, "first", seconds=60))
    client.world.drain()
    assert client.world.balance(client.id) == "9.850000"


def test_the_page_works_out_what_a_call_of_three_minutes_leaves(client: Client) -> None:
    client.world.rebill(client.id, "0.15")

    text = client.open("rebilling").text

    assert "The client pays $0.15 $0.45" in text
    assert "It costs you $0.07 $0.21" in text
    assert "Margin 53.3 % $0.24" in text


def test_a_margin_is_worked_out_before_anything_is_saved_with_its_rounding(client: Client) -> None:
    form = client.open("rebilling").form("account-rebilling")

    page = client.owner.send(
        form,
        work_out="1",
        **{
            "voice.price_type": "markup",
            "voice.markup_percent": "80",
            "voice.initial_increment_seconds": "60",
            "voice.increment_seconds": "50",
        },
    )

    assert "The client pays $0.126 $0.441" in page.text  # 3:00 is billed as 60 + 3 x 50 = 210 s
    assert page.form("account-rebilling").fields["voice.markup_percent"] == "80"
    assert client.world.get(client.path)["rebilling"] is None


def test_a_price_below_cost_is_refused_until_the_agency_says_that_it_means_it(client: Client) -> None:
    refused = client.save_price(price_per_minute="0.05")

    assert refused.status == 422
    assert "every call loses money" in refused.field_problem("voice.price_per_minute")
    assert "Every such call loses you money" in refused.text
    assert client.world.get(client.path)["rebilling"] is None
    form = refused.form("account-rebilling")
    assert form.fields["voice.price_per_minute"] == "0.05"
    client.owner.send(form, accept_below_cost="on")
    assert client.voice()["price_per_minute"] == "0.05"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("price_per_minute", "1,5", "The price per minute"),
        ("price_per_minute", "", "The price per minute"),
        ("increment_seconds", "0", "The further increments"),
        ("minimum_seconds", "ten", "The minimum must be a whole number of seconds"),
        ("connect_fee", "-1", "The connect fee"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_stays_as_it_was_typed(
    client: Client, field: str, typed: str, said: str
) -> None:
    page = client.save_price(**{"price_per_minute": "0.15", field: typed})

    assert page.status == 422
    assert page.field_problem(f"voice.{field}").startswith(said)
    assert page.form("account-rebilling").fields[f"voice.{field}"] == typed
    assert client.world.get(client.path)["rebilling"] is None


def test_a_free_client_is_a_choice_and_needs_no_price(client: Client) -> None:
    client.save_price(price_type="absorb")

    assert client.voice()["price_type"] == "absorb"
    assert "free (absorbed)" in client.open().text


def test_nothing_to_bill_is_not_re_billing(client: Client) -> None:
    page = client.save_price(enabled=None)

    assert page.status == 422
    assert "nothing is billed" in page.text


def test_prices_that_the_page_does_not_show_are_kept(client: Client) -> None:
    voice = {"price_type": "fixed", "price_per_minute": "0.15"}
    chat = {"price_type": "fixed", "price_per_unit": "0.01"}
    client.world.put(f"{client.path}/rebilling", {"enabled": True, "voice": voice, "meters": {"chat": chat}})

    client.save_price(price_per_minute="0.20")
    off = client.owner.send(client.open("rebilling").form("account-rebilling-off"))

    prices = client.world.get(client.path)["rebilling"]["prices"]
    assert prices["chat"]["price_per_unit"] == "0.01"
    assert prices["voice"]["price_per_minute"] == "0.20"
    assert "This client pays nothing" in off.text


def test_a_price_of_the_future_waits_for_its_moment_and_stands_in_the_history(client: Client) -> None:
    client.world.rebill(client.id, "0.15")
    later = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M}"

    form = client.open("rebilling").form("account-rebilling")
    page = client.owner.send(form, effective_at=later, **{"voice.price_per_minute": "0.30"})

    assert "in force from the moment that you chose" in page.text
    assert client.voice()["price_per_minute"] == "0.15"
    assert "(to come) ● on $0.30 a minute" in page.text
    assert "(in force) ● on $0.15 a minute" in page.text


def test_a_price_for_the_past_is_refused_at_the_field(client: Client) -> None:
    form = client.open("rebilling").form("account-rebilling")

    page = client.owner.send(form, effective_at="2020-01-01T00:00", **{"voice.price_per_minute": "0.30"})

    assert "between now and a year from now" in page.field_problem("effective_at")
    assert page.form("account-rebilling").fields["effective_at"] == "2020-01-01T00:00"


# Who sees its billing


def test_an_authorized_user_is_added_comes_in_and_is_removed(client: Client) -> None:
    page = client.open("access")
    assert "Nobody sees this client's billing yet" in page.text

    form = next(each for each in page.forms if each.label == "Add as an authorized user")
    page = client.owner.send(form, email="Pat@Bright.example")

    assert PAT in page.text
    pat = Visitor(client.world, PAT, client.id)
    assert pat.open("billing", sub_account=client.id).status == 200
    page = client.owner.send(page.form("account-remove-user", email=PAT))
    assert "Nobody sees this client's billing yet" in page.text
    assert pat.open("billing", sub_account=client.id).status == 401


def test_add_me_makes_the_agencys_own_person_an_authorized_user(client: Client) -> None:
    page = client.owner.send(next(each for each in client.open("access").forms if each.label == "Add me"))

    assert [each.label for each in page.forms if each.label == "Add me"] == []
    assert client.owner.open("billing", sub_account=client.id).status == 200


def test_what_is_no_e_mail_address_is_told_at_the_field(client: Client) -> None:
    form = next(each for each in client.open("access").forms if each.label == "Add as an authorized user")

    page = client.owner.send(form, email="pat")

    assert page.status == 422
    assert 'id="email-help">The e-mail address must be' in page.html


def test_there_is_a_note_for_the_client_that_says_how_to_get_in(client: Client) -> None:
    text = client.open("access").text

    assert "You can now see the billing of Bright Dental" in text
    assert f"page=billing&sub_account={client.id}" in text


# Its balance


def test_balance_is_added_once_however_often_the_button_is_pressed(client: Client) -> None:
    form = client.open("balance").form("account-balance")
    typed = {"amount": "25.00", "kind": "external_payment", "note": "paid by bank transfer"}

    pages = [client.owner.send(form, **typed) for _ in range(2)]

    assert all("Added $25.00 to the balance." in page.text for page in pages)
    assert client.world.balance(client.id) == "25.000000"
    (entry,) = client.world.entries(client.id)
    assert (entry["credit_kind"], entry["note"], entry["by"]) == ("external_payment", "paid by bank transfer", OWNER)


def test_going_back_and_sending_another_amount_is_told_and_not_done_by_accident(client: Client) -> None:
    form = client.open("balance").form("account-balance")
    client.owner.send(form, amount="25.00", note="first")

    page = client.owner.send(form, amount="30.00", note="second")

    assert "was sent before with other values" in page.field_problem("amount")
    assert client.world.balance(client.id) == "25.000000"
    client.owner.send(page.form("account-balance"))
    assert client.world.balance(client.id) == "55.000000"


@pytest.mark.parametrize(("field", "typed"), [("amount", "1e3"), ("amount", "10000.01"), ("note", "ok")])
def test_balance_that_cannot_be_added_says_why_and_adds_nothing(client: Client, field: str, typed: str) -> None:
    form = client.open("balance").form("account-balance")

    page = client.owner.send(form, **{"amount": "5.00", "note": "goodwill", field: typed})

    assert page.status == 422
    assert page.field_problem(field).startswith("The ")
    assert page.form("account-balance").fields[field] == typed
    assert client.world.balance(client.id) == "0.000000"


# Paused, resumed, closed


def test_pausing_with_a_note_stops_calls_and_the_page_says_who_and_why(client: Client) -> None:
    page = client.owner.send(client.open("state").form("account-pause"), note="has not paid")

    assert "paused since" in page.text
    assert f"by {OWNER} : has not paid" in page.text
    assert client.world.get(f"{client.path}/access", 403)["code"] == "sub_account_paused"
    page = client.owner.send(page.form("account-resume"))
    assert client.world.get(client.path)["status"] == "active"
    assert page.has_form("account-pause")


def test_closing_needs_a_tick_and_settles_the_balance(client: Client) -> None:
    client.world.credit(client.id, "12.50")
    form = client.open("close").form("account-close")
    typed = {"settle": "forfeit", "note": "left us"}

    refused = client.owner.send(form, **typed)
    assert refused.field_problem("sure").startswith("Closing cannot be undone")
    assert client.world.get(client.path)["status"] == "active"
    page = client.owner.send(refused.form("account-close"), sure="on")

    assert "Closed. $0.00 refunded, $0.00 transferred, $12.50 forfeited." in page.text
    assert client.world.get(client.path)["status"] == "closed"
    assert client.world.balance(client.id) == "0.000000"
    assert not client.open("rebilling").has_form("account-rebilling")


def test_a_balance_is_transferred_to_the_account_that_is_named(client: Client) -> None:
    other = client.world.sub_account(client.agency, name="Cedar Legal")
    client.world.credit(client.id, "12.50")
    form = client.open("close").form("account-close")

    client.owner.send(form, settle="transfer", note="merged", transfer_to=other, sure="on")

    assert client.world.balance(other) == "12.500000"


# Its calls, and what it came to


def test_an_agent_is_taken_away_where_it_is_listed(client: Client) -> None:
    client.owner.send(client.open().form("account-agent"), provider="retell", agent_id="agent_7")
    page = client.owner.send(client.open().form("account-agent"), provider="vapi", agent_id="asst_2")

    page = client.owner.send(page.form("account-agent-away", agent_id="agent_7"))

    assert "agent_7 is taken away" in page.text
    assert "vapi asst_2" in page.text
    assert not [form for form in page.forms if form.fields.get("agent_id") == "agent_7"]


def test_calls_that_waited_for_their_agent_are_posted_when_it_is_assigned(client: Client) -> None:
    page = client.owner.send(client.open().form("account-agent"), provider="retell", agent_id="agent_7")

    assert "Assigned." in page.text
    assert "retell agent_7" in page.text
    assert "agent_7" not in Client(client.world).open().text


def test_the_overview_shows_balance_minutes_and_the_month(client: Client) -> None:
    client.world.rebill(client.id, "0.15")
    client.world.credit(client.id, "10.00")
    client.world.report(call(client.id, "first", seconds=60))
    client.world.drain()

    text = client.open().text

    assert "Balance $9.85 ◐ low" in text
    assert "Minutes left 65.6" in text
    assert "Revenue this month $0.15 1 call, 1.0 minutes" in text
    assert "Margin this month $0.08" in text


@pytest.mark.parametrize("tab", ["overview", "rebilling", "access", "balance", "state", "close", "no-such-tab"])
def test_every_tab_opens_with_a_hostile_name_as_text(client: Client, tab: str) -> None:
    hostile = "<script>alert(1)</script>\u202e" + "n" * 150
    account = client.world.sub_account(client.agency, "0.15", name=hostile)

    page = client.owner.open("account", sub_account=account, tab=tab)

    assert page.status == 200
    assert hostile in page.text
    assert [attrs for tag, attrs in page.tags if tag == "script" and "src" not in attrs] == []
    assert [tag for tag, _ in page.tags if tag == "h1"] == ["h1"]
    assert not any("style" in attrs or "onclick" in attrs for _, attrs in page.tags)


def test_every_field_has_a_label(client: Client) -> None:
    for tab in ("overview", "rebilling", "access", "balance", "state", "close"):
        page = client.open(tab)
        labelled = {attrs["for"] for tag, attrs in page.tags if tag == "label"}
        ids = [attrs.get("id") for _, attrs in page.tags if attrs.get("id")]
        fields = [attrs for tag, attrs in page.tags if tag in ("input", "select") and attrs.get("type") != "hidden"]
        assert {attrs["id"] for attrs in fields} <= labelled
        assert len(ids) == len(set(ids))


# Who may not


def test_another_agencys_account_is_not_here(client: Client) -> None:
    stranger = Client(client.world)

    for tab in ("overview", "rebilling", "balance", "access"):
        page = stranger.owner.open("account", sub_account=client.id, tab=tab)
        assert page.status == 404
        assert "Bright Dental" not in page.text
    form = stranger.open("balance").form("account-balance")
    refused = stranger.owner.send(form, sub_account=client.id, amount="5.00", note="a gift")
    assert refused.status == 404
    assert client.world.balance(client.id) == "0.000000"


def test_a_client_never_opens_its_agencys_page_about_it(client: Client) -> None:
    client.world.rebill(client.id, "0.15")
    client.world.put(f"{client.path}/authorized-users/{PAT}")
    pat = Visitor(client.world, PAT, client.id)

    for tab in ("overview", "rebilling", "close"):
        page = pat.open("account", sub_account=client.id, tab=tab)
        assert page.status == 403
        assert "0.07" not in page.html
    form = client.open("balance").form("account-balance")
    form.fields["csrf"] = pat.open("billing").form("sign-out").fields["csrf"]
    assert pat.send(form, amount="5.00", note="a gift").status == 403
    assert client.world.balance(client.id) == "0.000000"
