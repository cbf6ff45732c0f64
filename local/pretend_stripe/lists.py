"""Lists and their pages, and objects in the place of their ids."""

from collections.abc import Callable, Iterable
from typing import Any

from local.pretend_stripe.errors import no_such, refusal
from local.pretend_stripe.space import IDS, Space
from local.pretend_stripe.state import Obj, copied

USUAL, MOST = 10, 100
DEEPEST = 4
_KINDS = {prefix.split("_")[0]: kind for kind, (prefix, _) in IDS.items()} | {"dp": "dispute", "acct": "account"}
_PLAIN = {("charge", "payment_method"), ("account", "id")}


def created_in(params: Obj) -> Callable[[Obj], bool]:
    """The `created` filter: a moment, or gt, gte, lt, lte."""
    wanted = params.get("created")
    if wanted is None:
        return lambda obj: True
    bounds = wanted if isinstance(wanted, dict) else {"gte": int(wanted), "lte": int(wanted)}
    return lambda obj: (
        obj["created"] > bounds.get("gt", -1)
        and obj["created"] >= bounds.get("gte", 0)
        and obj["created"] < bounds.get("lt", 2**62)
        and obj["created"] <= bounds.get("lte", 2**62)
    )


def page(items: Iterable[Obj], params: Obj, url: str, kind: str) -> Obj:
    """One page of what is given newest first.

    Raises:
        Refused: the limit is out of bounds, or a cursor stands nowhere.
    """
    limit = params.get("limit", USUAL)
    if not 1 <= limit <= MOST:
        text = f"This value must be {'less' if limit > MOST else 'greater'} than or equal to {MOST if limit > 1 else 1}"
        raise refusal(text, param="limit", code="parameter_invalid_integer", kept=False)
    if "starting_after" in params and "ending_before" in params:
        text = "You may only specify one of these parameters: ending_before, starting_after."
        raise refusal(text, code="parameters_exclusive", kept=False)
    rows = list(items)
    if "ending_before" in params:
        before = rows[: _place(rows, params["ending_before"], "ending_before", kind)]
        return _answer(before[-limit:], len(before) > limit, url)
    if "starting_after" in params:
        rows = rows[_place(rows, params["starting_after"], "starting_after", kind) + 1 :]
    return _answer(rows[:limit], len(rows) > limit, url)


def _place(rows: list[Obj], cursor: str, param: str, kind: str) -> int:
    for place, row in enumerate(rows):
        if row["id"] == cursor:
            return place
    raise no_such(kind, cursor, param=param, status=400)


def _answer(data: list[Obj], has_more: bool, url: str) -> Obj:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


# Expanding


def expanded(space: Space, answer: Obj, paths: list[str]) -> Obj:
    """A copy of the answer with whole objects where the paths lead.

    Raises:
        Refused: a path leads nowhere, or too deep.
    """
    whole = copied(answer)
    for path in paths:
        steps = path.split(".")
        deepest = DEEPEST + (steps[0] == "data")
        if len(steps) > deepest:
            text = f"You cannot expand more than {DEEPEST} levels of a property. Property: {path}"
            raise refusal(text, param="expand", kept=False)
        _expand(space, whole, steps, path)
    return whole


def _expand(space: Space, value: Any, steps: list[str], path: str) -> None:
    if isinstance(value, list):
        for part in value:
            _expand(space, part, steps, path)
        return
    if not steps or not isinstance(value, dict):
        return
    field, rest = steps[0], steps[1:]
    _include(space, value, field)
    if field not in value or isinstance(value[field], int | float):
        text = f"This property cannot be expanded ({path}). You may want to try expanding another property."
        raise refusal(text, param="expand", kept=False)
    found = value[field]
    if isinstance(found, str):
        found = value[field] = _object(space, value, field, path)
    elif isinstance(found, list) and field != "data":
        value[field] = [_by_id(space, part) if isinstance(part, str) else part for part in found]
    _expand(space, value[field], rest, path)


def _include(space: Space, value: Obj, field: str) -> None:
    """Lists that are left out unless they are asked for."""
    if (value.get("object"), field) == ("charge", "refunds"):
        refunds = [refund for refund in space.all("refund") if refund["charge"] == value["id"]]
        value[field] = _answer(copied(refunds), False, f"/v1/charges/{value['id']}/refunds")
    if (value.get("object"), field) == ("checkout.session", "line_items"):
        items = copied(space.hidden(value["id"]).get("line_items", []))
        value[field] = _answer(items, False, f"/v1/checkout/sessions/{value['id']}/line_items")


def _object(space: Space, value: Obj, field: str, path: str) -> Obj:
    found = _by_id(space, value[field])
    if found is None or field == "id" or (value.get("object"), field) in _PLAIN:
        text = f"This property cannot be expanded ({path})."
        raise refusal(text, param="expand", kept=False)
    return found


def _by_id(space: Space, object_id: str) -> Obj | None:
    kind = _KINDS.get(object_id.split("_")[0])
    found = space.account if kind == "account" else space.find(kind or "", object_id)
    return copied(found)


def matching(params: Obj, *names: str) -> Callable[[Obj], bool]:
    """The filters that compare a field of the same name."""
    wanted = {name: params[name] for name in names if name in params}
    return lambda obj: all(obj.get(name) == value for name, value in wanted.items())


def listing(space: Space, kind: str, params: Obj, url: str, *names: str) -> Obj:
    """A page of one kind, filtered by `created` and by the fields named."""
    in_time, fits = created_in(params), matching(params, *names)
    return page((obj for obj in space.all(kind) if in_time(obj) and fits(obj)), params, url, kind)


def merge_metadata(obj: Obj, params: Obj) -> None:
    """Set the metadata that is given, take away what is given empty; an empty whole takes all."""
    given = params.get("metadata")
    if given == "":
        obj["metadata"] = {}
    elif given:
        if len(given) > 50 or any(len(name) > 40 or len(str(value)) > 500 for name, value in given.items()):
            text = "Metadata can have up to 50 keys, key names up to 40 characters, values up to 500 characters."
            raise refusal(text, param="metadata", kept=False)
        merged = {**obj["metadata"], **given}
        obj["metadata"] = {name: value for name, value in merged.items() if value != ""}
