"""Sessions, links and keys: what lets somebody in, and everything that looks like it and does not."""

import base64
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
import time_machine

from chalicelib.domain.people import Scope
from chalicelib.flows import authenticate, sessions
from tests.people.callers import authorize, enter, remove, set_role
from tests.web.examples import problem_of
from tests.world import SESSION_SECRET, Answer, World

OWNER = "owner@acme.example"
OTHER_SECRET = "what sessions are signed with by somebody else"


@pytest.fixture
def workspace(world: World) -> str:
    return world.workspace()


@pytest.fixture
def token(world: World, workspace: str) -> str:
    return enter(world, OWNER, workspace)


def read(world: World, workspace: str, token: str) -> Answer:
    return world.call("GET", f"/v1/workspaces/{workspace}/wallet", key=token)


def claims_of(token: str, **other: Any) -> dict[str, Any]:
    known: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return {name: value for name, value in (known | other).items() if value is not None}


def link_for(world: World, workspace: str, email: str = OWNER) -> str:
    url: str = world.post("/v1/dashboard-sessions", {"email": email, "workspace": workspace})["url"]
    return url.removeprefix("https://rebill.example")


def test_a_session_opens_what_its_person_may_see(world: World, workspace: str, token: str) -> None:
    assert read(world, workspace, token).status == 200


@pytest.mark.parametrize(
    "other",
    [
        {"aud": "rebill-live-dashboard"},
        {"iss": "rebill-live"},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 9e9},
        *({name: None} for name in ("iat", "aud", "iss", "sub", "sid", "workspace")),
        {"sub": 7},
        {"sid": 7},
        {"workspace": ["ws_1"]},
    ],
    ids=str,
)
def test_a_token_that_says_something_else_is_no_session(
    world: World, workspace: str, token: str, other: dict[str, Any]
) -> None:
    claims = claims_of(token, **other)
    forged = _signed(claims, SESSION_SECRET, "HS256")

    assert _signed(claims_of(token), SESSION_SECRET, "HS256") == token  # so that nothing but `other` is what is refused
    assert _code(read(world, workspace, forged)) == (401, "session_invalid")


@pytest.mark.parametrize(("secret", "algorithm"), [(OTHER_SECRET, "HS256"), (SESSION_SECRET * 2, "HS512")])
def test_a_token_that_is_signed_otherwise_is_no_session(
    world: World, workspace: str, token: str, secret: str, algorithm: str
) -> None:
    forged = jwt.encode(claims_of(token), secret, algorithm=algorithm)

    assert _code(read(world, workspace, forged)) == (401, "session_invalid")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "RS256", ""])
def test_a_token_that_names_another_way_of_signing_is_no_session(
    world: World, workspace: str, token: str, algorithm: str
) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode().rstrip("=")
    _, claims, signature = token.split(".")

    for forged in (f"{header}.{claims}.", f"{header}.{claims}.{signature}"):
        assert _code(read(world, workspace, forged)) == (401, "session_invalid")


@pytest.mark.parametrize("garbage", ["..", "a.b.c", "e30.e30.e30", "\x00.\x00.\x00", "." * 2 + "x" * 5_000])
def test_garbage_is_no_session(world: World, workspace: str, garbage: str) -> None:
    assert _code(read(world, workspace, garbage)) == (401, "session_invalid")


def test_a_session_lasts_eight_hours(world: World, workspace: str) -> None:
    with time_machine.travel("2026-06-01T08:00:00Z", tick=False) as clock:
        token = enter(world, OWNER, workspace)
        clock.shift(8 * 3600 - 1)
        before = read(world, workspace, token)
        clock.shift(1)
        after = read(world, workspace, token)

    assert before.status == 200
    assert _code(after) == (401, "session_invalid")
    assert "expired" in after.json["detail"]


def test_a_link_works_once(world: World, workspace: str) -> None:
    link = link_for(world, workspace)

    first, second = (world.call("GET", link, key=None) for _ in range(2))

    assert (first.status, second.status) == (303, 401)
    assert "set-cookie" not in second.headers
    assert "used before" in second.text


def test_a_link_works_for_five_minutes(world: World, workspace: str) -> None:
    with time_machine.travel("2026-06-01T08:00:00Z", tick=False) as clock:
        links = [link_for(world, workspace) for _ in range(2)]
        clock.shift(299)
        in_time = world.call("GET", links[0], key=None)
        clock.shift(1)
        too_late = world.call("GET", links[1], key=None)

    assert (in_time.status, too_late.status) == (303, 401)


def test_of_eight_who_open_one_link_at_once_one_comes_in(world: World, workspace: str) -> None:
    link, together = link_for(world, workspace), threading.Barrier(8)

    def open_it(_: int) -> int:
        together.wait()
        return world.call("GET", link, key=None).status

    with ThreadPoolExecutor(8) as people:
        statuses = sorted(people.map(open_it, range(8)))

    assert statuses == [303] + [401] * 7


def test_a_link_is_only_given_to_somebody_who_has_access(world: World, workspace: str) -> None:
    answer = world.call("POST", "/v1/dashboard-sessions", {"email": "nobody@acme.example", "workspace": workspace})

    assert _code(answer) == (404, "no_access")


def test_a_session_that_was_signed_out_is_over_wherever_it_is_used(world: World, workspace: str, token: str) -> None:
    other = enter(world, OWNER, workspace)

    out = world.call("DELETE", "/v1/session", key=token)

    assert out.status == 200
    assert _code(read(world, workspace, token)) == (401, "session_invalid")
    assert read(world, workspace, other).status == 200


def test_somebody_who_was_removed_is_out_at_the_next_request(world: World, workspace: str) -> None:
    set_role(world, workspace, "admin@acme.example")
    token = enter(world, "admin@acme.example", workspace)
    before = read(world, workspace, token)

    remove(world, workspace, "admin@acme.example")

    assert before.status == 200
    assert _code(read(world, workspace, token)) == (403, "access_removed")


def test_an_owner_who_became_an_admin_is_one_at_the_next_request(world: World, workspace: str, token: str) -> None:
    set_role(world, workspace, "second@acme.example", "owner")
    path = f"/v1/workspaces/{workspace}/people/third@acme.example"
    before = world.call("PUT", path, {"role": "admin"}, key=token)

    set_role(world, workspace, OWNER, "admin")

    assert before.status == 200
    assert _code(world.call("PUT", path, {"role": "admin"}, key=token)) == (403, "role_missing")
    assert read(world, workspace, token).status == 200


def test_a_user_who_was_removed_reads_nothing_more(world: World, workspace: str) -> None:
    client = world.sub_account(workspace)
    authorize(world, client, "client@bright.example")
    token, path = enter(world, "client@bright.example", client), f"/v1/sub-accounts/{client}"
    before = world.call("GET", f"{path}/wallet", key=token)

    world.call("DELETE", f"{path}/authorized-users/client@bright.example")

    assert before.status == 200
    assert _code(world.call("GET", f"{path}/wallet", key=token)) == (403, "access_removed")


def test_a_revoked_key_is_refused_within_thirty_seconds(
    world: World, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = authenticate.issue_api_key("to be revoked")
    before = read(world, workspace, key)
    (known,) = [each for each in authenticate.list_api_keys() if each.name == "to be revoked"]
    authenticate.revoke_api_key(known.id)
    later = time.monotonic() + 30.0
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert before.status == 200
    assert _code(read(world, workspace, key)) == (401, "api_key_invalid")


def test_a_key_without_the_scope_is_told_which(world: World, workspace: str) -> None:
    key = authenticate.issue_api_key("the gate's", frozenset({Scope.GATE}))

    answer = read(world, workspace, key)

    assert _code(answer) == (403, "scope_missing")
    assert "'money'" in answer.json["detail"]


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_the_cookie_is_read_by_no_script_and_goes_to_no_other_site(
    world: World, workspace: str, scheme: str, secure: bool
) -> None:
    link = link_for(world, workspace)

    answer = world.call("GET", link, headers={"x-forwarded-proto": scheme}, key=None)

    flags = [part.strip() for part in answer.headers["set-cookie"].split(";")[1:]]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
    assert ("Secure" in flags) is secure
    assert answer.headers["location"].startswith(f"{scheme}://rebill.example/dashboard")
    assert "token=" not in answer.headers["location"]


def test_a_cookie_that_changes_something_needs_the_sessions_own_word(world: World, workspace: str) -> None:
    entered = world.call("GET", link_for(world, workspace), key=None)
    cookie = {"cookie": entered.headers["set-cookie"].partition(";")[0]}
    word: str = world.call("GET", "/v1/session", headers=cookie, key=None).json["csrf_token"]
    path, body = f"/v1/workspaces/{workspace}/sub-accounts", {"name": "Bright Dental"}

    def ask(**more: str) -> Answer:
        headers = {**cookie, **{name.replace("_", "-"): value for name, value in more.items()}}
        return world.call("POST", path, body, headers=headers, key=None)

    assert _code(ask()) == (403, "csrf_token_invalid")
    assert _code(ask(x_csrf_token="")) == (403, "csrf_token_invalid")
    assert _code(ask(x_csrf_token=word[:-1] + "x")) == (403, "csrf_token_invalid")
    assert _code(ask(x_csrf_token=sessions.csrf_of("another session"))) == (403, "csrf_token_invalid")
    assert world.get(f"/v1/workspaces/{workspace}/sub-accounts")["data"] == []
    assert ask(x_csrf_token=word).status == 201
    assert world.call("GET", f"/v1/workspaces/{workspace}", headers=cookie, key=None).status == 200


def test_a_bearer_token_needs_no_other_word(world: World, workspace: str, token: str) -> None:
    body = {"name": "Bright Dental"}

    assert world.call("POST", f"/v1/workspaces/{workspace}/sub-accounts", body, key=token).status == 201


def test_no_secret_and_no_token_stands_in_a_log_line(
    world: World, workspace: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, logger="rebill"):
        link = link_for(world, workspace)
        entered = world.call("GET", link, key=None)
        token = entered.headers["set-cookie"].partition("=")[2].partition(";")[0]
        world.call("GET", link, key=None)
        read(world, workspace, token)
        read(world, workspace, f"{token[:-4]}AAAA")
        world.call("DELETE", "/v1/session", key=token)
        authenticate.issue_api_key("another")

    said = "".join([*(str(line.__dict__) for line in caplog.records), *capfd.readouterr()])
    for secret in (token, token[:-4], link.rpartition("=")[2], SESSION_SECRET, world.api_key):
        assert secret not in said


def _code(answer: Answer) -> tuple[int, str]:
    return answer.status, problem_of(answer)["code"]


def _signed(claims: dict[str, Any], secret: str, algorithm: str) -> str:
    """As PyJWT does it, but asking nothing of what the claims are."""
    return jwt.api_jws.encode(json.dumps(claims, separators=(",", ":")).encode(), secret, algorithm)
