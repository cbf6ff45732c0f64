"""Bad input: whatever is sent to whichever door, the answer is a 4xx problem that names the field; nothing is written.

The sweeps are made from the doors and their models: a new route is swept without anybody remembering it, and one for
which `examples.py` has no valid request fails the first test here.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.gateways.voice.cloudevents import LARGEST_BATCH
from chalicelib.web.doors import Door
from chalicelib.web.every_door import DOORS
from tests.calls import call, moment
from tests.web.checks import (
    CLIENTS_TOP_UP,
    COST,
    CREDIT,
    ENDPOINTS,
    REBILLING,
    REPORT,
    TOP_UP,
    WITH_BODY,
    WITH_FIELDS,
    WITH_HEADERS,
    WITH_MODEL,
    WITH_PATH,
    WITH_QUERY,
    everything_written,
    send_all,
    wrong_texts,
)
from tests.web.examples import (
    ODD_PATH_VALUES,
    STRIPE_WEBHOOKS,
    USAGE_EVENTS,
    Scene,
    body_model,
    door_of,
    example,
    name_of,
    problem_of,
)
from tests.web.sweep import NOT_THERE, changed, fields_of


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

    complaints = send_all(scene, wrong)

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

    complaints = send_all(scene, wrong)

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

    complaints = send_all(scene, [("body", name, valid.with_raw(raw)) for name, raw in bodies.items()])

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_BODY, ids=name_of)
def test_a_body_over_the_limit_is_not_even_read(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    padding = b" " * (door.most_body_bytes + 1 - len(json.dumps(valid.body)))
    before = everything_written()

    answer = valid.with_raw(json.dumps(valid.body).encode() + padding).send(scene.world)

    assert answer.status == 413
    assert problem_of(answer)["param"] == "body"
    assert everything_written() == before


@pytest.mark.parametrize("door", WITH_MODEL, ids=name_of)
def test_a_field_as_long_as_a_body_may_be_is_refused_and_not_echoed(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    long = "x" * (door.most_body_bytes - 2_000)
    before = everything_written()

    value = valid.with_body({**valid.body, next(iter(valid.body)): long}).send(scene.world)
    name = valid.with_body({**valid.body, long: 1}).send(scene.world)

    assert (value.status, name.status) == (422, 422)
    assert problem_of(value)["param"] == next(iter(valid.body))
    assert problem_of(name)["param"].startswith("xxx")
    assert everything_written() == before


@pytest.mark.parametrize("door", [door for door in WITH_BODY if door.needs_key], ids=name_of)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
def test_a_body_of_another_content_type_is_refused(scene: Scene, door: Door, media_type: str) -> None:
    valid = example(scene, door)
    before = everything_written()

    answer = valid.with_raw(json.dumps(valid.body).encode(), **{"Content-Type": media_type}).send(scene.world)

    assert answer.status == 415, answer.text[:300]
    assert problem_of(answer)["code"] == "unsupported_media_type"
    assert everything_written() == before


@pytest.mark.parametrize("door", WITH_QUERY, ids=name_of)
def test_a_wrong_value_in_a_query_is_refused_by_its_name(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for field in fields_of(door.query, valid.query)[1:]:
        (name,) = field.path
        wrong += [
            (name, text, valid.with_query({**valid.query, name: text})) for text in wrong_texts(name, field.schema)
        ]
        if field.required:
            wrong.append((name, "missing", valid.with_query({k: v for k, v in valid.query.items() if k != name})))
    unknown = ("surprise", "LIMIT", "limit[]", "%00", "é")
    wrong += [(name, "unknown", valid.with_query({**valid.query, name: "1"})) for name in unknown]

    complaints = send_all(scene, wrong)

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_HEADERS, ids=name_of)
def test_a_wrong_or_missing_header_is_refused_by_its_name(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = []
    for name in door.headers:
        others = {header: value for header, value in valid.headers.items() if header != name}
        wrong.append((name, "missing", replace(valid, headers=others)))
        wrong += [(name, value, replace(valid, headers={**others, name: value})) for value in WRONG_HEADERS[name]]

    complaints = send_all(scene, wrong)

    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("door", WITH_PATH, ids=name_of)
def test_an_address_of_nothing_or_of_somebody_elses_is_not_found(scene: Scene, door: Door) -> None:
    valid = example(scene, door)
    wrong = [
        (name, value, valid.with_path(**{name: value}))
        for name in valid.path_values
        for value in (*ODD_PATH_VALUES, *UNKNOWN[name](scene))
    ]

    complaints = send_all(scene, wrong, expected=(404, 422), param_may_miss=True)

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
    "application_id": lambda _: ("sna_unknown", "sna_", "snapshot", "*", "null", "9" * 256),
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
    "email": lambda _: ("nobody", "nobody@", "@acme.example", "a@b", "*", "null", "9" * 256),
    "name": lambda _: ("unknown.js", "..", "%2e%2e", "app.CSS", "*"),
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
    keyed = {"Idempotency-Key": "a-new-order"} if "Idempotency-Key" in valid.headers else {}
    before = everything_written()

    answer = replace(valid.with_body(change(valid.body)), headers={**valid.headers, **keyed}).send(scene.world)

    assert answer.status == 422, answer.text[:300]
    assert problem_of(answer)["param"] == param
    assert everything_written() == before


@pytest.mark.parametrize(
    "key", ["Chat", "1chat", "chat!", "", " ", "x" * 33, "ch\u00e4t", "chat\u0661", "a.b", "\u0000"]
)
@pytest.mark.parametrize("door", [REBILLING, COST], ids=" ".join)
def test_a_meter_of_an_impossible_name_is_refused_by_that_name(scene: Scene, door: tuple[str, str], key: str) -> None:
    valid = example(scene, door_of(*door))
    before = everything_written()

    answer = valid.with_body({**valid.body, "meters": {key: valid.body["meters"]["chat"]}}).send(scene.world)

    assert answer.status == 422
    assert problem_of(answer)["param"] == f"meters.{key}"
    assert everything_written() == before


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
    before = everything_written()

    answer = scene.world.call("POST", USAGE_EVENTS, batch(call(scene.client, "call_9")))

    assert answer.status == 422
    assert problem_of(answer)["param"] == param
    assert everything_written() == before


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
    before = everything_written()

    address = path.format(workspace=scene.workspace, client=scene.client, other_workspace=scene.other_workspace)
    answer = scene.world.call(method, address, body, headers={"Idempotency-Key": "one"})

    assert answer.status == 404
    assert problem_of(answer)["code"] == "not_found"
    assert everything_written() == before
