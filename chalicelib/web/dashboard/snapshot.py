"""The new-account snapshot: what new accounts begin with, and how it comes to those that exist, and goes again."""

from collections.abc import Mapping
from typing import Any

from chalice.app import Response
from ulid import ULID

from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.rating import VOICE
from chalicelib.storage import accounts
from chalicelib.web.dashboard import prices
from chalicelib.web.dashboard.account_forms import asked
from chalicelib.web.dashboard.forms import Action, Done
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw

SNAPSHOT, SUB_ACCOUNTS = "/v1/workspaces/{workspace_id}/snapshot", "/v1/workspaces/{workspace_id}/sub-accounts"
APPLICATION = f"{SNAPSHOT}/applications/{{application_id}}"
PREFIX = "rebilling.voice."
AT_ONCE = 25
# What a snapshot may speak of, by the box that says that it does.
PARTS = ("says_rebilling", "says_refill", "says_notices", "says_credit_limit")
FIELDS = ("refill.threshold", "refill.target_balance", "notice_levels.levels", "credit_limit")
LABELS = {
    **{f"{PREFIX}{name}": label for name, label in prices.LABELS.items()},
    "refill.threshold": "The threshold",
    "refill.target_balance": "The balance to refill to",
    "notice_levels.levels": "The balances at which the owner is told",
    "credit_limit": "The credit limit",
}


def show_snapshot(visit: Visit) -> Response:
    """The page: the snapshot, and beside it a preview or an application where the address asks for one."""
    found = visit.get(SNAPSHOT)
    fields = prices.typed_price(visit.form, PREFIX) or _voice_fields(found)
    example = prices.example_of(visit.workspace, fields)
    below_cost = visit.refused is not None and visit.refused.code == "price_below_cost"
    return draw(
        visit,
        "snapshot.html",
        "What new accounts begin with",
        snapshot=found,
        fields=fields,
        typed=_typed(visit, found),
        example=example,
        cost=prices.cost_shown(visit.workspace),
        asks_below_cost=below_cost or "accept_below_cost" in visit.form,
        preview=_preview(visit) if visit.query.get("show") == "preview" or visit.error("accounts") else None,
        application=_application(visit),
        names=_names,
        currency=visit.workspace.currency,
        key=str(ULID()),
    )


def _voice_fields(found: Mapping[str, Any]) -> dict[str, str]:
    rebilling = found["rebilling"]
    known = rebilling and VOICE in rebilling["prices"]
    return prices.fields_of(rebilling["prices"][VOICE]) if known else dict(prices.BEGIN)


def _typed(visit: Visit, found: Mapping[str, Any]) -> dict[str, str]:
    """The form beside the price: as it was typed and not accepted, or as it is kept."""
    if "version" in visit.form:
        return {name: visit.form.get(name, "") for name in (*PARTS, *FIELDS)}
    refill, levels = found["refill"] or {}, found["notice_levels"]
    return {
        "says_rebilling": "on" if found["rebilling"] else "",
        "says_refill": "on" if refill else "",
        "says_notices": "on" if levels is not None else "",
        "says_credit_limit": "on" if found["credit_limit"] is not None else "",
        "refill.threshold": refill.get("threshold", "10.00"),
        "refill.target_balance": refill.get("target_balance", "50.00"),
        "notice_levels.levels": ", ".join(levels if levels is not None else ("20.00", "5.00", "0.00")),
        "credit_limit": found["credit_limit"] or "0.00",
    }


def _preview(visit: Visit) -> dict[str, Any]:
    """What applying it would change in the next accounts, 25 at a time."""
    after = visit.query.get("starting_after", "")
    more = {"starting_after": after} if after else {}
    listed = visit.get(SUB_ACCOUNTS, None, limit=str(AT_ONCE), **more)
    ids = [each["id"] for each in listed["data"]]
    if not ids:
        return {"data": [], "version": 0, "next_after": ""}
    values, body = {"workspace_id": visit.workspace.id}, {"sub_accounts": ids}
    found: dict[str, Any] = ask(visit.call, "POST", f"{SNAPSHOT}/preview", values, body)
    return {**found, "next_after": ids[-1] if listed["has_more"] else ""}


def _application(visit: Visit) -> Any:
    asked_for = visit.query.get("application", "")
    return visit.get(APPLICATION, {"application_id": asked_for}) if asked_for else None


def _names(data: list[Mapping[str, Any]]) -> dict[str, str]:
    found = accounts.sub_accounts_by_id(each["sub_account"] for each in data)
    return {each["sub_account"]: known.name if (known := found.get(each["sub_account"])) else "" for each in data}


def _save(visit: Visit) -> Done:
    form = visit.form
    body: dict[str, Any] = {"version": int(form["version"]) if form.get("version", "").isdecimal() else None}
    if "says_rebilling" in form:
        fields = prices.typed_price(form, PREFIX) or dict(prices.BEGIN)
        found = visit.get(SNAPSHOT)["rebilling"]
        voice = prices.body_of(fields, PREFIX, "accept_below_cost" in form)
        body["rebilling"] = {"enabled": bool(fields["enabled"]), "voice": voice, "meters": prices.kept_meters(found)}
    if "says_refill" in form:
        body["refill"] = {name: form.get(f"refill.{name}", "").strip() for name in ("threshold", "target_balance")}
    if "says_notices" in form:
        levels = [each.strip() for each in form.get("notice_levels.levels", "").split(",")]
        body["notice_levels"] = {"levels": [each for each in levels if each]}
    if "says_credit_limit" in form:
        body["credit_limit"] = form.get("credit_limit", "").strip()
    _asked(visit, "PUT", SNAPSHOT, body)
    return Done("Saved, for accounts that are made from now on. Those that exist stay as they are.", "snapshot")


def _apply(visit: Visit) -> Done:
    """To those whose boxes are ticked: a box is called by the account's id."""
    chosen = sorted(name for name in visit.form if name.startswith("sa_"))
    if not chosen:
        raise Invalid("accounts", "Tick at least one account.")
    version = visit.form.get("version", "")
    body = {"sub_accounts": chosen, "version": int(version) if version.isdecimal() else -1}
    made = _asked(visit, "POST", f"{SNAPSHOT}/apply", body)
    return Done("Applied. Below stands what became of each account.", "snapshot", {"application": made["id"]})


def _undo(visit: Visit) -> Done:
    application_id = visit.form.get("application", "")
    if not application_id:
        raise NotFound("not_found", "There is no such application.")
    made = _asked(visit, "POST", f"{APPLICATION}/undo", application_id=application_id)
    return Done(
        "Undone, from now on. Below stands what became of each account.", "snapshot", {"application": made["id"]}
    )


def _asked(visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, **values: str) -> Any:
    try:
        return asked(visit, method, path, body, workspace_id=visit.workspace.id, **values)
    except Invalid as refused:
        param = (refused.param or "").partition("[")[0]  # one of several levels is the field of all of them
        if param not in LABELS:
            raise
        said = refused.detail.removeprefix(refused.param or "")
        raise Invalid(param, f"{LABELS[param]}{said}" if said != refused.detail else said, refused.code) from refused


SNAPSHOT_ACTIONS: dict[str, Action] = {
    "snapshot-save": Action(_save, show_snapshot),
    "snapshot-apply": Action(_apply, show_snapshot),
    "snapshot-undo": Action(_undo, show_snapshot),
}
