"""Which doors change settings, and how each setting is read: from this table the audit trail is made.

A door that changes anything stands either in `CHANGES` or in `CHANGES_NO_SETTING`; the tests say so of a new one.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from chalice.app import Response
from pydantic import BaseModel

from chalicelib.domain.errors import NotFound
from chalicelib.domain.people import Caller
from chalicelib.flows import audit
from chalicelib.storage import (
    accounts,
    activity,
    connections,
    people,
    refill_switch,
    refills,
    snapshots,
    usage_events,
    wallets,
)
from chalicelib.telemetry import alarm
from chalicelib.web import show
from chalicelib.web.account_answers import show_snapshot

if TYPE_CHECKING:
    from chalicelib.web.doors import Door

Values = Mapping[str, str]
Read = Callable[[Values], BaseModel | dict[str, Any] | None]

_WS, _SA = "/v1/workspaces/{workspace_id}", "/v1/sub-accounts/{sub_account_id}"
_COUNTED = {"spent_today", "spent_this_month", "refills_today", "refill"}  # they change by themselves


def witnessed(made: "Door", caller: Caller, values: Values, view: Callable[[], Response]) -> Response:
    """Call a view, and keep in the audit trail what it has changed, if it stands in the table."""
    name = f"{made.method} {made.path}"
    if name not in CHANGES:
        return view()
    read = CHANGES[name]
    before = _shown(read, values)
    answer = view()
    if answer.status_code >= HTTPStatus.BAD_REQUEST:
        return answer
    try:
        after = json.loads(answer.body) if read is made_here else _shown(read, values)
    except Exception as error:  # noqa: BLE001 - whatever it is: the change is made, and the caller has succeeded
        alarm("audit_failed", action=made.view.__name__, error=type(error).__name__)
        return answer
    audit.record(caller, made.view.__name__, values, before, after)
    return answer


def made_here(_: Values) -> None:
    """Of a door that makes something: there was nothing before, and then there is what it answers."""


def _shown(read: Read, values: Values) -> dict[str, Any] | None:
    """A setting as it is now; None where there is none."""
    try:
        found = read(values)
    except NotFound:
        return None
    return found.model_dump(mode="json") if isinstance(found, BaseModel) else found


def _owner(values: Values) -> str:
    return values.get("sub_account_id") or values["workspace_id"]


def _workspace(values: Values) -> BaseModel:
    return show.show_workspace(accounts.get_workspace(values["workspace_id"]))


def _sub_account(values: Values) -> BaseModel:
    return show.show_sub_account(accounts.get_sub_account(values["sub_account_id"]))


def _snapshot(values: Values) -> BaseModel:
    return show_snapshot(snapshots.get_snapshot(values["workspace_id"]))


def _voice_agent(values: Values) -> dict[str, Any] | None:
    key = accounts.agent_key(values["provider"], values["agent_id"])
    workspace_id = accounts.get_sub_account(values["sub_account_id"]).workspace_id
    assigned = accounts.sub_accounts_of_agents(workspace_id, [key])
    facts = {"provider": values["provider"], "agent_id": values["agent_id"]}
    return {**facts, "sub_account": assigned[key]} if key in assigned else None


def _event(values: Values) -> dict[str, Any] | None:
    kept = usage_events.find_usage_of(values["workspace_id"], values["source"], values["event_id"])
    facts = {"source": values["source"], "id": values["event_id"]}
    return {**facts, "status": kept.status.value, "note": kept.note} if kept else None


def _voice_endpoint(values: Values) -> dict[str, Any]:
    found = accounts.endpoint_of(values["workspace_id"], values["endpoint_id"])
    return show.show_endpoint(found, "").model_dump(mode="json", exclude={"url"})  # it follows from the id


def _rule(values: Values) -> dict[str, Any]:
    wallet = wallets.get_wallet(_owner(values))
    return show.show_refill_rule(refills.get_standing(wallet.owner_id), wallet.currency, "").model_dump(
        mode="json", exclude=_COUNTED
    )


def _hold(values: Values) -> dict[str, Any]:
    wallet = wallets.get_wallet(_owner(values))
    refill = show.show_refill_rule(refills.get_standing(wallet.owner_id), wallet.currency, "").refill
    return {"refill": refill.model_dump(mode="json", include={"state", "cause"})}


def _levels(values: Values) -> BaseModel:
    return show.show_notice_levels(wallets.watched_wallet(_owner(values)))


def _switch(values: Values) -> dict[str, Any]:
    switch = refill_switch.get_switch(values.get("workspace_id", refill_switch.EVERYBODY))
    return show.show_refill_switch(switch).model_dump(mode="json", include={"stopped", "reason"})


def _people(values: Values) -> dict[str, Any]:
    return {email: role.value for email, role in people.people_of(values["workspace_id"]).items()}


def _users(values: Values) -> dict[str, Any]:
    sub_account = accounts.get_sub_account(values["sub_account_id"])
    return {"authorized_users": people.users_of(sub_account.workspace_id, sub_account.id)}


def _stripe(values: Values) -> BaseModel | None:
    found = connections.get_connection(values["workspace_id"])
    return show.show_connection(found) if found else None


def _webhook_endpoint(values: Values) -> BaseModel | None:
    found = [each for each in activity.webhook_endpoints() if each.id == values["endpoint_id"]]
    return show.show_webhook_endpoint(found[0]) if found else None


CHANGES: dict[str, Read] = {
    "POST /v1/workspaces": made_here,
    f"POST {_WS}/pause": _workspace,
    f"POST {_WS}/resume": _workspace,
    f"PUT {_WS}/cost": _workspace,
    f"PUT {_WS}/top-up-limits": _workspace,
    f"POST {_WS}/sub-accounts": made_here,
    f"POST {_SA}/pause": _sub_account,
    f"POST {_SA}/resume": _sub_account,
    f"POST {_SA}/close": _sub_account,
    f"PUT {_SA}/rebilling": _sub_account,
    f"PUT {_WS}/snapshot": _snapshot,
    f"POST {_WS}/snapshot/apply": made_here,
    f"POST {_WS}/snapshot/applications/{{application_id}}/undo": made_here,
    f"PUT {_SA}/voice-agents/{{provider}}/{{agent_id}}": _voice_agent,
    f"DELETE {_SA}/voice-agents/{{provider}}/{{agent_id}}": _voice_agent,
    f"POST {_WS}/voice-endpoints": made_here,
    f"DELETE {_WS}/voice-endpoints/{{endpoint_id}}": _voice_endpoint,
    f"POST {_WS}/usage-events/{{source}}/{{event_id}}/dismiss": _event,
    f"PUT {_WS}/wallet/refill-rule": _rule,
    f"PUT {_SA}/wallet/refill-rule": _rule,
    f"DELETE {_WS}/wallet/refill-hold": _hold,
    f"DELETE {_SA}/wallet/refill-hold": _hold,
    f"PUT {_WS}/wallet/notice-levels": _levels,
    f"PUT {_SA}/wallet/notice-levels": _levels,
    f"PUT {_WS}/refill-switch": _switch,
    "PUT /v1/refill-switch": _switch,
    f"PUT {_WS}/people/{{email}}": _people,
    f"DELETE {_WS}/people/{{email}}": _people,
    f"PUT {_SA}/authorized-users/{{email}}": _users,
    f"DELETE {_SA}/authorized-users/{{email}}": _users,
    f"DELETE {_WS}/stripe": _stripe,
    "POST /v1/webhook-endpoints": made_here,
    "DELETE /v1/webhook-endpoints/{endpoint_id}": _webhook_endpoint,
    "POST /v1/webhook-endpoints/{endpoint_id}/enable": _webhook_endpoint,
}
# Money and links for a person, which have records of their own; Stripe is connected when the person comes back.
CHANGES_NO_SETTING = {
    "POST /v1/usage-events",
    "POST /v1/dashboard-sessions",
    f"POST {_WS}/snapshot/preview",
    f"POST {_WS}/stripe/connect",
    *(
        f"POST {whose}/wallet/{what}"
        for whose in (_WS, _SA)
        for what in ("credits", "top-ups", "payment-method", "backup-payment-method", "portal", "refill-rule/retry")
    ),
}
