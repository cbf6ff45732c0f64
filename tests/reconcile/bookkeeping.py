"""An agency's books after a busy day, a hand that writes into the store behind the product's back, and a look at it."""

from copy import copy
from typing import Any

import stripe as sdk

from chalicelib.clock import now_ms
from chalicelib.domain.reconcile import Difference
from chalicelib.flows.reconcile import Report, reconcile
from chalicelib.settings import settings
from tests.aws import aws
from tests.payments.conftest import BRIGHT, Paying
from tests.refills.refilling import Refilling

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
Item = dict[str, dict[str, str]]


class Bookkeeping:
    """`client` has calls, a top-up, a refill and a credit; `sibling` a top-up; the workspace a top-up and a credit."""

    def __init__(self, paying: Paying) -> None:
        self.paying, self.world, self.pretend = paying, paying.world, paying.pretend
        self.refilling = Refilling(paying)
        self.workspace = self.refilling.workspace
        self.client = self.refilling.client()
        self.refilling.use(self.client, 300)
        self.refilling.tick()
        self.sibling = self.world.sub_account(self.workspace, "0.15", name="Harbor Plumbing")
        self.payment = self.buy(self.client, "25.00", "first-top-up")
        self.siblings_payment = self.buy(self.sibling, "30.00", "first-top-up")
        self.workspaces_payment = self.buy(self.workspace, "100.00", "first-top-up")

    def again(self, paying: Paying) -> "Bookkeeping":
        """The same day in another world that has gone back to its end."""
        paying.world.api_key = self.world.api_key
        books = copy(self)
        books.paying, books.world, books.pretend = paying, paying.world, paying.pretend
        books.refilling = self.refilling.again(paying)
        return books

    def buy(self, owner: str, amount: str, key: str, settle: bool = True) -> str:
        """Somebody pays; the PaymentIntent. Without `settle` nobody tells us."""
        intent = self.paying.pay(self.paying.top_up(owner, amount, key))
        if settle:
            self.paying.deliver()
        else:
            self.pretend.control.take()
        return intent

    def look(self, hours: float = 1, days: int = 3) -> Report:
        """What reconciling finds when so many hours have gone by, in the books of all these days."""
        at_ms = now_ms() + int(hours * HOUR_MS)
        return reconcile([self.workspace], at_ms - days * DAY_MS, at_ms)

    def only(self, **when: float) -> Difference:
        """The one difference that there is."""
        found = self.look(**when).differences  # type: ignore[arg-type]  # hours and days
        assert len(found) == 1, found
        return found[0]

    # Behind the product's back

    def rows(self, table: str) -> list[Item]:
        found: list[Item] = aws("dynamodb").scan(TableName=settings().table_name(table), ConsistentRead=True)["Items"]
        return found

    def entry(self, prefix: str, which: int = 0) -> Item:
        """The entry whose key begins so."""
        found = sorted(
            (row for row in self.rows("entries") if row["pk"]["S"].startswith(prefix) and "#" not in row["sk"]["S"]),
            key=lambda row: row["sort_id"]["S"],
        )
        return found[which]

    def put(self, table: str, row: Item, **values: str | int) -> None:
        aws("dynamodb").put_item(TableName=settings().table_name(table), Item={**row, **_attributes(values)})

    def delete(self, table: str, row: Item, *names: str) -> None:
        key = {name: row[name] for name in names or ("pk", "sk")}
        aws("dynamodb").delete_item(TableName=settings().table_name(table), Key=key)

    def move_balance(self, owner: str, micros: int) -> None:
        aws("dynamodb").update_item(
            TableName=settings().table_name("wallets"),
            Key={"owner_id": {"S": owner}},
            UpdateExpression="ADD balance_micros :m, headroom_micros :m",
            ExpressionAttributeValues={":m": {"N": str(micros)}},
        )

    def at_stripe(self, kind: str, account: str = BRIGHT) -> dict[str, Any]:
        """Stripe's own objects of a kind on an account, to be changed in place."""
        found: dict[str, Any] = self.pretend.control.state()["spaces"][f"{account}:test"][kind]
        return found

    def pay_a_stranger(self, account: str | None = BRIGHT, **params: Any) -> str:
        """The account's owner takes 42.00 for something else; the PaymentIntent."""
        client = sdk.StripeClient(
            self.pretend.platform_key,
            base_addresses=self.pretend.base_addresses,  # type: ignore[arg-type]  # a TypedDict in all but name
        )
        paid = client.v1.payment_intents.create(
            {
                "amount": 4200,
                "currency": "usd",
                "payment_method": "pm_card_visa",
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                **params,  # type: ignore[typeddict-item]  # what a test adds
            },
            {"stripe_account": account} if account else None,
        )
        self.pretend.control.take()
        return paid.id


def _attributes(values: dict[str, str | int]) -> Item:
    return {name: {"S": v} if isinstance(v, str) else {"N": str(v)} for name, v in values.items()}
