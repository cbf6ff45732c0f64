"""Which part of a list callers want."""

from typing import Literal

from pydantic import (
    Field,
)

from chalicelib.web.fields import (
    Count,
)
from chalicelib.web.models import RequestModel

_ENTRY_ID = r"^ent_[0-9A-HJKMNP-TV-Z]{26}$"

_LAST = "The last id you have."


class SubAccountPage(RequestModel):
    """Which part of a workspace's sub-accounts."""

    limit: Count = Field(10, ge=1, le=100)
    starting_after: str | None = Field(None, pattern=r"^sa_[a-z0-9]+_[a-z0-9]+$", max_length=60, description=_LAST)


class EntryPage(RequestModel):
    """Which part of a statement."""

    limit: Count = Field(10, ge=1, le=100)
    starting_after: str | None = Field(None, pattern=_ENTRY_ID, description=_LAST)


class CsvPage(RequestModel):
    """Which part of a statement as CSV."""

    limit: Count = Field(1000, ge=1, le=5000)
    starting_after: str | None = Field(None, pattern=_ENTRY_ID, description=_LAST)


class WaitingPage(RequestModel):
    """Which of the usage events that wait for a person."""

    status: Literal["unmatched", "needs_review", "conflict"]
    limit: Count = Field(10, ge=1, le=100)
    starting_after: str | None = Field(
        None, pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="The last cursor you have."
    )


class WhichWorkspace(RequestModel):
    """Whose event, where two workspaces reported one with the same source and id."""

    workspace: str | None = Field(None, pattern=r"^ws_[a-z0-9]{1,40}$")


class NoticePage(RequestModel):
    """Which part of an owner's activity."""

    limit: Count = Field(10, ge=1, le=100)
    starting_after: str | None = Field(None, pattern=r"^evt_[0-9A-HJKMNP-TV-Z]{26}$", description=_LAST)
