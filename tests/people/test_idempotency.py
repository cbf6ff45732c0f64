"""Whatever moves money, asked twice: the very same answer, and nothing done twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine

from chalicelib.flows import give_credit
from chalicelib.storage.tables import AccountItem
from chalicelib.web import idempotency
from tests.aws import aws
from tests.people.callers import enter
from tests.web.examples import problem_of
from tests.world import Answer, World

REQUESTS = "rebill-test-requests"


def credit(world: World, owner: str, amount: str = "25.00", key: str = "order-7", token: str = "") -> Answer:
    path = f"/v1/workspaces/{owner}/wallet/credits"
    body = {"amount": amount, "note": "paid by bank transfer"}
    return world.call("POST", path, body, headers={"Idempotency-Key": key}, key=token)


def test_another_body_under_the_same_key_is_refused_by_name(world: World) -> None:
    workspace = world.workspace()
    credit(world, workspace)

    answer = credit(world, workspace, "30.00")

    told = problem_of(answer)
    assert (answer.status, told["code"], told["param"]) == (422, "idempotency_key_reused", "Idempotency-Key")
    assert world.balance(workspace) == "25.000000"


def test_a_refusal_is_not_kept_and_the_same_key_may_be_used_for_the_right_request(world: World) -> None:
    workspace = world.workspace()
    path, headers = f"/v1/workspaces/{workspace}/wallet/credits", {"Idempotency-Key": "order-7"}
    wrong = {"amount": "25.00", "note": "paid", "currency": "eur"}

    refused = world.call("POST", path, wrong, headers=headers)
    given = world.call("POST", path, {**wrong, "currency": "usd"}, headers=headers)

    assert (refused.status, problem_of(refused)["code"]) == (422, "wrong_currency")
    assert given.status == 201


def test_our_own_trouble_is_not_kept_and_the_retry_succeeds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.domain.errors import Unavailable
    from chalicelib.web.routes import wallets

    def fail(*_: Any) -> None:
        raise Unavailable("The wallet store")

    workspace = world.workspace()
    with monkeypatch.context() as broken:
        broken.setattr(wallets, "give_credit", fail)
        first = credit(world, workspace)
    second = credit(world, workspace)

    assert (first.status, second.status) == (503, 201)
    assert world.balance(workspace) == "25.000000"


def test_an_answer_that_could_not_be_kept_is_given_all_the_same_and_nothing_happens_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError

    workspace = world.workspace()
    with monkeypatch.context() as broken:
        broken.setattr(idempotency._kept_answers(), "save_success", fail)
        first = credit(world, workspace)
    with time_machine.travel("2099-01-01T00:00:00Z"):  # the twin that never came back is given up
        second = credit(world, workspace)

    assert (first.status, second.status) == (201, 201)
    assert world.balance(workspace) == "25.000000"


def test_a_twin_that_stays_under_way_is_a_409_that_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.web.routes import wallets

    monkeypatch.setattr(idempotency, "PATIENCE_SECONDS", 0.2)
    workspace, begun, may_end = world.workspace(), threading.Event(), threading.Event()

    def slow(*known: Any) -> Any:
        begun.set()
        assert may_end.wait(20)
        return give_credit.give_credit(*known)

    monkeypatch.setattr(wallets, "give_credit", slow)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(credit, world, workspace)
        assert begun.wait(20)
        second = credit(world, workspace)
        may_end.set()

    assert (second.status, problem_of(second)["code"]) == (409, "idempotency_key_in_use")
    assert first.result().status == 201
    assert credit(world, workspace).text == first.result().text


def test_another_path_and_another_caller_have_keys_of_their_own(world: World) -> None:
    workspace, neighbour = world.workspace(), world.workspace()
    client = world.sub_account(workspace)
    token = enter(world, "owner@acme.example", workspace)
    path = f"/v1/sub-accounts/{client}/wallet/credits"
    body, headers = {"amount": "5.00", "note": "goodwill"}, {"Idempotency-Key": "order-7"}

    assert credit(world, workspace).json["id"] != credit(world, neighbour, "26.00").json["id"]
    assert world.call("POST", path, body, headers=headers).status == 201
    other = world.call("POST", path, {**body, "amount": "6.00"}, headers=headers, key=token)
    assert (other.status, problem_of(other)["code"]) == (422, "idempotency_key_reused")  # the ledger's own key
    assert world.balance(client) == "5.000000"


def test_an_answer_is_kept_for_a_day_at_least_and_goes_by_itself(world: World) -> None:
    with time_machine.travel("2026-06-01T08:00:00Z", tick=False) as clock:
        workspace = world.workspace()
        first = credit(world, workspace)
        clock.shift(25 * 3600)
        again = credit(world, workspace)
        (kept,) = aws("dynamodb").scan(TableName=REQUESTS)["Items"]
        expires_at = int(kept["expiration"]["N"])

    assert again.text == first.text
    assert expires_at == 1780300800 + idempotency.KEPT_SECONDS
    described = aws("dynamodb").describe_time_to_live(TableName=REQUESTS)["TimeToLiveDescription"]
    assert (described["AttributeName"], described["TimeToLiveStatus"]) == ("expiration", "ENABLED")


def test_one_time_links_and_ended_sessions_go_by_themselves_too(world: World) -> None:
    described = aws("dynamodb").describe_time_to_live(TableName=AccountItem.Meta.table_name)["TimeToLiveDescription"]

    assert (described["AttributeName"], described["TimeToLiveStatus"]) == ("expires_at", "ENABLED")
