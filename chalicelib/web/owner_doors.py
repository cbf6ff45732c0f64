"""Doors that stand twice: what a workspace may do with its wallet, a sub-account may do with its own."""

import functools
from collections.abc import Callable
from typing import Any

from chalice.app import Response
from pydantic import BaseModel

from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.storage import accounts
from chalicelib.web.doors import Call, door

Owner = Workspace | SubAccount
OwnerView = Callable[[Call[Any], Any], BaseModel | Response]


def owner_door(method: str, path: str, *, summary: str, **known: Any) -> Callable[[OwnerView], OwnerView]:
    """Make a function the view behind two routes, one under `/v1/workspaces/{id}`, one under `/v1/sub-accounts/{id}`.

    The view gets the owner, read; `summary` says `{owner}` where its kind belongs.
    """

    def register(view: OwnerView) -> OwnerView:
        @functools.wraps(view)
        def of_workspace(call: Call[Any], workspace_id: str) -> BaseModel | Response:
            return view(call, accounts.get_workspace(workspace_id))

        @functools.wraps(view)
        def of_sub_account(call: Call[Any], sub_account_id: str) -> BaseModel | Response:
            return view(call, accounts.get_sub_account(sub_account_id))

        of_workspace.__name__ += "_of_workspace"
        of_sub_account.__name__ += "_of_sub_account"
        said = summary.format(owner="workspace"), summary.format(owner="sub-account")
        door(method, f"/v1/workspaces/{{workspace_id}}{path}", summary=said[0], **known)(of_workspace)
        door(method, f"/v1/sub-accounts/{{sub_account_id}}{path}", summary=said[1], **known)(of_sub_account)
        return view

    return register
