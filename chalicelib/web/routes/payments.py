"""Stripe: connect, top up, save a card; where the browser comes back to, and where Stripe's events arrive.

The flows are imported where they are used: who lifts a hold must not wait for Stripe's SDK.
"""

import re
from http import HTTPStatus
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from chalice.app import Response

from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.domain.errors import AccessLost, Conflict, Invalid, NotFound, OutcomeUnknown
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.payments import Connection, TopUpState
from chalicelib.domain.people import Person
from chalicelib.storage import accounts, top_ups, wallets
from chalicelib.web import requests
from chalicelib.web.answers import Received, ShownConnection, ShownLink, ShownTopUp, ShownWallet
from chalicelib.web.doors import Call, door
from chalicelib.web.idempotency import IDEMPOTENCY_HEADER, idempotency_key
from chalicelib.web.owner_doors import Owner, owner_door
from chalicelib.web.pages import message_page
from chalicelib.web.show import show_connection, show_top_up, show_wallet

BROWSER_COOKIE = "rebill_connect"
COOKIE_SECONDS = 600
_OWNER_ID = re.compile(r"(ws|sa)_[a-z0-9_]{1,60}", re.ASCII)
_SAID = {
    TopUpState.OPEN: ("Your payment is on its way", "It is added to the balance as soon as Stripe confirms it."),
    TopUpState.SUCCEEDED: ("Payment received", "It has been added to the balance."),
    TopUpState.EXPIRED: ("Nothing was paid", "The payment page was left or has expired. You can start again."),
    TopUpState.REFUSED: ("This payment needs a person", "It was not what we asked for. Support has been told."),
}


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/stripe/connect",
    summary="Start to connect a Stripe account",
    body=requests.NewStripeConnection,
    answers=ShownLink,
    status=HTTPStatus.CREATED,
)
def connect_stripe(call: Call[requests.NewStripeConnection], workspace_id: str) -> ShownLink:
    """Send the person's browser to `url` within ten minutes. It works once, in one browser."""
    from chalicelib.flows import connect_stripe as flow

    return ShownLink(url=flow.begin(workspace_id, call.body.user, call.base_url))


@door("GET", "/v1/workspaces/{workspace_id}/stripe", summary="Read the Stripe connection", answers=ShownConnection)
def read_stripe(call: Call[None], workspace_id: str) -> ShownConnection:
    """Which account is connected, in which mode, and whether it takes payments."""
    from chalicelib.flows import connect_stripe as flow

    return show_connection(flow.get(workspace_id))


@door(
    "DELETE",
    "/v1/workspaces/{workspace_id}/stripe",
    summary="Disconnect the Stripe account",
    answers=ShownConnection,
)
def disconnect_stripe(call: Call[None], workspace_id: str) -> ShownConnection:
    """Payments stop first, then Stripe is told. Balances stay, and stay usable."""
    from chalicelib.flows import connect_stripe as flow

    return show_connection(flow.disconnect(workspace_id))


@door(
    "GET",
    "/oauth/stripe/start",
    summary="Go on to Stripe",
    query=requests.OAuthStart,
    answers="text/html",
    status=HTTPStatus.SEE_OTHER,
    needs_key=False,
)
def start_oauth(call: Call[None]) -> Response:
    """Ties the link to this browser and sends it on to Stripe."""
    from chalicelib.flows import connect_stripe as flow

    try:
        url, browser = flow.go(call.query.get("state", ""), call.base_url)
    except Conflict as refused:
        return message_page("This link does not work", refused.detail, status=HTTPStatus.BAD_REQUEST)
    secure = "; Secure" if call.base_url.startswith("https:") else ""
    path = f"{urlsplit(call.base_url).path}/oauth/stripe"  # a stage without a domain of its own has its name in front
    cookie = f"{BROWSER_COOKIE}={browser}; Path={path}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    headers: dict[str, str | list[str]] = {"Location": url, "Set-Cookie": cookie, "Content-Type": "text/html"}
    return Response("", headers, HTTPStatus.SEE_OTHER.value)


@door(
    "GET",
    "/oauth/stripe/callback",
    summary="Come back from Stripe",
    answers="text/html",
    needs_key=False,
)
def finish_oauth(call: Call[None]) -> Response:
    """Where Stripe sends the browser back to, with a code or with a refusal."""
    from chalicelib.flows import audit
    from chalicelib.flows import connect_stripe as flow

    cookie = SimpleCookie(call.headers.get("cookie", "")).get(BROWSER_COOKIE)
    back = ("Back to the dashboard", f"{call.base_url}/dashboard?page=rebilling")
    try:
        made, user = flow.finish(call.query, cookie.value if cookie else "")
    except OutcomeUnknown:
        again = "Stripe gave no answer, so nothing was linked. Start again from your workspace."
        return message_page("Stripe is not connected", again, link=back, status=HTTPStatus.SERVICE_UNAVAILABLE)
    except (AccessLost, Conflict, Invalid, NotFound) as refused:
        return message_page("Stripe is not connected", refused.detail, link=back, status=HTTPStatus.BAD_REQUEST)
    shown = show_connection(made)
    audit.record(
        Person(user, made.workspace_id, ""),
        "finish_oauth",
        {"workspace_id": made.workspace_id},
        None,
        shown.model_dump(mode="json"),
    )
    facts = (("Account", made.account_name), ("Mode", shown.mode), ("Payments", _enabled(made)))
    return message_page("Stripe is connected", "Your clients' payments go to this account.", facts, back)


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/wallet/top-ups",
    summary="Buy balance for a workspace",
    body=requests.NewTopUp,
    answers=ShownTopUp,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def top_up_workspace(call: Call[requests.NewTopUp], workspace_id: str) -> ShownTopUp:
    """Send the person to `url`. One payment at a time: an earlier one that was never paid is ended first."""
    return _top_up(call, accounts.get_workspace(workspace_id))


@door(
    "POST",
    "/v1/sub-accounts/{sub_account_id}/wallet/top-ups",
    summary="Buy balance for a sub-account",
    body=requests.NewTopUp,
    answers=ShownTopUp,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def top_up_sub_account(call: Call[requests.NewTopUp], sub_account_id: str) -> ShownTopUp:
    """Send the person to `url`. The money lands on the agency's own Stripe account."""
    return _top_up(call, accounts.get_sub_account(sub_account_id))


@door(
    "GET",
    "/v1/workspaces/{workspace_id}/wallet/top-ups/{top_up_id}",
    summary="What became of a workspace's top-up",
    answers=ShownTopUp,
)
def read_workspace_top_up(call: Call[None], workspace_id: str, top_up_id: str) -> ShownTopUp:
    """Asks Stripe while it is open."""
    return _ask_after(workspace_id, top_up_id)


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/wallet/top-ups/{top_up_id}",
    summary="What became of a sub-account's top-up",
    answers=ShownTopUp,
)
def read_sub_account_top_up(call: Call[None], sub_account_id: str, top_up_id: str) -> ShownTopUp:
    """Asks Stripe while it is open."""
    return _ask_after(sub_account_id, top_up_id)


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/wallet/payment-method",
    summary="Save a workspace's card",
    answers=ShownLink,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def save_workspace_card(call: Call[None], workspace_id: str) -> ShownLink:
    """Send the person to `url`: Stripe's own page saves the card, and takes no money."""
    return _save_card(call, accounts.get_workspace(workspace_id))


@door(
    "POST",
    "/v1/sub-accounts/{sub_account_id}/wallet/payment-method",
    summary="Save a sub-account's card",
    answers=ShownLink,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def save_sub_account_card(call: Call[None], sub_account_id: str) -> ShownLink:
    """Send the person to `url`: Stripe's own page saves the card on the agency's account, and takes no money."""
    return _save_card(call, accounts.get_sub_account(sub_account_id))


@door(
    "POST",
    "/v1/workspaces/{workspace_id}/wallet/portal",
    summary="Open Stripe's page for a workspace's cards and receipts",
    answers=ShownLink,
    status=HTTPStatus.CREATED,
)
def open_workspace_portal(call: Call[None], workspace_id: str) -> ShownLink:
    """Send the person to `url`; it works once, for a few minutes."""
    return _open_portal(call, accounts.get_workspace(workspace_id))


@door(
    "POST",
    "/v1/sub-accounts/{sub_account_id}/wallet/portal",
    summary="Open Stripe's page for a sub-account's cards and receipts",
    answers=ShownLink,
    status=HTTPStatus.CREATED,
)
def open_sub_account_portal(call: Call[None], sub_account_id: str) -> ShownLink:
    """Send the person to `url`; it works once, for a few minutes."""
    return _open_portal(call, accounts.get_sub_account(sub_account_id))


@owner_door(
    "DELETE",
    "/wallet/refill-hold",
    summary="Lift a dispute's hold on a {owner}'s refills",
    answers=ShownWallet,
)
def lift_refill_hold(call: Call[None], owner: Owner) -> ShownWallet:
    """Automatic refills go on within five minutes, although a payment is disputed. Another dispute holds them anew."""
    from chalicelib.flows.reverse_payment import lift_hold

    lift_hold(owner.id)
    wallet = wallets.get_wallet(owner.id)
    if isinstance(owner, Workspace):
        return show_wallet(wallet, owner, None, call.base_url)
    return show_wallet(wallet, accounts.get_workspace(owner.workspace_id), owner, call.base_url)


@door(
    "GET",
    "/payments/return",
    summary="Come back from a payment page",
    answers="text/html",
    needs_key=False,
)
def return_from_payment(call: Call[None]) -> Response:
    """Says what became of a payment, and settles it if nothing else has done so yet."""
    from chalicelib.flows.settle_payment import settle_top_up

    back = _way_back(call)
    if "top_up" not in call.query:
        return message_page("Thank you", "A saved card is known here in a moment.", link=back)
    top_up = settle_top_up(top_ups.get_top_up(call.query.get("owner", ""), call.query["top_up"]))
    title, text = _SAID[top_up.state]
    facts = [("Amount", _money(format_price(top_up.amount_micros), top_up.currency))]
    if top_up.state is TopUpState.SUCCEEDED:
        balance_micros = wallets.get_wallet(top_up.owner_id).balance_micros
        facts.append(("Balance", _money(format_amount(balance_micros), top_up.currency)))
    return message_page(title, text, facts, back)


@door(
    "POST",
    "/webhooks/stripe",
    summary="Receive the platform account's events",
    body="A Stripe event",
    answers=Received,
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED,),
)
def receive_stripe(call: Call[None]) -> Received:
    """Verified, queued, acknowledged."""
    return _receive(call, connect=False)


@door(
    "POST",
    "/webhooks/stripe/connect",
    summary="Receive connected accounts' events",
    body="A Stripe event",
    answers=Received,
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED,),
)
def receive_stripe_connect(call: Call[None]) -> Received:
    """Verified, queued, acknowledged."""
    return _receive(call, connect=True)


def _receive(call: Call[None], connect: bool) -> Received:
    from chalicelib.flows.follow_stripe import receive

    receive(call.raw_body, call.headers.get("stripe-signature", ""), connect)
    return Received()


def _top_up(call: Call[requests.NewTopUp], owner: Workspace | SubAccount) -> ShownTopUp:
    from chalicelib.flows.take_top_up import take_top_up

    key = idempotency_key(call)
    currency = wallets.get_wallet(owner.id).currency
    if call.body.currency not in (None, currency):
        raise Invalid("currency", f"currency must be {currency}, the wallet's own.", "wrong_currency")
    return show_top_up(take_top_up(owner, call.body.amount, key, call.base_url))


def _ask_after(owner_id: str, top_up_id: str) -> ShownTopUp:
    from chalicelib.flows.settle_payment import settle_top_up

    return show_top_up(settle_top_up(top_ups.get_top_up(owner_id, top_up_id)))


def _save_card(call: Call[None], owner: Workspace | SubAccount) -> ShownLink:
    from chalicelib.flows.save_card import save_card

    return ShownLink(url=save_card(owner, idempotency_key(call), call.base_url))


def _open_portal(call: Call[None], owner: Workspace | SubAccount) -> ShownLink:
    from chalicelib.flows.save_card import open_portal

    return ShownLink(url=open_portal(owner, call.base_url))


def _way_back(call: Call[None]) -> tuple[str, str] | None:
    """The page from which the person went to pay."""
    owner_id = call.query.get("owner", "")
    if not _OWNER_ID.fullmatch(owner_id):
        return None
    page = "page=rebilling" if owner_id.startswith("ws_") else f"page=billing&sub_account={owner_id}"
    return "Back to the dashboard", f"{call.base_url}/dashboard?{page}"


def _enabled(found: Connection) -> str:
    return "enabled" if found.charges_enabled else "not enabled by Stripe yet"


def _money(amount: str, currency: str) -> str:
    return f"{amount} {currency.upper()}"
