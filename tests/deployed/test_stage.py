"""The product as AWS would run it, not in one process: API Gateway, Lambdas with their rights, queues, the schedule."""

import re
from collections.abc import Callable

import pytest

from local import chromium
from local.stage import Stage
from tests.dashboard.visiting import Page
from tests.deployed.callers import Browser, Platform, eventually, path_of
from tests.deployed.hand import Hand

POISON = "{this was never a call"
# The schedule fires a minute after it was made, and MiniStack looks every ten seconds.
A_MINUTE_AND_A_BIT = 80.0
CLIENT, OWNER = "client@bright.example", "owner@acme.example"
RULE = {"enabled": True, "threshold": "10", "target_balance": "50"}
NOTHING_HERE = {
    "type": "urn:rebill:problem:not_found",
    "title": "Not Found",
    "status": 404,
    "code": "not_found",
    "detail": "There is nothing at this address.",
    "param": None,
}


class Story:
    """What is true of a deployed stage. The sentences are told in this order, on one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.platform, self.hand = stage, Platform(stage), Hand(stage)
        self.workspace = self.platform.workspace()
        self.client = self.platform.client(self.workspace)
        self.refilled = ""

    def it_says_that_it_is_well(self) -> None:
        answer = self.platform.ask("GET", "/healthz")

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        assert isinstance(answer.json(), dict)

    def an_unknown_address_is_our_404_and_not_the_gateways_403_and_a_wrong_method_a_405(self) -> None:
        url = self.stage.deployed.base_url
        knocks = [self.platform.ask("GET", "/nothing-here"), Browser(self.stage).get(f"{url}/nothing-here")]
        wrong = self.platform.ask("DELETE", "/healthz")

        for unknown in knocks:  # with a key and without one
            assert unknown.status_code == 404
            assert unknown.headers["content-type"] == "application/problem+json"
            problem = unknown.json()
            assert problem.pop("request_id")
            assert problem == NOTHING_HERE
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")

    def each_queue_triggers_its_own_function(self) -> None:
        for queue, function, batch_size in (("usage", "PostUsage", 500), ("payments", "SettlePayments", 10)):
            (trigger,) = self.hand.triggers_at(queue)

            assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            assert trigger["BatchSize"] == batch_size
            assert function.lower() in trigger["FunctionArn"].replace("_", "").lower()

    def a_signed_call_goes_over_the_queue_to_both_wallets(self) -> None:
        # Twilio signs the address too: the stage's name is a part of it.
        lines = [self.platform.line(self.workspace, self.client, provider) for provider in ("vapi", "twilio")]
        before = [self.platform.balance(owner) for owner in (self.workspace, self.client)]

        assert {status for line in lines for status in self.platform.ring(line)} == {202}

        both = [("usage", "-0.150000")] * 2
        assert eventually(lambda: self.platform.entries(self.client)[:2] == both), self.platform.entries(self.client)
        assert self.platform.entries(self.workspace)[:2] == [("usage", "-0.070000")] * 2
        assert before == ["1000.000000", "20.000000"]
        assert [self.platform.balance(owner) for owner in (self.workspace, self.client)] == ["999.860000", "19.700000"]

    def a_forged_call_is_refused_and_moves_nothing(self) -> None:
        line = self.platform.line(self.workspace, self.client, "vapi")
        assert eventually(lambda: self.hand.on_queue("usage") == 0)
        before = self.platform.entries(self.client)

        assert set(self.platform.ring(line, secret="whsec_somebody_elses")) == {401}

        assert self.hand.on_queue("usage") == 0
        assert self.platform.entries(self.client) == before

    def a_person_connects_stripe_in_a_browser(self) -> None:
        page = self.platform.connect(self.workspace)

        assert page.status == 200, page.text
        assert "Stripe is connected" in page.text

    def what_somebody_pays_is_settled_by_stripes_webhook(self) -> None:
        top_up = self.platform.post(f"{path_of(self.client)}/wallet/top-ups", {"amount": "50.00"})

        self.platform.pay(top_up["url"])  # and nobody comes back from the page

        paid = ("top_up", "50.000000")
        assert eventually(lambda: paid in self.platform.entries(self.client)), self.stage.pretend.control.sent()
        assert {each["status"] for each in self.stage.pretend.control.sent() if each["endpoint"] == "connect"} == {200}

    def a_wallet_with_a_card_falls_below_its_threshold(self) -> None:
        client = self.platform.client(self.workspace, price="6.00", balance="12.00")
        self.platform.save_card(client)
        self.platform.put(f"{path_of(client)}/wallet/refill-rule", RULE)

        self.platform.report(client, seconds=30)

        assert eventually(lambda: self.platform.balance(client) == "9.000000")
        self.refilled = client

    def a_poison_message_ends_in_the_dead_letter_queue_alone(self) -> None:
        before = self.platform.entries(self.client)
        assert eventually(lambda: self.hand.on_queue("usage") == 0)
        with self.hand.hidden_for("usage", 1):
            with self.hand.trigger_off("PostUsage"):
                for _ in range(3):
                    self.platform.report(self.client)
                self.hand.put("usage", POISON)
                assert self.hand.on_queue("usage") == 4

            assert eventually(lambda: self.hand.on_queue("usage-dead") == 1, 30)

        assert self.hand.take("usage-dead") == [POISON]
        assert self.hand.on_queue("usage") == 0
        assert self.platform.entries(self.client) == [("usage", "-0.150000")] * 3 + before

    def a_person_comes_in_by_a_link_reads_a_page_and_sends_a_form(self) -> None:
        self.platform.put(f"{path_of(self.client)}/authorized-users/{CLIENT}")
        person = Browser(self.stage)

        page = person.open(self._link(CLIENT, self.client))

        assert page.status == 200, page.text
        assert f"${self.platform.balance(self.client)[:5]}" in page.text
        self._its_files_are_there(person, page)
        saved = person.send(page.form("billing-refill"), enabled="1", threshold="12", target_balance="60")
        assert saved.status == 200, saved.text
        rule = self.platform.get(f"{path_of(self.client)}/wallet/refill-rule")
        assert (rule["enabled"], rule["threshold"], rule["target_balance"]) == (True, "12.00", "60.00")
        assert person.send(page.form("sign-out")).status == 200
        assert person.open(f"{person.base_url}/dashboard").status == 401

    def _its_files_are_there(self, person: Browser, page: Page) -> None:
        addresses = re.findall(r'(?:href|src)="([^"]*/static/[^"]*)"', page.html)
        kinds = {"css": "text/css", "js": "text/javascript"}
        assert {address.partition("?")[0].rpartition(".")[2] for address in addresses} == set(kinds)
        for address in addresses:
            found = person.get(address)
            assert found.status_code == 200, address
            assert found.headers["content-type"].startswith(kinds[address.partition("?")[0].rpartition(".")[2]])
            assert len(found.content) > 100

    def pages_are_walked_in_a_real_browser(self) -> None:
        path = chromium.find()
        if path is None:
            pytest.skip(f"No Chromium: the stage was not opened in one. {chromium.HOW_TO_GET_ONE}")
        with chromium.browser(path) as started:
            page = started.new_page()
            troubles: list[str] = []
            page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
            page.on("requestfailed", lambda lost: troubles.append(lost.url))
            page.goto(self._link(OWNER, self.workspace))
            assert page.get_by_role("heading", level=1).inner_text() == "Re-billing"
            page.get_by_role("link", name="Accounts", exact=True).first.click()
            page.get_by_role("link", name="Bright Dental").first.click()
            assert page.get_by_role("heading", level=1).inner_text() == "Bright Dental"
            assert page.url.startswith(f"{self.stage.deployed.base_url}/dashboard?")
        assert troubles == []

    def _link(self, email: str, account: str) -> str:
        kind = "workspace" if account.startswith("ws_") else "sub_account"
        return str(self.platform.post("/v1/dashboard-sessions", {"email": email, kind: account})["url"])

    def the_schedule_refills_what_is_due(self) -> None:
        refill = ("refill", "41.000000")
        assert eventually(lambda: refill in self.platform.entries(self.refilled), A_MINUTE_AND_A_BIT)
        assert self.platform.balance(self.refilled) == "50.000000"

    def no_function_was_refused_anything(self) -> None:
        assert [each for each in self.stage.stack.decisions() if not each["allowed"]] == []


SENTENCES: tuple[Callable[[Story], None], ...] = (
    Story.it_says_that_it_is_well,
    Story.an_unknown_address_is_our_404_and_not_the_gateways_403_and_a_wrong_method_a_405,
    Story.each_queue_triggers_its_own_function,
    Story.a_signed_call_goes_over_the_queue_to_both_wallets,
    Story.a_forged_call_is_refused_and_moves_nothing,
    Story.a_person_connects_stripe_in_a_browser,
    Story.what_somebody_pays_is_settled_by_stripes_webhook,
    Story.a_wallet_with_a_card_falls_below_its_threshold,
    Story.a_poison_message_ends_in_the_dead_letter_queue_alone,
    Story.a_person_comes_in_by_a_link_reads_a_page_and_sends_a_form,
    Story.pages_are_walked_in_a_real_browser,
    Story.the_schedule_refills_what_is_due,
    Story.no_function_was_refused_anything,
)


def test_the_deployed_stage_does_what_is_promised(stage: Stage, subtests: pytest.Subtests) -> None:
    story = Story(stage)
    for sentence in SENTENCES:
        with subtests.test(sentence.__name__.replace("_", " ")):
            sentence(story)
