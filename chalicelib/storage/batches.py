"""Many items by their keys: a hundred to a trip, several trips at once."""

from collections.abc import Sequence
from typing import Any

from chalicelib.domain.errors import Unavailable
from chalicelib.storage.items import together
from chalicelib.storage.tables import connection, store_trouble_is_ours

MOST_KEYS, MOST_TRIPS = 100, 20  # of one BatchGetItem, which may leave keys for the next one

Raw = dict[str, Any]  # an item, or its key, as DynamoDB writes it


def get_all(keys: Sequence[tuple[str, Raw]], consistent: bool = False) -> dict[str, list[Raw]]:
    """The items that exist among (table, key), by their table and in no order.

    Raises:
        Unavailable: the store did not answer in full.
    """
    chunks = [keys[start : start + MOST_KEYS] for start in range(0, len(keys), MOST_KEYS)]
    found: dict[str, list[Raw]] = {}
    with together() as reads:
        begun = [reads.begin(_get, chunk, consistent) for chunk in chunks]
    for read in begun:
        for table, items in read.result().items():
            found.setdefault(table, []).extend(items)
    return found


def _get(keys: Sequence[tuple[str, Raw]], consistent: bool) -> dict[str, list[Raw]]:
    found: dict[str, list[Raw]] = {}
    request: dict[str, Raw] = {}
    for table, key in keys:
        request.setdefault(table, {"Keys": [], "ConsistentRead": consistent})["Keys"].append(key)
    for _ in range(MOST_TRIPS):
        with store_trouble_is_ours():
            answer: Raw = connection().dispatch("BatchGetItem", {"RequestItems": request})
        for table, items in answer["Responses"].items():
            found.setdefault(table, []).extend(items)
        request = answer.get("UnprocessedKeys") or {}
        if not request:
            return found
    raise Unavailable("The wallet store")
