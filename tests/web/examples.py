"""A valid request for every door, in a small world: the walk through the API sends them, the sweeps spoil them."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel

from chalicelib.clock import now_ms
from chalicelib.gateways.voice.cloudevents import CloudEvent
from chalicelib.web.doors import Door
from chalicelib.web.every_door import DOORS
from local.pretend_stripe import PretendStripe
from local.pretend_stripe.account_objects import API_VERSION
from local.pretend_stripe.deliveries import signature
from tests.calls import call, changed, moment
from tests.gateways.voice_platforms import sign_cloudevents
from tests.refills.refilling import ASKS_FOR_ITS_HOLDER, Refilling
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
WEBHOOK_ENDPOINTS = "/v1/webhook-endpoints"
VOICE_ENDPOINTS = "/v1/workspaces/{workspace_id}/voice-endpoints"
VOICE_AGENT = "/v1/sub-accounts/{sub_account_id}/voice-agents/{provider}/{agent_id}"
NOTICE_LEVELS = (
    "/v1/workspaces/{workspace_id}/wallet/notice-levels",
    "/v1/sub-accounts/{sub_account_id}/wallet/notice-levels",
)
REFILL_RULES = (
    "/v1/workspaces/{workspace_id}/wallet/refill-rule",
    "/v1/sub-accounts/{sub_account_id}/wallet/refill-rule",
)
REFILL_SWITCHES = ("/v1/refill-switch", "/v1/workspaces/{workspace_id}/refill-switch")
SNAPSHOT = "/v1/workspaces/{workspace_id}/snapshot"
APPLY, APPLICATION = f"{SNAPSHOT}/apply", f"{SNAPSHOT}/applications/{{application_id}}"
APPLICATIONS = (("GET", APPLICATION), ("POST", f"{APPLICATION}/undo"))
PAUSE_ALL, CLOSE = "/v1/workspaces/{workspace_id}/pause", "/v1/sub-accounts/{sub_account_id}/close"
PAUSE = "/v1/sub-accounts/{sub_account_id}/pause"
DISMISS = "/v1/workspaces/{workspace_id}/usage-events/{source}/{event_id}/dismiss"
RESUMES = ("/v1/sub-accounts/{sub_account_id}/resume", "/v1/workspaces/{workspace_id}/resume")
PROBLEM_MEMBERS = {"type", "title", "status", "code", "detail", "param", "request_id"}
LONGEST_PROBLEM = 4_000
OWNER = "owner@acme.example"
ENTER, REDEEM, SESSION = "/dashboard/enter", "/v1/dashboard-sessions/redeem", "/v1/session"
PERSON = "/v1/workspaces/{workspace_id}/people/{email}"
USER = "/v1/sub-accounts/{sub_account_id}/authorized-users/{email}"


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
    spare_workspace: str  # to be paused and closed: what the others do goes on
    spare_clients: tuple[str, str]

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
        spare = world.workspace()
        spares = world.sub_account(spare), world.sub_account(spare)
        return cls(world, paying, workspace, client, endpoint, other_workspace, other_client, spare, spares)


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
    finish = BY_A_BROWSER.get(door.path) or IN_PERSON.get(door.path)
    return finish(scene, made) if finish else made


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
    "name": lambda scene: "app.css",
    "action": lambda scene: "sign-out",
    "top_up_id": lambda scene: _top_up(scene, scene.client),
    "email": lambda scene: "new@acme.example",
}
PATH_VALUES_OF: dict[tuple[str, str], dict[str, Callable[[Scene], str]]] = {
    ("GET", "/v1/workspaces/{workspace_id}/wallet/top-ups/{top_up_id}"): {
        "top_up_id": lambda scene: _top_up(scene, scene.workspace)
    },
    ("DELETE", PERSON): {"email": lambda scene: _somebody(scene, PERSON, {"role": "admin"})},
    ("DELETE", USER): {"email": lambda scene: _somebody(scene, USER)},
    **{("POST", path): {"workspace_id": lambda scene: scene.spare_workspace} for path in (PAUSE_ALL, APPLY)},
    ("POST", DISMISS): {"event_id": lambda scene: _contradicted(scene)},
    ("POST", PAUSE): {"sub_account_id": lambda scene: scene.spare_clients[0]},
    ("POST", CLOSE): {"sub_account_id": lambda scene: scene.spare_clients[1]},
    **{(method, path): {"application_id": lambda scene: _application(scene)} for method, path in APPLICATIONS},
    ("DELETE", CONNECTION): {"workspace_id": lambda scene: _a_workspace_that_may_disconnect(scene)},
    ("DELETE", f"{VOICE_ENDPOINTS}/{{endpoint_id}}"): {"endpoint_id": lambda scene: _spare_voice_endpoint(scene)},
    ("DELETE", VOICE_AGENT): {"agent_id": lambda scene: _assigned_agent(scene)},
    ("DELETE", f"{WEBHOOK_ENDPOINTS}/{{endpoint_id}}"): {"endpoint_id": lambda scene: _webhook_endpoint(scene, 1)},
    ("POST", f"{WEBHOOK_ENDPOINTS}/{{endpoint_id}}/enable"): {"endpoint_id": lambda scene: _webhook_endpoint(scene, 0)},
}


def _application(scene: Scene) -> str:
    """The snapshot as it is, applied to the client once more."""
    path = SNAPSHOT.format(workspace_id=scene.workspace)
    body = {"sub_accounts": [scene.client], "version": scene.world.get(path)["version"]}
    made = scene.world.post(f"{path}/apply", body, headers={"Idempotency-Key": uuid.uuid4().hex})
    return str(made["id"])


def _contradicted(scene: Scene) -> str:
    """A call that was billed, and reported once more with another end."""
    first = call(scene.client, f"call_{uuid.uuid4().hex}")
    for event in (first, changed(first, ended_at=moment(99))):
        scene.world.report(event)
        scene.world.drain()
    return str(first["id"])


def _a_workspace_that_may_disconnect(scene: Scene) -> str:
    """One of its own, with an account of its own: what a scene's clients pay on stays."""
    workspace = scene.world.workspace()
    scene.paying.connect(workspace, scene.paying.pretend.control.add_account("Short Calls")["id"])
    return workspace


def _top_up(scene: Scene, owner: str) -> str:
    top_up_id: str = scene.paying.top_up(owner, TOP_UP["amount"], "order-8")["id"]
    return top_up_id


def _spare_voice_endpoint(scene: Scene) -> str:
    """One that nothing comes in by."""
    path = VOICE_ENDPOINTS.format(workspace_id=scene.workspace)
    spare = [each["id"] for each in scene.world.get(path)["data"] if each["id"] != scene.endpoint["id"]]
    return str(spare[0] if spare else scene.world.endpoint(scene.workspace, "cloudevents")["id"])


def _assigned_agent(scene: Scene) -> str:
    """One that is there, and may go."""
    values = {"sub_account_id": scene.client, "provider": "cloudevents", "agent_id": "agent_leaving"}
    scene.world.put(VOICE_AGENT.format(**values))
    return values["agent_id"]


def _webhook_endpoint(scene: Scene, number: int) -> str:
    """The first, or the second, that is there: there may be few."""
    while len(known := scene.world.get(WEBHOOK_ENDPOINTS)["data"]) <= number:
        scene.world.post(WEBHOOK_ENDPOINTS, dict(HEARING))
    endpoint_id: str = known[number]["id"]
    return endpoint_id


def _hearing(scene: Scene) -> dict[str, Any]:
    """Makes room for another."""
    for endpoint in scene.world.get(WEBHOOK_ENDPOINTS)["data"][2:]:
        scene.world.call("DELETE", f"{WEBHOOK_ENDPOINTS}/{endpoint['id']}")
    return dict(HEARING)


def _somebody(scene: Scene, path: str, body: Any = None) -> str:
    """Somebody who is there, and may go."""
    email = "leaving@acme.example"
    scene.world.put(path.format(workspace_id=scene.workspace, sub_account_id=scene.client, email=email), body)
    return email


def link_token(scene: Scene) -> str:
    """The token of a new link into the dashboard."""
    body = {"email": OWNER, "workspace": scene.workspace}
    link: str = scene.world.post("/v1/dashboard-sessions", body)["url"]
    return link.rpartition("=")[2]


def _with_a_session(scene: Scene, made: Example) -> Example:
    session = scene.world.post(REDEEM, {"token": link_token(scene)}, key=None)
    return replace(made, headers={"Authorization": f"Bearer {session['token']}"})


def _with_a_cookie(scene: Scene, made: Example) -> Example:
    """As a browser comes that has opened the dashboard; a form carries the session's word."""
    session = scene.world.post(REDEEM, {"token": link_token(scene)}, key=None)
    made = replace(made, headers={"Cookie": f"rebill_session={session['token']}"})
    return made if made.door.method == "GET" else made.with_raw(urlencode({"csrf": session["csrf_token"]}).encode())


def _opened_link(scene: Scene, made: Example) -> Example:
    """A link to connect that nobody has opened yet."""
    path = CONNECTION.format(workspace_id=scene.other_workspace)
    link: str = scene.world.post(f"{path}/connect", {"user": "owner@acme.example"})["url"]
    return made.with_query({"state": link.rpartition("=")[2]})


def _answered_link(scene: Scene, made: Example) -> Example:
    """What comes back with a browser whose person has chosen an account that nobody has, for a new workspace."""
    cookie, location = scene.paying.start(scene.world.workspace())
    account = scene.paying.pretend.control.add_account("Quiet Calls")["id"]
    return replace(made, query=scene.paying.choose(location, account), headers={"Cookie": cookie})


def _left_page(scene: Scene, made: Example) -> Example:
    """The way back from the page of a payment."""
    return made.with_query({"owner": scene.client, "top_up": _top_up(scene, scene.client)})


def _asked_in_person(scene: Scene, made: Example) -> Example:
    """The link of a refill for which the bank wants the card's holder."""
    refilling = Refilling(scene.paying, scene.workspace)
    client = refilling.client(ASKS_FOR_ITS_HOLDER, "1.00", confirm_charge_now=True)
    refilling.tick()
    link: str = refilling.refill(client)["action_url"]
    return made.with_query(dict(parse_qsl(urlsplit(link).query)))


BY_A_BROWSER = {
    OAUTH_START: _opened_link,
    OAUTH_CALLBACK: _answered_link,
    RETURN: _left_page,
    "/payments/action": _asked_in_person,
    **dict.fromkeys(("/dashboard", "/dashboard/{action}"), _with_a_cookie),
    ENTER: lambda scene, made: made.with_query({"token": link_token(scene)}),
}
IN_PERSON = {SESSION: _with_a_session}


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


def _snapshot(scene: Scene) -> dict[str, Any]:
    rebilling = {name: value for name, value in _rebilling(scene).items() if name != "effective_at"}
    refill = {"threshold": "20.00", "target_balance": "100.00"}
    levels = {"levels": ["25.00", "5.00"]}
    return {"rebilling": rebilling, "refill": refill, "notice_levels": levels, "credit_limit": "5.00"}


def _usage_event(scene: Scene) -> dict[str, Any]:
    return call(scene.client, "call_2", data={"connected": True, "outcome": "hangup", "duration_seconds": 42})


def _credit(scene: Scene) -> dict[str, Any]:
    return {"amount": "12.50", "note": "paid by bank transfer", "currency": "usd", "kind": "external_payment"}


TOP_UP = {"amount": "25.00", "currency": "usd"}
REFILL_RULE = {
    "enabled": False,
    "threshold": "10",
    "mode": "fixed",
    "target_balance": "50",
    "amount": "25",
    "daily_limit": "100",
    "monthly_limit": "500",
    "daily_count_limit": 3,
    "cooldown_seconds": 120,
    "confirm_charge_now": False,
}
HEARING = {"url": "https://example.com/webhooks?for=rebill", "types": ["wallet.low", "refill.declined"]}


def _stripe_event(account: str | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": "evt_1PretendExample",
        "object": "event",
        "api_version": API_VERSION,
        "created": now_ms() // 1000,
        "livemode": False,
        "type": "customer.updated",
        "data": {"object": {"id": "cus_1PretendExample", "object": "customer"}},
    }
    return event | ({"account": account} if account else {})


BODIES: dict[tuple[str, str], Callable[[Scene], Any]] = {
    ("POST", "/v1/workspaces"): _new_workspace,
    ("PUT", "/v1/workspaces/{workspace_id}/cost"): _cost,
    ("PUT", "/v1/workspaces/{workspace_id}/top-up-limits"): lambda _: {
        "workspace": {"minimum": "10", "maximum": "5000"},
        "sub_accounts": {"minimum": "5", "maximum": "10000"},
    },
    ("POST", "/v1/workspaces/{workspace_id}/sub-accounts"): lambda _: {"name": "Bright Dental", "credit_limit": "1"},
    ("PUT", "/v1/sub-accounts/{sub_account_id}/rebilling"): _rebilling,
    ("POST", "/v1/workspaces/{workspace_id}/wallet/credits"): _credit,
    ("POST", "/v1/sub-accounts/{sub_account_id}/wallet/credits"): _credit,
    ("POST", USAGE_EVENTS): _usage_event,
    ("POST", VOICE_WEBHOOK): _usage_event,
    ("POST", VOICE_ENDPOINTS): lambda _: {"provider": "retell", "secret": "key_12345"},
    ("PUT", SNAPSHOT): _snapshot,
    ("POST", f"{SNAPSHOT}/preview"): lambda scene: {"sub_accounts": [scene.client]},
    ("POST", APPLY): lambda scene: {"sub_accounts": [scene.client], "version": 0},
    **{("POST", path): lambda _: {"note": "invoice overdue"} for path in (PAUSE, *RESUMES, PAUSE_ALL, DISMISS)},
    ("POST", CLOSE): lambda _: {"settle": "forfeit", "note": "moved to another provider"},
    ("PUT", PERSON): lambda _: {"role": "admin"},
    ("POST", "/v1/dashboard-sessions"): lambda scene: {"email": OWNER, "workspace": scene.workspace},
    ("POST", REDEEM): lambda scene: {"token": link_token(scene)},
    ("POST", f"{CONNECTION}/connect"): lambda _: {"user": "owner@acme.example"},
    **{("POST", path): lambda _: dict(TOP_UP) for path in TOP_UPS},
    **{("PUT", path): lambda _: {"levels": ["50", "10.00", "0"]} for path in NOTICE_LEVELS},
    ("POST", WEBHOOK_ENDPOINTS): _hearing,
    **{("PUT", path): lambda _: dict(REFILL_RULE) for path in REFILL_RULES},
    **{("PUT", path): lambda _: {"stopped": False, "reason": "all is well"} for path in REFILL_SWITCHES},
    ("POST", "/dashboard/{action}"): lambda _: None,
    ("POST", "/webhooks/stripe"): lambda _: _stripe_event(),
    ("POST", "/webhooks/stripe/connect"): lambda _: _stripe_event(BRIGHT),
}
QUERY_VALUES = {
    "limit": "10",
    "status": "unmatched",
    **dict.fromkeys(("state", "owner", "refill", "token"), "made where it is needed"),
}
HEADERS = {"Idempotency-Key": "order-7"}

# Values that nothing of ours can be called, as they stand in a path.
ODD_PATH_VALUES = (
    *("%00", "a%00b", "%0A", "%2F", "a%2Fb", "..%2F..%2Fetc%2Fpasswd", "%20", "a%20b", "a b", "%23", "a%23b"),
    *("%C3%A9", "é", "%D9%A1%D9%A2", "%EF%BC%91", "%F0%9F%92%B8", "%FF", "%ED%A0%80", "x" * 2000),
)
