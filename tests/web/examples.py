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
from local.pretend_stripe import PretendStripe
from local.pretend_stripe.deliveries import signature
from tests.calls import call, moment
from tests.gateways.voice_platforms import sign_cloudevents
from tests.stripe_stand import BRIGHT, NORTH, SECRETS, Paying, give_keys
from tests.world import Answer, World

USAGE_EVENTS = "/v1/usage-events"
VOICE_WEBHOOK = "/webhooks/voice/{provider}/{endpoint_id}"
STRIPE_WEBHOOKS = {"/webhooks/stripe": "platform", "/webhooks/stripe/connect": "connect"}
OAUTH_START, OAUTH_CALLBACK, RETURN = "/oauth/stripe/start", "/oauth/stripe/callback", "/payments/return"
CONNECTION = "/v1/workspaces/{workspace_id}/stripe"
TOP_UPS = {
    "/v1/workspaces/{workspace_id}/wallet/top-ups": "workspace",
    "/v1/sub-accounts/{sub_account_id}/wallet/top-ups": "client",
}
PROBLEM_MEMBERS = {"type", "title", "status", "code", "detail", "param", "request_id"}
LONGEST_PROBLEM = 4_000


@dataclass(frozen=True)
class Scene:
    """Two agencies with a client and a Stripe account each; one with balance, a voice endpoint, a reported call."""

    world: World
    paying: Paying
    workspace: str
    client: str
    endpoint: dict[str, Any]
    other_workspace: str
    other_client: str

    @classmethod
    def build(cls, world: World, pretend: PretendStripe) -> "Scene":
        pretend.control.reset()
        give_keys(pretend)
        paying = Paying(world, pretend)
        workspace, other_workspace = world.workspace(), world.workspace()
        client, other_client = world.sub_account(workspace, "0.15"), world.sub_account(other_workspace, "0.15")
        world.credit(workspace, "100.00")
        world.credit(client, "20.00")
        world.report(call(client, "call_1"))
        paying.connect(workspace, BRIGHT)
        paying.connect(other_workspace, NORTH)
        endpoint = world.endpoint(workspace, "cloudevents")
        return cls(world, paying, workspace, client, endpoint, other_workspace, other_client)


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
    """The model of what a door reads, also where it reads the bytes itself; Stripe's events have none."""
    if isinstance(door.body, type):
        return door.body
    return CloudEvent if door.body is not None and door.path not in STRIPE_WEBHOOKS else None


def example(scene: Scene, door: Door) -> Example:
    """A valid request to this door. A KeyError here says what a new route still needs in the tables below."""
    known = PATH_VALUES | PATH_VALUES_OF.get((door.method, door.path), {})
    path_values = {name: known[name](scene) for name in re.findall(r"{(\w+)}", door.path)}
    body = BODIES[door.method, door.path](scene) if door.body is not None else None
    query = _query(door.query) if door.query is not None else {}
    headers = {name: HEADERS[name] for name in door.headers}
    made = Example(door, path_values, body, query, headers, sign=_sign(scene, door))
    return BY_A_BROWSER[door.path](scene, made) if door.path in BY_A_BROWSER else made


def _sign(scene: Scene, door: Door) -> Callable[[bytes], dict[str, str]] | None:
    if door.path in STRIPE_WEBHOOKS:
        secret = SECRETS[STRIPE_WEBHOOKS[door.path]]
        return lambda raw: {"Stripe-Signature": signature(secret, raw, now_ms() // 1000)}
    return signed_by(scene.endpoint["secret"]) if door.path == VOICE_WEBHOOK else None


def _query(model: type[BaseModel]) -> dict[str, str]:
    wanted = [name for name, known in model.model_fields.items() if known.is_required() or name in QUERY_VALUES]
    return {name: QUERY_VALUES[name] for name in wanted}


def signed_by(secret: str) -> Callable[[bytes], dict[str, str]]:
    """Signs as Standard Webhooks, now."""
    return lambda raw: sign_cloudevents(raw, secret, str(now_ms() // 1000), "")


def page_of(answer: Answer) -> str:
    """The page in this answer, which must be one for people, and run nothing."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8", answer.text[:300]
    assert answer.text.startswith("<!doctype html>")
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = dict(rule.strip().partition(" ")[::2] for rule in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert len(answer.text) <= LONGEST_PROBLEM, f"{len(answer.text)} bytes of page: it echoes what was sent"
    return answer.text


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
    "top_up_id": lambda scene: _top_up(scene, scene.client),
}
PATH_VALUES_OF: dict[tuple[str, str], dict[str, Callable[[Scene], str]]] = {
    ("GET", "/v1/workspaces/{workspace_id}/wallet/top-ups/{top_up_id}"): {
        "top_up_id": lambda scene: _top_up(scene, scene.workspace)
    },
    ("DELETE", CONNECTION): {"workspace_id": lambda scene: scene.other_workspace},
}


def _top_up(scene: Scene, owner: str) -> str:
    top_up_id: str = scene.paying.top_up(owner, TOP_UP["amount"], HEADERS["Idempotency-Key"])["id"]
    return top_up_id


def _opened_link(scene: Scene, made: Example) -> Example:
    """A link to connect that nobody has opened yet."""
    path = CONNECTION.format(workspace_id=scene.other_workspace)
    link: str = scene.world.post(f"{path}/connect", {"user": "owner@acme.example"})["url"]
    return made.with_query({"state": link.rpartition("=")[2]})


def _answered_link(scene: Scene, made: Example) -> Example:
    """What comes back with a browser whose person has chosen an account that nobody has."""
    cookie, location = scene.paying.start(scene.other_workspace)
    account = scene.paying.pretend.control.add_account("Quiet Calls")["id"]
    return replace(made, query=scene.paying.choose(location, account), headers={"Cookie": cookie})


def _left_page(scene: Scene, made: Example) -> Example:
    """The way back from the page of a payment."""
    return made.with_query({"owner": scene.client, "top_up": _top_up(scene, scene.client)})


BY_A_BROWSER = {OAUTH_START: _opened_link, OAUTH_CALLBACK: _answered_link, RETURN: _left_page}


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


TOP_UP = {"amount": "25.00", "currency": "usd"}


def _stripe_event(account: str | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": "evt_1PretendExample",
        "object": "event",
        "api_version": "2026-10-28.dahlia",
        "created": now_ms() // 1000,
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": {"id": "cus_1PretendExample", "object": "customer"}},
    }
    return event | ({"account": account} if account else {})


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
    ("POST", f"{CONNECTION}/connect"): lambda _: {"user": "owner@acme.example"},
    **{("POST", path): lambda _: dict(TOP_UP) for path in TOP_UPS},
    ("POST", "/webhooks/stripe"): lambda _: _stripe_event(),
    ("POST", "/webhooks/stripe/connect"): lambda _: _stripe_event(BRIGHT),
}
QUERY_VALUES = {"limit": "10", "status": "unmatched", "state": "made where it is needed"}
HEADERS = {"Idempotency-Key": "order-7"}

# Values that nothing of ours can be called, as they stand in a path.
ODD_PATH_VALUES = (
    *("%00", "a%00b", "%0A", "%2F", "a%2Fb", "..%2F..%2Fetc%2Fpasswd", "%20", "a%20b", "a b", "%23", "a%23b"),
    *("%C3%A9", "é", "%D9%A1%D9%A2", "%EF%BC%91", "%F0%9F%92%B8", "%FF", "%ED%A0%80", "x" * 2000),
)
