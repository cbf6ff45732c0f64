"""Wallets, statements and credits, for workspaces and sub-accounts alike."""

import csv
import io
from collections.abc import Iterator
from http import HTTPStatus

from chalice.app import Response

from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.domain.errors import Invalid
from chalicelib.domain.people import Key
from chalicelib.flows.give_credit import give_credit
from chalicelib.storage import accounts, wallets
from chalicelib.storage.people import rights_of
from chalicelib.storage.statements import statement
from chalicelib.web import requests
from chalicelib.web.account_answers import caller_name
from chalicelib.web.account_requests import NewCredit
from chalicelib.web.answers import ListOf, ShownWallet
from chalicelib.web.doors import Call, door
from chalicelib.web.entry_answers import ShownEntry
from chalicelib.web.idempotency import IDEMPOTENCY_HEADER, idempotency_key
from chalicelib.web.show import show_entry, show_wallet

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four: full width
CSV_COLUMNS = (
    *("id", "kind", "occurred_at", "posted_at", "amount", "currency", "sub_account"),
    *("source", "event_id", "meter", "billed_seconds", "price_per_minute", "note"),
)


@door("GET", "/v1/workspaces/{workspace_id}/wallet", summary="Read a workspace's wallet", answers=ShownWallet)
def read_workspace_wallet(call: Call[None], workspace_id: str) -> ShownWallet:
    """Balance, state, and how many minutes it still pays for."""
    workspace = accounts.get_workspace(workspace_id)
    return show_wallet(wallets.get_wallet(workspace_id), workspace, None, call.base_url)


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/wallet",
    summary="Read a sub-account's wallet",
    answers=ShownWallet,
)
def read_sub_account_wallet(call: Call[None], sub_account_id: str) -> ShownWallet:
    """Balance, state, and how many minutes it still pays for at the agency's price."""
    sub_account = accounts.get_sub_account(sub_account_id)
    workspace = accounts.get_workspace(sub_account.workspace_id)
    return show_wallet(wallets.get_wallet(sub_account_id), workspace, sub_account, call.base_url)


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/wallet/entries",
    summary="A workspace's statement",
    query=requests.EntryPage,
    answers=ListOf[ShownEntry],
)
def list_workspace_entries(call: Call[None], workspace_id: str) -> ListOf[ShownEntry]:
    """Every movement of the workspace's wallet, newest first."""
    accounts.get_workspace(workspace_id)
    return _entries(call, workspace_id, workspace_id)


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/wallet/entries",
    summary="A sub-account's statement",
    query=requests.EntryPage,
    answers=ListOf[ShownEntry],
)
def list_sub_account_entries(call: Call[None], sub_account_id: str) -> ListOf[ShownEntry]:
    """Every movement of the sub-account's wallet, newest first. It holds prices, never the agency's cost."""
    return _entries(call, sub_account_id, accounts.get_sub_account(sub_account_id).workspace_id)


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/wallet/entries.csv",
    summary="A workspace's statement as CSV",
    query=requests.CsvPage,
    answers="text/csv",
)
def export_workspace_entries(call: Call[None], workspace_id: str) -> Response:
    """The statement as CSV, newest first; the header `X-Has-More` says whether there is more."""
    accounts.get_workspace(workspace_id)
    return _csv(workspace_id, call.query_as(requests.CsvPage))


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/wallet/entries.csv",
    summary="A sub-account's statement as CSV",
    query=requests.CsvPage,
    answers="text/csv",
)
def export_sub_account_entries(call: Call[None], sub_account_id: str) -> Response:
    """The statement as CSV, newest first; the header `X-Has-More` says whether there is more."""
    accounts.get_sub_account(sub_account_id)
    return _csv(sub_account_id, call.query_as(requests.CsvPage))


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/wallet/credits",
    summary="Add balance to a workspace's wallet",
    body=NewCredit,
    answers=ShownEntry,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def credit_workspace(call: Call[NewCredit], workspace_id: str) -> ShownEntry:
    """Balance without a payment. The same Idempotency-Key and body answer the first entry again."""
    return _credit(call, accounts.get_workspace(workspace_id))


@door(
    "POST",
    "/v1/sub-accounts/{sub_account_id}/wallet/credits",
    summary="Add balance to a sub-account's wallet",
    body=NewCredit,
    answers=ShownEntry,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def credit_sub_account(call: Call[NewCredit], sub_account_id: str) -> ShownEntry:
    """Balance without a payment. The same Idempotency-Key and body answer the first entry again."""
    return _credit(call, accounts.get_sub_account(sub_account_id))


def _credit(call: Call[NewCredit], owner: Workspace | SubAccount) -> ShownEntry:
    key = idempotency_key(call)
    currency = wallets.get_wallet(owner.id).currency
    if call.body.currency not in (None, currency):
        raise Invalid("currency", f"currency must be {currency}, the wallet's own.", "wrong_currency")
    by = caller_name(call.caller)
    entry = give_credit(owner.id, call.body.amount, call.body.note, key, call.body.kind, by)
    return show_entry(entry, owner.id, shows_by=True)


def _entries(call: Call[None], owner_id: str, workspace_id: str) -> ListOf[ShownEntry]:
    page = call.query_as(requests.EntryPage)
    found, has_more = statement(owner_id, page.limit, page.starting_after)
    shows_by = isinstance(call.caller, Key) or rights_of(workspace_id, call.caller.email).role is not None
    return ListOf[ShownEntry](data=[show_entry(entry, owner_id, shows_by) for entry in found], has_more=has_more)


def _csv(owner_id: str, page: requests.CsvPage) -> Response:
    found, has_more = statement(owner_id, page.limit, page.starting_after)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_csv_row(show_entry(entry, owner_id)) for entry in found)
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{owner_id}.csv"',
        "X-Has-More": str(has_more).lower(),
    }
    return Response(text.getvalue(), headers)


def _csv_row(shown: ShownEntry) -> Iterator[str | None]:
    """In the order of the columns. What others may have written is made harmless; amounts are ours, stay numbers."""
    yield from (shown.id, shown.kind, shown.occurred_at, shown.posted_at, shown.amount, shown.currency)
    yield shown.sub_account
    usage = shown.usage
    yield from (harmless(usage.source), harmless(usage.id), harmless(usage.meter)) if usage else (None, None, None)
    yield from (usage.billed_seconds, usage.price_per_minute) if usage else (None, None)
    yield harmless(shown.note)


def harmless(text: str | None) -> str | None:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{text}" if text and text.lstrip(" ").startswith(_FORMULA_STARTS) else text
