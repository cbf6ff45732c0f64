"""What the tests of payments do and look at again and again."""

import random
from typing import Any

import stripe as sdk

from chalicelib.settings import settings
from tests.aws import aws, queue_url
from tests.payments.conftest import Paying

REFUND_FAILS, REFUND_PENDS = "4000000000005126", "4000000000007726"


def paid_fifty(paying: Paying, owner: str, key: str = "k1", number: str = "4242424242424242") -> str:
    """An owner pays 50, and the wallet has it: the PaymentIntent."""
    intent = paying.pay(paying.top_up(owner, "50.00", key=key), number)
    paying.deliver()
    return intent


def said_again(paying: Paying, order: int) -> None:
    """Stripe delivers everything that it has ever said once more, in an order of its own."""
    paying.pretend.control.redeliver()
    said = paying.pretend.control.take()
    random.Random(order).shuffle(said)
    paying.deliver(said)


def everything_stored() -> dict[str, Any]:
    """Every item of every table, and how many messages wait."""
    tables = aws("dynamodb").list_tables()["TableNames"]
    items = {name: sorted(map(str, aws("dynamodb").scan(TableName=name)["Items"])) for name in tables}
    url, names = queue_url(settings().payments_queue), ["ApproximateNumberOfMessages"]
    return items | aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]


def own_sale(paying: Paying, account: str, amount: int = 5000, **more: Any) -> str:
    """The account's owner takes a payment of its own, with its own key: the PaymentIntent."""
    token = paying.pretend.control.connect(account)
    addresses: Any = paying.pretend.base_addresses
    shop = sdk.StripeClient(token, base_addresses=addresses)
    params: Any = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    return str(shop.v1.payment_intents.create({**params, **more}).id)
