"""What callers send about workspaces, sub-accounts, their people and their voice platforms."""

from typing import Annotated

from pydantic import (
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from chalicelib.domain.accounts import GatePolicy, Provider
from chalicelib.domain.people import Role
from chalicelib.gateways.voice.fields import AgentId
from chalicelib.web.fields import (
    CreditLimit,
    Currency,
    Email,
    Name,
)
from chalicelib.web.models import RequestModel


class GateSettings(RequestModel):
    """How long a call must be affordable to start, and how long it may last."""

    min_start_seconds: int = Field(60, ge=1, le=600)
    max_call_seconds: int = Field(3600, ge=60, le=7200)

    def to_domain(self) -> GatePolicy:
        """As the gate takes it."""
        return GatePolicy(self.min_start_seconds, self.max_call_seconds)


class NewWorkspace(RequestModel):
    """A new workspace. Its currency cannot be changed later."""

    name: Name
    currency: Currency
    owner_email: Email
    gate: GateSettings = GateSettings()
    credit_limit: CreditLimit = Field("0.00", validate_default=True)


class NewSubAccount(RequestModel):
    """A new sub-account, in its workspace's currency."""

    name: Name
    credit_limit: CreditLimit = Field("0.00", validate_default=True)


class PersonRole(RequestModel):
    """What somebody is in a workspace."""

    role: Role = Field(strict=False)


class NewDashboardSession(RequestModel):
    """Whom to let in, and where to: a workspace, or one of its sub-accounts."""

    email: Email
    workspace: Annotated[str, StringConstraints(pattern=r"^ws_[a-z0-9_]{1,60}$")] | None = None
    sub_account: Annotated[str, StringConstraints(pattern=r"^sa_[a-z0-9_]{1,60}$")] | None = Field(
        None, validate_default=True
    )

    @field_validator("sub_account")
    @classmethod
    def _check_one(cls, value: str | None, known: ValidationInfo) -> str | None:
        if (value is None) == (known.data.get("workspace") is None):
            raise ValueError("Say either workspace or sub_account")
        return value


class LinkToken(RequestModel):
    """The token of a one-time link."""

    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{20,100}$")]


class VoiceAgentPath(RequestModel):
    """Which voice agent of which platform."""

    provider: Provider = Field(strict=False)
    agent_id: AgentId


class NewVoiceEndpoint(RequestModel):
    """A webhook address for one voice platform. Leave out the secret where it may be ours: it is answered once.

    With an `api_key` (Vapi's private key, Retell's API key) calls whose webhook was lost are looked for every night.
    It is never answered. For Retell the secret is such a key, and does for both.
    """

    provider: Provider = Field(strict=False)
    secret: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{8,256}$")] | None = None
    api_key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{8,256}$")] | None = None
