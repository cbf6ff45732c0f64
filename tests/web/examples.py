"""A valid request for every door, in a small world: the walk through the API sends them, the sweeps spoil them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from chalicelib.clock import now_ms
from chalicelib.gateways.voice.cloudevents import CloudEvent
from chalicelib.web.doors import DOORS, Door
from tests.calls import call, moment
from tests.gateways.voice_platforms import sign_cloudevents
from tests.world import Answer, World

USAGE_EVENTS = "/v1/usage-events"
VOICE_WEBHOOK = "/webhooks/voice/{provider}/{endpoint_id}"
PROBLEM_MEMBERS = {"type", "title", "status", "code", "detail", "param", "request_id"}
LONGEST_PROBLEM = 4_000


@dataclass(frozen=True)
class Scene:
    """Two agencies with a client each, the first with balance, a voice endpoint and a reported call."""

    world: World
    workspace: str
    client: str
    endpoint: dict[str, Any]
    other_workspace: str
    other_client: str

    @classmethod
    def build(cls, world: World) -> "Scene":
        workspace, other_workspace = world.workspace(), world.workspace()
        client, other_client = world.sub_account(workspace, "0.15"), world.sub_account(other_workspace, "0.15")
        world.credit(workspace, "100.00")
        world.credit(client, "20.00")
        world.report(call(client, "call_1"))
        return cls(world, workspace, client, world.endpoint(workspace, "cloudevents"), other_workspace, other_client)


@dataclass(frozen=True)
class Example:
    """One request to a door. `path_values` stand in the path as they are; `raw` goes instead of `body`."""

    door: Door
    path_values: dict[str, str]
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    sign: Callable[[bytes], dict[str, str]] | None = None

    def send(self, world: World) -> Answer:
        path = self.door.path.format(**self.path_values)
        path += f"?{urlencode(self.query)}" if self.query else ""
        raw = self.raw if self.raw is not None else b"" if self.body is None else encoded(self.body)
        headers = self.headers if self.sign is None else {**self.sign(raw), **self.headers}
        return world.call(self.door.method, path, raw=raw, headers=headers, key="" if self.door.needs_key else None)

    def with_body(self, body: Any) -> "Example":
        return replace(self, body=body)

    def with_raw(self, raw: bytes, **headers: str) -> "Example":
        return replace(self, raw=raw, headers={**self.headers, **headers})

    def with_query(self, query: dict[str, str]) -> "Example":
        return replace(self, query=query)

    def with_path(self, **values: str) -> "Example":
        return replace(self, path_values={**self.path_values, **values})


def name_of(door: Door) -> str:
    return f"{door.method} {door.path}"


def door_of(method: str, path: str) -> Door:
    (found,) = [door for door in DOORS if (door.method, door.path) == (method, path)]
    return found


def encoded(body: Any) -> bytes:
    """As JSON. A `Decimal` stands there digit for digit, which a float could not."""
    text = json.dumps(body, default=lambda number: f"a number: {number}")
    return re.sub(r'"a number: ([^"]*)"', r"\1", text).encode()


def body_model(door: Door) -> type[BaseModel] | None:
    """The model of what a door reads, also where it reads the bytes itself."""
    if isinstance(door.body, type):
        return door.body
    return CloudEvent if door.body is not None else None


def example(scene: Scene, door: Door) -> Example:
    """A valid request to this door. A KeyError here says what a new route still needs in the tables below."""
    path_values = {name: PATH_VALUES[name](scene) for name in re.findall(r"{(\w+)}", door.path)}
    body = BODIES[door.method, door.path](scene) if door.body is not None else None
    query = _query(door.query) if door.query is not None else {}
    headers = {name: HEADERS[name] for name in door.headers}
    sign = signed_by(scene.endpoint["secret"]) if door.path == VOICE_WEBHOOK else None
    return Example(door, path_values, body, query, headers, sign=sign)


def _query(model: type[BaseModel]) -> dict[str, str]:
    wanted = [name for name, known in model.model_fields.items() if known.is_required() or name in QUERY_VALUES]
    return {name: QUERY_VALUES[name] for name in wanted}


def signed_by(secret: str) -> Callable[[bytes], dict[str, str]]:
    """Signs as Standard Webhooks, now."""
    return lambda raw: sign_cloudevents(raw, secret, str(now_ms() // 1000), "")


def problem_of(answer: Answer) -> dict[str, Any]:
    """The problem in this answer, whose shape must be right whatever it is about."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:300]
    found: dict[str, Any] = answer.json
    assert set(found) >= PROBLEM_MEMBERS
    assert found["status"] == answer.status
    assert found["type"] == f"urn:rebill:problem:{found['code']}"
    assert all(isinstance(found[name], str) and found[name] for name in ("title", "code", "detail", "request_id"))
    assert found["param"] is None or isinstance(found["param"], str)
    assert found["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.text) <= LONGEST_PROBLEM, f"{len(answer.text)} bytes of problem: it echoes what was sent"
    return found


PATH_VALUES: dict[str, Callable[[Scene], str]] = {
    "workspace_id": lambda scene: scene.workspace,
    "sub_account_id": lambda scene: scene.client,
    "provider": lambda scene: "cloudevents",
    "agent_id": lambda scene: "agent_7",
    "endpoint_id": lambda scene: scene.endpoint["id"],
    "source": lambda scene: "my-platform",
    "event_id": lambda scene: "call_1",
    "asset": lambda scene: "start.js",
}


def _new_workspace(scene: Scene) -> dict[str, Any]:
    gate = {"min_start_seconds": 30, "max_call_seconds": 1800}
    return {
        "name": "Acme Voice",
        "currency": "usd",
        "owner_email": "owner@acme.example",
        "gate": gate,
        "credit_limit": "5.00",
    }


def _cost(scene: Scene) -> dict[str, Any]:
    return {
        "cost_per_minute": "0.08",
        "initial_increment_seconds": 30,
        "increment_seconds": 6,
        "minimum_seconds": 10,
        "connect_fee": "0.01",
        "meters": {"chat": {"cost_per_unit": "0.01"}},
        "effective_at": moment(3600),
    }


def _rebilling(scene: Scene) -> dict[str, Any]:
    voice = {
        "enabled": True,
        "price_type": "fixed",
        "price_per_minute": "0.20",
        "initial_increment_seconds": 30,
        "increment_seconds": 6,
        "minimum_seconds": 10,
        "connect_fee": "0.01",
        "accept_below_cost": False,
    }
    chat = {"enabled": True, "price_type": "fixed", "price_per_unit": "0.02", "accept_below_cost": False}
    return {"enabled": True, "voice": voice, "meters": {"chat": chat}, "effective_at": moment(3600)}


def _usage_event(scene: Scene) -> dict[str, Any]:
    return call(scene.client, "call_2", data={"connected": True, "outcome": "hangup", "duration_seconds": 42})


def _credit(scene: Scene) -> dict[str, Any]:
    return {"amount": "12.50", "note": "paid by bank transfer", "currency": "usd"}


BODIES: dict[tuple[str, str], Callable[[Scene], Any]] = {
    ("POST", "/v1/workspaces"): _new_workspace,
    ("PUT", "/v1/workspaces/{workspace_id}/cost"): _cost,
    ("POST", "/v1/workspaces/{workspace_id}/sub-accounts"): lambda _: {"name": "Bright Dental", "credit_limit": "1"},
    ("PUT", "/v1/sub-accounts/{sub_account_id}/rebilling"): _rebilling,
    ("POST", "/v1/workspaces/{workspace_id}/wallet/credits"): _credit,
    ("POST", "/v1/sub-accounts/{sub_account_id}/wallet/credits"): _credit,
    ("POST", USAGE_EVENTS): _usage_event,
    ("POST", VOICE_WEBHOOK): _usage_event,
    ("POST", "/v1/workspaces/{workspace_id}/voice-endpoints"): lambda _: {"provider": "retell", "secret": "key_12345"},
}
QUERY_VALUES = {"limit": "10", "status": "unmatched"}
HEADERS = {"Idempotency-Key": "order-7"}

# Values that nothing of ours can be called, as they stand in a path.
ODD_PATH_VALUES = (
    *("%00", "a%00b", "%0A", "%2F", "a%2Fb", "..%2F..%2Fetc%2Fpasswd", "%20", "a%20b", "a b", "%23", "a%23b"),
    *("%C3%A9", "é", "%D9%A1%D9%A2", "%EF%BC%91", "%F0%9F%92%B8", "%FF", "%ED%A0%80", "x" * 2000),
)
