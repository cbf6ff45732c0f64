"""What the tests of refills do and look at again and again."""

from typing import Any

import stripe as sdk

from chalicelib.flows.refill_wallets import refill_wallets
from tests.calls import call
from tests.payments.conftest import BRIGHT, Paying
from tests.world import Answer

GOOD, DECLINES, ASKS_FOR_ITS_HOLDER = "4242424242424242", "4000000000000341", "4000002760003184"
RULE = {"enabled": True, "threshold": "10", "target_balance": "50"}
PLENTY_SECONDS = 60.0


class Refilling:
    """An agency whose clients refill themselves."""

    def __init__(self, paying: Paying, workspace: str | None = None) -> None:
        self.paying, self.world, self.pretend = paying, paying.world, paying.pretend
        self.workspace = workspace or paying.agency()[0]
        if workspace is None:
            self.world.credit(self.workspace, "1000.00")
        self._calls = 0

    def again(self, paying: Paying) -> "Refilling":
        """The same agency, in another world that has gone back to when it was made."""
        other = Refilling(paying, self.workspace)
        other._calls = self._calls
        return other

    def client(self, card: str | None = GOOD, balance: str = "12.00", **rule: Any) -> str:
        """A client with some balance, a saved card and a rule."""
        owner = self.world.sub_account(self.workspace, "6.00")
        self.world.credit(owner, balance)
        if card is not None:
            self.save_card(owner, card)
        self.set_rule(owner, **rule)
        return owner

    def save_card(self, owner: str, number: str = GOOD, backup: bool = False) -> None:
        """The owner saves a card on Stripe's page, and Stripe tells us."""
        path = f"{self.path(owner)}/wallet/{'backup-' if backup else ''}payment-method"
        page = self.world.post(path, None, headers={"Idempotency-Key": f"card-{number[-4:]}"})
        session = page["url"].rpartition("/")[2].partition("#")[0]
        paid = self.pretend.control.pay(session, number, authenticates=True)
        assert paid["error"] is None, paid["error"]
        self.paying.deliver()

    def remove_cards(self) -> None:
        """Every card of the agency's clients is removed at Stripe; we have not heard of it yet."""
        key, addresses = self.pretend.platform_key, self.pretend.base_addresses
        client = sdk.StripeClient(key, base_addresses=addresses)  # type: ignore[arg-type]  # a TypedDict in all but name
        for card in self.pretend.control.state()["spaces"][f"{BRIGHT}:test"]["payment_method"].values():
            if card["customer"]:
                client.v1.payment_methods.detach(card["id"], options={"stripe_account": BRIGHT})

    def path(self, owner: str) -> str:
        return f"/v1/{'workspaces' if owner.startswith('ws_') else 'sub-accounts'}/{owner}"

    def set_rule(self, owner: str, expect: int = 200, **rule: Any) -> Any:
        answer = self.world.call("PUT", f"{self.path(owner)}/wallet/refill-rule", {**RULE, **rule})
        assert answer.status == expect, answer.text
        return answer.json

    def try_again(self, owner: str) -> Answer:
        return self.world.call("POST", f"{self.path(owner)}/wallet/refill-rule/retry")

    def use(self, owner: str, amount_cents: int) -> None:
        """A call of the client's costs so much, at 6.00 a minute."""
        self._calls += 1
        self.world.report(call(owner, f"{owner}-{self._calls}", seconds=amount_cents // 10))
        self.world.drain()

    def tick(self) -> int:
        """A minute has passed; Stripe's events have not been heard of."""
        return refill_wallets(PLENTY_SECONDS)

    def refill(self, owner: str) -> Any:
        """How refills of a wallet stand."""
        return self.world.get(f"{self.path(owner)}/wallet")["refill"]

    def state(self, owner: str) -> str:
        return str(self.refill(owner)["state"])

    def balance(self, owner: str) -> str:
        return self.world.balance(owner)

    def refills(self, owner: str) -> list[str]:
        """The amounts of a wallet's refills, the oldest first."""
        return [amount for kind, amount in self.paying.amounts(owner) if kind == "refill"]

    def taken(self, account: str = BRIGHT, owner: str | None = None) -> list[int]:
        """What Stripe took for refills on an account, in cents, the oldest first."""
        space = self.pretend.control.state()["spaces"].get(f"{account}:test", {})
        intents = [each for each in space.get("payment_intent", {}).values() if _is_refill(each)]
        mine = {each["id"] for each in space.get("customer", {}).values() if each["metadata"].get("rebill") == owner}
        return [
            each["amount_received"]
            for each in intents
            if each["amount_received"] and (owner is None or each["customer"] in mine)
        ]

    def intents(self, account: str = BRIGHT) -> list[str]:
        """The payments that were made at Stripe for refills."""
        space = self.pretend.control.state()["spaces"].get(f"{account}:test", {})
        return [each["id"] for each in space.get("payment_intent", {}).values() if _is_refill(each)]

    def asked(self, account: str = BRIGHT) -> int:
        """How many payments for refills were made at Stripe, paid or not."""
        return len(self.intents(account))


def _is_refill(intent: Any) -> bool:
    return str(intent["metadata"].get("rebill", "")).startswith("rfl_")
