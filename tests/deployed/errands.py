"""What each function is there for, errand by errand: together they make it use every right that it has.

An errand may be run again and again. It raises where something did not go as it should.
"""

import json
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from local.stage import Stage
from tests.deployed.callers import GOOD_CARD, Browser, Platform, eventually, path_of
from tests.deployed.hand import SCHEDULED, Hand, Ran

OWNER, CLIENT = "owner@acme.example", "client@bright.example"
RULE = {"enabled": True, "threshold": "10", "target_balance": "50"}
DECLINED_CARD = "4000000000000341"
QUEUE_OF = {"PostUsage": "usage", "SettlePayments": "payments"}
# A message that a function may not take is looked for no longer than this.
TAKEN_SECONDS = 5.0


Errand = Callable[["Errands"], None]


class Errands:
    """An agency with its own Stripe account and a client, and everything that happens to them."""

    def __init__(self, stage: Stage) -> None:
        self.platform, self.hand, self.control = Platform(stage), Hand(stage), stage.pretend.control
        self.stage = stage
        self.workspace = self.platform.workspace()
        self.client = self.platform.client(self.workspace)
        account = self.control.add_account("Bright Errands")["id"]  # one of its own: other tests connect the usual ones
        assert "Stripe is connected" in self.platform.connect(self.workspace, account).text
        self.platform.put(f"{path_of(self.client)}/authorized-users/{CLIENT}")

    # The API

    def an_agency_sets_itself_up(self) -> None:
        workspace = self.platform.workspace()
        client = self.platform.client(workspace)
        line = self.platform.line(workspace, client, "vapi")
        self.platform.ring(line)
        self.platform.delete(f"{path_of(client)}/voice-agents/vapi/{line.agent}")
        (endpoint,) = self.platform.get(f"/v1/workspaces/{workspace}/voice-endpoints")["data"]
        self.platform.delete(f"/v1/workspaces/{workspace}/voice-endpoints/{endpoint['id']}")
        self.platform.get("/v1/workspaces/" + workspace)
        self.platform.get(f"/v1/workspaces/{workspace}/sub-accounts")
        self.platform.get(f"/v1/workspaces/{workspace}/usage-events?status=unmatched")
        self.platform.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.08"})
        for owner in (workspace, client):
            self.platform.put(f"{path_of(owner)}/wallet/notice-levels", {"levels": ["50", "10"]})
            assert self.platform.ask("GET", f"{path_of(owner)}/wallet/entries.csv").status_code == 200
            self.platform.get(f"{path_of(owner)}/activity")
        # What is refused may be tried again: its Idempotency-Key is forgotten.
        refused = self.platform.ask("POST", f"{path_of(client)}/wallet/top-ups", {"amount": "25.00"})
        assert refused.json()["code"] == "stripe_not_connected"
        self.platform.get(f"/v1/workspaces/{workspace}/audit")
        self.platform.get("/v1/audit")

    def calls_are_asked_for_reported_and_looked_at(self) -> None:
        self.platform.get(f"{path_of(self.client)}/access")
        reported = self.platform.report(self.client)
        self.platform.get(f"/v1/usage-events/my-platform/{reported}")

    def an_agency_copies_settings_pauses_and_closes(self) -> None:
        client = self.platform.client(self.workspace, balance="1.00")
        snapshot = f"/v1/workspaces/{self.workspace}/snapshot"
        kept = self.platform.put(snapshot, {"notice_levels": {"levels": ["25.00"]}})
        body = {"sub_accounts": [client], "version": kept["version"]}
        self.platform.post(f"{snapshot}/preview", {"sub_accounts": [client]})
        made = self.platform.post(f"{snapshot}/apply", body)
        self.platform.get(f"{snapshot}/applications/{made['id']}")
        self.platform.post(f"{snapshot}/applications/{made['id']}/undo")
        self.platform.post(f"{path_of(client)}/pause", {"note": "invoice overdue"})
        self.platform.post(f"{path_of(client)}/resume", {"note": "invoice paid"})
        self.platform.post(f"{path_of(client)}/close", {"settle": "forfeit", "note": "moved elsewhere"})

    def the_platform_listens(self) -> None:
        body = {"url": "https://example.com/rebill", "types": ["wallet.low"]}
        made = self.platform.post("/v1/webhook-endpoints", body)
        self.platform.get("/v1/webhook-endpoints")
        self.platform.delete(f"/v1/webhook-endpoints/{made['id']}")

    def people_come_and_go(self) -> None:
        person = f"/v1/workspaces/{self.workspace}/people/{uuid4().hex}@acme.example"
        self.platform.put(person, {"role": "admin"})
        self.platform.get(f"/v1/workspaces/{self.workspace}/people")
        self.platform.delete(person)
        browser = Browser(self.stage)
        body = {"email": OWNER, "workspace": self.workspace}
        page = browser.open(self.platform.post("/v1/dashboard-sessions", body)["url"])
        assert page.status == 200, page.text
        for name in ("rebilling", "accounts", "waiting", "snapshot"):
            assert browser.open(f"{browser.base_url}/dashboard?page={name}").status == 200
        assert browser.send(page.form("sign-out")).status == 200

    def a_client_looks_a_charge_up(self) -> None:
        browser = Browser(self.stage)
        body = {"email": CLIENT, "sub_account": self.client}
        page = browser.open(self.platform.post("/v1/dashboard-sessions", body)["url"])
        assert page.status == 200, page.text
        charges = [address for address in page.links.values() if "page=charge" in address]
        assert charges, page.text
        assert browser.open(charges[0]).status == 200

    def a_credit_is_asked_for_again_much_later(self) -> None:
        path, body = f"{path_of(self.client)}/wallet/credits", {"amount": "1.00", "note": "paid by bank transfer"}
        key = uuid4().hex
        first = self.platform.ask("POST", path, body, key)
        self.hand.forget_answers()
        again = self.platform.ask("POST", path, body, key)
        assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])

    def somebody_pays(self) -> None:
        for owner in (self.workspace, self.client):
            first = self.platform.post(f"{path_of(owner)}/wallet/top-ups", {"amount": "25.00"})
            second = self.platform.post(f"{path_of(owner)}/wallet/top-ups", {"amount": "50.00"})
            assert first["id"] != second["id"]
            self.platform.pay(second["url"])
            assert Browser(self.stage).open(self._back(owner, second["id"])).status == 200
            assert self.platform.get(f"{path_of(owner)}/wallet/top-ups/{second['id']}")["state"] == "succeeded"
            self.platform.post(f"{path_of(owner)}/wallet/portal")

    def _back(self, owner: str, top_up: str) -> str:
        return f"{self.stage.deployed.base_url}/payments/return?owner={owner}&top_up={top_up}"

    def a_client_lets_its_wallet_refill_itself(self) -> None:
        client = self.platform.client(self.workspace, balance="5.00")
        self.platform.save_card(client)
        self.platform.put(f"{path_of(client)}/wallet/refill-rule", {**RULE, "confirm_charge_now": True})
        self.platform.get(f"{path_of(client)}/wallet/refill-rule")
        self.platform.ask("POST", f"{path_of(client)}/wallet/refill-rule/retry")
        self.platform.delete(f"{path_of(client)}/wallet/refill-hold")
        for switch in ("/v1/refill-switch", f"/v1/workspaces/{self.workspace}/refill-switch"):
            self.platform.put(switch, {"stopped": True, "reason": "a test"})
            self.platform.put(switch, {"stopped": False, "reason": "all is well"})

    def an_agency_connects_and_disconnects(self) -> None:
        workspace = self.platform.workspace()
        account = self.control.add_account("Short Calls")["id"]
        assert "Stripe is connected" in self.platform.connect(workspace, account).text
        self.platform.get(f"/v1/workspaces/{workspace}/stripe")
        self.platform.delete(f"/v1/workspaces/{workspace}/stripe")

    def stripe_rings(self) -> None:
        self.control.send_event("customer.updated", {"id": "cus_1", "object": "customer"})
        self.delivered()

    def delivered(self) -> None:
        """All that Stripe has to say is accepted."""
        self.control.flush()
        assert self.control.wait_for_deliveries(TAKEN_SECONDS), self.control.sent()[-1]

    # The queues' functions. Their messages are caught on the queue and handed over by hand, to see what is answered.

    def _messages_of(self, function: str, cause: Callable[[], object]) -> list[str]:
        with self.hand.trigger_off(function):
            self.hand.take(QUEUE_OF[function])
            cause()
            self.delivered()
            return self.hand.take(QUEUE_OF[function])

    def _handled(self, function: str, cause: Callable[[], object], *told: str) -> None:
        messages = self._messages_of(function, cause)
        assert messages
        well(self.hand.run_with_messages(function, messages), *told)

    def calls_are_posted_and_low_balances_told(self) -> None:
        workspace = self.platform.workspace()
        client = self.platform.client(workspace, price="6.00", balance="11.00")
        self.platform.put(f"{path_of(workspace)}/wallet/notice-levels", {"levels": ["999.99"]})
        self.platform.put(f"{path_of(client)}/wallet/notice-levels", {"levels": ["10"]})
        self._handled("PostUsage", lambda: self.platform.report(client, seconds=30))
        assert "wallet.low" in {each["type"] for each in self.platform.get(f"{path_of(client)}/activity")["data"]}

    def calls_wait_for_an_agent_or_a_price(self) -> None:
        client = self.platform.post(f"/v1/workspaces/{self.workspace}/sub-accounts", {"name": "No Price"})["id"]
        chat = {"enabled": True, "price_type": "fixed", "price_per_unit": "0.02"}
        self.platform.put(f"{path_of(client)}/rebilling", {"enabled": True, "meters": {"chat": chat}})
        line = self.platform.line(self.workspace, client, "vapi")
        self._handled("PostUsage", lambda: self.platform.ring(line), "usage_kept")
        line.agent = line.voice.new_agent_id()
        call_id = uuid4().hex
        self._handled("PostUsage", lambda: self.platform.ring(line, 60, call_id), "usage_kept")
        self._handled("PostUsage", lambda: self.platform.ring(line, 90, call_id), "usage_kept", "usage_conflict")
        assign = f"{path_of(self.client)}/voice-agents/vapi/{line.agent}"

        def assigned() -> None:
            self.platform.put(assign)
            assert eventually(lambda: self.hand.seen("usage"), 5)

        self._handled("PostUsage", assigned)

    def a_call_is_told_twice_and_differently(self) -> None:
        event_id = uuid4().hex
        self._handled("PostUsage", lambda: self.platform.report(self.client, 10, event_id))
        self._handled("PostUsage", lambda: self.platform.report(self.client, 20, event_id), "usage_conflict")

    def what_was_paid_is_settled_and_given_back(self) -> None:
        top_up = self.platform.post(f"{path_of(self.client)}/wallet/top-ups", {"amount": "50.00"})
        self._handled("SettlePayments", lambda: self.platform.pay(top_up["url"]))
        payment = self._payment_of(top_up["url"])
        self._handled("SettlePayments", lambda: self.control.refund(payment, 1000), "payment_reversed")
        self._handled(
            "SettlePayments", lambda: self.control.open_dispute(payment), "payment_disputed", "payment_reversed"
        )

    def _payment_of(self, url: str) -> str:
        session = url.rpartition("/")[2].partition("#")[0].partition("?")[0]
        for space in self.control.state()["spaces"].values():
            if session in space.get("checkout.session", {}):
                return str(space["checkout.session"][session]["payment_intent"])
        raise AssertionError(f"there is no {session}")

    def cards_are_saved_replaced_and_removed(self) -> None:
        client = self.platform.client(self.workspace)
        page = self.platform.post(f"{path_of(client)}/wallet/payment-method")
        self._handled("SettlePayments", lambda: self.platform.pay(page["url"]))
        card = self._newest_card()
        self._handled("SettlePayments", lambda: self.control.set_card(card, exp_month=1, exp_year=2044))
        self._handled("SettlePayments", lambda: self.control.detach_card(card), "saved_card_gone")

    def _newest_card(self) -> str:
        spaces = self.control.state()["spaces"].values()
        return str(max((card for space in spaces for card in space.get("payment_method", {}).values()),
                       key=lambda card: card["created"])["id"])  # fmt: skip

    def an_account_is_told_of_and_taken_away(self) -> None:
        workspace = self.platform.workspace()
        account = self.control.add_account("Long Calls")["id"]
        self.platform.connect(workspace, account)
        self._handled("SettlePayments", lambda: self.control.set_account(account, charges_enabled=False))
        self._handled(
            "SettlePayments", lambda: self.control.deauthorize(account), "stripe_deauthorized", "stripe_error"
        )

    def a_bank_decides_later_about_a_refill(self) -> None:
        for succeeds in (True, False):
            self._due(GOOD_CARD)
            self.control.hold_payments()
            self.hand.run("Tick", SCHEDULED)
            payment = self._processing()
            decide = partial(self.control.finish_payment, payment, succeeds)
            self._handled("SettlePayments", decide)

    def _due(self, card: str) -> None:
        """A client's wallet is below its threshold."""
        client = self._client_with(card)
        self.platform.report(client, seconds=30)
        assert eventually(lambda: self.platform.balance(client) == "9.000000")

    def _processing(self) -> str:
        """The payment that a bank still thinks about."""
        spaces = self.control.state()["spaces"].values()
        held = [each for space in spaces for each in space.get("payment_intent", {}).values()]
        (payment,) = [each["id"] for each in held if each["status"] == "processing"]
        return str(payment)

    def messages_are_taken_from_the_usage_queue(self) -> None:
        assert eventually(lambda: self.hand.on_queue("usage") == 0, TAKEN_SECONDS)
        self.platform.report(self.client)
        assert eventually(lambda: self.hand.on_queue("usage") == 0, TAKEN_SECONDS)

    def messages_are_taken_from_the_payments_queue(self) -> None:
        self.stripe_rings()
        assert eventually(lambda: self.hand.on_queue("payments") == 0, TAKEN_SECONDS)

    # The clock

    def wallets_are_refilled(self) -> None:
        clients = [self._client_with(card) for card in (GOOD_CARD, DECLINED_CARD)]
        for client in clients:
            self.platform.report(client, seconds=30)
        assert eventually(lambda: {self.platform.balance(client) for client in clients} == {"9.000000"})
        well(self.hand.run("Tick", SCHEDULED), "stripe_error")  # a card is declined
        assert self.platform.balance(clients[0]) == "50.000000"

    def _client_with(self, card: str) -> str:
        """A client that is refilled as soon as it falls below 10."""
        client = self.platform.client(self.workspace, price="6.00", balance="12.00")
        self.platform.pay(self.platform.post(f"{path_of(client)}/wallet/payment-method")["url"], card)
        assert eventually(lambda: self.platform.get(f"{path_of(client)}/wallet")["card"])
        self.platform.put(f"{path_of(client)}/wallet/refill-rule", RULE)
        return client

    def open_payments_are_asked_after(self) -> None:
        top_up = self.platform.post(f"{path_of(self.client)}/wallet/top-ups", {"amount": "50.00"})
        with self.hand.trigger_off("SettlePayments"):
            self.platform.pay(top_up["url"])
            well(self.hand.run("Tick", SCHEDULED))
            assert self.platform.get(f"{path_of(self.client)}/wallet")["pending_top_up"] is None

    def notices_are_delivered(self) -> None:
        workspace = self.platform.workspace()
        client = self.platform.client(workspace)
        self.platform.put(f"{path_of(workspace)}/wallet/notice-levels", {"levels": ["999.99"]})
        self.platform.report(client)
        assert eventually(lambda: self.platform.balance(workspace).startswith("999"))
        before = self.hand.mailed()
        well(self.hand.run("Tick", SCHEDULED))
        assert self.hand.mailed() > before

    # The night

    def the_books_are_reconciled(self) -> None:
        self._a_paid_top_up()
        # Accounts that were taken away are not shown any more; the platform's own is.
        ran = self._tonight("Reconcile", "account_not_listed", "stripe_error")
        assert '"account_id":"platform"' not in ran.log

    def _tonight(self, function: str, *told: str) -> Ran:
        """The night's work, even if it was done already."""
        self.hand.forget("payments", pk="nightly", sk=function.lower())
        ran = self.hand.run(function, SCHEDULED)
        well(ran, *told)
        return ran

    def _a_paid_top_up(self) -> None:
        top_up = self.platform.post(f"{path_of(self.client)}/wallet/top-ups", {"amount": "50.00"})
        self.platform.pay(top_up["url"])
        assert eventually(lambda: self.platform.get(f"{path_of(self.client)}/wallet")["pending_top_up"] is None)

    def missed_calls_are_looked_for(self) -> None:
        self._tonight("Sweep")

    # All of them

    def the_api_writes_its_log(self) -> None:
        before = self.hand.logged()
        self.platform.get("/healthz")
        assert self.hand.logged() > before

    def _writes_its_log(self, function: str, event: object) -> None:
        before = self.hand.logged()
        well(self.hand.run(function, event))
        assert self.hand.logged() > before

    def posting_writes_its_log(self) -> None:
        self._writes_its_log("PostUsage", {"Records": []})

    def settling_writes_its_log(self) -> None:
        self._writes_its_log("SettlePayments", {"Records": []})

    def the_nights_write_their_logs(self) -> None:
        for function in ("Reconcile", "Sweep"):
            self._writes_its_log(function, SCHEDULED)

    def the_clock_writes_its_log(self) -> None:
        self._writes_its_log("Tick", SCHEDULED)


def well(ran: Ran, *told: str) -> None:
    """The function ended, asks for nothing again, and complains of nothing but this."""
    assert not ran.failed, ran.log
    assert not (ran.answer or {}).get("batchItemFailures"), ran.log
    lines = [json.loads(line) for line in ran.log.splitlines() if line.startswith("{")]
    assert {line["message"] for line in lines if line["level"] in ("WARNING", "ERROR")} <= set(told), ran.log


ERRANDS: dict[str, tuple[Errand, ...]] = {
    "APIHandler": (
        Errands.an_agency_sets_itself_up,
        Errands.calls_are_asked_for_reported_and_looked_at,
        Errands.an_agency_copies_settings_pauses_and_closes,
        Errands.the_platform_listens,
        Errands.people_come_and_go,
        Errands.a_client_looks_a_charge_up,
        Errands.a_credit_is_asked_for_again_much_later,
        Errands.somebody_pays,
        Errands.a_client_lets_its_wallet_refill_itself,
        Errands.an_agency_connects_and_disconnects,
        Errands.stripe_rings,
        Errands.the_api_writes_its_log,
    ),
    "PostUsage": (
        Errands.calls_are_posted_and_low_balances_told,
        Errands.calls_wait_for_an_agent_or_a_price,
        Errands.a_call_is_told_twice_and_differently,
        Errands.posting_writes_its_log,
        Errands.messages_are_taken_from_the_usage_queue,
    ),
    "SettlePayments": (
        Errands.what_was_paid_is_settled_and_given_back,
        Errands.cards_are_saved_replaced_and_removed,
        Errands.an_account_is_told_of_and_taken_away,
        Errands.a_bank_decides_later_about_a_refill,
        Errands.settling_writes_its_log,
        Errands.messages_are_taken_from_the_payments_queue,
    ),
    "Reconcile": (Errands.the_books_are_reconciled, Errands.the_nights_write_their_logs),
    "Sweep": (Errands.missed_calls_are_looked_for, Errands.the_nights_write_their_logs),
    "Tick": (
        Errands.wallets_are_refilled,
        Errands.open_payments_are_asked_after,
        Errands.notices_are_delivered,
        Errands.the_clock_writes_its_log,
    ),
}
