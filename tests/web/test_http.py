"""What every caller relies on: keys, methods, the shape of refusals, paging, CSV, and that a repeat costs nothing."""

import csv
import hashlib
import io
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from chalicelib.domain.errors import RebillError
from chalicelib.flows import authenticate
from chalicelib.storage import accounts
from chalicelib.storage.api_keys import API_KEY
from chalicelib.storage.tables import AccountItem
from chalicelib.web.errors import STATUS_OF
from chalicelib.web.every_door import DOORS
from chalicelib.web.routes import METHODS
from local.pretend_stripe import PretendStripe
from tests.calls import call
from tests.web.examples import BY_A_BROWSER, Example, Scene, example, name_of, page_of, problem_of
from tests.world import Answer, World

WITH_KEY = [door for door in DOORS if door.needs_key]
WITHOUT_KEY = [door for door in DOORS if not door.needs_key]
PATHS = sorted({door.path for door in DOORS})
NOTE = "paid by bank transfer"


@pytest.fixture
def scene(world: World, pretend: PretendStripe) -> Scene:
    return Scene.build(world, pretend)


def test_without_a_key_every_door_is_shut(scene: Scene) -> None:
    requests = [example(scene, door) for door in WITH_KEY]

    answers = [_without_key(scene, request) for request in requests]

    assert {answer.status for answer in answers} == {401}
    assert {problem_of(answer)["code"] for answer in answers} == {"api_key_missing"}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer sk_live_1234567890"},
        {"Authorization": "Basic cmJrOnJiaw=="},
        {"Authorization": "Bearer Bearer rbk_1"},
        {"Authorization": "rbk_1"},
        {"X-Api-Key": ""},
        {"X-Api-Key": "RBK_1"},
    ],
)
def test_what_is_not_a_key_of_ours_is_refused_as_no_key(world: World, headers: dict[str, str]) -> None:
    answer = world.call("GET", "/v1/workspaces/ws_any", headers=headers, key=None)

    assert answer.status == 401
    assert (problem_of(answer)["code"], problem_of(answer)["param"]) == ("api_key_missing", "Authorization")


@pytest.mark.parametrize("key", ["rbk_never_issued", "rbk_", "rbk_" + "x" * 5_000, "rbk_é", "rbk_\x00", "rbk_ a"])
def test_a_key_that_was_never_issued_is_refused(world: World, key: str) -> None:
    answer = world.call("GET", "/v1/workspaces/ws_any", key=key)

    assert answer.status == 401
    assert problem_of(answer)["code"] == "api_key_invalid"
    assert key not in answer.text


def test_a_revoked_key_is_refused(world: World) -> None:
    workspace = world.workspace()
    item = AccountItem.get(API_KEY, hashlib.sha256(world.api_key.encode()).hexdigest())
    item.update([AccountItem.revoked.set(True)])
    authenticate.forget_trusted_keys()

    answer = world.call("GET", f"/v1/workspaces/{workspace}")

    assert answer.status == 401
    assert problem_of(answer)["code"] == "api_key_invalid"


@pytest.mark.parametrize("header", ["Authorization: Bearer {}", "Authorization: bearer {}", "X-Api-Key: {}"])
def test_a_key_is_taken_in_either_header(world: World, header: str) -> None:
    workspace = world.workspace()
    name, _, value = header.format(world.api_key).partition(": ")

    answer = world.call("GET", f"/v1/workspaces/{workspace}", headers={name: value}, key=None)

    assert answer.status == 200


def test_webhooks_browsers_liveness_and_the_description_need_no_key(scene: Scene) -> None:
    requests = [example(scene, door) for door in WITHOUT_KEY]

    answers = {name_of(request.door): request.send(scene.world).status for request in requests}

    assert answers == {name_of(door): door.status for door in WITHOUT_KEY}


def test_only_webhooks_browsers_liveness_and_the_description_need_no_key() -> None:
    assert {door.path for door in WITHOUT_KEY} == {
        "/webhooks/voice/{provider}/{endpoint_id}",
        "/webhooks/stripe",
        "/webhooks/stripe/connect",
        "/oauth/stripe/start",
        "/oauth/stripe/callback",
        "/payments/return",
        "/payments/action",
        "/dashboard",
        "/dashboard/{action}",
        "/dashboard/enter",
        "/static/{name}",
        "/v1/dashboard-sessions/redeem",
        "/v1/session",
        "/healthz",
        "/openapi.json",
        "/docs",
        "/docs/{asset}",
    }


def test_a_method_that_an_address_does_not_know_is_405_and_says_which_it_knows(scene: Scene) -> None:
    known = {path: {door.method for door in DOORS if door.path == path} for path in PATHS}
    addresses = {door.path: door.path.format(**example(scene, door).path_values) for door in DOORS}

    answers = {
        (path, method): scene.world.call(method, addresses[path], key=None)
        for path in PATHS
        for method in METHODS
        if method not in known[path]
    }

    assert {path for path, _ in answers} == set(PATHS)
    assert {answer.status for answer in answers.values()} == {405}
    assert {problem_of(answer)["code"] for answer in answers.values()} == {"method_not_allowed"}
    for (path, _), answer in answers.items():
        assert set(answer.headers["allow"].split(", ")) == known[path]


def test_every_answer_has_a_request_id_of_its_own_and_is_not_to_be_sniffed(scene: Scene) -> None:
    requests = [example(scene, door) for door in DOORS]

    answers = [request.send(scene.world) for request in requests for _ in range(2)]

    assert all(answer.headers["x-request-id"] for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}


FILES = ("/docs/{asset}", "/static/{name}")  # the same for everybody


def test_no_answer_with_somebodys_data_may_be_cached(scene: Scene) -> None:
    requests = [example(scene, door) for door in DOORS if door.path not in FILES]

    answers = [request.send(scene.world) for request in requests]

    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


def test_when_the_store_is_gone_every_door_says_that_it_is_our_trouble_and_when_to_try_again(
    scene: Scene, store_is_gone: Any
) -> None:
    doors = [*WITH_KEY, *(door for door in WITHOUT_KEY if door.path.startswith("/webhooks"))]
    requests = [example(scene, door) for door in doors]

    with store_is_gone:
        answers = [request.send(scene.world) for request in requests]

    assert [answer.status for answer in answers] == [503] * len(doors)
    assert {problem_of(answer)["code"] for answer in answers} == {"unavailable"}
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}


def test_when_the_store_is_gone_a_browser_gets_a_page_that_says_when_to_try_again(
    scene: Scene, store_is_gone: Any
) -> None:
    requests = [example(scene, door) for door in DOORS if door.path in BY_A_BROWSER]

    with store_is_gone:
        answers = [request.send(scene.world) for request in requests]

    assert [answer.status for answer in answers] == [503] * len(requests)
    assert all("again" in page_of(answer) for answer in answers)
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}


def test_liveness_does_not_depend_on_the_store(world: World, store_is_gone: Any) -> None:
    with store_is_gone:
        answer = world.call("GET", "/healthz", key=None)

    assert answer.status == 200
    assert answer.json["status"] == "ok"


def test_a_mistake_of_ours_is_a_500_without_a_trace_of_it_in_the_answer_and_with_it_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(accounts, "get_workspace", fail)

    with caplog.at_level(logging.ERROR):
        answer = world.call("GET", "/v1/workspaces/ws_any")

    assert answer.status == 500
    told = problem_of(answer)
    assert (told["code"], told["param"]) == ("internal_error", None)
    for secret in ("swordfish", "RuntimeError", "Traceback", ".py", "get_workspace"):
        assert secret not in answer.text
    (logged,) = [line for line in caplog.records if line.getMessage() == "internal_error"]
    assert logged.exc_info is None  # its words could be anybody's secret: kind and place are enough
    assert getattr(logged, "error", None) == "RuntimeError"
    assert any("get_workspace" in frame or "fail" in frame for frame in getattr(logged, "at", []))
    assert getattr(logged, "request_id", None) == told["request_id"]


def test_every_refusal_there_is_has_its_http_status() -> None:
    every = _all_kinds_of(RebillError)

    without = {kind.__name__ for kind in every if kind not in STATUS_OF}

    assert len(every) > 8
    assert without == set()


@pytest.mark.parametrize("owner", ["workspace", "client"])
@pytest.mark.parametrize("limit", [10, 5, 25, 24])
def test_a_statement_is_read_page_by_page_without_gap_or_repeat(world: World, owner: str, limit: int) -> None:
    workspace = world.workspace()
    whose = workspace if owner == "workspace" else world.sub_account(workspace)
    kind = "workspaces" if owner == "workspace" else "sub-accounts"
    made = [world.credit(whose, f"{number}.00", key=f"key_{number}")["id"] for number in range(1, 26)]

    pages = list(_pages(world, f"/v1/{kind}/{whose}/wallet/entries", limit, "id"))

    read = [entry["id"] for page in pages for entry in page["data"]]
    assert sorted(read) == sorted(made)
    assert [len(page["data"]) for page in pages] == [limit] * (25 // limit) + ([25 % limit] if 25 % limit else [])
    assert [page["has_more"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_a_statement_is_newest_first(world: World) -> None:
    workspace = world.workspace()
    made = []
    for number in range(4):
        made.append(world.credit(workspace, "1.00", key=f"key_{number}"))
        _wait_for_the_next_millisecond()

    shown = world.entries(workspace)

    assert shown == made[::-1]


def test_sub_accounts_are_listed_page_by_page_without_gap_or_repeat_and_without_the_neighbours(world: World) -> None:
    workspace, neighbour = world.workspace(), world.workspace()
    made = {world.sub_account(workspace) for _ in range(7)}
    world.sub_account(neighbour)
    world.endpoint(workspace, "cloudevents")
    world.put(f"/v1/sub-accounts/{min(made)}/voice-agents/retell/agent_7")

    pages = list(_pages(world, f"/v1/workspaces/{workspace}/sub-accounts", 3, "id"))

    assert [len(page["data"]) for page in pages] == [3, 3, 1]
    assert [each["id"] for page in pages for each in page["data"]] == sorted(made)
    assert {each["workspace"] for page in pages for each in page["data"]} == {workspace}


def test_waiting_events_are_listed_page_by_page_by_their_cursor(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report([call(client, f"call_{number}", answered=86_400) for number in range(7)])
    world.drain()

    pages = list(_pages(world, f"/v1/workspaces/{workspace}/usage-events?status=needs_review", 3, "cursor"))

    assert [len(page["data"]) for page in pages] == [3, 3, 1]
    assert {event["id"] for page in pages for event in page["data"]} == {f"call_{number}" for number in range(7)}


def test_a_statement_as_csv_has_the_columns_that_a_bookkeeper_needs(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.credit(client, "20.00")
    world.report(call(client, seconds=42))
    world.drain()

    answer = world.call("GET", f"/v1/sub-accounts/{client}/wallet/entries.csv")

    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    shown = dict(zip(rows[0], rows[1], strict=True))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{client}.csv"'
    assert answer.headers["x-has-more"] == "false"
    assert len(rows) == 3
    assert shown | {"id": "", "occurred_at": "", "posted_at": ""} == {
        "id": "",
        "kind": "usage",
        "occurred_at": "",
        "posted_at": "",
        "amount": "-0.105000",
        "currency": "usd",
        "sub_account": client,
        "source": "my-platform",
        "event_id": "call_1",
        "meter": "voice",
        "billed_seconds": "42.000",
        "price_per_minute": "0.15",
        "note": "",
    }


@pytest.mark.parametrize(
    ("note", "cell"),
    [
        ('=HYPERLINK("http://evil.example","here")', '\'=HYPERLINK("http://evil.example","here")'),
        ("=1+1", "'=1+1"),
        ("+1 for you", "'+1 for you"),
        ("-1 for you", "'-1 for you"),
        ("@SUM(A1:A9)", "'@SUM(A1:A9)"),
        ("two\nlines", "two\nlines"),
        ('"quoted", and a comma', '"quoted", and a comma'),
        ("semi;colon\tand tab", "semi;colon\tand tab"),
        ("זיכוי על תקלה", "זיכוי על תקלה"),
        ("goodwill 💸 für Zoë", "goodwill 💸 für Zoë"),
        ("goodwill, -1 later", "goodwill, -1 later"),
    ],
)
def test_a_note_comes_out_of_the_csv_as_it_went_in_and_never_as_a_formula(world: World, note: str, cell: str) -> None:
    workspace = world.workspace()
    body = {"amount": "10.00", "note": note}
    world.post(f"/v1/workspaces/{workspace}/wallet/credits", body, headers={"Idempotency-Key": "one"})

    answer = world.call("GET", f"/v1/workspaces/{workspace}/wallet/entries.csv")

    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["note"] == cell
    assert row["amount"] == "10.000000"


@pytest.mark.parametrize("outcome", ["=cmd|'/c calc'!A1", "\t=1+1", "\r=1+1", "\uff1d1+1", " =1+1", "\n=1+1"])
def test_a_note_that_hides_its_formula_behind_a_blank_is_no_formula_either(world: World, outcome: str) -> None:
    workspace = world.workspace()
    body = {"amount": "10.00", "note": f"{outcome} padded"}
    world.post(f"/v1/workspaces/{workspace}/wallet/credits", body, headers={"Idempotency-Key": "one"})

    answer = world.call("GET", f"/v1/workspaces/{workspace}/wallet/entries.csv")

    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert row["note"].startswith("'")


def test_a_csv_is_read_on_from_the_last_id_that_one_has(world: World) -> None:
    workspace = world.workspace()
    made = {world.credit(workspace, "1.00", key=f"key_{number}")["id"] for number in range(5)}
    path = f"/v1/workspaces/{workspace}/wallet/entries.csv?limit=3"

    first = world.call("GET", path)
    first_rows = list(csv.DictReader(io.StringIO(first.text)))
    second = world.call("GET", f"{path}&starting_after={first_rows[-1]['id']}")
    second_rows = list(csv.DictReader(io.StringIO(second.text)))

    assert (first.headers["x-has-more"], second.headers["x-has-more"]) == ("true", "false")
    assert (len(first_rows), len(second_rows)) == (3, 2)
    assert {row["id"] for row in first_rows + second_rows} == made


@pytest.mark.parametrize("owner", ["workspace", "client"])
def test_the_same_key_and_body_answer_the_same_entry_again_and_add_the_balance_once(world: World, owner: str) -> None:
    workspace = world.workspace()
    whose = workspace if owner == "workspace" else world.sub_account(workspace)

    first = world.credit(whose, "25.00", key="order-7")
    second = world.credit(whose, "25.00", key="order-7")

    assert first == second
    assert world.balance(whose) == "25.000000"
    assert world.entries(whose) == [first]


@pytest.mark.parametrize("owner", ["workspace", "client"])
@pytest.mark.parametrize("other", [{"amount": "25.01"}, {"note": "another reason"}])
def test_the_same_key_with_another_body_is_refused_and_adds_nothing(
    world: World, owner: str, other: dict[str, str]
) -> None:
    workspace = world.workspace()
    whose = workspace if owner == "workspace" else world.sub_account(workspace)
    world.credit(whose, "25.00", key="order-7")

    answer = _credit(world, whose, "order-7", **other)

    assert answer.status == 422
    told = problem_of(answer)
    assert (told["code"], told["param"]) == ("idempotency_key_reused", "Idempotency-Key")
    assert world.balance(whose) == "25.000000"


def test_without_a_key_of_its_own_no_balance_is_added(world: World) -> None:
    workspace = world.workspace()

    answer = world.call("POST", f"/v1/workspaces/{workspace}/wallet/credits", {"amount": "25.00", "note": NOTE})

    assert answer.status == 400
    told = problem_of(answer)
    assert (told["code"], told["param"]) == ("idempotency_key_missing", "Idempotency-Key")
    assert world.balance(workspace) == "0.000000"


@pytest.mark.parametrize("owner", ["workspace", "client"])
def test_the_same_credit_sent_by_eight_at_once_is_added_once_and_all_are_told_the_same(
    world: World, owner: str
) -> None:
    workspace = world.workspace()
    whose = workspace if owner == "workspace" else world.sub_account(workspace)
    together = threading.Barrier(8)

    def send(_: int) -> Any:
        together.wait()
        return _credit(world, whose, "order-7")

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(send, range(8)))

    assert [answer.status for answer in answers] == [201] * 8
    assert len({answer.text for answer in answers}) == 1
    assert world.balance(whose) == "25.000000"


def test_two_different_credits_under_one_key_at_once_add_one_of_them(world: World) -> None:
    workspace = world.workspace()
    together = threading.Barrier(2)

    def send(amount: str) -> Any:
        together.wait()
        return _credit(world, workspace, "order-7", amount=amount)

    with ThreadPoolExecutor(2) as senders:
        answers = list(senders.map(send, ("25.00", "30.00")))

    assert sorted(answer.status for answer in answers) == [201, 422]
    (won,) = [answer.json for answer in answers if answer.status == 201]
    assert world.balance(workspace) == won["amount"]


def test_another_owners_same_key_is_its_own(world: World) -> None:
    workspace, neighbour = world.workspace(), world.workspace()
    client, sibling = world.sub_account(workspace), world.sub_account(workspace)
    owners = (workspace, neighbour, client, sibling)

    entries = [world.credit(owner, f"{number + 1}.00", key="order-7") for number, owner in enumerate(owners)]

    assert len({entry["id"] for entry in entries}) == 4
    assert [world.balance(owner) for owner in owners] == ["1.000000", "2.000000", "3.000000", "4.000000"]


@pytest.mark.parametrize(
    "voice",
    [
        {"price_type": "fixed", "price_per_minute": "0.15"},
        {"price_type": "markup", "markup_percent": 50},
        {"price_type": "absorb"},
    ],
    ids=lambda voice: voice["price_type"],
)
def test_nothing_that_a_client_may_read_tells_what_its_agency_pays(world: World, voice: dict[str, Any]) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.061738"})
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice})
    world.credit(client, "20.00")
    world.report([call(client, f"call_{number}", seconds=60) for number in range(3)])
    world.drain()

    wallet, entries, table = (
        world.call("GET", f"/v1/sub-accounts/{client}/wallet{part}").text for part in ("", "/entries", "/entries.csv")
    )

    assert world.balance(workspace) == "-0.185214"
    assert entries.count('"kind":"usage"') == 3
    for read in (wallet, entries, table):
        for word in ("0.061738", "61738", "0.185214", "cost", "margin", "markup"):
            assert word not in read


def _all_kinds_of(error: type[RebillError]) -> set[type[RebillError]]:
    return {kind for child in error.__subclasses__() for kind in (child, *_all_kinds_of(child))}


class _Gone:
    """While it lasts, nothing that is sent to AWS arrives, and nobody waits before trying again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch.context()

    def __enter__(self) -> None:
        authenticate.forget_trusted_keys()
        patch = self._patch.__enter__()
        patch.setattr(URLLib3Session, "send", _refuse_connection)
        patch.setattr(time, "sleep", lambda _: None)

    def __exit__(self, *error: Any) -> None:
        self._patch.__exit__(*error)


def _refuse_connection(_: URLLib3Session, request: Any) -> None:
    raise EndpointConnectionError(endpoint_url=request.url)


@pytest.fixture
def store_is_gone(monkeypatch: pytest.MonkeyPatch) -> _Gone:
    return _Gone(monkeypatch)


def _without_key(scene: Scene, request: Example) -> Answer:
    path = request.door.path.format(**request.path_values)
    return scene.world.call(request.door.method, path, request.body, headers=request.headers, key=None)


def _credit(world: World, owner: str, key: str, **other: str) -> Answer:
    kind = "workspaces" if owner.startswith("ws_") else "sub-accounts"
    body = {"amount": "25.00", "note": NOTE, **other}
    return world.call("POST", f"/v1/{kind}/{owner}/wallet/credits", body, headers={"Idempotency-Key": key})


def _pages(world: World, path: str, limit: int, cursor: str) -> Iterator[Any]:
    """Every page of a list, each from where the one before ended."""
    joint = "&" if "?" in path else "?"
    page = world.get(f"{path}{joint}limit={limit}")
    yield page
    while page["has_more"]:
        page = world.get(f"{path}{joint}limit={limit}&starting_after={page['data'][-1][cursor]}")
        yield page


def _wait_for_the_next_millisecond() -> None:
    """Ids of one millisecond have no order among themselves."""
    threading.Event().wait(0.002)
