"""Why this charge: whoever asks finds the whole sum on one page, and a client only its own side of it."""

import re

import pytest

from chalicelib.web.dashboard.charge import TIMES
from chalicelib.web.dashboard.money import MINUS
from tests.calls import call
from tests.dashboard.visiting import Page, Visitor
from tests.stripe_stand import Paying
from tests.world import World

CLIENT, OWNER = "client@bright.example", "owner@acme.example"
COST = "0.0731"


class Desk:
    """A client's user and the workspace's owner, each with a question about an entry."""

    def __init__(self, world: World, workspace: str) -> None:
        self.world, self.workspace = world, workspace
        world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": COST})
        world.credit(workspace, "100.00", key="plenty")
        self.client = world.sub_account(workspace)
        world.put(f"/v1/sub-accounts/{self.client}/authorized-users/{CLIENT}")

    def price(self, **price: object) -> None:
        voice = {"enabled": True, "price_type": "fixed", **price}
        self.world.put(f"/v1/sub-accounts/{self.client}/rebilling", {"enabled": True, "voice": voice})
        self.world.drain()

    def call(self, seconds: float) -> None:
        self.world.report(call(self.client, "call_1", seconds=seconds))
        self.world.drain()

    def newest(self, owner: str = "") -> str:
        entry: str = self.world.entries(owner or self.client)[0]["id"]
        return entry

    def client_asks(self, entry: str = "") -> Page:
        visitor = Visitor(self.world, CLIENT, self.client)
        return visitor.open("charge", entry=entry or self.newest(), sub_account=self.client)

    def owner_asks(self, entry: str = "") -> Page:
        visitor = Visitor(self.world, OWNER, self.workspace)
        return visitor.open("charge", entry=entry or self.newest(), sub_account=self.client)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.workspace())


def test_a_call_is_explained_from_its_seconds_to_the_amount(desk: Desk) -> None:
    desk.price(price_per_minute="0.15", initial_increment_seconds=30, increment_seconds=6, connect_fee="0.02")
    desk.world.credit(desk.client, "20.00")
    desk.call(42.318)

    page = desk.client_asks()

    assert "Why this charge" in page.text
    assert f"Taken from the balance {MINUS}$0.14" in page.text
    assert f"48 s ÷ 60 {TIMES} $0.15 + $0.02 for the connection = $0.14" in page.text
    assert "42.318 s of talk are billed as 48 s (rounded up to 30 s, then by 6 s)." in page.text
    assert "Price $0.15 a minute" in page.text
    assert "Rate card in force since" in page.text
    assert "Its id there call_1" in page.text
    assert "Back to the statement" in page.links


def test_a_sum_that_does_not_come_out_even_says_how_it_was_rounded(desk: Desk) -> None:
    desk.price(price_per_minute="0.1")
    desk.call(50.2)

    assert f"51 s ÷ 60 {TIMES} $0.10 = $0.085" in desk.client_asks().text
    desk.price(price_per_minute="0.11111")
    desk.world.report(call(desk.client, "call_2", seconds=7))
    desk.world.drain()
    assert f"7 s ÷ 60 {TIMES} $0.11111 = $0.012963, rounded once, to a millionth" in desk.client_asks().text


def test_the_workspaces_people_see_both_sides_and_the_margin(desk: Desk) -> None:
    desk.price(price_type="markup", markup_percent="100")
    desk.call(60)

    page = desk.owner_asks()

    assert f"The client pays 60 s ÷ 60 {TIMES} $0.1462 = $0.1462" in page.text
    assert "Markup 100.00 % on the cost" in page.text
    assert f"The workspace pays 60 s ÷ 60 {TIMES} $0.0731 = $0.0731" in page.text
    assert "Margin $0.0731 50.0 % of the price" in page.text


def test_a_client_reads_nothing_of_cost_margin_or_markup_whatever_the_address_says(desk: Desk) -> None:
    desk.price(price_type="markup", markup_percent="33.33")
    desk.call(60)
    visitor = Visitor(desk.world, CLIENT, desk.client)

    own = desk.client_asks()
    workspaces = [visitor.open("charge", entry=desk.newest(), **more) for more in ({}, {"sub_account": desk.workspace})]

    assert own.status == 200
    assert "$0.097464" in own.text  # 0.0731 and a third
    for secret in (COST, "33.33", "0.0243", "cost", "margin", "markup"):
        assert secret not in own.html.lower()
    assert [page.status for page in workspaces] == [403, 404]
    assert not any(COST in page.html for page in workspaces)


def test_the_same_entry_is_explained_as_the_workspaces_own(desk: Desk) -> None:
    desk.price(price_per_minute="0.15")
    desk.call(60)
    owner = Visitor(desk.world, OWNER, desk.workspace)

    page = owner.open("charge", entry=desk.newest(desk.workspace))

    assert f"Taken from the balance {MINUS}$0.0731" in page.text
    assert f"The client pays 60 s ÷ 60 {TIMES} $0.15 = $0.15" in page.text


def test_a_call_that_nobody_was_re_billed_for_says_so(desk: Desk) -> None:
    desk.call(60)
    owner = Visitor(desk.world, OWNER, desk.workspace)

    page = owner.open("charge", entry=desk.newest(desk.workspace))

    assert "Nobody was re-billed for this: the workspace paid alone." in page.text
    assert "The client pays" not in page.text


def test_a_credit_says_what_it_was_given_as_and_only_the_workspace_reads_by_whom(desk: Desk) -> None:
    body = {"amount": "20.00", "note": "for <b>us</b>", "kind": "external_payment"}
    path = f"/v1/sub-accounts/{desk.client}/wallet/credits"
    desk.world.post(path, body, headers={"Idempotency-Key": "credit"})

    seen, seen_by_owner = desk.client_asks(), desk.owner_asks()

    assert "Why this entry" in seen.text
    assert "Added to the balance $20.00" in seen.text
    assert "Given as paid in another way, such as a bank transfer" in seen.text
    assert "Note for <b>us</b>" in seen.text and "<b>us" not in seen.html
    assert "Given by" not in seen.text
    assert "Given by the platform's" in seen_by_owner.text


def test_what_an_entry_set_off_is_told_beneath_it(desk: Desk) -> None:
    desk.price(price_per_minute="1.00")
    desk.world.credit(desk.client, "20.50")
    desk.call(60)

    page = desk.client_asks()

    assert "The balance was told to be low, at $19.50" in page.text


def test_a_payment_and_its_refund_name_the_payment_at_stripe(paying: Paying) -> None:
    workspace, _ = paying.agency()
    desk = Desk(paying.world, workspace)
    payment = paying.pay(paying.top_up(desk.client))
    paying.deliver()
    bought = desk.client_asks()
    paying.pretend.control.refund(payment, 15_00)
    paying.deliver()

    refunded = desk.client_asks()

    assert "A person bought balance by card." in bought.text
    assert f"Payment at Stripe {payment}" in bought.text
    assert "Money of an earlier payment went back to the card" in refunded.text
    assert f"Taken from the balance {MINUS}$15.00" in refunded.text
    assert f"Payment at Stripe {payment}" in refunded.text


@pytest.mark.parametrize("entry", ["", "ent_", "x", "ent_01ARZ3NDEKTSV4RRFFQ69G5FAV", "ent_#'\"<"])
def test_an_entry_that_is_not_there_is_not_found(desk: Desk, entry: str) -> None:
    desk.world.credit(desk.client, "1.00")
    visitor = Visitor(desk.world, CLIENT, desk.client)

    assert visitor.open("charge", entry=entry, sub_account=desk.client).status == 404


def test_an_entry_of_somebody_else_is_not_found(desk: Desk) -> None:
    sibling = desk.world.sub_account(desk.workspace, "0.19")
    desk.world.credit(sibling, "1.00", key="sibling's")
    entry = desk.newest(sibling)
    client, stranger = Visitor(desk.world, CLIENT, desk.client), desk.world.workspace()
    desk.world.credit(stranger, "1.00", key="stranger's")

    assert client.open("charge", entry=entry, sub_account=sibling).status == 404
    assert client.open("charge", entry=entry, sub_account=desk.client).status == 404
    owner = Visitor(desk.world, OWNER, desk.workspace)
    assert owner.open("charge", entry=desk.newest(stranger)).status == 404
    assert owner.open("charge", entry=entry, sub_account=desk.client).status == 404
    assert owner.open("charge", entry=entry, sub_account=sibling).status == 200


def test_the_statement_links_every_row_to_its_page(desk: Desk) -> None:
    desk.price(price_per_minute="0.15")
    desk.world.credit(desk.client, "20.00")
    desk.call(60)
    visitor = Visitor(desk.world, CLIENT, desk.client)

    page = visitor.open("billing", sub_account=desk.client)

    assert "60 s ÷ 60" in visitor.go(page.links["Use: a call, 60 s"]).text
    assert "Balance was given" in visitor.go(page.links["Balance given"]).text
    assert len(re.findall(r"page=charge", page.html)) == 2
