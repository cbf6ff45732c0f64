"""The description of the API: valid, complete, and true of every answer; and the page that shows it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from app import app
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.web.every_door import DOORS
from chalicelib.web.routes import METHODS
from local.pretend_stripe import PretendStripe
from tests.calls import call
from tests.web.examples import VOICE_WEBHOOK, Example, Scene, example, name_of
from tests.world import Answer, World

TEXT = {"type": "string", "minLength": 1}
# The part of OpenAPI 3.1 that a description of ours may use, closed: what fits this is valid OpenAPI 3.1.
CONTENT = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": r"^[\w.+*-]+/[\w.+*-]+$"},
    "additionalProperties": {
        "type": "object",
        "properties": {"schema": {"type": ["object", "boolean"]}, "examples": {"type": "object"}},
        "additionalProperties": False,
    },
}
RESPONSE = {
    "type": "object",
    "properties": {"description": TEXT, "content": CONTENT, "headers": {"type": "object"}},
    "required": ["description"],
    "additionalProperties": False,
}
PARAMETER = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "in": {"enum": ["path", "query", "header"]},
        "required": {"type": "boolean"},
        "description": TEXT,
        "schema": {"type": "object"},
    },
    "required": ["name", "in", "schema"],
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"properties": {"required": {"const": True}}, "required": ["required"]},
    "additionalProperties": False,
}
SECURITY = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array", "items": TEXT}}}
OPERATION = {
    "type": "object",
    "properties": {
        "operationId": TEXT,
        "summary": TEXT,
        "description": TEXT,
        "tags": {"type": "array", "items": TEXT},
        "parameters": {"type": "array", "items": PARAMETER},
        "requestBody": {
            "type": "object",
            "properties": {"description": TEXT, "required": {"type": "boolean"}, "content": CONTENT},
            "required": ["content"],
            "additionalProperties": False,
        },
        "responses": {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {"^[1-5][0-9][0-9]$": RESPONSE},
            "additionalProperties": False,
        },
        "security": SECURITY,
    },
    "required": ["operationId", "summary", "description", "responses"],
    "additionalProperties": False,
}
OPENAPI_3_1 = {
    "type": "object",
    "properties": {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": {
            "type": "object",
            "properties": {"title": TEXT, "version": TEXT, "summary": TEXT, "description": TEXT},
            "required": ["title", "version"],
            "additionalProperties": False,
        },
        "servers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"url": TEXT, "description": TEXT},
                "required": ["url"],
                "additionalProperties": False,
            },
        },
        "security": SECURITY,
        "paths": {
            "type": "object",
            "propertyNames": {"pattern": "^/"},
            "additionalProperties": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"enum": [method.lower() for method in METHODS]},
                "additionalProperties": OPERATION,
            },
        },
        "components": {
            "type": "object",
            "properties": {
                "schemas": {
                    "type": "object",
                    "propertyNames": {"pattern": r"^[a-zA-Z0-9._-]+$"},
                    "additionalProperties": {"type": "object"},
                },
                "securitySchemes": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "properties": {"type": {"const": "http"}, "scheme": {"const": "bearer"}, "description": TEXT},
                        "required": ["type", "scheme"],
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
    },
    "required": ["openapi", "info", "paths"],
    "additionalProperties": False,
}


@pytest.fixture
def described(world: World) -> dict[str, Any]:
    """The description as it is served."""
    found: dict[str, Any] = world.call("GET", "/openapi.json", key=None).json
    return found


def test_the_description_is_valid_openapi_3_1(described: dict[str, Any]) -> None:
    found = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(OPENAPI_3_1).iter_errors(described)
    ]

    assert not found, "\n".join(found)


def test_every_schema_is_valid_json_schema_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    references = {node["$ref"] for node in _objects(described) if isinstance(node.get("$ref"), str)}

    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert references
    assert references <= {f"#/components/schemas/{name}" for name in schemas}


def test_every_default_and_every_example_fits_the_schema_that_it_stands_in(described: dict[str, Any]) -> None:
    wrong = []
    for schema in _objects(described):
        shown = [schema["default"]] if "default" in schema and _is_schema(schema) else []
        shown += schema["examples"] if isinstance(schema.get("examples"), list) else []
        refused = _validator(described, schema)
        wrong += [f"{schema.get('title')}: {value!r}" for value in shown if not refused.is_valid(value)]

    assert not wrong, "\n".join(wrong)


def test_every_path_value_is_described_and_nothing_else_is(described: dict[str, Any]) -> None:
    for path, operations in described["paths"].items():
        for operation in operations.values():
            told = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
            assert sorted(told) == sorted(re.findall(r"{(\w+)}", path))


def test_operations_have_names_of_their_own_and_known_ways_to_be_let_in(described: dict[str, Any]) -> None:
    operations = [operation for path in described["paths"].values() for operation in path.values()]

    names = [operation["operationId"] for operation in operations]
    ways = {name for each in [described, *operations] for way in each.get("security", []) for name in way}

    assert len(set(names)) == len(names)
    assert ways == set(described["components"]["securitySchemes"])


def test_every_route_that_is_served_is_described_and_every_described_one_is_served(
    world: World, described: dict[str, Any]
) -> None:
    routes = {(path, method) for path, methods in app.routes.items() for method in methods}
    addresses = {path: re.sub(r"{\w+}", "nobody", path) for path in app.routes}
    served = {(path, method) for path, method in routes if world.call(method, addresses[path], key=None).status != 405}

    told = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}

    assert told == served
    assert served == {(door.path, door.method) for door in DOORS}


def test_exactly_the_routes_that_need_no_key_are_described_as_open(described: dict[str, Any]) -> None:
    told_open = {
        (path, method.upper())
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") == []
    }

    assert described["security"] == [{"api_key": []}]
    assert told_open == {(door.path, door.method) for door in DOORS if not door.needs_key}


def test_every_valid_example_fits_its_described_body(
    world: World, pretend: PretendStripe, described: dict[str, Any]
) -> None:
    scene = Scene.build(world, pretend)
    with_body = [example(scene, door) for door in DOORS if isinstance(door.body, type)]

    wrong = []
    for request in with_body:
        operation = described["paths"][request.door.path][request.door.method.lower()]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        wrong += [f"{name_of(request.door)}: {error.message}" for error in _errors(described, schema, request.body)]

    assert with_body
    assert not wrong, "\n".join(wrong)


def test_every_answer_on_a_walk_through_all_routes_is_as_described(
    world: World, pretend: PretendStripe, described: dict[str, Any]
) -> None:
    scene = _a_scene_with_everything(world, pretend)

    answers = [(request := example(scene, door), request.send(world)) for door in DOORS]

    assert [answer.status for _, answer in answers] == [door.status for door in DOORS]
    wrong = [complaint for request, answer in answers for complaint in _untrue(described, request, answer)]
    assert not wrong, "\n".join(wrong)


def test_every_refusal_is_as_described(world: World, pretend: PretendStripe, described: dict[str, Any]) -> None:
    scene = Scene.build(world, pretend)
    poor = world.sub_account(world.workspace(), "0.15")
    requests = []
    for door in DOORS:
        valid = example(scene, door)
        requests += [valid.with_path(**{name: "unknown"}) for name in valid.path_values]
        if door.body is not None:
            requests += [valid.with_raw(raw) for raw in (b"", b"{}", b"[1]", b" " * (door.most_body_bytes + 1))]
        if isinstance(door.body, type):
            requests.append(valid.with_raw(b"{}", **{"Content-Type": "text/plain"}))
        if door.query is not None:
            requests.append(valid.with_query({"surprise": "1"}))
        if door.headers:
            requests.append(replace(valid, headers={}))
        if valid.sign is not None:
            requests.append(replace(valid, sign=None))
        if door.path.endswith("/access"):
            requests.append(valid.with_path(sub_account_id=poor))

    answers = [(request, request.send(world)) for request in requests]

    assert {400, 401, 403, 404, 413, 415, 422} <= {answer.status for _, answer in answers}
    wrong = {complaint for request, answer in answers for complaint in _untrue(described, request, answer)}
    assert not wrong, "\n".join(sorted(wrong))


def test_the_webhooks_description_knows_the_status_that_each_platform_takes_for_received(
    described: dict[str, Any],
) -> None:
    told = set(described["paths"][VOICE_WEBHOOK]["post"]["responses"])

    assert {str(adapter.ACCEPTED_STATUS) for adapter in ADAPTERS.values()} <= told


def test_the_description_names_the_address_that_it_was_asked_at(described: dict[str, Any]) -> None:
    assert described["servers"] == [{"url": "https://rebill.example"}]


def test_the_page_and_all_that_it_loads_are_served_from_here_without_a_key(world: World) -> None:
    page = world.call("GET", "/docs", key=None)

    loaded = _Loads.of(page.text)
    parts = {address: world.call("GET", f"/{address}", key=None) for address in loaded.addresses}

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert len(parts) == 3
    assert {part.status for part in parts.values()} == {200}
    assert all(len(part.text) > 50 for part in parts.values())
    types = {address.rpartition(".")[2]: part.headers["content-type"] for address, part in parts.items()}
    assert types == {"js": "text/javascript", "css": "text/css"}


def test_the_page_runs_nothing_of_its_own_and_loads_nothing_from_outside(world: World) -> None:
    page = world.call("GET", "/docs", key=None)

    loaded = _Loads.of(page.text)
    policy = dict(rule.strip().partition(" ")[::2] for rule in page.headers["content-security-policy"].split(";"))

    assert loaded.inline == []
    assert not [address for address in loaded.addresses if ":" in address or address.startswith("/")]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"


def test_the_page_reads_the_description_beside_it(world: World) -> None:
    script = world.call("GET", "/docs/start.js", key=None).text

    assert re.findall(r'url: "([^"]+)"', script) == ["openapi.json"]
    assert world.call("GET", "/openapi.json", key=None).status == 200


class _Loads(HTMLParser):
    """What a page loads, and what it runs by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._inside = ""

    @classmethod
    def of(cls, page: str) -> "_Loads":
        found = cls()
        found.feed(page)
        found.close()
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self._inside = tag
        self.addresses += [known[name] or "" for name in ("src", "href") if name in known]
        self.inline += [name for name in known if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def _a_scene_with_everything(world: World, pretend: PretendStripe) -> Scene:
    """Posted, waiting and contradicted events, other meters, every kind of price: whatever an answer may show."""
    scene = Scene.build(world, pretend)
    client = world.sub_account(scene.workspace)
    chat = {"chat": {"price_type": "markup", "markup_percent": "12.5"}, "mail": {"enabled": False}}
    voice = {"price_type": "markup", "markup_percent": 50}
    costs = {"cost_per_minute": "0.07", "meters": {"chat": {"cost_per_unit": "0.01"}}}
    world.put(f"/v1/workspaces/{scene.workspace}/cost", costs)
    world.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice, "meters": chat})
    messages = call(client, "chat_1")
    messages["data"] = {"meter": "chat", "quantity": 3}
    world.report([messages, call(client, "call_9"), call(scene.client, "early", answered=86_400)])
    world.report(call(client, "never", data={"connected": False, "outcome": "no_answer"}))
    webhook = next(door for door in DOORS if door.path == VOICE_WEBHOOK)
    example(scene, webhook).with_body(call("agent_nobody_knows", "call_8")).send(world)
    world.drain()
    return scene


def _untrue(described: dict[str, Any], request: Example, answer: Answer) -> Iterator[str]:
    """What an answer has that its description does not allow."""
    told = described["paths"][request.door.path][request.door.method.lower()]["responses"]
    where = f"{name_of(request.door)} {answer.status}"
    if str(answer.status) not in told:
        yield f"{where} is not described: {answer.text[:120]}"
        return
    content = told[str(answer.status)]["content"]
    media_type = answer.headers.get("content-type", "nothing").partition(";")[0]
    if media_type not in content:
        yield f"{where} answers {media_type}, described are {list(content)}"
    elif "schema" in content[media_type]:
        errors = _errors(described, content[media_type]["schema"], answer.json)
        yield from (f"{where} {error.json_path}: {error.message}" for error in errors)


def _errors(described: dict[str, Any], schema: dict[str, Any], value: Any) -> list[Any]:
    return list(_validator(described, schema).iter_errors(value))


def _validator(described: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": described["components"]})


def _is_schema(node: dict[str, Any]) -> bool:
    return bool({"type", "anyOf", "$ref", "enum", "const", "allOf"} & set(node))


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from _objects(inner)
    if isinstance(node, list):
        for inner in node:
            yield from _objects(inner)
