"""One call of the API: who asks, on which account, under which key, with which planned trouble."""

import base64
import binascii
import json
import sys
import traceback
from dataclasses import dataclass, field
from threading import Event

from local.pretend_stripe import idempotency, lists, oauth
from local.pretend_stripe.account_objects import API_VERSION
from local.pretend_stripe.core import Core
from local.pretend_stripe.errors import Refused, no_access, refusal, wrong_key
from local.pretend_stripe.faults import Fault
from local.pretend_stripe.forms import read_form
from local.pretend_stripe.parameters import read_parameters
from local.pretend_stripe.routes import Route, find_route
from local.pretend_stripe.space import Cause, Space
from local.pretend_stripe.state import Obj, new_id

_FAILED: Obj = {"error": {"type": "api_error", "message": "An unknown error occurred"}}


@dataclass(frozen=True)
class Request:
    """What came over the wire; the names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


@dataclass
class Answer:
    """What goes back."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


class Lost(Exception):
    """The caller never gets this answer: the connection is closed instead."""


class Api:
    """Answers requests to `/v1` and to Connect's OAuth."""

    def __init__(self, core: Core, stopping: Event) -> None:
        self._core = core
        self._stopping = stopping

    def answer(self, request: Request) -> Answer:
        """The answer to a call.

        Raises:
            Lost: a fault was planned.
        """
        self._core.tick()
        request_id = new_id("req_", 14)
        try:
            answer = self._answer(request, request_id)
        except Refused as refused:
            answer = _json(refused.status, refused.body)
            if refused.status == 409:
                answer.headers["Stripe-Should-Retry"] = "true"
        finally:
            if request.method != "GET":
                self._core.changed()
        answer.headers |= {"Request-Id": request_id, "Stripe-Version": API_VERSION}
        if request.headers.get("idempotency-key"):
            answer.headers.setdefault("Original-Request", request_id)
            answer.headers["Idempotency-Key"] = request.headers["idempotency-key"]
        if request.headers.get("stripe-account"):
            answer.headers["Stripe-Account"] = request.headers["stripe-account"]
        return answer

    def _answer(self, request: Request, request_id: str) -> Answer:
        if request.path.startswith("/oauth/"):
            return self._oauth(request)
        key = _key(request)
        space = self._space(request, key, request_id)
        found = find_route(request.method, request.path)
        if found is None:
            text = f"Unrecognized request URL ({request.method}: {request.path}). Please see https://docs.stripe.com/"
            raise refusal(text, status=404, kept=False)
        fault = self._core.faults.take(request.method, request.path, space.account_id)
        _stop_here(fault)
        answer = self._keyed(request, space, found, fault)
        if fault and fault.kind == "lost_after":
            raise Lost
        return answer

    def _oauth(self, request: Request) -> Answer:
        calls = {"/oauth/token": oauth.token, "/oauth/deauthorize": oauth.deauthorize}
        call = calls.get(request.path)
        if call is None or request.method != "POST":
            raise refusal(f"Unrecognized request URL ({request.method}: {request.path}).", status=404, kept=False)
        fault = self._core.faults.take(request.method, request.path, "")
        _stop_here(fault)
        self._wait(fault)
        if fault and fault.kind == "error_500":
            return _json(500, _FAILED)
        with self._core.lock:
            body = call(self._core, _key(request), read_form(request.body))
        if fault and fault.kind == "lost_after":
            raise Lost
        return _json(500, _FAILED) if fault and fault.kind == "error_500_after" else _json(200, body)

    def _space(self, request: Request, key: str, request_id: str) -> Space:
        with self._core.lock:
            who = self._core.who(key)
            if who is None:
                raise wrong_key(key)
            account_id, livemode = who
            cause = Cause(request_id, request.headers.get("idempotency-key"))
            asked = request.headers.get("stripe-account", account_id)
            own = self._core.space(account_id, livemode)
            if asked != account_id and (own.connected or not self._core.is_connected(asked, livemode)):
                raise no_access(key, asked)
            return self._core.space(asked, livemode, cause)

    def _keyed(
        self, request: Request, space: Space, found: tuple[Route, tuple[str, ...]], fault: Fault | None
    ) -> Answer:
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if key:
            with self._core.lock:
                known = idempotency.begin(space, key, request.path, request.body)
            if known:
                headers = {"Idempotent-Replayed": "true", "Original-Request": known["request_id"]}
                if known["status"] >= 500:
                    headers["Stripe-Should-Retry"] = "false"
                return Answer(known["status"], known["body"], headers)
        self._wait(fault)
        with self._core.lock:
            answer, kept = _run(request, space, found, fault)
            if key and kept:
                idempotency.keep(space, key, answer.status, answer.body, space.cause.request_id or "")
            elif key:
                idempotency.forget(space, key)
        return answer

    def _wait(self, fault: Fault | None) -> None:
        if fault and fault.seconds:
            self._stopping.wait(fault.seconds)


def _stop_here(fault: Fault | None) -> None:
    """Raise what a fault brings before anything is looked at: nothing happens, and nothing is kept."""
    if fault and fault.kind == "lost_before":
        raise Lost
    if fault and fault.kind == "conflict_409":
        text = "This object cannot be accessed right now because another API request is currently accessing it."
        raise refusal(text, code="lock_timeout", status=409, kept=False)
    if fault and fault.kind == "rate_limit_429":
        raise refusal("Request rate limit exceeded.", code="rate_limit", status=429, kept=False)


def _run(
    request: Request, space: Space, found: tuple[Route, tuple[str, ...]], fault: Fault | None
) -> tuple[Answer, bool]:
    """Do what is asked; says whether the answer is kept."""
    route, ids = found
    failed = _json(500, _FAILED)
    failed.headers["Stripe-Should-Retry"] = "false"
    if fault and fault.kind == "error_500":
        return failed, True
    try:
        params = read_parameters(read_form(request.query if request.method == "GET" else request.body), route.params)
        answer = route.handler(space, params, *ids)
        done = _json(200, lists.expanded(space, answer, params.get("expand") or []))
    except Refused as refused:
        done = _json(refused.status, refused.body)
        if not refused.kept:
            return done, False
    except Exception:  # noqa: BLE001 - a bug of the pretend Stripe must look like one, and must not end it
        traceback.print_exc(file=sys.stderr)
        return _json(500, {"error": {"type": "api_error", "message": "The pretend Stripe itself has failed."}}), False
    return (failed, True) if fault and fault.kind == "error_500_after" else (done, True)


def _json(status: int, body: Obj) -> Answer:
    return Answer(status, json.dumps(body), {"Content-Type": "application/json"})


def _key(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
