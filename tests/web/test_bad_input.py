"""Bad input: whatever is sent to whichever door, the answer is a 4xx problem that names the field; nothing is written.

The sweeps are made from the doors and their models: a new route is swept without anybody remembering it, and one for
which `examples.py` has no valid request fails the first test here.
"""

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import boto3
import pytest

from chalicelib.clock import now_ms
from chalicelib.gateways.voice.cloudevents import LARGEST_BATCH
from chalicelib.settings import settings
from chalicelib.web.doors import DOORS, Door
from local.pretend_stripe import PretendStripe
from local.stack import Stack
from local.template import create_resources
from tests.calls import call, moment
from tests.conftest import STAGE
from tests.gateways.voice_platforms import body_of, sign_retell
from tests.stripe_stand import BRIGHT
from tests.web.examples import (
    BY_A_BROWSER,
    CONNECTION,
    OAUTH_CALLBACK,
    OAUTH_START,
    ODD_PATH_VALUES,
    RETURN,
    STRIPE_WEBHOOKS,
    TOP_UPS,
    USAGE_EVENTS,
    VOICE_WEBHOOK,
    Example,
    Scene,
    body_model,
    door_of,
    example,
    name_of,
    page_of,
    problem_of,
)
from tests.web.sweep import HALF_A_CHARACTER, NOT_THERE, TEXTS, changed, fields_of
from tests.world import Answer, World

WITH_BODY = [door for door in DOORS if door.body is not None]
WITH_MODEL = [door for door in DOORS if isinstance(door.body, type)]
WITH_FIELDS = [door for door in WITH_BODY if body_model(door) is not None]
PAGES = [door for door in DOORS if door.path in BY_A_BROWSER]
WITH_QUERY = [door for door in DOORS if door.query is not None and door not in PAGES]
WITH_HEADERS = [door for door in DOORS if door.headers]
WITH_PATH = [door for door in DOORS if "{" in door.path]
TABLES = ("accounts", "wallets", "day-totals", "entries", "payments")

REBILLING = ("PUT", "/v1/sub-accounts/{sub_account_id}/rebilling")
COST = ("PUT", "/v1/workspaces/{workspace_id}/cost")
CREDIT = ("POST", "/v1/workspaces/{workspace_id}/wallet/credits")
TOP_UP, CLIENTS_TOP_UP = (("POST", path) for path in TOP_UPS)
ENDPOINTS = ("POST", "/v1/workspaces/{workspace_id}/voice-endpoints")
REPORT = ("POST", USAGE_EVENTS)


@pytest.fixture(scope="module")
def scene(stack: Stack, pretend: PretendStripe) -> Scene:
    """One for all tests of this file: what is refused leaves it as it was."""
    stack.reset()
    create_resources(stack.endpoint_url, STAGE)
    return Scene.build(World(), pretend)


@pytest.mark.parametrize("door", DOORS, ids=name_of)
def test_every_door_takes_its_valid_example(scene: Scene, door: Door) -> None:
    answer = example(scene, door).send(scene.world)

    assert answer.status == door.status, answer.text


@pytest.mark.parametrize("door", WITH_FIELDS, ids=name_of)
def test_a_wrong_value_in_any_field_of_a_body_is_refused_by_the_fields_name(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for field in fields_of(body_model(door), valid.body)[1:]:
        wrong += [
            (field.param, value, valid.with_body(changed(valid.body, field.path, value)))
            for value in field.wrong_values()
        ]
        if field.required:
            wrong.append((field.param, "missing", valid.with_body(changed(valid.body, field.path, NOT_THERE))))

    complaints = _send_all(scene, wrong)

    assert len(wrong) > 20
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_FIELDS, ids=name_of)
def test_an_unknown_field_is_refused_by_its_name_however_deep_it_stands(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for field in fields_of(body_model(door), valid.body):
        for name in ("surprise", "Amount", "__proto__", "é", "\u0000") if field.closed else ():
            path = (*field.path, name)
            wrong.append((".".join(path), "unknown field", valid.with_body(changed(valid.body, path, 1))))

    complaints = _send_all(scene, wrong)

    assert wrong
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_BODY, ids=name_of)
def test_a_body_that_is_no_json_object_is_refused_as_a_whole(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    good = json.dumps(valid.body).encode()
    first = next(iter(valid.body))
    bodies = {
        "empty": b"",
        "blank": b" \n",
        "a list": b"[]",
        "a string": b'"x"',
        "a number": b"1",
        "null": b"null",
        "true": b"true",
        "cut off": good[:-1],
        "two": good + good,
        "single quotes": good.replace(b'"', b"'"),
        "a form": b"name=Acme&currency=usd",
        "xml": b"<?xml version='1.0'?><a/>",
        "a comment": b"// hello\n" + good,
        "nested 10,000 lists deep": b"[" * 10_000 + b"]" * 10_000,
        "nested 10,000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        "a field nested 10,000 deep": good[:-1] + b',"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "brackets that never close": b"[" * 10_000,
        "invalid UTF-8": good[:-1] + b',"a":"\xff\xfe"}',
        "an overlong slash": good[:-1] + b',"a":"\xc0\xaf"}',
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "NaN": good[:-1] + b',"a":NaN}',
        "Infinity": good[:-1] + b',"a":Infinity}',
        "-Infinity": good[:-1] + b',"a":-Infinity}',
        "a number with a plus": good[:-1] + b',"a":+1}',
        "Arabic digits": good[:-1] + b',"a":' + "\u0661\u0662".encode() + b"}",
        "a raw NUL in a string": good[:-1] + b',"a":"\x00"}',
    }
    if door.path not in STRIPE_WEBHOOKS:  # Stripe is not held to saying a name once, and is signed for
        bodies["a field twice"] = good[:-1] + f', "{first}": {json.dumps(valid.body[first])}}}'.encode()

    complaints = _send_all(scene, [("body", name, valid.with_raw(raw)) for name, raw in bodies.items()])

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_BODY, ids=name_of)
def test_a_body_over_the_limit_is_not_even_read(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    padding = b" " * (door.most_body_bytes + 1 - len(json.dumps(valid.body)))
    before = _everything_written()

    answer = valid.with_raw(json.dumps(valid.body).encode() + padding).send(scene.world)

    assert answer.status == 413
    assert problem_of(answer)["param"] == "body"
    assert _everything_written() == before


@pytest.mark.parametrize("door", WITH_MODEL, ids=name_of)
def test_a_field_as_long_as_a_body_may_be_is_refused_and_not_echoed(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    long = "x" * (door.most_body_bytes - 2_000)
    before = _everything_written()

    value = valid.with_body({**valid.body, next(iter(valid.body)): long}).send(scene.world)
    name = valid.with_body({**valid.body, long: 1}).send(scene.world)

    assert (value.status, name.status) == (422, 422)
    assert problem_of(value)["param"] == next(iter(valid.body))
    assert problem_of(name)["param"].startswith("xxx")
    assert _everything_written() == before


@pytest.mark.parametrize("door", [door for door in WITH_BODY if door.needs_key], ids=name_of)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
def test_a_body_of_another_content_type_is_refused(scene: Scene, door: Door, media_type: str) -> None:
    before = _everything_written()
    valid = example(scene, door)

    answer = valid.with_raw(json.dumps(valid.body).encode(), **{"Content-Type": media_type}).send(scene.world)

    assert answer.status == 415, answer.text[:300]
    assert problem_of(answer)["code"] == "unsupported_media_type"
    assert _everything_written() == before


@pytest.mark.parametrize("door", WITH_QUERY, ids=name_of)
def test_a_wrong_value_in_a_query_is_refused_by_its_name(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for field in fields_of(door.query, valid.query)[1:]:
        (name,) = field.path
        wrong += [
            (name, text, valid.with_query({**valid.query, name: text})) for text in _wrong_texts(name, field.schema)
        ]
        if field.required:
            wrong.append((name, "missing", valid.with_query({k: v for k, v in valid.query.items() if k != name})))
    unknown = ("surprise", "LIMIT", "limit[]", "%00", "é")
    wrong += [(name, "unknown", valid.with_query({**valid.query, name: "1"})) for name in unknown]

    complaints = _send_all(scene, wrong)

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_HEADERS, ids=name_of)
def test_a_wrong_or_missing_header_is_refused_by_its_name(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for name in door.headers:
        others = {header: value for header, value in valid.headers.items() if header != name}
        wrong.append((name, "missing", replace(valid, headers=others)))
        wrong += [(name, value, replace(valid, headers={**others, name: value})) for value in WRONG_HEADERS[name]]

    complaints = _send_all(scene, wrong)

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_PATH, ids=name_of)
def test_an_address_of_nothing_or_of_somebody_elses_is_not_found(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = [
        (name, value, valid.with_path(**{name: value}))
        for name in valid.path_values
        for value in (*ODD_PATH_VALUES, *UNKNOWN[name](scene))
    ]

    complaints = _send_all(scene, wrong, expected=(404, 422), param_may_miss=True)

    assert not complaints, "\n".join(complaints)


WRONG_HEADERS = {
    "Idempotency-Key": ("", " ", "a b", "a#b", "é", "\u0661", "\uff11", "a\tb", "a\x00b", "x" * 129, "x" * 5_000),
}
# Names that are well formed and belong to nobody, to something else, or to somebody else.
UNKNOWN: dict[str, Callable[[Scene], tuple[str, ...]]] = {
    "workspace_id": lambda scene: (
        *("ws_unknown", "ws_", "ws", "WS_" + scene.workspace[3:], scene.workspace.upper(), scene.workspace + "x"),
        *(scene.client, scene.endpoint["id"], "api_key", "*", "null", "0", "-1", "1e3", "9" * 256),
    ),
    "sub_account_id": lambda scene: (
        *(
            "sa_unknown",
            "sa_",
            "sa__",
            "sa_a_",
            "sa__a",
            "sa_a_b",
            "sa_a_b_c",
            scene.client.upper(),
            scene.client + "x",
        ),
        *(scene.workspace, scene.endpoint["id"], _transplanted(scene), "workspace", "agent", "*", "null", "9" * 256),
    ),
    "endpoint_id": lambda scene: (
        *("whe_unknown", "whe_a_b", scene.endpoint["id"] + "x", scene.endpoint["id"].upper()),
        *(scene.workspace, scene.client, scene.endpoint["id"].replace("whe_", "sa_"), "*", "null", "9" * 256),
    ),
    "provider": lambda _: ("acme", "CloudEvents", "CLOUDEVENTS", "cloudevents2", "*", "null", "9" * 256),
    "agent_id": lambda _: ("x" * 129, "9" * 256),
    "source": lambda _: ("unknown", "MY-PLATFORM", "*", "my-platform%23call_1", "9" * 256),
    "event_id": lambda _: ("unknown", "CALL_1", "*", "call_", "9" * 256),
    "top_up_id": lambda scene: (
        *("top_unknown", "top_", "paying", "connection", "claim", "oauth_state", "key%23order-7", "customer%23000001"),
        *(scene.workspace, scene.client, scene.paying.top_up(scene.other_client)["id"], "*", "null", "9" * 256),
    ),
    "asset": lambda _: ("unknown.js", "..", "%2e%2e", "swagger-ui-bundle.min.js.map", "START.JS", "*"),
}


def _transplanted(scene: Scene) -> str:
    """The other agency's client, named into this workspace."""
    return f"sa_{scene.workspace.removeprefix('ws_')}_{scene.other_client.rpartition('_')[2]}"


def _voice(**values: Any) -> Callable[[Any], Any]:
    """The re-billing example with other voice values; None takes one away."""

    def change(body: Any) -> Any:
        voice = {name: value for name, value in {**body["voice"], **values}.items() if value is not None}
        return {**body, "voice": voice}

    return change


def _chat(**values: Any) -> Callable[[Any], Any]:
    def change(body: Any) -> Any:
        chat = {name: value for name, value in {**body["meters"]["chat"], **values}.items() if value is not None}
        return {**body, "meters": {"chat": chat}}

    return change


def _set(**values: Any) -> Callable[[Any], Any]:
    return lambda body: {**body, **values}


def _data(**values: Any) -> Callable[[Any], Any]:
    def change(body: Any) -> Any:
        data = {name: value for name, value in {**body["data"], **values}.items() if value is not None}
        return {**body, "data": data}

    return change


def _only(**data: Any) -> Callable[[Any], Any]:
    return lambda body: {**body, "data": data}


@pytest.mark.parametrize(
    ("door", "change", "param"),
    [
        (REBILLING, _voice(price_per_minute=None), "voice.price_per_minute"),
        (REBILLING, _voice(markup_percent=10), "voice.markup_percent"),
        (REBILLING, _voice(price_type="markup", price_per_minute=None), "voice.markup_percent"),
        (REBILLING, _voice(price_type="markup", markup_percent=10), "voice.price_per_minute"),
        (REBILLING, _voice(price_type="absorb", connect_fee=None), "voice.price_per_minute"),
        (REBILLING, _voice(price_type="absorb", price_per_minute=None), "voice.connect_fee"),
        (REBILLING, _voice(price_per_minute="0.01"), "voice.price_per_minute"),
        (REBILLING, _chat(price_per_unit=None), "meters.chat.price_per_unit"),
        (REBILLING, _chat(price_type="markup", price_per_unit=None), "meters.chat.markup_percent"),
        (REBILLING, _set(voice={"enabled": False}, meters={}), "voice"),
        (REBILLING, _set(voice=None, meters={}), "voice"),
        (REBILLING, _set(effective_at=moment(-60)), "effective_at"),
        (REBILLING, _set(effective_at=moment(400 * 86_400)), "effective_at"),
        (REBILLING, _set(meters={"voice": {"price_per_unit": "0.01"}}), "meters.voice"),
        (REBILLING, _set(meters={f"meter_{n}": {"price_per_unit": "1"} for n in range(21)}), "meters"),
        (COST, _set(effective_at=moment(-60)), "effective_at"),
        (COST, _set(effective_at=moment(400 * 86_400)), "effective_at"),
        (COST, _set(meters={"voice": {"cost_per_unit": "0.01"}}), "meters.voice"),
        (COST, _set(meters={f"meter_{n}": {"cost_per_unit": "1"} for n in range(21)}), "meters"),
        (CREDIT, _set(currency="eur"), "currency"),
        (TOP_UP, _set(currency="eur"), "currency"),
        (TOP_UP, _set(amount="25.001"), "amount"),
        (TOP_UP, _set(amount="9.99"), "amount"),
        (TOP_UP, _set(amount="5000.01"), "amount"),
        (CLIENTS_TOP_UP, _set(currency="eur"), "currency"),
        (CLIENTS_TOP_UP, _set(amount="25.000001"), "amount"),
        (CLIENTS_TOP_UP, _set(amount="4.99"), "amount"),
        (ENDPOINTS, lambda _: {"provider": "retell"}, "secret"),
        (ENDPOINTS, lambda _: {"provider": "cloudevents", "secret": "not-base64!"}, "secret"),
        (REPORT, _data(answered_at=None), "data.answered_at"),
        (REPORT, _data(ended_at=None), "data.ended_at"),
        (REPORT, _data(quantity=1), "data.quantity"),
        (REPORT, _only(meter="chat"), "data.quantity"),
        (REPORT, _only(meter="chat", quantity=1, duration_seconds=1), "data.duration_seconds"),
        (REPORT, lambda body: {**body, "time": None, "data": {"meter": "chat", "quantity": 1}}, "time"),
        (REPORT, _set(subject="sa_unknown"), "subject"),
        (REPORT, _set(subject="sa_unknown_client"), "subject"),
        (REPORT, _set(subject="agent_7"), "subject"),
    ],
)
def test_values_that_do_not_go_together_are_refused_by_the_name_of_the_one_that_is_wrong(
    scene: Scene, door: tuple[str, str], change: Callable[[Any], Any], param: str
) -> None:
    valid = example(scene, door_of(*door))
    before = _everything_written()

    answer = valid.with_body(change(valid.body)).send(scene.world)

    assert answer.status == 422, answer.text[:300]
    assert problem_of(answer)["param"] == param
    assert _everything_written() == before


@pytest.mark.parametrize(
    "key", ["Chat", "1chat", "chat!", "", " ", "x" * 33, "ch\u00e4t", "chat\u0661", "a.b", "\u0000"]
)
@pytest.mark.parametrize("door", [REBILLING, COST], ids=" ".join)
def test_a_meter_of_an_impossible_name_is_refused_by_that_name(scene: Scene, door: tuple[str, str], key: str) -> None:
    valid = example(scene, door_of(*door))
    before = _everything_written()

    answer = valid.with_body({**valid.body, "meters": {key: valid.body["meters"]["chat"]}}).send(scene.world)

    assert answer.status == 422
    assert problem_of(answer)["param"] == f"meters.{key}"
    assert _everything_written() == before


@pytest.mark.parametrize(
    ("batch", "param"),
    [
        (lambda good: [], "body"),
        (lambda good: [good] * (LARGEST_BATCH + 1), "body"),
        (lambda good: [good, "x"], "[1]"),
        (lambda good: [good, None], "[1]"),
        (lambda good: [good, [good]], "[1]"),
        (lambda good: [good, good, {**good, "id": ""}], "[2].id"),
        (lambda good: [good, good, {**good, "data": {**good["data"], "ended_at": "later"}}], "[2].data.ended_at"),
        (lambda good: [good, {**good, "subject": "sa_unknown_client"}], "[1].subject"),
        (lambda good: [{**good, "subject": "agent_7"}], "[0].subject"),
    ],
    ids=["none", "too many", "a string", "null", "a list", "an id", "a time", "a stranger", "an agent"],
)
def test_one_wrong_event_in_a_batch_is_named_by_its_place_and_none_of_the_batch_is_taken(
    scene: Scene, batch: Callable[[Any], Any], param: str
) -> None:
    before = _everything_written()

    answer = scene.world.call("POST", USAGE_EVENTS, batch(call(scene.client, "call_9")))

    assert answer.status == 422
    assert problem_of(answer)["param"] == param
    assert _everything_written() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/usage-events/my-platform/call_1?workspace={other_workspace}", None),
        ("POST", "/v1/workspaces/{client}/sub-accounts", {"name": "Bright Dental"}),
        ("PUT", "/v1/sub-accounts/{workspace}/rebilling", {"enabled": False}),
        ("POST", "/v1/workspaces/{client}/wallet/credits", {"amount": "1.00", "note": "goodwill"}),
        ("POST", "/v1/sub-accounts/{workspace}/wallet/credits", {"amount": "1.00", "note": "goodwill"}),
        ("GET", "/v1/workspaces/{client}/wallet/entries.csv", None),
        ("GET", "/v1/sub-accounts/{workspace}/wallet/entries", None),
    ],
)
def test_an_id_in_a_place_that_is_not_its_own_is_not_found(scene: Scene, method: str, path: str, body: Any) -> None:
    before = _everything_written()

    address = path.format(workspace=scene.workspace, client=scene.client, other_workspace=scene.other_workspace)
    answer = scene.world.call(method, address, body, headers={"Idempotency-Key": "one"})

    assert answer.status == 404
    assert problem_of(answer)["code"] == "not_found"
    assert _everything_written() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("call_id", value) for value in (NOT_THERE, None, 7, "", "a b", "a#b", "x" * 200, "é", [], {})),
        *(("agent_id", value) for value in (7, "", "a b", "a#b", "x" * 200, "é", [], {})),
        *(("start_timestamp", value) for value in ("1", -1, 1.5, True, 10**30, int("9" * 400), 1_781_863_200, [], {})),
        *(("end_timestamp", value) for value in ("1", -1, 1.5, True, 10**30, int("9" * 400), 1_781_863_200, [], {})),
        *(("duration_ms", value) for value in ("1", -1, True, 10**30, int("9" * 400), [], {})),
        *(("call_status", value) for value in (1, True, [], {})),
        *(("disconnection_reason", value) for value in (1, True, [], {})),
    ],
)
def test_a_voice_platforms_signed_nonsense_is_refused_by_the_fields_name(scene: Scene, field: str, value: Any) -> None:
    endpoint = scene.world.endpoint(scene.workspace, "retell", "key_4d1f90")
    payload = changed(json.loads(body_of("retell/call_ended.json")), ("call", field), value)
    before = _everything_written()

    raw = json.dumps(payload).encode()
    path = f"/webhooks/voice/retell/{endpoint['id']}"
    answer = scene.world.call("POST", path, raw=raw, headers=sign_retell(raw, "key_4d1f90", str(now_ms()), ""))

    assert answer.status == 422
    assert problem_of(answer)["param"] == f"call.{field}"
    assert _everything_written() == before


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 10_000, b"\xff", b"x" * 5_000_001], ids=lambda raw: f"{len(raw)} B")
def test_what_nobody_signed_is_refused_without_being_read(scene: Scene, raw: bytes) -> None:
    before = _everything_written()

    path = VOICE_WEBHOOK.format(provider="cloudevents", endpoint_id=scene.endpoint["id"])
    answer = scene.world.call("POST", path, raw=raw, key=None)

    assert answer.status in (401, 413)
    problem_of(answer)
    assert _everything_written() == before


@pytest.mark.parametrize(
    "path", [("id",), ("object",), ("type",), ("data",), ("data", "object"), ("data", "object", "id")], ids=".".join
)
@pytest.mark.parametrize("door", [door_of("POST", path) for path in STRIPE_WEBHOOKS], ids=name_of)
def test_an_event_that_is_signed_and_no_event_of_stripes_is_refused(
    scene: Scene, door: Door, path: tuple[str, ...]
) -> None:
    valid = example(scene, door)
    values = [7, Decimal("0.5"), True, ["evt_1"], {"id": ["evt_1"]}]
    values += [NOT_THERE, None, "", []] if path[-1] in ("object", "data") else []
    wrong = [("body", value, valid.with_body(changed(valid.body, path, value))) for value in values]

    complaints = _send_all(scene, wrong, expected=(400,))

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    "header",
    ["", "t=1,v1=00", "v1=00", "t=,v1=", "t=é,v1=é", "t=" + "9" * 400, "x" * 9_000, "t=1" * 3_000, "\x00"],
    ids=lambda header: header[:12],
)
@pytest.mark.parametrize("door", [door_of("POST", path) for path in STRIPE_WEBHOOKS], ids=name_of)
def test_an_event_that_stripe_did_not_sign_is_refused(scene: Scene, door: Door, header: str) -> None:
    valid = example(scene, door)
    before = _everything_written()

    answer = replace(valid, sign=None, headers={"Stripe-Signature": header}).send(scene.world)

    assert answer.status == 401
    assert "Stripe-Signature" in problem_of(answer)["detail"]
    assert _everything_written() == before


def test_an_event_signed_for_the_other_door_is_refused(scene: Scene) -> None:
    platform, connect = (example(scene, door_of("POST", path)) for path in STRIPE_WEBHOOKS)
    before = _everything_written()

    answers = [
        replace(platform, sign=connect.sign).send(scene.world),
        replace(connect, sign=platform.sign).send(scene.world),
    ]

    assert [answer.status for answer in answers] == [401, 401]
    assert _everything_written() == before


PARAMETERS_OF_PAGES = [(OAUTH_START, "state"), (OAUTH_CALLBACK, "state"), (RETURN, "owner"), (RETURN, "top_up")]


@pytest.mark.parametrize(("path", "name"), PARAMETERS_OF_PAGES)
def test_a_wrong_value_in_the_address_of_a_page_is_answered_with_a_page_and_changes_nothing(
    scene: Scene, path: str, name: str
) -> None:
    valid = example(scene, door_of("GET", path))
    others = {known: value for known, value in valid.query.items() if known != name}
    more = ("\ud800".encode("utf-8", "surrogatepass"), b"\xff", "<script>alert(1)</script>", valid.query[name] + "x")
    wrong = [replace(valid, query={**others, name: value}) for value in (*TEXTS, *more) if value != HALF_A_CHARACTER]
    wrong += [] if (path, name) == (RETURN, "top_up") else [replace(valid, query=others)]
    before = _everything_written()

    answers = [request.send(scene.world) for request in wrong]

    complaints = [
        f"{str(request.query.get(name))[:60]!r}: {answer.status} {answer.text[:160]}"
        for request, answer in zip(wrong, answers, strict=True)
        if not _is_a_page_that_refuses(answer)
    ]
    assert not complaints, "\n".join(complaints)
    assert _everything_written() == before


@pytest.mark.parametrize(
    "code", ["", " ", "\u0000", "null", "x" * 3_000, "\u0661", "💸", "ac_unknown", "<script>alert(1)</script>"]
)
def test_a_code_that_stripe_never_gave_links_nothing(scene: Scene, code: str) -> None:
    workspace = scene.world.workspace()
    cookie, location = scene.paying.start(workspace)
    state = scene.paying.choose(location, BRIGHT)["state"]
    valid = example(scene, door_of("GET", OAUTH_CALLBACK))

    answer = replace(valid, query={"state": state, "code": code}, headers={"Cookie": cookie}).send(scene.world)

    assert _is_a_page_that_refuses(answer), f"{answer.status} {answer.text[:300]}"
    assert scene.world.call("GET", CONNECTION.format(workspace_id=workspace)).status == 404


@pytest.mark.parametrize("door", PAGES, ids=name_of)
def test_a_page_is_there_whatever_else_stands_in_its_address_or_its_cookies(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    cookie = valid.headers.get("Cookie", "x=1")
    request = replace(
        valid, query={**valid.query, "utm_source": "mail", "é": "\x00"}, headers={"Cookie": f"a=b; {cookie}"}
    )

    answer = request.send(scene.world)

    assert answer.status == door.status, answer.text[:300]


def _is_a_page_that_refuses(answer: Answer) -> bool:
    """A page for people, with a 4xx, that repeats nothing of what was sent."""
    is_page = answer.headers["content-type"].startswith("text/html")
    return is_page and 400 <= answer.status < 500 and "alert(1)" not in page_of(answer)


def _wrong_texts(name: str, schema: dict[str, Any]) -> list[str]:
    """Texts that a query parameter may not be. Where a number is meant, only its digits are one."""
    if schema.get("type") == "integer":
        least, most = str(schema["minimum"] - 1), str(schema["maximum"] + 1)
        return [*TEXTS, least, most, "abc", "1.0", "1.5", "1e1", "+10", " 10", "1_0", "0x1"]
    garbage = ["garbage", "ent_", "sa_", "ws_unknown", "zzz", "1"] if name == "starting_after" else []
    garbage += ["queued", "posted", "UNMATCHED"] if name == "status" else []
    return [*TEXTS, *garbage]


def _send_all(
    scene: Scene,
    wrong: Iterable[tuple[str, Any, Example]],
    expected: Iterable[int] = (400, 401, 422),
    param_may_miss: bool = False,
) -> list[str]:
    """Send every wrong request; what is to complain about their answers, and about what they left behind."""
    complaints = []
    before = _everything_written()
    for param, value, request in wrong:
        answer = request.send(scene.world)
        complaint = _complaint(answer, param, tuple(expected), param_may_miss)
        if complaint:
            complaints.append(f"{param} = {str(value)[:60]!r} ({type(value).__name__}): {complaint}")
    if _everything_written() != before:
        complaints.append("something was written")
    return complaints


def _complaint(answer: Answer, param: str, expected: tuple[int, ...], param_may_miss: bool) -> str | None:
    if answer.status not in expected:
        return f"{answer.status} {answer.text[:160]}"
    told = problem_of(answer)["param"]
    if answer.status == 401 or (answer.status == 400 and told == "body") or (told is None and param_may_miss):
        return None
    if told != param and not str(told).startswith((f"{param}.", f"{param}[")):
        return f"names {told!r}"
    return None


def _everything_written() -> dict[str, Any]:
    """All items of all tables, and how many messages are on the queues, seen or not."""
    dynamodb, sqs = _clients()
    found: dict[str, Any] = {}
    for table in TABLES:
        pages = dynamodb.get_paginator("scan").paginate(TableName=settings().table_name(table))
        found[table] = sorted(json.dumps(item, sort_keys=True) for page in pages for item in page["Items"])
    for queue in (settings().usage_queue, settings().payments_queue):
        counts = sqs.get_queue_attributes(QueueUrl=_queue_url(queue), AttributeNames=["All"])["Attributes"]
        found[queue] = sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumber"))
    return found


@functools.cache
def _clients() -> tuple[Any, Any]:
    return boto3.client("dynamodb"), boto3.client("sqs")


def _queue_url(name: str) -> str:
    url: str = _clients()[1].get_queue_url(QueueName=name)["QueueUrl"]
    return url
