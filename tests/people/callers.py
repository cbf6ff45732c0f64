"""The people of a scene, and the keys of its platform: everybody who may stand at a door."""

from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.people import Scope
from chalicelib.flows import authenticate
from chalicelib.web.doors import Door
from tests.calls import call
from tests.web.examples import Example, Scene, example
from tests.world import Answer, World

COST = "0.0731"  # what the agency pays for a minute in these scenes: no client may ever read it
PEOPLE = {
    "owner": "owner@acme.example",
    "admin": "admin@acme.example",
    "user": "client@bright.example",
    "user of a sibling": "client@harbor.example",
    "removed": "removed@acme.example",
    "owner of another workspace": "owner@north.example",
}


def enter(world: World, email: str, account: str) -> str:
    """Somebody comes in by a link: the token of their session."""
    kind = "workspace" if account.startswith("ws_") else "sub_account"
    link = world.post("/v1/dashboard-sessions", {"email": email, kind: account})["url"]
    session = world.post("/v1/dashboard-sessions/redeem", {"token": link.rpartition("=")[2]}, key=None)
    token: str = session["token"]
    return token


def set_role(world: World, workspace: str, email: str, role: str = "admin") -> None:
    world.put(f"/v1/workspaces/{workspace}/people/{email}", {"role": role})


def remove(world: World, workspace: str, email: str) -> None:
    assert world.call("DELETE", f"/v1/workspaces/{workspace}/people/{email}").status == 200


def authorize(world: World, sub_account: str, email: str) -> None:
    world.put(f"/v1/sub-accounts/{sub_account}/authorized-users/{email}")


@dataclass(frozen=True)
class Stage:
    """A scene with everybody on it: `tokens` are what people come with, by what they are."""

    scene: Scene
    sibling: str
    tokens: dict[str, str]
    keys_without: dict[Scope, str]

    @classmethod
    def build(cls, scene: Scene) -> "Stage":
        world = scene.world
        sibling = world.sub_account(scene.workspace, "0.19")
        world.put(f"/v1/workspaces/{scene.workspace}/cost", {"cost_per_minute": COST})
        for client in (scene.client, sibling):
            world.credit(client, "20.00", key="calls")
            world.report([call(client, f"call_of_{client}_{number}", seconds=60) for number in range(2)])
        world.drain()
        for who in ("admin", "removed"):
            set_role(world, scene.workspace, PEOPLE[who])
        authorize(world, scene.client, PEOPLE["user"])
        authorize(world, sibling, PEOPLE["user of a sibling"])
        set_role(world, scene.other_workspace, PEOPLE["owner of another workspace"], "owner")
        homes = {
            **dict.fromkeys(PEOPLE, scene.workspace),
            "user": scene.client,
            "user of a sibling": sibling,
            "owner of another workspace": scene.other_workspace,
        }
        tokens = {who: enter(world, email, homes[who]) for who, email in PEOPLE.items()}
        remove(world, scene.workspace, PEOPLE["removed"])
        every = frozenset(Scope)
        keys = {scope: authenticate.issue_api_key(f"all but {scope}", every - {scope}) for scope in Scope}
        return cls(scene, sibling, tokens, keys)

    def token_of(self, caller: str, scope: Scope) -> str:
        """What this caller shows at a door that needs this scope."""
        keys = {"key": self.scene.world.api_key, "key without the scope": self.keys_without[scope]}
        return {**keys, **self.tokens}[caller]

    def targets(self, door: Door) -> dict[str, dict[str, str]]:
        """What a door's path may name: the values that go into it, by whose they are."""
        scene = self.scene
        closes = door.path.endswith("/close")
        own_part = scene.workspace.removeprefix("ws_")
        if "{sub_account_id}" in door.path:
            ids = {
                "own": self._may_close(PEOPLE["user"]) if closes else scene.client,
                "sibling": self._may_close(PEOPLE["user of a sibling"]) if closes else self.sibling,
                "foreign": scene.world.sub_account(scene.other_workspace) if closes else scene.other_client,
                "missing": "sa_nobodyknows_nothing",
                "missing here": f"sa_{own_part}_nothing",
            }
            return {whose: {"sub_account_id": each} for whose, each in ids.items()}
        if "{workspace_id}" in door.path:
            ids = {"own": scene.workspace, "foreign": scene.other_workspace, "missing": "ws_nobodyknows"}
            return {whose: {"workspace_id": each} for whose, each in ids.items()}
        return {"of nobody": {}}

    def _may_close(self, user: str) -> str:
        """A sub-account that is needed for nothing else, with its user."""
        made = self.scene.world.sub_account(self.scene.workspace)
        authorize(self.scene.world, made, user)
        return made

    def request(self, door: Door, values: dict[str, str]) -> Example:
        """A valid request to a door about this target."""
        made = example(self.scene, door)
        return replace(made, path_values={**made.path_values, **values})

    def send(self, request: Example, token: str) -> Answer:
        return send(self.scene.world, request, token)

    def leave_as_it_was(self, door: Door) -> None:
        """Undo what a door that was opened may have done to those who stand at the next one."""
        world, scene = self.scene.world, self.scene
        if door.path.endswith("/stripe") and door.method == "DELETE":
            self.scene.paying.connect(scene.workspace)
        for account in (scene.client, self.sibling):
            if door.path.endswith("/pause"):
                world.call("POST", f"/v1/sub-accounts/{account}/resume", {"note": "go on"})
        if door.path.endswith("/pause"):
            world.call("POST", f"/v1/workspaces/{scene.workspace}/resume", {"note": "go on"})


def send(world: World, request: Example, token: str, **headers: str) -> Answer:
    """Send an example's request with this token; the cookie's way when it is empty."""
    path = request.door.path.format(**request.path_values)
    if request.query:
        path += "?" + "&".join(f"{name}={value}" for name, value in request.query.items())
    body: Any = request.body
    return world.call(request.door.method, path, body, headers={**request.headers, **headers}, key=token or None)
