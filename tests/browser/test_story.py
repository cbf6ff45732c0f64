"""The whole story in a browser: an agency that begins, its client, a call, a refill, and a wallet that runs empty.

It is told twice: with JavaScript, which is comfort only, and without.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.web.dashboard.money import MINUS
from tests.browser.person import Person
from tests.browser.product import VOICE_PLATFORM, VOICE_SIGNING, Product

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OWNER, CLIENT = "owner@larkspur.example", "pat@bright-dental.example"


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def javascript(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def owner(browser: "Browser", product: Product, javascript: bool) -> Iterator[Person]:
    person = Person(browser, product, javascript)
    yield person
    person.leaves()


@pytest.fixture
def client(browser: "Browser", product: Product, javascript: bool) -> Iterator[Person]:
    person = Person(browser, product, javascript)
    yield person
    person.leaves()


def test_from_the_first_page_to_an_empty_wallet(product: Product, owner: Person, client: Person) -> None:
    agency = product.make("/v1/workspaces", {"name": "Larkspur Voice", "currency": "usd", "owner_email": OWNER})["id"]
    endpoint = product.make(f"/v1/workspaces/{agency}/voice-endpoints", VOICE_SIGNING)
    agent = f"agent_{agency}"

    owner.comes_in(OWNER, agency)
    owner.reads("Three steps to begin", "Connect your own Stripe account")
    owner.connects_stripe(product.new_stripe_account(f"Payments of {agency}"))
    owner.reads(f"Payments of {agency}", "● connected")
    _fills_its_own_wallet(owner)
    sub_account = _begins_with_a_client(owner)
    _sets_the_price(owner)
    _adds_balance_by_hand(owner)
    _lets_the_client_in(owner)
    _says_whose_calls_the_agents_are(owner, agent)
    assert product.gate(sub_account).status_code == 200

    client.comes_in(CLIENT, sub_account)
    client.sees_figure("Balance", "$5.00")
    _pays(client)
    _saves_a_card(client)
    _sets_the_refill(client)

    product.calls_arrive(endpoint, agent)  # 4 minutes: 4 x 0.75 = 3.00 for the client, 4 x 0.07 = 0.28 for the agency
    owner.goes_to("Re-billing")
    owner.sees_figure("Balance", "$59.72")
    owner.sees_figure("Margin", "$2.72")
    _sees_the_refill(client)
    _sees_why_it_was_charged(client)

    _turns_refills_off(client)
    product.calls_arrive(endpoint, *[agent] * 14)  # 14 x 3.00: calls that were running when it was used up are paid
    refused = product.gate(sub_account)
    assert (refused.status_code, refused.json()["code"]) == (403, "sub_account_wallet_empty")
    _sees_that_it_is_empty(client)
    _is_told_of_the_empty_wallet(owner)

    assert owner.faults + client.faults == []


def _fills_its_own_wallet(owner: Person) -> None:
    owner.types("Another amount (USD)", "60.00")
    owner.presses("Pay $60.00" if owner.javascript else "Pay this amount")
    owner.pays_at_stripe("Pay 60.00 USD")
    owner.sees_figure("Balance", "$60.00")


def _begins_with_a_client(owner: Person) -> str:
    owner.goes_to("Accounts")
    owner.reads("No clients yet")
    owner.types("Name of the client", "Bright Dental")
    owner.presses("Add the account")
    owner.reads("Bright Dental")
    return parse_qs(urlsplit(owner.page.url).query)["sub_account"][0]


def _sets_the_price(owner: Person) -> None:
    """From the list's three dots, as the seed says it, and by keyboard alone."""
    owner.goes_to("Accounts")
    owner.page.get_by_label("Actions for Bright Dental").press("Enter")
    owner.page.get_by_role("link", name="Turn on Re-billing").press("Enter")
    owner.types("Price per minute, if fixed (USD)", "0.75")
    if not owner.javascript:
        owner.presses("Work out the margin")
    owner.reads("$2.04")  # three minutes at 0.75, less three at 0.07
    owner.presses("Turn on Re-billing")
    owner.reads("✓ Saved. From now on calls stop when this client's wallet is empty, too.", "$0.75 a minute")


def _adds_balance_by_hand(owner: Person) -> None:
    owner.follows("Add balance")
    owner.types("Amount (USD)", "5.00")
    owner.types("Note", "To begin with")
    owner.presses("Add balance")
    owner.reads("✓ Added $5.00 to the balance.", "The balance is $5.00")


def _lets_the_client_in(owner: Person) -> None:
    owner.follows("Access")
    owner.reads("Nobody sees this client's billing yet")
    owner.types("E-mail address of the person", CLIENT)
    owner.presses("Add as an authorized user")
    owner.reads(f"✓ {CLIENT} may see this client's billing now.")


def _says_whose_calls_the_agents_are(owner: Person, agent: str) -> None:
    owner.follows("Overview")
    owner.page.get_by_label("Platform").select_option(VOICE_PLATFORM)
    owner.types("Agent's id", agent)
    owner.presses("Assign this agent")
    owner.reads("✓ Assigned.", agent)


def _pays(client: Person) -> None:
    client.presses("Pay $25.00")
    client.pays_at_stripe("Pay 25.00 USD")
    client.sees_figure("Balance", "$30.00")
    client.reads("Balance bought", "To begin with")


def _saves_a_card(client: Person) -> None:
    client.presses("Replace the card")
    client.pays_at_stripe("Save card")
    client.reads("Visa ending in 4242")


def _sets_the_refill(client: Person) -> None:
    """What the rule will do is a sentence; with JavaScript it is rewritten while somebody types, without it is not."""
    client.reads_sentence("Automatic refills are off: nothing is taken from the card by itself.")
    client.page.get_by_label("Refill the balance by itself, from the saved card").check()
    client.types("When the balance is at or below (USD)", "28")
    client.types("Balance to refill to (USD)", "40")
    said = "When the balance is at or below $28.00, refill it to $40.00."
    client.reads_sentence(said if client.javascript else re.compile("^Automatic refills are off"))
    client.presses("Save automatic refills")
    client.reads("✓ Saved. Automatic refills are on.", said)


def _sees_the_refill(client: Person) -> None:
    client.sees_figure("Balance", "$40.00")
    client.reads("Use: a call, 240 s", MINUS + "$3.00", "Automatic refill", "$13.00")


def _sees_why_it_was_charged(client: Person) -> None:
    client.follows("Use: a call, 240 s")
    client.sees_figure("Taken from the balance", MINUS + "$3.00")
    client.reads("How the amount was worked out", "$0.75")
    client.does_not_read("0.07")  # what it costs the agency is not the client's
    client.follows("Back to the statement")


def _turns_refills_off(client: Person) -> None:
    client.page.get_by_label("Refill the balance by itself, from the saved card").uncheck()
    client.presses("Save automatic refills")
    client.reads("✓ Saved. Automatic refills are off.")


def _sees_that_it_is_empty(client: Person) -> None:
    client.sees_figure("Balance", MINUS + "$2.00")
    client.reads("The balance is used up, so calls are refused.", "Add balance, and they go on at once.")


def _is_told_of_the_empty_wallet(owner: Person) -> None:
    owner.goes_to("Re-billing")
    attention = owner.page.get_by_role("region", name="Needs your attention")
    attention.get_by_role("link", name="Bright Dental").first.click()
    owner.sees_figure("Balance", MINUS + "$2.00")
    owner.reads("○ empty")
