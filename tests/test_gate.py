"""The gate: may the next call start, and for how long? A no always names whose trouble it is; ours is never a no."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from chalicelib.flows import authenticate
from chalicelib.storage.accounts import WORKSPACE
from chalicelib.storage.tables import AccountItem
from local.stack import Stack
from tests.aws import copy_tables
from tests.calls import call, moment
from tests.conftest import STAGE
from tests.web.examples import problem_of
from tests.world import Answer, World

ROOT = Path(__file__).parents[1]
# A process that asks the gate once, as a fresh Lambda does, and tells what came of it and what it had imported.
ASK_ONCE = """
import json, sys
from chalice.config import Config
from chalice.local import LocalGateway
from app import app
path, key = sys.argv[1:]
answer = LocalGateway(app, Config()).handle_request("GET", path, {"authorization": "Bearer " + key}, b"")
found = {"status": answer["statusCode"], "headers": answer["headers"], "body": json.loads(answer["body"])}
found["imported"] = sorted({name.partition(".")[0] for name in sys.modules})
print("answer:", json.dumps(found))
"""


@pytest.mark.parametrize(
    ("workspace_pays", "client_pays", "price", "max_seconds"),
    [
        # Both can pay for hours: the longest call that is allowed.
        ("100.00", "20.00", "0.15", 3600),
        # 1.00 / 0.07 a minute = 857.14 s: 857 s cost 0.999833, 858 s would cost 1.001000.
        ("1.00", "20.00", "0.15", 857),
        # 2.00 / 0.15 a minute = 800 s exactly. The workspace's 1.00 pays for 857 s, though it is less money.
        ("1.00", "2.00", "0.15", 800),
        # At 0.10 a minute the same 2.00 pay for 1200 s: now the workspace's is the poorer one.
        ("1.00", "2.00", "0.10", 857),
        # 4.20 / 0.07 a minute = 3600 s, the cap to the second; one micro less is one second less.
        ("4.20", "20.00", "0.15", 3600),
        ("4.199999", "20.00", "0.15", 3599),
        # 9.00 / 0.15 a minute = 3600 s.
        ("100.00", "9.00", "0.15", 3600),
        ("100.00", "8.999999", "0.15", 3599),
    ],
)
def test_a_call_may_last_as_long_as_the_poorer_wallet_can_pay_at_its_own_price(
    world: World, workspace_pays: str, client_pays: str, price: str, max_seconds: int
) -> None:
    _, client = _agency_and_client(world, workspace_pays, client_pays, price)

    answer = world.get(_access(client))

    assert answer["object"] == "access"
    assert answer["allowed"] is True
    assert answer["max_seconds"] == max_seconds
    assert answer["sub_account_pays"] is True
    assert answer["decision_id"].startswith("gte_")


def test_whole_minutes_and_the_fee_for_connecting_are_reckoned_with(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "1.00", price=None)
    voice = {"price_per_minute": "0.15", "connect_fee": "0.02"}
    minutes = {"initial_increment_seconds": 60, "increment_seconds": 60}
    world.put(_rebilling(client), {"enabled": True, "voice": {**voice, **minutes}})

    answer = world.get(_access(client))

    # 0.02 and six minutes are 0.92; the first second of the seventh would make it 1.07.
    assert answer["max_seconds"] == 360


def test_a_markup_is_reckoned_on_the_cost(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "1.00", price=None)
    world.put(_rebilling(client), {"enabled": True, "voice": {"price_type": "markup", "markup_percent": 50}})

    answer = world.get(_access(client))

    # 0.07 and half of it are 0.105 a minute: 571 s cost 0.99925, 572 s would cost 1.001.
    assert answer["max_seconds"] == 571


def test_the_workspaces_own_longest_call_is_the_cap(world: World) -> None:
    workspace = world.workspace(gate={"min_start_seconds": 60, "max_call_seconds": 900})
    client = world.sub_account(workspace, "0.15")
    world.credit(workspace, "100.00")
    world.credit(client, "20.00")

    answer = world.get(_access(client))

    assert answer["max_seconds"] == 900


def test_without_re_billing_the_clients_empty_wallet_does_not_count(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    world.credit(workspace, "1.00")

    never_set = world.get(_access(client))
    world.rebill(client, "0.15")
    while_on = world.call("GET", _access(client))
    world.rebill(client, None)
    turned_off = world.get(_access(client))

    assert (never_set["max_seconds"], never_set["sub_account_pays"]) == (857, False)
    assert while_on.status == 403
    assert (turned_off["max_seconds"], turned_off["sub_account_pays"]) == (857, False)
    assert turned_off["wallets"] == {"workspace": "low", "sub_account": "ok"}  # it pays nothing, so it stops nothing


def test_what_the_agency_absorbs_does_not_count_against_the_clients_empty_wallet(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    world.credit(workspace, "1.00")
    world.put(_rebilling(client), {"enabled": True, "voice": {"price_type": "absorb"}})

    answer = world.get(_access(client))

    assert (answer["max_seconds"], answer["sub_account_pays"]) == (857, False)


def test_voice_that_is_deliberately_not_billed_does_not_count_either(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    world.credit(workspace, "1.00")
    chat = {"chat": {"price_per_unit": "0.02"}}
    world.put(_rebilling(client), {"enabled": True, "voice": {"enabled": False}, "meters": chat})

    answer = world.get(_access(client))

    assert (answer["max_seconds"], answer["sub_account_pays"]) == (857, False)


def test_an_empty_workspace_wallet_stops_every_client_of_it(world: World) -> None:
    workspace = world.workspace()
    re_billed, not_re_billed = world.sub_account(workspace, "0.15"), world.sub_account(workspace)
    world.credit(re_billed, "20.00")

    answers = [world.call("GET", _access(client)) for client in (re_billed, not_re_billed)]

    for answer in answers:
        _is_denied(answer, "workspace_wallet_empty", "workspace")


def test_an_empty_sub_account_wallet_stops_that_client_and_not_its_neighbour(world: World) -> None:
    workspace, client = _agency_and_client(world, "100.00", None)
    neighbour = world.sub_account(workspace, "0.15")
    world.credit(neighbour, "20.00")

    denied, allowed = (world.call("GET", _access(each)) for each in (client, neighbour))

    _is_denied(denied, "sub_account_wallet_empty", "sub_account")
    assert denied.json["wallets"] == {"workspace": "ok", "sub_account": "empty"}
    assert allowed.status == 200


def test_a_wallet_that_calls_have_taken_below_zero_starts_no_more_calls_until_it_is_filled_again(
    world: World,
) -> None:
    _, client = _agency_and_client(world, "100.00", "0.15")
    world.report(call(client, seconds=120))
    world.drain()

    before = world.call("GET", _access(client))
    world.credit(client, "0.15", key="back-to-zero")
    at_zero = world.call("GET", _access(client))
    world.credit(client, "0.15", key="a-minute-more")
    after = world.call("GET", _access(client))

    _is_denied(before, "sub_account_wallet_empty", "sub_account")
    _is_denied(at_zero, "sub_account_wallet_empty", "sub_account")
    assert (after.status, after.json["max_seconds"]) == (200, 60)


@pytest.mark.parametrize(
    ("workspace_pays", "client_pays", "code", "scope"),
    [
        # A minute costs 0.07 and 0.15: a micro less does not pay for the 60 s that a call must be able to last.
        ("0.069999", "20.00", "workspace_wallet_empty", "workspace"),
        ("100.00", "0.149999", "sub_account_wallet_empty", "sub_account"),
        ("0.069999", "0.149999", "workspace_wallet_empty", "workspace"),
        ("0.07", "0.15", None, None),
    ],
)
def test_a_call_that_could_not_even_last_a_minute_does_not_start(
    world: World, workspace_pays: str, client_pays: str, code: str | None, scope: str | None
) -> None:
    _, client = _agency_and_client(world, workspace_pays, client_pays)

    answer = world.call("GET", _access(client))

    if code is None:
        assert (answer.status, answer.json["max_seconds"]) == (200, 60)
    else:
        _is_denied(answer, code, scope)
        assert answer.json["wallets"][scope] == "empty"  # a little is left, and yet it stops the call


def test_how_long_a_call_must_at_least_be_able_to_last_is_the_workspaces_to_say(world: World) -> None:
    clients = []
    for least in (1, 40, 41, 42, 600):
        workspace = world.workspace(gate={"min_start_seconds": least, "max_call_seconds": 3600})
        clients.append(world.sub_account(workspace, "0.15"))
        world.credit(workspace, "100.00")
        world.credit(clients[-1], "0.1025")  # at 0.15 a minute: 41 s

    answers = [world.call("GET", _access(client)) for client in clients]

    assert [answer.status for answer in answers] == [200, 200, 200, 403, 403]
    assert [answer.json["max_seconds"] for answer in answers[:3]] == [41, 41, 41]


def test_a_credit_limit_is_spent_after_the_balance(world: World) -> None:
    workspace = world.workspace(credit_limit="5.00", gate={"min_start_seconds": 60, "max_call_seconds": 7200})
    client = world.sub_account(workspace, "0.15", credit_limit="1.00")

    on_credit = world.get(_access(client))
    world.report(call(client, seconds=240))
    world.drain()
    after_a_call = world.get(_access(client))
    world.report(call(client, "call_2", seconds=160))
    world.drain()
    exhausted = world.call("GET", _access(client))

    # 1.00 at 0.15 a minute is 400 s; after a call of 240 s (0.60) 160 s are left, and then nothing.
    assert on_credit["max_seconds"] == 400
    assert after_a_call["max_seconds"] == 160
    _is_denied(exhausted, "sub_account_wallet_empty", "sub_account")


def test_a_workspaces_credit_limit_pays_for_calls_too(world: World) -> None:
    workspace = world.workspace(credit_limit="5.00", gate={"min_start_seconds": 60, "max_call_seconds": 7200})
    client = world.sub_account(workspace)

    answer = world.get(_access(client))

    # 5.00 / 0.07 a minute = 4285.7 s.
    assert answer["max_seconds"] == 4285


def test_re_billing_without_a_price_for_voice_starts_no_call_until_somebody_says_what_it_costs(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00", price=None)
    world.put(_rebilling(client), {"enabled": True, "meters": {"chat": {"price_per_unit": "0.02"}}})

    answer = world.call("GET", _access(client))

    _is_denied(answer, "price_missing", "sub_account")


@pytest.mark.parametrize(("paused", "code"), [("workspace", "workspace_paused"), ("sub_account", "sub_account_paused")])
def test_a_paused_account_starts_no_calls_however_full_its_wallet_is(world: World, paused: str, code: str) -> None:
    workspace, client = _agency_and_client(world, "100.00", "20.00")
    item = AccountItem.get(workspace, WORKSPACE if paused == "workspace" else client)
    item.update([AccountItem.status.set("paused")])

    answer = world.call("GET", _access(client))

    _is_denied(answer, code, paused)
    assert answer.json["wallets"][paused] == "frozen"
    assert world.wallet(workspace if paused == "workspace" else client)["status"] == "frozen"


def test_a_pause_counts_before_an_empty_wallet_and_the_workspaces_before_the_clients(world: World) -> None:
    workspace, client = _agency_and_client(world, None, None)
    for key in (WORKSPACE, client):
        AccountItem.get(workspace, key).update([AccountItem.status.set("paused")])

    answer = world.call("GET", _access(client))

    _is_denied(answer, "workspace_paused", "workspace")


def test_the_price_of_now_decides_not_the_one_that_was_announced_for_tomorrow(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "1.50", price="0.15")
    dear = {"enabled": True, "voice": {"price_per_minute": "1.50"}, "effective_at": moment(3600)}
    world.put(_rebilling(client), dear)

    answer = world.get(_access(client))

    assert answer["max_seconds"] == 600


@pytest.mark.parametrize("unknown", ["sa_unknown", "sa_nobody_nothing", "ws_nobody", "x", "%00", "a%2Fb"])
def test_a_sub_account_that_does_not_exist_is_not_found_and_that_is_not_a_no(world: World, unknown: str) -> None:
    answer = world.call("GET", _access(unknown))

    assert answer.status == 404
    assert problem_of(answer)["code"] == "not_found"


def test_a_sub_account_of_an_agency_that_exists_but_has_no_such_client_is_not_found(world: World) -> None:
    workspace = world.workspace()
    world.credit(workspace, "100.00")

    answer = world.call("GET", _access(f"sa_{workspace.removeprefix('ws_')}_nobody"))

    assert answer.status == 404


def test_the_voice_endpoint_of_an_agency_is_not_one_of_its_clients(world: World) -> None:
    workspace = world.workspace()
    world.credit(workspace, "100.00")
    endpoint = world.endpoint(workspace, "cloudevents")

    answer = world.call("GET", _access(endpoint["id"]))

    assert answer.status == 404


def test_asking_changes_nothing_and_every_answer_can_be_told_apart(world: World) -> None:
    workspace, client = _agency_and_client(world, "100.00", "20.00")

    answers = [world.get(_access(client)) for _ in range(5)]

    assert len({answer.pop("decision_id") for answer in answers}) == 5
    assert answers == [answers[0]] * 5
    assert world.balance(workspace) == "100.000000"
    assert world.balance(client) == "20.000000"


def nobody_there(request: Any) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url=request.url)


def hung_up(request: Any) -> AWSResponse:
    raise ConnectionClosedError(endpoint_url=request.url)


def silence(request: Any) -> AWSResponse:
    raise ReadTimeoutError(endpoint_url=request.url)


def broken_line(request: Any) -> AWSResponse:
    raise HTTPClientError(error="the line broke")


def throttled(request: Any) -> AWSResponse:
    return _store_says(request, 400, {"__type": "com.amazonaws.dynamodb#ThrottlingException", "message": "slow down"})


def store_in_trouble(request: Any) -> AWSResponse:
    return _store_says(request, 500, {"__type": "com.amazonaws.dynamodb#InternalServerError", "message": "oh"})


def no_right_to_read(request: Any) -> AWSResponse:
    return _store_says(request, 400, {"__type": "com.amazonaws.dynamodb#AccessDeniedException", "message": "no"})


def half_an_answer(request: Any) -> AWSResponse:
    """DynamoDB's way of saying that it did not get round to all of a batch: here, to none of it."""
    asked = json.loads(request.body)["RequestItems"]
    return _store_says(request, 200, {"Responses": {}, "UnprocessedKeys": asked})


NO_KEY = (nobody_there, hung_up, silence, broken_line, throttled, store_in_trouble, no_right_to_read)
NO_WALLETS = (*NO_KEY, half_an_answer)


@pytest.mark.parametrize("trouble", NO_WALLETS)
def test_when_the_store_does_not_answer_the_gate_says_that_nobody_knows_and_never_no(
    world: World, trouble: Callable[[Any], AWSResponse]
) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00")
    world.get(_access(client))  # a warm key: the wallets are all that is read

    with store_that(trouble) as asked:
        answer = world.call("GET", _access(client))

    assert asked
    _is_our_trouble(answer)


@pytest.mark.parametrize("trouble", NO_KEY)
def test_when_even_the_key_cannot_be_looked_up_that_is_our_trouble_and_not_the_callers(
    world: World, trouble: Callable[[Any], AWSResponse]
) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00")
    authenticate.forget_trusted_keys()

    with store_that(trouble) as asked:
        answer = world.call("GET", _access(client))

    assert asked
    _is_our_trouble(answer)


def test_once_the_store_answers_again_so_does_the_gate(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00")

    with store_that(nobody_there):
        while_gone = world.call("GET", _access(client))
    afterwards = world.call("GET", _access(client))

    assert (while_gone.status, afterwards.status) == (503, 200)


def test_with_a_known_key_a_yes_asks_the_store_exactly_once_and_a_no_also_how_refills_stand(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00")
    poor = world.sub_account(world.workspace(), "0.15")
    world.get(_access(client))

    with requests_to_aws() as allowed:
        world.get(_access(client))
    with requests_to_aws() as denied:
        world.get(_access(poor), expect=403)

    assert allowed == ["DynamoDB_20120810.BatchGetItem"]
    assert denied == ["DynamoDB_20120810.BatchGetItem", "DynamoDB_20120810.GetItem"]


def test_a_fresh_process_reads_the_key_and_the_wallets_and_never_imports_stripe(world: World) -> None:
    _, client = _agency_and_client(world, "1.00", "2.00")

    with Stack() as stack:
        copy_tables(stack, STAGE)
        found = _ask_in_a_fresh_process(client, world.api_key, stack.endpoint_url)

    assert (found["status"], found["body"]["max_seconds"]) == (200, 800)
    assert "chalicelib" in found["imported"]
    assert "stripe" not in found["imported"]


def test_a_fresh_process_whose_store_is_really_not_there_answers_503(world: World) -> None:
    _, client = _agency_and_client(world, "100.00", "20.00")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: whoever comes is refused
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

        found = _ask_in_a_fresh_process(client, world.api_key, address)

    assert found["status"] == 503
    assert found["body"]["code"] == "unavailable"
    assert found["headers"]["Content-Type"] == "application/problem+json"
    assert found["headers"]["Retry-After"] == "2"


def _agency_and_client(
    world: World, workspace_pays: str | None, client_pays: str | None, price: str | None = "0.15"
) -> tuple[str, str]:
    """An agency at the usual cost of 0.07 a minute and a client of it; None leaves a wallet at zero."""
    workspace = world.workspace()
    client = world.sub_account(workspace, price)
    for owner, amount in ((workspace, workspace_pays), (client, client_pays)):
        if amount is not None:
            world.credit(owner, amount)
    return workspace, client


def _access(sub_account_id: str) -> str:
    return f"/v1/sub-accounts/{sub_account_id}/access"


def _rebilling(sub_account_id: str) -> str:
    return f"/v1/sub-accounts/{sub_account_id}/rebilling"


def _is_denied(answer: Answer, code: str | None, scope: str | None) -> None:
    assert answer.status == 403, answer.text
    told = problem_of(answer)
    assert (told["code"], told["scope"]) == (code, scope)
    assert told["decision_id"].startswith("gte_")
    assert told["top_up_url"] is None
    assert told["refill_state"] == "off"


def _is_our_trouble(answer: Answer) -> None:
    assert answer.status == 503, answer.text
    assert problem_of(answer)["code"] == "unavailable"
    assert answer.headers["retry-after"] == "2"


def _store_says(request: Any, status: int, body: dict[str, Any]) -> AWSResponse:
    answer = AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, None)
    answer._content = json.dumps(body).encode()
    return answer


class store_that:  # noqa: N801 - reads as a sentence where it is used
    """While it lasts, this is what comes of every request to AWS, and nobody waits before trying again."""

    def __init__(self, answer: Callable[[Any], AWSResponse]) -> None:
        self._answer = answer
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> list[str]:
        asked: list[str] = []

        def send(_: URLLib3Session, request: Any) -> AWSResponse:
            asked.append(request.url)
            return self._answer(request)

        self._patch.setattr(URLLib3Session, "send", send)
        self._patch.setattr(time, "sleep", lambda _: None)
        return asked

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


class requests_to_aws:  # noqa: N801 - reads as a sentence where it is used
    """Counts what really goes out to AWS, over whichever client."""

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> list[str]:
        seen: list[str] = []
        send = URLLib3Session.send

        def remember(session: URLLib3Session, request: Any) -> AWSResponse:
            target = request.headers.get("X-Amz-Target", b"")
            seen.append(target.decode() if isinstance(target, bytes) else target)
            return send(session, request)

        self._patch.setattr(URLLib3Session, "send", remember)
        return seen

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


def _ask_in_a_fresh_process(sub_account_id: str, key: str, endpoint_url: str) -> Any:
    finished = subprocess.run(
        [sys.executable, "-c", ASK_ONCE, _access(sub_account_id), key],
        cwd=ROOT,
        env={**os.environ, "AWS_ENDPOINT_URL": endpoint_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [line for line in finished.stdout.splitlines() if line.startswith("answer: ")]
    assert answers, finished.stderr
    return json.loads(answers[0].removeprefix("answer: "))
