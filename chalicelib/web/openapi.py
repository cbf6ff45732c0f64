"""The OpenAPI 3.1 description, made from the doors: what is served is what is described."""

import inspect
import re
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from chalicelib.gateways.voice.cloudevents import CloudEvent
from chalicelib.settings import VERSION
from chalicelib.web.doors import Door
from chalicelib.web.errors import PROBLEM
from chalicelib.web.every_door import DOORS
from chalicelib.web.models import AnswerModel

# A door's part of the description is the module that holds it.
_PARTS = {
    "accounts": "Workspaces and sub-accounts",
    "wallets": "Wallets",
    "usage": "Usage events",
    "access": "The gate",
    "snapshot": "The snapshot for new sub-accounts",
    "account_state": "Pausing and closing",
    "voice": "Voice platforms",
    "payments": "Payments through Stripe",
    "refills": "Automatic refills",
    "people": "People and sessions",
    "activity": "Notices and webhooks",
    "audit": "Audit trail",
    "dashboard": "The dashboard",
    "described": "This API",
}
# An Idempotency-Key, the one header that doors ask for, as web/idempotency.py reads it.
_HEADER = {"type": "string", "pattern": r"^[\x21\x22\x24-\x7e]{1,128}$"}
_REF = "#/components/schemas/{model}"
_ALWAYS = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INTERNAL_SERVER_ERROR)
_WITH_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class Problem(AnswerModel):
    """RFC 9457. `code` is stable; `detail` is for people; `param` names the field that is wrong.

    The gate's no has more members: `scope`, `decision_id`, `sub_account`, `wallets`, `refill_state`, `top_up_url`.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    param: str | None
    request_id: str


@cache
def describe(base_url: str) -> dict[str, Any]:
    """The whole API as an OpenAPI 3.1 document."""
    used: set[type[BaseModel]] = {Problem, CloudEvent, *(model for made in DOORS for model in _models(made))}
    models = sorted(used, key=_name)
    refs, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    names = {model: refs[model, "validation"]["$ref"].rpartition("/")[2] for model in models}
    paths: dict[str, dict[str, Any]] = {}
    for made in DOORS:
        paths.setdefault(made.path, {})[made.method.lower()] = _operation(made, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rebill",
            "version": VERSION,
            "description": "Usage-based re-billing for voice-AI platforms: two prepaid wallets, charged exactly once.",
        },
        "servers": [{"url": base_url}],
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "rbk_..."}},
        },
    }


def _models(made: Door) -> list[type[BaseModel]]:
    return [each for each in (made.body, made.answers, made.query) if isinstance(each, type)]


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(made: Door, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": made.view.__name__,
        "tags": [_PARTS[made.view.__module__.rpartition(".")[2]]],
        "summary": made.summary,
        "description": inspect.getdoc(made.view),
        "parameters": _parameters(made),
        "responses": {
            **{str(each.value): _answer(made, names) for each in (made.status, *made.also)},
            **{str(each.value): _problem(made, each, names) for each in _problems(made)},
        },
    }
    if made.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(made, names)}
    if not made.needs_key:
        operation["security"] = []
    return operation


def _parameters(made: Door) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", made.path)
    ]
    for name, description in made.headers.items():
        found.append({"name": name, "in": "header", "required": True, "description": description, "schema": _HEADER})
    if made.query is not None:
        known: dict[str, Any] = made.query.model_json_schema()
        for name, described in known["properties"].items():
            required = name in known.get("required", [])
            found.append({"name": name, "in": "query", "required": required, "schema": described})
    return found


def _answer(made: Door, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    if isinstance(made.answers, str):
        return {"description": made.summary, "content": {each: {} for each in made.answers.split(", ")}}
    return {"description": made.summary, "content": {"application/json": _schema(made.answers, names)}}


def _body(made: Door, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    if isinstance(made.body, type):
        return {"application/json": _schema(made.body, names)}
    if not made.needs_key:
        return {"*/*": {"schema": {"description": made.body}}}
    event = {"$ref": _REF.format(model=names[CloudEvent])}
    batch = {"type": "array", "items": event, "minItems": 1, "maxItems": 500}
    return {
        "application/cloudevents+json": {"schema": event},
        "application/cloudevents-batch+json": {"schema": batch},
        "application/json": {"schema": {"anyOf": [event, batch]}},
    }


def _problems(made: Door) -> list[HTTPStatus]:
    found = {*_ALWAYS, *made.problems}
    if made.needs_key:
        found.update((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
    if "{" in made.path:
        found.add(HTTPStatus.NOT_FOUND)
    if made.body is not None:
        found.update(_WITH_BODY)
    if made.query is not None:
        found.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    if made.headers:
        found.add(HTTPStatus.BAD_REQUEST)
    if made.answers == "text/html":
        found.update((HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
    if made.method in ("PUT", "POST", "DELETE") and made.needs_key:
        found.update((HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY))
    return sorted(found)


def _problem(made: Door, status: HTTPStatus, names: dict[type[BaseModel], str]) -> dict[str, Any]:
    if made.answers == "text/html" and status is not HTTPStatus.METHOD_NOT_ALLOWED:
        return {"description": status.phrase, "content": {"text/html": {}}}
    return {"description": status.phrase, "content": {PROBLEM: _schema(Problem, names)}}


def _schema(model: type[BaseModel], names: dict[type[BaseModel], str]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=names[model])}}
