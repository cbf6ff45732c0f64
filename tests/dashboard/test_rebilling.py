"""The re-billing page: Stripe is connected, the wallet filled, the month seen; and what needs attention is said."""

import pytest

from tests.calls import call
from tests.dashboard.visiting import Page, Visitor
from tests.refills.refilling import DECLINES, Refilling
from tests.stripe_stand import BRIGHT, Paying
from tests.world import World

OWNER = "owner@acme.example"
HOSTILE = '<script>alert("1")</script>'
RIGHT_TO_LEFT = "\u202e\u05de\u05e8\u05e4\u05d0\u05d4 dental"


@pytest.fixture
def workspace(world: World) -> str:
    return world.workspace()


@pytest.fixture
def owner(world: World, workspace: str) -> Visitor:
    return Visitor(world, OWNER, workspace)


def section(page: Page, heading: str) -> str:
    """What the page says under a heading, up to the next one."""
    return page.text.partition(heading)[2].partition("Your wallet")[0]


def test_a_new_workspace_is_told_its_first_three_steps(owner: Visitor) -> None:
    page = owner.go(owner.first_page)

    assert page.status == 200
    for step in ("Connect Stripe", "Add balance to your wallet", "Turn on re-billing for a client"):
        assert f"To do: {step}" in page.text
    assert "No calls this month yet" in page.text


def test_the_steps_tick_themselves_and_go_when_all_are_done(paying: Paying) -> None:
    world = paying.world
    workspace, _ = paying.agency()
    owner = Visitor(world, OWNER, workspace)
    assert "Done: Connect Stripe" in (page := owner.open("rebilling")).text
    assert "Done: Turn on re-billing for a client" in page.text
    assert "To do: Add balance to your wallet" in page.text

    world.credit(workspace, "100.00")

    assert "Three steps" not in owner.open("rebilling").text


def test_a_person_connects_stripe_and_sees_the_account(paying: Paying) -> None:
    workspace = paying.world.workspace()
    owner = Visitor(paying.world, OWNER, workspace)

    onward = owner.send(owner.open("rebilling").form("connect-stripe"))
    cookie, location = paying.open(onward.links["Continue to Stripe"])
    paying.come_back(paying.choose(location, BRIGHT), cookie)

    page = owner.open("rebilling")
    assert BRIGHT in page.text
    assert "State ● connected" in page.text
    assert "Mode test" in page.text
    assert "Payments ● enabled" in page.text


def test_disconnecting_needs_a_yes(paying: Paying) -> None:
    workspace, _ = paying.agency()
    owner = Visitor(paying.world, OWNER, workspace)
    form = owner.open("rebilling").form("disconnect-stripe")

    refused = owner.send(form)
    assert refused.status == 422
    assert "Tick the box first" in refused.field_problem("understood")
    assert paying.world.get(f"/v1/workspaces/{workspace}/stripe")["state"] == "connected"

    page = owner.send(form, understood="on")
    assert "is disconnected. Balances stay" in page.text
    assert page.has_form("connect-stripe")


def test_a_person_adds_balance_on_stripes_page(paying: Paying) -> None:
    workspace = paying.world.workspace()
    owner = Visitor(paying.world, OWNER, workspace)

    onward = owner.send(owner.open("rebilling").form("rebilling-pay", amount=""), amount="80")
    page = owner.open("rebilling")
    assert "A payment of $80.00 is under way" in page.text

    paying.pay({"url": onward.links["Continue to Stripe"]})
    page = owner.send(page.form("rebilling-check"))

    assert "Payment received" in page.text
    assert "Balance $80.00" in page.text
    assert "is under way" not in page.text


def test_sending_the_same_form_twice_opens_one_payment(paying: Paying) -> None:
    workspace = paying.world.workspace()
    owner = Visitor(paying.world, OWNER, workspace)
    form = owner.open("rebilling").form("rebilling-pay", amount="")

    links = [owner.send(form, amount="80.00").links["Continue to Stripe"] for _ in range(2)]
    other = owner.send(form, amount="90.00").links["Continue to Stripe"]

    assert links[0] == links[1]
    assert other != links[0], "another sum is another payment"


def test_an_amount_outside_the_limits_is_kept_and_said_at_the_field(paying: Paying) -> None:
    owner = Visitor(paying.world, OWNER, paying.world.workspace())

    page = owner.send(owner.open("rebilling").form("rebilling-pay", amount=""), amount="3")

    assert page.status == 422
    assert page.field_problem("amount") == "The amount must be between 10.00 and 5000.00."
    assert page.form("rebilling-pay", amount="3").fields["amount"] == "3"
    assert page.form("rebilling-refill").fields["refill_amount"] == "50.00", "the other form is as it was"


def test_a_card_and_a_backup_card_are_saved_at_stripe(paying: Paying) -> None:
    workspace = paying.world.workspace()
    owner = Visitor(paying.world, OWNER, workspace)
    assert "Card none saved" in owner.open("rebilling").text

    for action, number in (("rebilling-card", "4242424242424242"), ("rebilling-backup-card", "5555555555554444")):
        onward = owner.send(owner.open("rebilling").form(action))
        session = onward.links["Continue to Stripe"].rpartition("/")[2].partition("#")[0]
        assert paying.pretend.control.pay(session, number)["error"] is None
        paying.deliver()

    page = owner.open("rebilling")
    assert "Visa ending in 4242" in page.text
    assert "Mastercard ending in 4444" in page.text


def test_a_refill_rule_is_saved_and_said_as_a_sentence(world: World, workspace: str, owner: Visitor) -> None:
    world.credit(workspace, "500.00")
    form = owner.open("rebilling").form("rebilling-refill")

    page = owner.send(form, enabled="on", threshold="20", target_balance="200", monthly_limit="1000")

    assert "Saved. Automatic refills are on." in page.text
    assert "When the balance is at or below $20.00, refill it to $200.00." in page.text
    assert page.form("rebilling-refill").fields["monthly_limit"] == "1000.00"
    rule = world.get(f"/v1/workspaces/{workspace}/wallet/refill-rule")
    assert (rule["enabled"], rule["threshold"], rule["daily_limit"]) == (True, "20.00", None)
    assert rule["daily_count_limit"] == 5, "what nobody has touched stays as it was"


def test_a_rule_that_would_take_money_now_asks_first(world: World, workspace: str, owner: Visitor) -> None:
    asked = owner.send(owner.open("rebilling").form("rebilling-refill"), enabled="on", threshold="20")

    assert asked.status == 409
    assert "Saving this takes $50.00 from the card now" in asked.text
    assert not world.get(f"/v1/workspaces/{workspace}/wallet/refill-rule")["enabled"]
    question = asked.form("rebilling-refill", confirm_charge_now="1")
    assert question.fields["threshold"] == "20"

    assert "Automatic refills are on" in owner.send(question).text


def test_a_wrong_refill_amount_is_said_at_its_own_field(owner: Visitor) -> None:
    form = owner.open("rebilling").form("rebilling-refill")

    page = owner.send(form, enabled="on", mode="fixed", refill_amount="much")

    assert "The amount" in page.field_problem("refill_amount")
    assert page.form("rebilling-refill").fields["mode"] == "fixed"


def test_a_stopped_refill_says_why_and_can_be_tried_again(paying: Paying) -> None:
    workspace, client = paying.agency()
    refilling = Refilling(paying, workspace)
    paying.world.credit(workspace, "11.00")
    refilling.set_rule(workspace)
    paying.world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "5.00"})
    paying.world.report(call(client, "dear", seconds=60))
    paying.world.drain()
    refilling.tick()
    owner = Visitor(paying.world, OWNER, workspace)

    page = owner.open("rebilling")
    assert "Automatic refills have stopped" in page.text
    assert "There is no card to refill with: save one." in page.text

    assert "Refills go on" in owner.send(page.form("rebilling-retry")).text


def test_the_month_is_revenue_less_cost_and_each_day_has_its_row(world: World, workspace: str, owner: Visitor) -> None:
    world.credit(workspace, "100.00")
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, f"call-{number}", seconds=60) for number in range(10)])
    world.drain()

    page = owner.open("rebilling")

    assert "Revenue $1.50" in page.text
    assert "Cost $0.70" in page.text
    assert "Margin $0.80" in page.text
    assert "53 % of revenue" in page.text
    assert "Calls 10 10.0 minutes" in page.text
    rows = [attrs["data-y"] for tag, attrs in page.tags if "data-y" in attrs]
    assert [float(sum(float(row.split("|")[side]) for row in rows)) for side in (0, 1)] == [1.5, 0.7]
    assert "Lasts for 141 days at the pace of the last 7 days" in page.text


def test_everything_that_needs_attention_is_counted_and_named(world: World, workspace: str, owner: Visitor) -> None:
    world.credit(workspace, "100.00")
    empty, cheap = world.sub_account(workspace, "0.15", name="Empty Ltd"), world.sub_account(workspace, "0.15")
    world.credit(cheap, "10.00")
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.20"})
    world.rebill(empty, "0.30")

    told = section(owner.open("rebilling"), "Needs your attention")

    assert "1 client has an empty wallet" in told
    assert "Empty Ltd" in told
    assert "1 client has a price below cost" in told
    assert "Bright Dental" in told


def test_a_client_that_is_not_rebilled_needs_no_attention(world: World, workspace: str, owner: Visitor) -> None:
    world.sub_account(workspace)

    assert "Needs your attention" not in owner.open("rebilling").text


def test_clients_whose_refills_have_stopped_are_named_with_the_cause(paying: Paying) -> None:
    refilling = Refilling(paying)
    refilling.client(DECLINES, balance="5.00", confirm_charge_now=True)
    refilling.tick()

    told = section(Visitor(paying.world, OWNER, refilling.workspace).open("rebilling"), "Needs your attention")

    assert "Automatic refills of 1 client have stopped" in told
    assert "The card was declined" in told


def test_names_of_clients_are_text_whatever_stands_in_them(world: World, workspace: str, owner: Visitor) -> None:
    for name in (HOSTILE, RIGHT_TO_LEFT, "n" * 200):
        world.sub_account(workspace, "0.15", name=name)

    page = owner.open("rebilling")

    assert HOSTILE in page.text
    assert "<script>alert" not in page.html
    assert RIGHT_TO_LEFT in page.text
    assert "n" * 200 in page.text


def test_a_clients_user_cannot_open_the_page(world: World, workspace: str) -> None:
    client = world.sub_account(workspace, "0.15")
    world.put(f"/v1/sub-accounts/{client}/authorized-users/client@bright.example")
    user = Visitor(world, "client@bright.example", client)

    for page in ("rebilling", "waiting", "settings"):
        answer = user.open(page)
        assert answer.status == 403
        assert "0.07" not in answer.text
        assert OWNER in answer.text, "it says who can help"


def test_an_admin_sees_the_page_too(world: World, workspace: str) -> None:
    world.put(f"/v1/workspaces/{workspace}/people/admin@acme.example", {"role": "admin"})

    assert Visitor(world, "admin@acme.example", workspace).open("rebilling").status == 200


def test_nothing_on_the_page_needs_a_script_or_an_inline_style(owner: Visitor) -> None:
    page = owner.open("rebilling")

    assert not [attrs for _, attrs in page.tags if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert all("src" in attrs for tag, attrs in page.tags if tag == "script")
    assert "script-src 'self'" in page.headers["content-security-policy"]
