"""Calls that wait for a person: whose they are, what is missing, what contradicts what."""

from collections.abc import Mapping
from typing import Any

from chalice.app import Response

from chalicelib.domain.accounts import agent_provider
from chalicelib.domain.usage import Status
from chalicelib.storage.overview import sub_accounts_of
from chalicelib.web.dashboard.attention import WAITING
from chalicelib.web.dashboard.forms import Action, Done
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw

EVENTS = "/v1/workspaces/{workspace_id}/usage-events"
AT_ONCE = "50"
TITLES = {
    Status.UNMATCHED: "Calls that wait for a client",
    Status.NEEDS_REVIEW: "Calls that cannot be billed as they are",
    Status.CONFLICT: "Reports that contradict what was billed",
}


def show(visit: Visit) -> Response:
    """One kind of them (`status`), newest first, for the workspace's people."""
    asked = visit.form.get("status") or visit.query.get("status", "")
    status = Status(asked) if asked in [each.value for each in TITLES] else Status.UNMATCHED
    after = visit.query.get("starting_after")
    older = {"starting_after": after} if after else {}
    found = visit.get(EVENTS, None, status=status.value, limit=AT_ONCE, **older)
    clients = sorted(sub_accounts_of(visit.workspace.id), key=lambda each: each.name.casefold())
    return draw(
        visit,
        "waiting.html",
        TITLES[status],
        kind=status.value,
        kinds=[(visit.at("waiting", status=each.value), TITLES[each], each is status) for each in TITLES],
        about=WAITING[status][2],
        events=found["data"],
        has_more=found["has_more"],
        agents=_agents(found["data"]) if status is Status.UNMATCHED else [],
        clients=clients,
        names={each.id: each.name for each in clients},
    )


def _agents(events: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The agents that nobody has been assigned to, as (provider, agent id), each once."""
    named = [(each["source"], each["usage"]["agent_id"]) for each in events if each["usage"]]
    return list(dict.fromkeys((agent_provider(source).value, agent) for source, agent in named if agent))


def _assign(visit: Visit) -> Done:
    provider, _, agent_id = visit.form.get("agent", "").partition(" ")
    values = {"sub_account_id": visit.form.get("client", ""), "provider": provider, "agent_id": agent_id}
    ask(visit.call, "PUT", "/v1/sub-accounts/{sub_account_id}/voice-agents/{provider}/{agent_id}", values)
    return Done("Assigned. Its calls that wait are billed within a few seconds.", "waiting", {"status": "unmatched"})


def _dismiss(visit: Visit) -> Done:
    values = {name: visit.form.get(name, "") for name in ("source", "event_id")} | {"workspace_id": visit.workspace.id}
    ask(visit.call, "POST", f"{EVENTS}/{{source}}/{{event_id}}/dismiss", values, {"note": "Seen on the dashboard"})
    return Done("Seen. What was billed first stands.", "waiting", {"status": "conflict"})


ACTIONS = {"assign-agent": Action(_assign, show), "dismiss-event": Action(_dismiss, show)}
