"""The wallets of the tick: those that are due are made by the product alone, all others as it would have left them."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench.hot import FILL_BATCH, FILL_THREADS, plain_client
from bench.naive import Item
from chalicelib.clock import now_ms
from chalicelib.domain.accounts import GatePolicy
from chalicelib.domain.payments import Connection, ConnectionState
from chalicelib.domain.refill import RefillRule
from chalicelib.domain.standing import Standing
from chalicelib.flows.configure import create_sub_account, create_workspace
from chalicelib.flows.give_credit import give_credit
from chalicelib.flows.ids import new_id_inside
from chalicelib.flows.save_card import follow_card, save_card
from chalicelib.flows.set_refill_rule import set_rule
from chalicelib.settings import STRIPE_PARAMETERS
from chalicelib.storage import connections, refills, wallets
from chalicelib.storage.tables import PaymentItem, WalletItem
from local.pretend_stripe import PretendStripe
from local.stack import HOST
from local.template import client

DUE = 10
RICH_MICROS, POOR_MICROS = 25_123_457, 5_123_457  # never rounder than real balances are: zeros would cost nothing
# A wallet that has been refilled sleeps until the bench is over: it must not be work of the next round's.
RULE = RefillRule(enabled=True, cooldown_seconds=86_400)
ACCOUNT = "acct_1PretendBrightVoice"
BASE_URL = "https://bench.example"


class Refilling:
    """A connected agency whose clients refill themselves; those that are due are made by the product alone."""

    def __init__(self, endpoint_url: str, stage: str, pretend: PretendStripe) -> None:
        _use(endpoint_url, stage, pretend)
        self._pretend = pretend
        self._dynamodb = plain_client(endpoint_url)
        self._workspace_id = create_workspace("Acme Voice", "usd", "owner@acme.example", GatePolicy(), 0).id
        pretend.control.connect(ACCOUNT)
        link = Connection(
            self._workspace_id, 1, ACCOUNT, "Bright", False, True, ConnectionState.CONNECTED, connected_at_ms=now_ms()
        )
        connections.link(None, link)
        self._model = self._stored_wallet(self.client(RICH_MICROS))
        self._check_seed()

    def client(self, balance_micros: int) -> str:
        """A client with this balance, a saved card, and a rule that is on."""
        owner = create_sub_account(self._workspace_id, "Bright Dental", 0)
        give_credit(owner.id, balance_micros, "for the bench", "bench")
        session = save_card(owner, "bench", BASE_URL).rpartition("/")[2].partition("#")[0]
        self._pretend.control.pay(session)
        follow_card(session)
        set_rule(owner, RULE, confirm_charge_now=True)
        return owner.id

    def make_due(self) -> None:
        """Ten more clients below their threshold."""
        for _ in range(DUE):
            self.client(POOR_MICROS)

    def add(self, count: int) -> Iterator[int]:
        """So many wallets more that are above their threshold, written straight into the store; yields how many are."""
        names = {"wallet": WalletItem.Meta.table_name, "standing": PaymentItem.Meta.table_name}

        def put(first: int) -> int:
            made = [self._seed(number) for number in range(first, min(first + FILL_BATCH, count))]
            for kind, name in names.items():
                puts = [{"PutRequest": {"Item": each[kind]}} for each in made]
                if self._dynamodb.batch_write_item(RequestItems={name: puts}).get("UnprocessedItems"):
                    raise RuntimeError("The store did not take a whole batch")
            return len(made)

        added = 0
        with ThreadPoolExecutor(FILL_THREADS) as pool:
            for done in pool.map(put, range(0, count, FILL_BATCH)):
                added += done
                yield added

    def _seed(self, number: int) -> dict[str, Item]:
        owner = new_id_inside("sa", self._workspace_id)
        return seed(self._model, owner, RICH_MICROS + number, now_ms())

    def _check_seed(self) -> None:
        """What is written straight into the store is what the product writes, to the last byte."""
        owner = self.client(RICH_MICROS + 1)
        agreed_ms = refills.get_standing(owner).rule.consented_at_ms or 0
        key = {"pk": {"S": owner}, "sk": {"S": refills.STANDING}}
        standing = self._dynamodb.get_item(TableName=PaymentItem.Meta.table_name, Key=key)["Item"]
        stored = {"wallet": self._stored_wallet(owner), "standing": standing}
        if seed(self._model, owner, RICH_MICROS + 1, agreed_ms) != stored:
            raise RuntimeError(f"The seeds are not what the product writes: {json.dumps(stored)}")

    def _stored_wallet(self, owner: str) -> Item:
        found: Item = self._dynamodb.get_item(
            TableName=WalletItem.Meta.table_name, Key={"owner_id": {"S": owner}}, ConsistentRead=True
        )["Item"]
        return found


def seed(model: Item, owner: str, balance_micros: int, agreed_ms: int) -> dict[str, Item]:
    """The two items of a wallet with a rule, after the model of a wallet that the product wrote."""
    no_rule = Standing(owner)
    standing = no_rule.with_rule(replace(RULE, consented_at_ms=agreed_ms), agreed_ms)
    put = refills._standing_put(no_rule, standing)
    watched = wallets.watched(owner, None, RULE.threshold_micros)["ExpressionAttributeValues"]
    own = {
        "owner_id": {"S": owner},
        "balance_micros": {"N": str(balance_micros)},
        "headroom_micros": {"N": str(balance_micros - RULE.threshold_micros)},
        "refill_shard": watched[":shard"],
    }
    return {"wallet": {**model, **own}, "standing": put["Item"]}


def _use(endpoint_url: str, stage: str, pretend: PretendStripe) -> None:
    """Our code takes the pretend Stripe for Stripe, from now on."""
    keys = dict.fromkeys(STRIPE_PARAMETERS, "not used") | {"secret-key": pretend.platform_key}
    for name, value in keys.items():
        path = f"/rebill/{stage}/stripe/{name}"
        client(endpoint_url, "ssm").put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)
    api, connect = pretend.base_addresses["api"], pretend.base_addresses["connect"]
    os.environ.update(
        REBILL_STRIPE_API_ADDRESS=api, REBILL_STRIPE_CONNECT_ADDRESS=connect, NO_PROXY=HOST, no_proxy=HOST
    )
