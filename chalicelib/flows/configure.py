"""Workspaces and sub-accounts are made and set: costs, re-billing, voice agents and endpoints."""

import base64
import secrets
from collections.abc import Collection
from dataclasses import replace

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import GatePolicy, Provider, SubAccount, VoiceEndpoint, Workspace
from chalicelib.domain.errors import Invalid
from chalicelib.domain.payments import TopUpLimits
from chalicelib.domain.people import email_of
from chalicelib.domain.rating import (
    DEFAULT_COST_PER_MINUTE_MICROS,
    VOICE,
    Price,
    PriceType,
    RateCard,
    card_in_force,
)
from chalicelib.domain.wallet import Wallet
from chalicelib.flows import redrive_usage
from chalicelib.flows.ids import new_id_inside, new_workspace_id
from chalicelib.gateways.voice import ADAPTERS, cloudevents
from chalicelib.gateways.voice.listing import LISTINGS
from chalicelib.storage import accounts, snapshots

SECRET_BYTES = 32


def create_workspace(
    name: str, currency: str, owner_email: str, gate: GatePolicy, credit_limit_micros: int
) -> Workspace:
    """Make a workspace with an empty wallet, at the platform's usual cost from the beginning of time."""
    usual_cost = RateCard(0, prices={VOICE: Price(PriceType.FIXED, DEFAULT_COST_PER_MINUTE_MICROS)})
    workspace = Workspace(
        id=new_workspace_id(),
        name=name,
        currency=currency,
        owner_email=email_of(owner_email, "owner_email"),
        created_at_ms=now_ms(),
        cost_cards=(usual_cost,),
        gate=gate,
    )
    accounts.create_workspace(workspace, Wallet(workspace.id, currency, 0, credit_limit_micros))
    return workspace


def create_sub_account(workspace_id: str, name: str, credit_limit_micros: int | None = None) -> SubAccount:
    """Make a sub-account with an empty wallet in its workspace's currency, as the workspace's snapshot says.

    Without one it is not re-billed. A `credit_limit_micros` goes before the snapshot's.

    Raises:
        NotFound: no such workspace.
    """
    workspace, defaults = accounts.get_workspace(workspace_id), snapshots.get_snapshot(workspace_id).defaults
    now = now_ms()
    cards = (replace(defaults.rebilling, effective_at_ms=now),) if defaults.rebilling else ()
    sub_account = SubAccount(new_id_inside("sa", workspace_id), workspace_id, name, now, cards)
    limit_micros = defaults.credit_limit_micros or 0 if credit_limit_micros is None else credit_limit_micros
    accounts.create_sub_account(
        sub_account,
        Wallet(sub_account.id, workspace.currency, 0, limit_micros),
        defaults.notice_levels_micros,
        snapshots.suggested(sub_account.id, defaults.refill) if defaults.refill else None,
    )
    return sub_account


def set_cost(workspace_id: str, card: RateCard) -> Workspace:
    """Set what the platform charges a workspace, from the card's date on.

    Raises:
        NotFound: no such workspace. Conflict: too many price changes.
    """
    accounts.add_cost_card(workspace_id, card)
    redrive_usage.ask_for_price(workspace_id)
    return accounts.get_workspace(workspace_id)


def set_top_up_limits(workspace_id: str, own: TopUpLimits | None, sub_accounts: TopUpLimits | None) -> Workspace:
    """Set the limits of payments into a workspace's own wallet and its sub-accounts'. None leaves them as they are.

    Raises:
        NotFound: no such workspace.
    """
    accounts.set_top_up_limits(workspace_id, own, sub_accounts)
    return accounts.get_workspace(workspace_id)


def set_rebilling(sub_account_id: str, card: RateCard, below_cost_accepted: Collection[str]) -> SubAccount:
    """Set what an agency charges its client, from the card's date on.

    `below_cost_accepted` names the meters that may be sold at a loss.

    Raises:
        NotFound: no such sub-account. Conflict: too many price changes.
        Invalid: on with nothing to bill, or a price below cost that was not accepted; names the field.
    """
    sub_account = accounts.get_sub_account(sub_account_id)
    check_card(accounts.get_workspace(sub_account.workspace_id), card, card.effective_at_ms, below_cost_accepted)
    accounts.add_rebilling_card(sub_account, card)
    redrive_usage.ask_for_price(sub_account.workspace_id, sub_account_id)
    return accounts.get_sub_account(sub_account_id)


def check_card(workspace: Workspace, card: RateCard, at_ms: int, accepted: Collection[str]) -> None:
    """Check what a client is to be charged from a moment on; `accepted` names the meters that may be sold at a loss.

    Raises:
        Invalid: on with nothing to bill, or a price below cost that was not accepted; names the field.
    """
    if not card.enabled:
        return
    if not any(card.prices.values()):
        raise Invalid("voice", "Re-billing is on, but nothing is billed: enable voice or a meter.", "nothing_to_bill")
    costs = card_in_force(workspace.cost_cards, at_ms)
    for meter, price in card.prices.items():
        cost = costs.prices.get(meter) if costs else None
        if not price or not cost or meter in accepted or price.price_type is not PriceType.FIXED:
            continue
        if price.price_per_unit_micros < cost.price_per_unit_micros:
            param = "voice.price_per_minute" if meter == VOICE else f"meters.{meter}.price_per_unit"
            detail = f"{param} is below what the workspace pays itself. Set accept_below_cost to sell at a loss."
            raise Invalid(param, detail, "price_below_cost")


def assign_agent(sub_account_id: str, provider: Provider, agent_id: str) -> SubAccount:
    """Say that a voice agent's calls are this sub-account's; events that waited for it are posted.

    Raises:
        NotFound: no such sub-account. Unavailable: say it again, it does no harm.
    """
    sub_account = accounts.get_sub_account(sub_account_id)
    accounts.assign_agent(provider, agent_id, sub_account, now_ms())
    redrive_usage.ask_for_agent(sub_account.workspace_id, agent_id)
    return sub_account


def unassign_agent(sub_account_id: str, provider: Provider, agent_id: str) -> None:
    """Take a voice agent away from a sub-account: calls that come from now on wait until it is assigned again.

    What has been posted stays. It may be closed: agents are wanted back when a client has left.

    Raises:
        NotFound: no such sub-account, or the agent is not its own; names agent_id.
    """
    accounts.unassign_agent(provider, agent_id, accounts.get_sub_account(sub_account_id))


def create_endpoint(
    workspace_id: str, provider: Provider, secret: str | None, api_key: str | None = None
) -> VoiceEndpoint:
    """Make a webhook address for one voice platform. With an `api_key`, calls whose webhook was lost are looked for.

    Raises:
        NotFound: no such workspace. Invalid: the platform's own secret is missing, or cannot be one, or nobody lists
            this platform's calls; names it.
    """
    accounts.get_workspace(workspace_id)
    if secret is None and not ADAPTERS[provider].SECRET_IS_OURS:
        raise Invalid("secret", f"secret is required: {provider} signs with a secret of its own. Paste it here.")
    if secret is not None and provider is Provider.CLOUDEVENTS:
        cloudevents.check_secret(secret)
    if api_key is not None and provider not in LISTINGS:
        raise Invalid("api_key", f"api_key: calls are looked up at {' and '.join(LISTINGS)} only. Leave it out.")
    endpoint = VoiceEndpoint(
        id=new_id_inside("whe", workspace_id, letters=26),
        workspace_id=workspace_id,
        provider=provider,
        secret=secret or f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}",
        created_at_ms=now_ms(),
        api_key=api_key,
    )
    accounts.create_endpoint(endpoint)
    return endpoint


def delete_endpoint(workspace_id: str, endpoint_id: str) -> VoiceEndpoint:
    """Switch a webhook address off for good: it is not found any more, and the sweep leaves it out.

    Answers what it was.

    Raises:
        NotFound: no such workspace, or it has no such endpoint (any more); names endpoint_id.
    """
    accounts.get_workspace(workspace_id)
    endpoint = accounts.endpoint_of(workspace_id, endpoint_id)
    accounts.delete_endpoint(endpoint)
    return endpoint
