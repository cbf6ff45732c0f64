"""A door is one route: who may pass, what it reads, what it answers. The OpenAPI description is made from the very
doors that are served.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlencode

from chalice.app import Request, Response
from pydantic import BaseModel

from chalicelib.domain import strict_json
from chalicelib.domain.errors import Malformed, NotFound, RebillError, TooLarge, UnsupportedMedia
from chalicelib.domain.people import NOBODY, Caller
from chalicelib.settings import settings
from chalicelib.validation import validate
from chalicelib.web import errors
from chalicelib.web.callers import SAFE_METHODS, admit, caller_of
from chalicelib.web.pages import refusal_page
from chalicelib.web.routes import FILE_OF, load

MOST_BODY_BYTES = 1_000_000
JSON_TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")
_PATH_VALUE = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)

B = TypeVar("B")


@dataclass(frozen=True)
class Call(Generic[B]):
    """One request, read: `body` is the door's model (None where it has none), `raw_body` the bytes as they came."""

    body: B
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: bytes
    base_url: str
    request_id: str
    caller: Caller = NOBODY

    def query_as(self, model: type["Q"], others_may_be_there: bool = False) -> "Q":
        """The query string read as a model; pages for people take no offence at what else stands in an address.

        Raises:
            Invalid: a value it may not have; names it.
        """
        wanted = {name: self.query[name] for name in model.model_fields if name in self.query}
        return validate(model, wanted if others_may_be_there else dict(self.query))


Q = TypeVar("Q", bound=BaseModel)
View = Callable[..., BaseModel | Response]


@dataclass(frozen=True)
class Door:
    """What is known of a route without calling it."""

    method: str
    path: str
    summary: str
    view: View
    answers: type[BaseModel] | str  # a model, or the media types of an answer that is none
    status: HTTPStatus = HTTPStatus.OK
    also: tuple[HTTPStatus, ...] = ()  # other statuses of the same answer
    body: type[BaseModel] | str | None = None  # a model, or what the door reads from the raw bytes itself
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    needs_key: bool = True
    problems: tuple[HTTPStatus, ...] = ()
    most_body_bytes: int = MOST_BODY_BYTES


_doors: dict[str, dict[str, Door]] = {}  # path -> method -> door, of the files that are loaded


def door(method: str, path: str, **known: Any) -> Callable[[View], View]:
    """Make a function the view behind a route; its docstring is the description that callers read.

    Raises:
        LookupError: while it is loaded, if the table in `web/routes/__init__.py` does not say that it stands there.
    """

    def register(view: View) -> View:
        if FILE_OF.get(path) != view.__module__.rpartition(".")[2]:
            raise LookupError(f"Add {path} to the addresses of {view.__module__} in chalicelib/web/routes/__init__.py.")
        _doors.setdefault(path, {})[method] = Door(method, path, view=view, **known)
        return view

    return register


def doors_at(path: str) -> Mapping[str, Door]:
    """The doors of one address by their methods; loads the file in which they stand."""
    load(FILE_OF[path])
    return _doors[path]


def pass_through(path: str, request: Request, path_values: Mapping[str, str]) -> Response:
    """The answer to one request at an address of ours."""
    doors = doors_at(path)
    if request.method in doors:
        return _pass(doors[request.method], request, path_values)
    allowed = ", ".join(sorted(doors))
    detail = f"This address answers {allowed}."
    answer = errors.problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, _request_id(request))
    answer.headers["Allow"] = allowed
    return answer


def _pass(made: Door, request: Request, path_values: Mapping[str, str]) -> Response:
    """Guard, read, call, answer. No exception gets past here: Chalice would make a bare 500 of it."""
    request_id = _request_id(request)
    try:
        headers = {name.lower(): value for name, value in request.headers.items()}
        caller = caller_of(headers, made.method) if made.needs_key else NOBODY
        values = {name: _path_value(value) for name, value in path_values.items()}
        if made.needs_key:
            admit(caller, made.method, made.path, values)
        answer = answer_of(made, _read(made, request, values, request_id, caller), values)
    except RebillError as error:
        answer = errors.refusal(error, request_id)
        answer = _as_page(answer, error.detail) if made.answers == "text/html" else answer
    except Exception as error:  # noqa: BLE001 - the last door: what gets here is a bug, and is logged as one
        answer = errors.our_fault(error, request_id)
        answer = _as_page(answer, errors.OUR_FAULT) if made.answers == "text/html" else answer
    answer.headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **answer.headers,
    }
    return answer


def answer_of(made: Door, call: Call[Any], values: Mapping[str, str]) -> Response:
    """Call the view: once only where the door takes an Idempotency-Key, and with a witness where it may change things.

    Both are imported where they are used: the gate needs neither.
    """

    def view() -> Response:
        answer = made.view(call, **values)
        if isinstance(answer, BaseModel):
            return Response(answer.model_dump_json(), {"Content-Type": "application/json"}, made.status.value)
        return answer

    if not made.needs_key or made.method in SAFE_METHODS:
        return view()
    from chalicelib.web.changes import witnessed

    if "Idempotency-Key" not in made.headers:
        return witnessed(made, call.caller, values, view)
    from chalicelib.web.idempotency import once

    address = f"{made.method} {made.path.format(**values)}"
    return once(call, address, lambda: witnessed(made, call.caller, values, view))


def _as_page(answer: Response, detail: str) -> Response:
    """The same refusal for somebody with a browser: another body, the same status and headers."""
    page = refusal_page(detail, HTTPStatus(answer.status_code))
    page.headers = {"X-Content-Type-Options": "nosniff", **answer.headers, **page.headers}
    return page


def _read(made: Door, request: Request, path_values: Mapping[str, str], request_id: str, caller: Caller) -> Call[Any]:
    raw_body = request.raw_body or b""
    raw_body = raw_body.encode() if isinstance(raw_body, str) else raw_body
    if len(raw_body) > made.most_body_bytes:
        raise TooLarge("body_too_large", f"The body may have at most {made.most_body_bytes} bytes.", "body")
    body = None
    if made.body is not None and made.needs_key:
        _check_media_type(request.headers)
    if isinstance(made.body, type):
        body = validate(made.body, _object(raw_body))
    base_url = settings().base_url or _base_url(request, path_values)
    query = dict(request.query_params or {})
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(body, query, headers, raw_body, base_url, request_id, caller)


def _object(raw_body: bytes) -> Any:
    value = strict_json.load(raw_body, names_once=True)
    if not isinstance(value, dict):
        raise Malformed("malformed_json", "The body must be a JSON object.", "body")
    return value


def _check_media_type(headers: Mapping[str, str]) -> None:
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type not in JSON_TYPES:
        raise UnsupportedMedia("unsupported_media_type", "Send JSON, with Content-Type: application/json.", "body")


def _path_value(value: str) -> str:
    """A value from the path, decoded; one that nothing of ours can be called is simply not found."""
    decoded = unquote(value)
    if not _PATH_VALUE.fullmatch(decoded):
        raise NotFound("not_found", "There is nothing at this address.")
    return decoded


def _request_id(request: Request) -> str:
    return str(request.context.get("requestId") or getattr(request.lambda_context, "aws_request_id", ""))


def _base_url(request: Request, path_values: Mapping[str, str]) -> str:
    """The public address by what the request says of itself: scheme, host, and the stage's prefix if there is one."""
    path = request.context["resourcePath"]
    for name, value in path_values.items():
        path = path.replace(f"{{{name}}}", value)
    prefix = unquote(request.context.get("path", "")).removesuffix(path)
    return f"{request.headers.get('x-forwarded-proto', 'http')}://{request.headers.get('host', '')}{prefix}"


def public_url(call: Call[Any], path: str) -> str:
    """The public URL of a path with this request's query string, as its sender wrote and perhaps signed it."""
    return f"{call.base_url}{path}" + (f"?{urlencode(dict(call.query))}" if call.query else "")


def as_json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A JSON answer that is no model of ours."""
    return Response(json.dumps(value), {"Content-Type": "application/json"}, status.value)
