"""Who changed what: the audit trail of a workspace, and that of the platform's own settings."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from chalicelib.clock import rfc3339
from chalicelib.storage import accounts, audit
from chalicelib.web.answers import ListOf
from chalicelib.web.doors import Call, door
from chalicelib.web.fields import Count
from chalicelib.web.models import AnswerModel, RequestModel


class ChangePage(RequestModel):
    """Which part of an audit trail."""

    limit: Count = Field(10, ge=1, le=100)
    starting_after: str | None = Field(
        None, pattern=r"^aud_[0-9A-HJKMNP-TV-Z]{26}$", description="The last id you have."
    )


class ShownChange(AnswerModel):
    """One change of a setting. `from` and `to` hold the members that differ, and of lists what went and what came;
    null where there was nothing before, or is nothing now."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    object: Literal["change"] = "change"
    id: str
    at: str
    by_kind: Literal["api_key", "person"]
    by: str = Field(description="The e-mail address of the person, or the name of the API key.")
    action: str = Field(description="The operationId of the request.", examples=["set_rebilling"])
    on: str = Field(description="The id of the workspace, sub-account, voice or webhook endpoint.")
    old: dict[str, Any] | None = Field(alias="from")
    new: dict[str, Any] | None = Field(alias="to")


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/audit",
    summary="Who changed which setting of a workspace",
    query=ChangePage,
    answers=ListOf[ShownChange],
)
def list_workspace_changes(call: Call[None], workspace_id: str) -> ListOf[ShownChange]:
    """Of the workspace and its sub-accounts, newest first: who, when, from what, to what."""
    accounts.get_workspace(workspace_id)
    return _changes(workspace_id, call.query_as(ChangePage))


@door(
    "GET",
    "/v1/audit",
    summary="Who changed which setting of the platform",
    query=ChangePage,
    answers=ListOf[ShownChange],
)
def list_platform_changes(call: Call[None]) -> ListOf[ShownChange]:
    """What holds for everybody: the switch of all refills, webhook endpoints. Newest first."""
    return _changes(audit.PLATFORM, call.query_as(ChangePage))


def _changes(workspace_id: str, page: ChangePage) -> ListOf[ShownChange]:
    found, has_more = audit.list_changes(workspace_id, page.limit, page.starting_after)
    return ListOf[ShownChange](data=[_show(change) for change in found], has_more=has_more)


def _show(change: audit.Change) -> ShownChange:
    known: dict[str, Any] = {"from": change.old, "to": change.new}
    return ShownChange(
        id=change.id,
        at=rfc3339(change.at_ms),
        by_kind="person" if change.by_kind == "person" else "api_key",
        by=change.by,
        action=change.action,
        on=change.on,
        **known,
    )
