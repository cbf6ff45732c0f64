"""Settings, for owners: people, notices, limits of top-ups, the switch of all refills, and who changed what."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import Invalid
from chalicelib.domain.notices import MOST_LEVELS
from chalicelib.domain.people import Role
from chalicelib.web.dashboard.forms import Action, Done
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw

WS = "/v1/workspaces/{workspace_id}"
PERSON = f"{WS}/people/{{email}}"
LEVELS = f"{WS}/wallet/notice-levels"
AT_ONCE = "20"
LONGEST_VALUE = 200
SHORTEST_REASON = 3
HISTORIES = ("cost_cards", "rebilling_cards")
# Fields of the top-up limits, in the API's own names, as the page calls them.
LIMITS = {
    "workspace.minimum": "Least for your own wallet",
    "workspace.maximum": "Most for your own wallet",
    "sub_accounts.minimum": "Least for a client's wallet",
    "sub_accounts.maximum": "Most for a client's wallet",
}


def show(visit: Visit) -> Response:
    """The page, for owners."""
    after = visit.query.get("starting_after")
    older = {"starting_after": after} if after else {}
    changes = visit.get(f"{WS}/audit", None, limit=AT_ONCE, **older)
    limits = visit.get(WS)["top_up_limits"]
    return draw(
        visit,
        "settings.html",
        "Settings",
        people=visit.get(f"{WS}/people")["data"],
        roles=[role.value for role in Role],
        levels=" ".join(visit.get(LEVELS)["levels"]),
        most_levels=MOST_LEVELS,
        limits=[(name, label, _member(limits, name)) for name, label in LIMITS.items()],
        switch=visit.get(f"{WS}/refill-switch"),
        currency=visit.workspace.currency,
        changes=[{**change, "differences": differences(change)} for change in changes["data"]],
        has_more=changes["has_more"],
        is_older=bool(after),
    )


def differences(change: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What a change changed, as (what, from, to) in words; empty where there was, or is, nothing."""
    old, new = dict(_leaves(change["from"] or {})), dict(_leaves(change["to"] or {}))
    return [(name, old.get(name, ""), new.get(name, "")) for name in {**old, **new} if old.get(name) != new.get(name)]


def _leaves(shown: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every value inside, by its names from the outermost on. Histories are left out: what came stands beside them."""
    for name, value in shown.items():
        said = f"{above} {name}".strip() if "@" in name else f"{above} {name.replace('_', ' ')}".strip()
        if isinstance(value, Mapping):
            yield from _leaves(value, said)
        elif value not in (None, []) and name not in HISTORIES:
            yield said, _words(value)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(_words(each) for each in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} ..."


def _member(limits: Mapping[str, Any], name: str) -> str:
    part, _, end = name.partition(".")
    value: str = limits[part][end]
    return value


# What the forms do


def _ask(visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, **more: str) -> Any:
    return ask(visit.call, method, path, {"workspace_id": visit.workspace.id, **more}, body)


def _done(said: str) -> Done:
    return Done(said, "settings")


def _add_person(visit: Visit) -> Done:
    email = visit.form.get("email", "").strip()
    _ask(visit, "PUT", PERSON, {"role": visit.form.get("role", "")}, email=email)
    return _done(f"{email} is let in.")


def _set_role(visit: Visit) -> Done:
    person, role = visit.form.get("person", ""), visit.form.get("role", "")
    _ask(visit, "PUT", PERSON, {"role": role}, email=person)
    return _done(f"{person} is {role} now.")


def _remove_person(visit: Visit) -> Done:
    person = visit.form.get("person", "")
    _ask(visit, "DELETE", PERSON, email=person)
    return _done(f"{person} has no role here any more.")


def _set_levels(visit: Visit) -> Done:
    levels = [each for each in re.split(r"[\s;]+", visit.form.get("levels", "")) if each]
    try:
        _ask(visit, "PUT", LEVELS, {"levels": levels})
    except Invalid as refused:
        detail = f"Balances such as 20.00, at most {MOST_LEVELS}, each once, with spaces between."
        raise Invalid("levels", detail, refused.code) from refused
    return _done("Saved. You are told at these balances." if levels else "Saved. You are told at no balance.")


def _set_limits(visit: Visit) -> Done:
    body: dict[str, dict[str, str]] = {}
    for name in LIMITS:
        part, _, end = name.partition(".")
        body.setdefault(part, {})[end] = visit.form.get(name, "").strip()
    try:
        _ask(visit, "PUT", f"{WS}/top-up-limits", body)
    except Invalid as refused:
        param = refused.param or ""
        said = LIMITS.get(param, param) + refused.detail.removeprefix(param)
        raise Invalid(param, said, refused.code) from refused
    return _done("Saved. The limits hold for top-ups from now on.")


def _switch_refills(visit: Visit) -> Done:
    stopped = visit.form.get("stopped") == "yes"
    reason = visit.form.get("reason", "").strip()
    if len(reason) < SHORTEST_REASON:
        raise Invalid("reason", f"Say why, in {SHORTEST_REASON} letters or more.")
    _ask(visit, "PUT", f"{WS}/refill-switch", {"stopped": stopped, "reason": reason})
    return _done("All automatic refills are stopped." if stopped else "Refills go on within five minutes.")


ACTIONS = {
    "add-person": Action(_add_person, show),
    "set-role": Action(_set_role, show),
    "remove-person": Action(_remove_person, show),
    "set-levels": Action(_set_levels, show),
    "set-limits": Action(_set_limits, show),
    "switch-refills": Action(_switch_refills, show),
}
