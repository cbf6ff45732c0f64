"""Workspaces (agencies), their sub-accounts (clients), and the doors through which their calls are reported.

Whatever belongs to a workspace carries the workspace's own part in its id (`ws_abc` owns `sa_abc_def`), so that one
id is enough to read both wallets in one trip, and nobody can name a thing into somebody else's workspace.
"""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import Conflict
from chalicelib.domain.payments import SUB_ACCOUNT_LIMITS, WORKSPACE_LIMITS, TopUpLimits
from chalicelib.domain.rating import RateCard


class AccountStatus(StrEnum):
    """A paused account starts no calls; what already runs is still paid. A closed one is settled, and stays closed."""

    ACTIVE = "active"
    PAUSED = "paused"
    CLOSED = "closed"  # sub-accounts only


class Provider(StrEnum):
    """Who may report calls through a voice endpoint."""

    CLOUDEVENTS = "cloudevents"
    VAPI = "vapi"
    RETELL = "retell"
    ELEVENLABS = "elevenlabs"
    TWILIO = "twilio"


@dataclass(frozen=True)
class GatePolicy:
    """How long a call must be affordable to start, and how long it may last at the most."""

    min_start_seconds: int = 60
    max_call_seconds: int = 3600


@dataclass(frozen=True)
class StatusChange:
    """When an account was paused, resumed or closed the last time, by whom (a key's name, or an e-mail), and why."""

    at_ms: int
    by: str
    note: str | None = None


@dataclass(frozen=True)
class Workspace:
    """An agency. `cost_cards` say what the platform charges it; the first is in force from the beginning of time.

    `workspace_limits` hold for payments into its own wallet, `sub_account_limits` for those into its clients'.
    """

    id: str
    name: str
    currency: str
    owner_email: str
    created_at_ms: int
    cost_cards: tuple[RateCard, ...]
    gate: GatePolicy = GatePolicy()
    status: AccountStatus = AccountStatus.ACTIVE
    workspace_limits: TopUpLimits = WORKSPACE_LIMITS
    sub_account_limits: TopUpLimits = SUB_ACCOUNT_LIMITS
    status_change: StatusChange | None = None


@dataclass(frozen=True)
class SubAccount:
    """An agency's client. `rebilling_cards` say what the agency charges it, and whether it does at all."""

    id: str
    workspace_id: str
    name: str
    created_at_ms: int
    rebilling_cards: tuple[RateCard, ...] = ()
    status: AccountStatus = AccountStatus.ACTIVE
    status_change: StatusChange | None = None


@dataclass(frozen=True)
class VoiceEndpoint:
    """One webhook address of a workspace, with the secret that its platform signs with.

    `api_key` is what the platform's own list of calls is read with; without one, lost webhooks are not looked for.
    """

    id: str
    workspace_id: str
    provider: Provider
    secret: str
    created_at_ms: int
    api_key: str | None = None


def refuse_if_closed(sub_account: SubAccount) -> None:
    """Raise `Conflict` where a sub-account is closed for good."""
    if sub_account.status is AccountStatus.CLOSED:
        raise Conflict("sub_account_closed", "This sub-account is closed. It can be read, but not used any more.")


def owning_workspace(account_id: str) -> str | None:
    """The workspace inside an id (`sa_abc_def` -> `ws_abc`); None for anything that is not such an id."""
    prefix, _, rest = account_id.partition("_")
    workspace_part, _, own_part = rest.partition("_")
    if prefix not in ("sa", "whe") or not workspace_part or not own_part:
        return None
    return f"ws_{workspace_part}"


def agent_provider(source: str) -> Provider:
    """Under which provider a source's agents are assigned: its own name, and CloudEvents for any other."""
    return Provider(source) if source in Provider.__members__.values() else Provider.CLOUDEVENTS
