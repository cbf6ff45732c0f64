"""Accounts are paused, resumed and closed.

Closing needs Stripe's SDK, which is imported where it is used: pausing need not wait for it.
"""

from typing import Any

from chalicelib.flows.pause_account import set_paused
from chalicelib.storage import accounts, wallets
from chalicelib.web import account_requests
from chalicelib.web.account_answers import ShownClosing, caller_name, show_closing
from chalicelib.web.answers import ShownSubAccount, ShownWorkspace
from chalicelib.web.doors import Call, door
from chalicelib.web.idempotency import IDEMPOTENCY_HEADER, idempotency_key
from chalicelib.web.show import show_sub_account, show_workspace

_WS, _SA = "/v1/workspaces/{workspace_id}", "/v1/sub-accounts/{sub_account_id}"
Note = Call[account_requests.StatusNote]


@door(
    "POST",
    f"{_SA}/pause",
    summary="Pause a sub-account",
    body=account_requests.StatusNote,
    answers=ShownSubAccount,
)
def pause_sub_account(call: Note, sub_account_id: str) -> ShownSubAccount:
    """No new calls start and no card is asked; what already runs is still paid. Pausing again does no harm."""
    return _sub_account(call, sub_account_id, paused=True)


@door(
    "POST",
    f"{_SA}/resume",
    summary="Resume a sub-account",
    body=account_requests.StatusNote,
    answers=ShownSubAccount,
)
def resume_sub_account(call: Note, sub_account_id: str) -> ShownSubAccount:
    """Calls start again at once, refills within five minutes. A closed sub-account cannot be resumed."""
    return _sub_account(call, sub_account_id, paused=False)


@door(
    "POST",
    f"{_WS}/pause",
    summary="Pause a workspace",
    body=account_requests.StatusNote,
    answers=ShownWorkspace,
)
def pause_workspace(call: Note, workspace_id: str) -> ShownWorkspace:
    """No new calls of any of its sub-accounts start, and no card is asked; what already runs is still paid."""
    return _workspace(call, workspace_id, paused=True)


@door(
    "POST",
    f"{_WS}/resume",
    summary="Resume a workspace",
    body=account_requests.StatusNote,
    answers=ShownWorkspace,
)
def resume_workspace(call: Note, workspace_id: str) -> ShownWorkspace:
    """Calls start again at once, refills within five minutes. Sub-accounts that are paused themselves stay so."""
    return _workspace(call, workspace_id, paused=False)


@door(
    "POST",
    f"{_SA}/close",
    summary="Close a sub-account",
    body=account_requests.NewClosing,
    answers=ShownClosing,
    headers=IDEMPOTENCY_HEADER,
)
def close_sub_account(call: Call[account_requests.NewClosing], sub_account_id: str) -> ShownClosing:
    """For good: no new calls start, refills are off, and the balance is settled. `refund` gives it back to the cards
    that paid it, the newest payment first, and forfeits what no card has paid. The same Idempotency-Key and body go on
    with, or answer, the same closing; another key settles what has come in since. Everything can still be read.
    """
    from chalicelib.flows.close_account import close_account

    key, asked = idempotency_key(call), call.body
    sub_account = accounts.get_sub_account(sub_account_id)
    by = caller_name(call.caller)
    closing = close_account(sub_account, asked.settle, asked.note, asked.transfer_to, key, by)
    wallet = wallets.get_wallet(sub_account_id)
    return show_closing(closing, wallet.currency, wallet.balance_micros)


def _sub_account(call: Call[Any], sub_account_id: str, paused: bool) -> ShownSubAccount:
    known = accounts.get_sub_account(sub_account_id)
    set_paused(known, paused, caller_name(call.caller), call.body.note)
    return show_sub_account(accounts.get_sub_account(sub_account_id))


def _workspace(call: Call[Any], workspace_id: str, paused: bool) -> ShownWorkspace:
    known = accounts.get_workspace(workspace_id)
    set_paused(known, paused, caller_name(call.caller), call.body.note)
    return show_workspace(accounts.get_workspace(workspace_id))
