"""Every door that moves money, asked the same again, answers the very same bytes."""

import pytest

from chalicelib.web.doors import Door
from chalicelib.web.every_door import DOORS
from tests.people.callers import Stage, send
from tests.web.examples import name_of

MONEY = [door for door in DOORS if "Idempotency-Key" in door.headers]


def test_balance_payments_and_cards_are_asked_for_with_a_key_of_the_callers() -> None:
    parts = {door.path.rpartition("/wallet/")[2] for door in MONEY if "/wallet/" in door.path}

    assert parts >= {"credits", "top-ups", "payment-method", "backup-payment-method"}


@pytest.mark.parametrize("door", MONEY, ids=name_of)
def test_the_same_request_gets_the_very_same_bytes_again(stage: Stage, door: Door) -> None:
    values = {"sub_account_id": stage.sibling} if door.path.endswith("/close") else {}  # others go on with the client
    request, token = stage.request(door, values), stage.scene.world.api_key
    key = name_of(door).replace(" ", "_")

    first, second = (send(stage.scene.world, request, token, **{"Idempotency-Key": key}) for _ in range(2))

    assert first.status in (200, 201), first.text
    assert (second.status, second.text) == (first.status, first.text)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
