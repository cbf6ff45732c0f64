"""The workspace's own wallet on the re-billing page: what is shown of it, and what its forms do."""

from collections.abc import Callable, Mapping
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.storage import customers
from chalicelib.web.dashboard.billing import FIXED_AMOUNT, LABELS, TOP_UP_SAID
from chalicelib.web.dashboard.forms import Action, Done, Onward
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit
from chalicelib.web.show import show_card_on_file

WALLET = "/v1/workspaces/{workspace_id}/wallet"
RULE = f"{WALLET}/refill-rule"
PLATFORM_VERSION = 0  # a workspace pays on the platform's own account, which is never another
TYPED = ("threshold", "mode", "target_balance", FIXED_AMOUNT, "daily_limit", "monthly_limit")


def facts_of(visit: Visit) -> dict[str, Any]:
    """The wallet, its refill rule as the form shows it, and its cards."""
    rule = visit.get(RULE)
    backup = customers.backup_card_of(visit.workspace.id, PLATFORM_VERSION)
    return {
        "wallet": visit.get(WALLET),
        "kept": rule,
        "rule": _typed(visit.form, rule),
        "backup": show_card_on_file(backup).model_dump() if backup else None,
        "limits": visit.workspace.workspace_limits,
    }


def _typed(form: Mapping[str, str], rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as it is kept, or as it was typed a moment ago and refused."""
    if "threshold" not in form:
        return {**rule, FIXED_AMOUNT: rule["amount"]}
    return {**rule, **{name: form.get(name, "") for name in TYPED}, "enabled": "enabled" in form}


def actions(page: Callable[[Visit], Response]) -> dict[str, Action]:
    """What the forms do; `page` is drawn again where the API refuses."""
    return {
        "workspace-pay": Action(_pay, page),
        "workspace-check": Action(_check, page),
        "workspace-card": Action(_save_card, page),
        "workspace-backup-card": Action(_save_backup_card, page),
        "workspace-portal": Action(_open_portal, page),
        "workspace-refill": Action(_set_rule, page),
        "workspace-retry": Action(_try_again, page),
    }


def _ask(visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, key: str = "") -> Any:
    """Ask the API about this workspace; the field that it refuses is called as on the page."""
    try:
        return ask(visit.call, method, path, {"workspace_id": visit.workspace.id}, body, idempotency_key=key)
    except Invalid as refused:
        label = LABELS.get(refused.param or "")
        if label is None:
            raise
        said = label + refused.detail.removeprefix(refused.param or "")
        param = FIXED_AMOUNT if refused.param == "amount" and path == RULE else refused.param or ""
        raise Invalid(param, said, refused.code) from refused


def _here(said: str) -> Done:
    return Done(said, "rebilling")


def _pay(visit: Visit) -> Done | Onward:
    amount = visit.form.get("amount", "").strip()
    # Going back and paying another sum is another request; pressing twice is the same one.
    key = visit.form.get("key", "") + "".join(letter for letter in amount if letter in "0123456789.")
    made = _ask(visit, "POST", f"{WALLET}/top-ups", {"amount": amount}, key)
    return Onward(made["url"]) if made["url"] else _here(TOP_UP_SAID[made["state"]])


def _check(visit: Visit) -> Done:
    path, top_up_id = f"{WALLET}/top-ups/{{top_up_id}}", visit.form.get("top_up", "")
    return _here(TOP_UP_SAID[visit.get(path, {"top_up_id": top_up_id})["state"]])


def _save_card(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/payment-method", key=visit.form.get("key", ""))["url"])


def _save_backup_card(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/backup-payment-method", key=visit.form.get("key", ""))["url"])


def _open_portal(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/portal")["url"])


def _set_rule(visit: Visit) -> Done:
    form = {name: value.strip() for name, value in visit.form.items()}
    kept = visit.get(RULE)
    body: dict[str, Any] = {
        "enabled": "enabled" in form,
        "mode": form.get("mode", "target"),
        "threshold": form.get("threshold", ""),
        "target_balance": form.get("target_balance", ""),
        "amount": form.get(FIXED_AMOUNT, ""),
        "daily_limit": form.get("daily_limit") or None,
        "monthly_limit": form.get("monthly_limit") or None,
        "daily_count_limit": kept["daily_count_limit"],
        "cooldown_seconds": kept["cooldown_seconds"],
        "confirm_charge_now": "confirm_charge_now" in form,
    }
    try:
        _ask(visit, "PUT", RULE, body)
    except Conflict as refused:
        if refused.code != "confirm_charge_now":
            raise
        detail = refused.detail.partition(" Send ")[0]
        raise Conflict(refused.code, f"{detail} Tick the box if that is right.", "confirm_charge_now") from refused
    return _here("Saved. Automatic refills are on." if body["enabled"] else "Saved. Automatic refills are off.")


def _try_again(visit: Visit) -> Done:
    _ask(visit, "POST", f"{RULE}/retry")
    return _here("Refills go on: the next one is tried within a minute, if the balance is still low.")
