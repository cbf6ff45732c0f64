"""The dashboard is a client of our own API: same doors, same rights, same rules, same trail; no network between."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.domain.people import Rights
from chalicelib.validation import validate
from chalicelib.web.callers import admit
from chalicelib.web.doors import Call, answer_of, doors_at


def ask(
    call: Call[Any],
    method: str,
    path: str,
    values: Mapping[str, str],
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    idempotency_key: str = "",
    rights: Rights | None = None,
) -> Any:
    """What the API answers to the person of this call, as JSON.

    Raises:
        RebillError: what the API refuses, with the name of the field; or that it is not for this person.
    """
    made = doors_at(path)[method]
    admit(call.caller, method, path, values, rights)
    read = validate(made.body, dict(body or {})) if isinstance(made.body, type) else None
    headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
    raw_body = json.dumps(body).encode() if body is not None else b""
    asked = replace(call, body=read, query=dict(query or {}), headers=headers, raw_body=raw_body)
    return json.loads(answer_of(made, asked, values).body)
