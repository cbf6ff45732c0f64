"""Workspaces, their cost, sub-accounts, re-billing, and whose calls a voice agent's are."""

from http import HTTPStatus

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Invalid
from chalicelib.flows import configure
from chalicelib.storage import account_pages, accounts
from chalicelib.validation import validate
from chalicelib.web import requests
from chalicelib.web.answers import ListOf, ShownSubAccount, ShownVoiceAgent, ShownWorkspace
from chalicelib.web.doors import Call, door
from chalicelib.web.show import show_sub_account, show_workspace

YEAR_MS = 366 * 86_400_000


@door(
    "POST",
    "/v1/workspaces",
    summary="Create a workspace",
    body=requests.NewWorkspace,
    answers=ShownWorkspace,
    status=HTTPStatus.CREATED,
)
def create_workspace(call: Call[requests.NewWorkspace]) -> ShownWorkspace:
    """An agency, with an empty wallet, at the platform's usual cost of 0.07 a minute."""
    new = call.body
    made = configure.create_workspace(new.name, new.currency, new.owner_email, new.gate.to_domain(), new.credit_limit)
    return show_workspace(made)


@door("GET", "/v1/workspaces/{workspace_id}", summary="Read a workspace", answers=ShownWorkspace)
def read_workspace(call: Call[None], workspace_id: str) -> ShownWorkspace:
    """The workspace with its cost, now and before."""
    return show_workspace(accounts.get_workspace(workspace_id))


@door(
    "PUT",
    "/v1/workspaces/{workspace_id}/cost",
    summary="Set what the platform charges a workspace",
    body=requests.Cost,
    answers=ShownWorkspace,
)
def set_cost(call: Call[requests.Cost], workspace_id: str) -> ShownWorkspace:
    """A new dated rate card: it rates the calls that are answered from `effective_at` on. Nothing before it changes."""
    card = call.body.to_card(_effective_at_ms(call.body.effective_at))
    return show_workspace(configure.set_cost(workspace_id, card))


@door(
    "PUT",
    "/v1/workspaces/{workspace_id}/top-up-limits",
    summary="Set how much one top-up may come to",
    body=requests.NewTopUpLimits,
    answers=ShownWorkspace,
)
def set_top_up_limits(call: Call[requests.NewTopUpLimits], workspace_id: str) -> ShownWorkspace:
    """From now on. What is left out stays as it is; a payment page that is open already can still be paid on."""
    own, sub_accounts = (part.to_limits() if part else None for part in (call.body.workspace, call.body.sub_accounts))
    return show_workspace(configure.set_top_up_limits(workspace_id, own, sub_accounts))


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/sub-accounts",
    summary="Create a sub-account",
    body=requests.NewSubAccount,
    answers=ShownSubAccount,
    status=HTTPStatus.CREATED,
)
def create_sub_account(call: Call[requests.NewSubAccount], workspace_id: str) -> ShownSubAccount:
    """A client with an empty wallet, set as the workspace's snapshot says; without one it is not re-billed."""
    limit_micros = call.body.credit_limit if "credit_limit" in call.body.model_fields_set else None
    made = configure.create_sub_account(workspace_id, call.body.name, limit_micros)
    return show_sub_account(made)


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/sub-accounts",
    summary="List a workspace's sub-accounts",
    query=requests.SubAccountPage,
    answers=ListOf[ShownSubAccount],
)
def list_sub_accounts(call: Call[None], workspace_id: str) -> ListOf[ShownSubAccount]:
    """In the order of their ids."""
    page = call.query_as(requests.SubAccountPage)
    accounts.get_workspace(workspace_id)
    found, has_more = accounts.list_sub_accounts(workspace_id, page.limit, page.starting_after)
    return ListOf[ShownSubAccount](data=[show_sub_account(each) for each in found], has_more=has_more)


@door("GET", "/v1/sub-accounts/{sub_account_id}", summary="Read a sub-account", answers=ShownSubAccount)
def read_sub_account(call: Call[None], sub_account_id: str) -> ShownSubAccount:
    """The sub-account with its re-billing, now and before."""
    return show_sub_account(accounts.get_sub_account(sub_account_id))


@door(
    "PUT",
    "/v1/sub-accounts/{sub_account_id}/rebilling",
    summary="Set re-billing and its prices",
    body=requests.Rebilling,
    answers=ShownSubAccount,
)
def set_rebilling(call: Call[requests.Rebilling], sub_account_id: str) -> ShownSubAccount:
    """A new dated rate card: it rates the calls that are answered from `effective_at` on, whenever they arrive. While
    re-billing is on, calls also stop when this sub-account's wallet is empty.
    """
    card = call.body.to_card(_effective_at_ms(call.body.effective_at))
    return show_sub_account(configure.set_rebilling(sub_account_id, card, call.body.accepts_below_cost()))


@door(
    "PUT",
    "/v1/sub-accounts/{sub_account_id}/voice-agents/{provider}/{agent_id}",
    summary="Say whose calls a voice agent's are",
    answers=ShownVoiceAgent,
)
def assign_voice_agent(call: Call[None], sub_account_id: str, provider: str, agent_id: str) -> ShownVoiceAgent:
    """From now on, this agent's calls are this sub-account's. Calls that waited for it are posted. For Twilio the
    agent is the number that was called; for Vapi its phone number where a call names no assistant.
    """
    agent = validate(requests.VoiceAgentPath, {"provider": provider, "agent_id": agent_id})
    assigned = configure.assign_agent(sub_account_id, agent.provider, agent.agent_id)
    return ShownVoiceAgent(provider=agent.provider, agent_id=agent.agent_id, sub_account=assigned.id)


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/voice-agents",
    summary="List a sub-account's voice agents",
    answers=ListOf[ShownVoiceAgent],
)
def list_voice_agents(call: Call[None], sub_account_id: str) -> ListOf[ShownVoiceAgent]:
    """All agents whose calls are this sub-account's, by platform and id."""
    found = account_pages.agents_of(accounts.get_sub_account(sub_account_id))
    agents = [
        ShownVoiceAgent(provider=Provider(provider), agent_id=agent_id, sub_account=sub_account_id)
        for provider, agent_id in found
    ]
    return ListOf[ShownVoiceAgent](data=agents)


@door(
    "DELETE",
    "/v1/sub-accounts/{sub_account_id}/voice-agents/{provider}/{agent_id}",
    summary="Take a voice agent away from a sub-account",
    answers=ShownVoiceAgent,
)
def remove_voice_agent(call: Call[None], sub_account_id: str, provider: str, agent_id: str) -> ShownVoiceAgent:
    """From now on, this agent's calls are nobody's: they wait as `unmatched`, and are posted once the agent is assigned
    again, to whomever. Calls that were posted stay where they are. Answers the agent as it was.
    """
    agent = validate(requests.VoiceAgentPath, {"provider": provider, "agent_id": agent_id})
    configure.unassign_agent(sub_account_id, agent.provider, agent.agent_id)
    return ShownVoiceAgent(provider=agent.provider, agent_id=agent.agent_id, sub_account=sub_account_id)


def _effective_at_ms(asked_ms: int | None) -> int:
    """Now, unless a later moment was asked for: a price never changes what has already been talked."""
    now = now_ms()
    if asked_ms is None:
        return now
    if not now <= asked_ms <= now + YEAR_MS:
        raise Invalid("effective_at", "effective_at must be between now and a year from now.")
    return asked_ms
