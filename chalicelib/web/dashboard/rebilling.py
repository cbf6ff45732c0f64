"""Re-billing: the Stripe account that clients pay to, the workspace's wallet, the month, and what needs attention."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from chalice.app import Response

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.errors import Invalid, NotFound
from chalicelib.domain.money import parse_micros
from chalicelib.storage import wallets
from chalicelib.storage.items import together
from chalicelib.storage.overview import clients_of
from chalicelib.storage.page_reads import read_wallet_page
from chalicelib.web.dashboard import attention, figures
from chalicelib.web.dashboard.forms import Action, Done, Onward
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw
from chalicelib.web.dashboard.wallet_forms import WalletForms, shown_on

WORKSPACE = "/v1/workspaces/{workspace_id}"
WALLET, STRIPE = f"{WORKSPACE}/wallet", f"{WORKSPACE}/stripe"
PLATFORM_VERSION = 0  # a workspace pays on the platform's own account, which is never another


def show(visit: Visit) -> Response:
    """The page, for the workspace's people."""
    workspace_id, today = visit.workspace.id, utc_day(now_ms())
    first_day = f"{today[:7]}-01"
    with together() as reads:
        all_clients = reads.begin(clients_of, workspace_id)  # first: it takes the longest
        reads.begin(read_wallet_page, workspace_id, workspace_id)
        days = reads.begin(wallets.day_totals, workspace_id, min(first_day, figures.days_before(today, 6)), today)
        of_calls = reads.begin(attention.of_calls, visit)
    wallet, connection = visit.get(WALLET), _connection(visit)
    clients, totals = all_clients.result(), days.result()
    this_month = [total for total in totals if total.day >= first_day]
    rebilled = any(attention.is_rebilled(each.sub_account, now_ms()) for each in clients)
    return draw(
        visit,
        "rebilling.html",
        "Re-billing",
        **shown_on(
            visit, wallet, visit.get(f"{WALLET}/refill-rule"), visit.workspace.workspace_limits, PLATFORM_VERSION
        ),
        forms=FORMS.page,
        form_fields={},
        takes_cards=True,
        connection=connection,
        connected=_is_connected(connection),
        switch=visit.get(f"{WORKSPACE}/refill-switch"),
        steps=_steps(visit, connection, wallet, rebilled),
        matters=[*attention.of_clients(visit, clients), *of_calls.result()],
        days_left=figures.days_left(totals, today, _available_micros(wallet)),
        month=date.fromisoformat(today).strftime("%B %Y"),
        sums=figures.figures(this_month),
        days=figures.each_day(this_month, first_day, today),
    )


def _connection(visit: Visit) -> dict[str, Any] | None:
    """The link to Stripe, ended or not; None where there has never been one."""
    try:
        found: dict[str, Any] = visit.get(STRIPE)
    except NotFound:
        return None
    return found


def _is_connected(connection: dict[str, Any] | None) -> bool:
    return connection is not None and connection["state"] == "connected"


def _available_micros(wallet: dict[str, Any]) -> int:
    return _micros(wallet["balance"]) + _micros(wallet["credit_limit"])


def _micros(amount: str) -> int:
    micros = parse_micros(amount.removeprefix("-"), "amount")
    return -micros if amount.startswith("-") else micros


def _steps(
    visit: Visit, connection: dict[str, Any] | None, wallet: dict[str, Any], rebilled: bool
) -> Sequence[tuple[str, str, str, bool]]:
    """The first three things to do as (what, why, where, done); nothing once all are done."""
    funded = _available_micros(wallet) > 0
    steps = (
        ("Connect Stripe", "Your clients' payments go to your own account.", "#stripe", _is_connected(connection)),
        ("Add balance to your wallet", "Calls cost you what the platform charges.", "#wallet", funded),
        ("Turn on re-billing for a client", "They then pay your price.", visit.at("accounts"), rebilled),
    )
    return () if all(done for *_, done in steps) else steps


# What the forms do


def _connect(visit: Visit) -> Onward:
    values = {"workspace_id": visit.workspace.id}
    return Onward(ask(visit.call, "POST", f"{STRIPE}/connect", values, {"user": visit.person.email})["url"])


def _disconnect(visit: Visit) -> Done:
    if "understood" not in visit.form:
        raise Invalid("understood", "Tick the box first: your clients cannot pay any more after this.")
    ended = ask(visit.call, "DELETE", STRIPE, {"workspace_id": visit.workspace.id})
    return Done(f"{ended['account_name']} is disconnected. Balances stay, and stay usable.", "rebilling")


FORMS = WalletForms(WALLET, "rebilling", lambda visit: {"workspace_id": visit.workspace.id}, lambda _: {})
ACTIONS = {
    "connect-stripe": Action(_connect, show),
    "disconnect-stripe": Action(_disconnect, show),
    **FORMS.actions(show),
}
