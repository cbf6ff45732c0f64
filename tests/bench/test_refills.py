"""What the bench of refills counts, and the wallets that it counts among, are what they should be."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.refilling import RICH_MICROS, RULE, Refilling
from bench.refills import searching
from chalicelib.settings import _parameter_store
from chalicelib.storage import refills, wallets
from chalicelib.storage.tables import WalletItem
from local.pretend_stripe import PretendStripe
from local.stack import Stack
from local.template import client
from tests.conftest import STAGE


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendStripe]:
    """The pretend Stripe; the product forgets its address and keys when the test is over."""
    for name in ("REBILL_STRIPE_API_ADDRESS", "REBILL_STRIPE_CONNECT_ADDRESS", "NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    _parameter_store().clear_cache()  # type: ignore[no-untyped-call]  # the library has no types here
    with PretendStripe() as server:
        yield server
    _parameter_store().clear_cache()  # type: ignore[no-untyped-call]  # the same


def test_the_wallets_among_which_it_is_measured_are_the_products_own_and_only_the_due_ones_are_due(
    store: Stack, pretend: PretendStripe
) -> None:
    world = Refilling(store.endpoint_url, STAGE, pretend)  # refuses to begin where a seed differs from the product's

    assert list(world.add(30)) == [25, 30]
    assert wallets.due_for_refill(100) == []
    due = world.client(RULE.threshold_micros)
    assert wallets.due_for_refill(100) == [due]

    watched = [item.owner_id for item in WalletItem.scan() if item.refill_shard]
    models = (RICH_MICROS, RICH_MICROS + 1)
    expected = [RULE.threshold_micros, *models, *(RICH_MICROS + number for number in range(30))]
    assert sorted(wallets.get_wallet(owner).balance_micros for owner in watched) == sorted(expected)
    assert {refills.get_standing(owner).state().value for owner in watched} == {"ok"}


def test_a_page_of_a_search_costs_its_items_together_and_half_of_it_where_it_may_be_a_moment_old(store: Stack) -> None:
    dynamodb = client(store.endpoint_url, "dynamodb")
    table = f"rebill-{STAGE}-accounts"
    for number in range(5):
        item = {"pk": {"S": "ws_1"}, "sk": {"S": f"{number}"}, "name": {"S": "x" * (1_000 - 13)}}  # 1,000 bytes
        dynamodb.put_item(TableName=table, Item=item)
    of: dict[str, Any] = {"TableName": table, "KeyConditionExpression": "pk = :pk"}
    five, none = ({"ExpressionAttributeValues": {":pk": {"S": name}}} for name in ("ws_1", "ws_2"))

    with searching([dynamodb]) as found:
        dynamodb.query(**of, **five)
        dynamodb.query(**of, **five, ConsistentRead=True)
        dynamodb.query(**of, **five, Limit=4)
        dynamodb.query(**of, **none)
        dynamodb.scan(TableName=table)
        with pytest.raises(RuntimeError, match="filter"):
            dynamodb.scan(TableName=table, FilterExpression="attribute_exists(name)")

    assert found == [(table, 1.0), (table, 2.0), (table, 0.5), (table, 0.5), (table, 1.0)]
