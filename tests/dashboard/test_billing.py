"""Billing: what a client sees of its balance, pays, saves and sets, and what nobody but the client may."""

import itertools
import re
from typing import Any

import pytest

from chalicelib.web.dashboard.money import aligned
from tests.calls import call
from tests.dashboard.visiting import Form, Page, Visitor
from tests.refills.refilling import DECLINES, GOOD, Refilling
from tests.stripe_stand import Paying

CLIENT, OWNER = "client@bright.example", "owner@acme.example"
COST = "0.0731"  # what the agency pays for a minute here: no client may ever read it, or a number made of it


class Billing:
    """A client of an agency, with somebody who may see its billing."""

    def __init__(self, paying: Paying, account: bool = True, **named: Any) -> None:
        self.paying, self.world = paying, paying.world
        self.workspace = paying.agency()[0] if account else paying.agency(None)[0]
        self.world.put(f"/v1/workspaces/{self.workspace}/cost", {"cost_per_minute": COST})
        self.client = self.world.sub_account(self.workspace, "0.15", **named)
        self.world.credit(self.workspace, "1000.00", key="plenty")
        self.world.put(f"/v1/sub-accounts/{self.client}/authorized-users/{CLIENT}")
        self.visitor = Visitor(self.world, CLIENT, self.client)

    def open(self, **query: str) -> Page:
        return self.visitor.open("billing", sub_account=self.client, **query)

    def use(self, number: int, seconds: float = 60) -> None:
        self.world.report(call(self.client, f"call_{number}", seconds=seconds))
        self.world.drain()

    def refilling(self) -> Refilling:
        return Refilling(self.paying, self.workspace)


@pytest.fixture
def billing(paying: Paying) -> Billing:
    return Billing(paying)


def own_amount(page: Page) -> Form:
    return next(form for form in page.forms if form.action.endswith("/billing-pay") and "amount" in form.fields)


def rows(page: Page, heading: str) -> list[str]:
    """The rows of the table in the section with this heading, as their words."""
    section = page.html.partition(f">{heading}</h2>")[2].partition("</section>")[0]
    found = re.findall(r"<tr[ >].*?</tr>", section.partition("<tbody>")[2], re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in found]


def test_a_client_comes_in_by_the_link_and_sees_balance_minutes_left_and_state(billing: Billing) -> None:
    billing.world.credit(billing.client, "12.50")

    page = billing.visitor.go(billing.visitor.first_page)

    assert page.status == 200
    assert "Balance $12.50 ● ok" in page.text
    assert "Minutes left 83.3" in page.text
    assert "Automatic refills ○ off" in page.text


def test_a_new_client_is_told_what_to_do_first(billing: Billing) -> None:
    page = billing.open()

    assert "The balance is used up, so calls are refused." in page.text
    assert "Nothing has moved this balance yet" in page.text
    assert "No use in the last 30 days." in page.text
    assert page.links["Add balance"] == "#add-balance"


def test_a_shortcut_says_its_sum_and_leads_to_a_page_of_stripes_that_is_paid_and_credited(billing: Billing) -> None:
    page = billing.open()
    shortcuts = next(form for form in page.forms if "Pay $25.00" in form.label)

    onward = billing.visitor.send(shortcuts, amount="50.00")
    pending = billing.world.wallet(billing.client)["pending_top_up"]
    billing.paying.pay(pending)
    billing.paying.deliver()

    assert "Pay $25.00Pay $50.00Pay $100.00Pay $250.00" in shortcuts.label
    assert onward.links["Continue to Stripe"] == pending["url"]
    assert pending["amount"] == "50.00"
    page = billing.open()
    assert "Balance $50.00" in page.text
    assert any("Balance bought $50.00" in row for row in rows(page, "Statement"))


def test_pressing_pay_twice_opens_one_payment_and_another_sum_another(billing: Billing) -> None:
    form = own_amount(billing.open())

    first = billing.visitor.send(form, amount="30.00")
    again = billing.visitor.send(form, amount="30.00")
    other = billing.visitor.send(form, amount="40.00")

    assert first.links["Continue to Stripe"] == again.links["Continue to Stripe"]
    assert other.links["Continue to Stripe"] != first.links["Continue to Stripe"]
    assert billing.world.wallet(billing.client)["pending_top_up"]["amount"] == "40.00"


@pytest.mark.parametrize("typed", ["4.99", "10000.01", "fifty", "1,000", "", "-5", "1e3"])
def test_an_amount_that_cannot_be_paid_is_said_at_the_field_and_kept(billing: Billing, typed: str) -> None:
    page = billing.visitor.send(own_amount(billing.open()), amount=typed)

    assert page.status == 422
    assert page.field_problem("amount").startswith("The amount")
    assert own_amount(page).fields["amount"] == typed
    assert billing.world.wallet(billing.client)["pending_top_up"] is None


def test_while_a_payment_is_open_it_stands_in_front_with_a_code_for_a_phone_until_it_is_paid(billing: Billing) -> None:
    page = billing.visitor.send(own_amount(billing.open()), amount="20.00", phone="1")
    pending = billing.world.wallet(billing.client)["pending_top_up"]

    assert "A payment of $20.00 is under way" in page.text
    assert page.links["Pay $20.00"] == pending["url"]
    (code,) = [known for tag, known in page.tags if tag == "img"]
    assert code["src"].startswith("data:image/svg+xml;base64,")

    check = page.form("billing-check")
    assert "Not paid yet" in billing.visitor.send(check).text
    billing.paying.pay(pending)  # and no event of Stripe's ever arrives
    page = billing.visitor.send(check)
    assert "Payment received. It has been added to the balance." in page.text
    assert "Balance $20.00" in page.text
    assert not page.has_form("billing-check")


def test_without_a_stripe_account_of_the_agencys_nothing_is_offered_that_cannot_work(paying: Paying) -> None:
    billing = Billing(paying, account=False)

    page = billing.open()

    assert "Payments by card are not possible yet" in page.text
    assert OWNER in page.text
    assert not any(page.has_form(each) for each in ("billing-pay", "billing-card", "billing-portal"))


def test_a_card_and_a_backup_card_are_saved_and_replaced_on_stripes_page(billing: Billing) -> None:
    page = billing.open()
    assert rows(page, "Cards")[0].startswith("Card none saved")

    for action, card in (("billing-card", GOOD), ("billing-backup-card", "5555555555554444")):
        onward = billing.visitor.send(page.form(action))
        session = onward.links["Continue to Stripe"].rpartition("/")[2].partition("#")[0]
        assert billing.paying.pretend.control.pay(session, card)["error"] is None
        billing.paying.deliver()

    first, backup = rows(billing.open(), "Cards")
    assert first.startswith("Card Visa ending in 4242") and first.endswith("Replace the card")
    assert backup.startswith("Backup card")
    assert "ending in 4444" in backup


def test_a_card_that_has_expired_is_said_to_be(billing: Billing, monkeypatch: pytest.MonkeyPatch) -> None:
    billing.refilling().save_card(billing.client)
    assert "expired" not in billing.open().text

    monkeypatch.setattr("chalicelib.web.dashboard.wallet_forms.utc_day", lambda _: "2099-01-01")

    assert "✕ expired" in rows(billing.open(), "Cards")[0]


def test_the_points_of_amounts_stand_in_line_however_small_the_amounts_are() -> None:
    column = [aligned(amount, "usd") for amount in ("-0.157333", "1000.000000", "-1.216000")]

    assert column == ["\u2212$0.157333", "$1,000.00" + "\u2007" * 4, "\u2212$1.216" + "\u2007" * 3]


def test_receipts_and_card_details_are_on_stripes_own_page(billing: Billing) -> None:
    onward = billing.visitor.send(billing.open().form("billing-portal"))

    assert onward.links["Continue to Stripe"].startswith(("http://", "https://"))


def test_the_rule_of_refills_stands_as_a_sentence_and_is_kept(billing: Billing) -> None:
    billing.world.credit(billing.client, "100.00")
    form = billing.open().form("billing-refill")

    page = billing.visitor.send(form, enabled="1", threshold="20", target_balance="80.00", monthly_limit="300")

    assert "Saved. Automatic refills are on." in page.text
    assert "When the balance is at or below $20.00, refill it to $80.00." in page.text
    kept = billing.world.get(f"/v1/sub-accounts/{billing.client}/wallet/refill-rule")
    assert (kept["threshold"], kept["target_balance"], kept["monthly_limit"]) == ("20.00", "80.00", "300.00")
    page = billing.visitor.send(page.form("billing-refill"), mode="fixed", refill_amount="25")
    assert "When the balance is at or below $20.00, add $25.00." in page.text
    page = billing.visitor.send(page.form("billing-refill"), enabled=None)
    assert "Automatic refills are off: nothing is taken from the card by itself." in page.text


@pytest.mark.parametrize(
    ("name", "typed", "says"),
    [
        ("threshold", "ten", "The threshold"),
        ("target_balance", "11", "The balance to refill to"),
        ("monthly_limit", "5", "The limit per month"),
        ("daily_count_limit", "many", "The number of refills per day must be a whole number."),
        ("daily_count_limit", "500", "The number of refills per day"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_said_at_its_field_with_everything_that_was_typed(
    billing: Billing, name: str, typed: str, says: str
) -> None:
    typed_in = {"threshold": "10", "target_balance": "50", name: typed}

    page = billing.visitor.send(billing.open().form("billing-refill"), enabled="1", **typed_in)

    assert page.status == 422
    assert page.field_problem(name).startswith(says)
    fields = page.form("billing-refill").fields
    assert {**fields, **typed_in, "enabled": "1"} == fields
    kept = billing.world.get(f"/v1/sub-accounts/{billing.client}/wallet/refill-rule")
    assert kept["enabled"] is False


def test_a_fixed_amount_that_is_too_small_is_said_at_its_own_field(billing: Billing) -> None:
    form = billing.open().form("billing-refill")

    page = billing.visitor.send(form, enabled="1", mode="fixed", refill_amount="2")

    assert page.field_problem("refill_amount") == "The amount must be between 5.00 and 10000.00."


def test_saving_a_rule_that_takes_money_now_asks_first_how_much_that_is(billing: Billing) -> None:
    billing.world.credit(billing.client, "8.00")
    billing.refilling().save_card(billing.client)

    page = billing.visitor.send(billing.open().form("billing-refill"), enabled="1", threshold="10")

    assert page.status == 409
    assert "Saving this takes $42.00 from the card now , because the balance is $8.00." in page.text
    assert "confirm_charge_now" not in page.text
    question = page.form("billing-refill", confirm_charge_now="1")
    assert question.label == "Yes, save and pay $42.00"
    assert billing.refilling().state(billing.client) == "off"

    page = billing.visitor.send(question)
    billing.refilling().tick()
    billing.paying.deliver()
    assert "Saved. Automatic refills are on." in page.text
    page = billing.open()
    assert "Balance $50.00" in page.text
    assert any("Automatic refill $42.00" in row for row in rows(page, "Statement"))
    assert any("Automatic refill $50.00" in row for row in rows(page, "Balance over time"))


def test_refills_that_have_stopped_say_why_and_can_be_tried_again(billing: Billing) -> None:
    billing.world.credit(billing.client, "8.00")
    refilling = billing.refilling()
    refilling.save_card(billing.client, DECLINES)
    refilling.set_rule(billing.client, confirm_charge_now=True)
    refilling.tick()

    page = billing.open()

    assert "The card was declined" in page.text
    assert "Next try:" in page.text
    page = billing.visitor.send(page.form("billing-retry"))
    assert "Refills go on" in page.text
    assert "The card was declined" not in page.text


def test_the_statement_is_paged_filtered_by_kind_and_day_and_taken_along_as_csv(billing: Billing) -> None:
    billing.world.credit(billing.client, "20.00")
    for number in range(27):
        billing.use(number)
    today = billing.world.entries(billing.client)[0]["posted_at"][:10]

    page = billing.open()
    older = billing.visitor.go(page.links["Older entries"])

    assert len(rows(page, "Statement")) == 25
    assert len(rows(older, "Statement")) == 3
    assert rows(older, "Statement")[-1].endswith("$20.00")
    assert "Older entries" not in older.links
    assert len(rows(billing.visitor.go(older.links["Newest entries"]), "Statement")) == 25
    credits_only = billing.open(kind="credit")
    assert len(rows(credits_only, "Statement")) == 1
    assert len(rows(billing.open(**{"from": today, "to": today}), "Statement")) == 25
    assert "None of the 0 entries" in billing.open(to="2020-01-01").text
    assert "Show all entries" in billing.open(**{"from": "2099-01-01"}).links
    csv = billing.visitor.go(page.links["The last 5,000 entries as CSV"])
    assert csv.status == 200
    assert len(csv.html.strip().splitlines()) == 29


def test_the_balance_over_time_and_the_days_add_up_to_the_balance(billing: Billing) -> None:
    billing.world.credit(billing.client, "20.00")
    billing.use(1)
    billing.use(2, seconds=30)

    page = billing.open()

    told = [row.rpartition(" ")[2] for row in rows(page, "Balance over time")]
    assert told == ["$20.00", "$19.85", "$19.775"]
    (day,) = rows(page, "Spend per day")
    assert day.endswith(" 2 $0.225")


def test_what_the_owner_of_the_workspace_may_not_open_says_who_can_help_and_lets_them_add_themselves(
    billing: Billing,
) -> None:
    owner = Visitor(billing.world, OWNER, billing.workspace)

    page = owner.open("billing", sub_account=billing.client)
    assert page.status == 403
    form = page.form("add-me")
    page = owner.send(form, email="somebody.else@acme.example")

    assert page.status == 200
    assert "You are an authorized user now." in page.text
    users = billing.world.get(f"/v1/sub-accounts/{billing.client}/authorized-users")["data"]
    assert sorted(each["email"] for each in users) == [CLIENT, OWNER]


@pytest.mark.parametrize("action", ["pay", "check", "card", "backup-card", "portal", "refill", "retry"])
def test_a_form_for_somebody_elses_account_does_nothing(billing: Billing, action: str) -> None:
    sibling = billing.world.sub_account(billing.workspace, "0.19")
    csrf = billing.open().form("billing-refill").fields["csrf"]
    fields = {"csrf": csrf, "sub_account": sibling, "key": "k", "amount": "50.00", "enabled": "1", "threshold": "10"}
    fields |= {"target_balance": "50", "refill_amount": "50", "daily_count_limit": "5", "cooldown_seconds": "60"}

    page = billing.visitor.send(Form(f"/dashboard/billing-{action}", "", fields))

    assert page.status == 404
    assert billing.world.wallet(sibling)["pending_top_up"] is None
    assert billing.visitor.send(Form("/dashboard/add-me", "", fields)).status == 404
    assert billing.world.get(f"/v1/sub-accounts/{sibling}/authorized-users")["data"] == []


@pytest.mark.parametrize("named", ["", "sa_", "x", "sa_nobodyknows_nothing", "ws_", "\N{SNOWMAN}"])
def test_an_account_that_is_not_there_is_not_found(billing: Billing, named: str) -> None:
    owner = Visitor(billing.world, OWNER, billing.workspace)

    assert owner.open("billing", sub_account=named).status == 404


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202eאבג שלום\u202c", "x" * 200, '"><img src=x>'])
def test_names_and_notes_of_any_kind_are_text_and_nothing_else(paying: Paying, name: str) -> None:
    billing = Billing(paying, name=name)
    note = {"amount": "1.00", "note": f"for {name}"}
    billing.world.post(f"/v1/sub-accounts/{billing.client}/wallet/credits", note, headers={"Idempotency-Key": "n"})

    page = billing.open()

    assert name in page.text and f"for {name}" in page.text
    assert page.html.count("<script") == 2
    assert "<img src=x" not in page.html


def test_a_clients_page_holds_nothing_of_what_the_agency_pays_or_earns(billing: Billing) -> None:
    billing.world.credit(billing.client, "20.00")
    billing.use(1)

    page = billing.open()

    assert "$0.15" in page.text
    for secret in (COST, "0.0769", "cost", "margin", "markup"):
        assert secret not in re.sub(r"cost you nothing", "", page.html.lower())


def test_a_page_has_its_headings_in_order_one_label_a_field_and_no_id_twice(billing: Billing) -> None:
    billing.world.credit(billing.client, "20.00")
    billing.use(1)
    page = billing.visitor.send(own_amount(billing.open()), amount="20.00", phone="1")

    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    ids = [known["id"] for _, known in page.tags if "id" in known]
    labelled = {known["for"] for tag, known in page.tags if tag == "label" and "for" in known}

    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(ids) == len(set(ids))
    assert {"amount", "threshold", "target_balance", "refill_amount", "daily_limit"} <= labelled
    assert "style=" not in page.html and "onclick" not in page.html
