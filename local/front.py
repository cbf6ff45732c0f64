"""The page at the root of the product at home: what a voice platform's own dashboard would have, in its simplest form.

It calls the API with the platform's key, as a platform's server does, and sends the browser where the API says: into
the dashboard by a one-time link, among others.
"""

from collections.abc import Callable, Sequence
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs
from uuid import uuid4

from local.api import Api, Reply
from local.demo import Agency
from local.server import Answer

TOP_UP = "50.00"
REFILL_RULE = {"enabled": True, "threshold": "10", "target_balance": "50", "confirm_charge_now": True}
USER, CLIENT_USER = "owner@home.example", "pat@client.example"
STYLE = """
:root { color-scheme: light dark; } body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
padding: 0 1rem; } table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .35rem .75rem;
border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); } td.money { text-align: right;
font-variant-numeric: tabular-nums; } form { display: inline; } button { font: inherit; padding: .2rem .8rem; }
.note { opacity: .75; }
"""


class Front:
    """Answers `/` and what its buttons send; everything else is the app's."""

    def __init__(self, api: Api, base_url: str, stripe_url: str, agencies: Sequence[Agency]) -> None:
        self._api, self._base_url, self._stripe_url, self._agencies = api, base_url, stripe_url, agencies
        self._buttons: dict[str, Callable[[str], Reply]] = {
            "connect": lambda owner: api.post(f"/v1/workspaces/{owner}/stripe/connect", {"user": USER}),
            "top-up": lambda owner: self._pay(owner, "top-ups", {"amount": TOP_UP}),
            "card": lambda owner: self._pay(owner, "payment-method", None),
            "refill": lambda owner: api.change(f"/v1/{_kind(owner)}/{owner}/wallet/refill-rule", REFILL_RULE),
            "dashboard": self._enter,
            "retry": lambda owner: api.post(f"/v1/{_kind(owner)}/{owner}/wallet/refill-rule/retry", None),
        }

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """The page, or where a button leads; None for what is not of this page."""
        path = path.partition("?")[0]
        if method == "GET" and path == "/":
            return _html(HTTPStatus.OK, self._page())
        if method == "POST" and path == "/home":
            if headers.get("Origin", self._base_url) != self._base_url:
                return _html(HTTPStatus.FORBIDDEN, "<p>This button belongs to another page.</p>")
            form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
            return self._press(form.get("do", ""), form.get("owner", ""))
        return None

    def _press(self, button: str, owner: str) -> Answer:
        if button not in self._buttons or owner not in self._owners():
            return _html(HTTPStatus.NOT_FOUND, "<p>There is no such button.</p>")
        reply = self._buttons[button](owner)
        if reply.status == HTTPStatus.OK:
            return Answer(HTTPStatus.SEE_OTHER, [("Location", "/"), ("Content-Type", "text/html")], b"")
        if reply.status != HTTPStatus.CREATED:
            return _html(HTTPStatus.CONFLICT, f"<h1>Not now</h1><p>{escape(str(reply.body.get('detail')))}</p>")
        return Answer(HTTPStatus.SEE_OTHER, [("Location", str(reply.body["url"])), ("Content-Type", "text/html")], b"")

    def _owners(self) -> set[str]:
        return {agency.id for agency in self._agencies} | {c.id for agency in self._agencies for c in agency.clients}

    def _pay(self, owner: str, what: str, body: dict[str, str] | None) -> Reply:
        return self._api.post(f"/v1/{_kind(owner)}/{owner}/wallet/{what}", body, {"Idempotency-Key": str(uuid4())})

    def _enter(self, owner: str) -> Reply:
        """A link into the dashboard: as the agency's owner, or as somebody whom the client lets see its billing."""
        if owner.startswith("ws_"):
            email = self._api.get(f"/v1/workspaces/{owner}")["owner_email"]
            return self._api.post("/v1/dashboard-sessions", {"email": email, "workspace": owner})
        self._api.put(f"/v1/sub-accounts/{owner}/authorized-users/{CLIENT_USER}")
        return self._api.post("/v1/dashboard-sessions", {"email": CLIENT_USER, "sub_account": owner})

    def _page(self) -> str:
        if not self._agencies:
            return "<h1>Rebill at home</h1><p>Empty (DEMO=0). <a href='/docs'>The API</a> is how to fill it.</p>"
        return "<h1>Rebill at home</h1>" + self._note() + "".join(self._agency(agency) for agency in self._agencies)

    def _note(self) -> str:
        return (
            "<p class='note'>A stand-in for a voice platform's own dashboard, with pretend money. "
            f"<a href='/docs'>The API</a> &middot; <a href='{self._stripe_url}'>The pretend Stripe</a></p>"
        )

    def _agency(self, agency: Agency) -> str:
        found = self._api.ask(f"/v1/workspaces/{agency.id}/stripe")
        linked = found.status == HTTPStatus.OK and found.body["state"] == "connected"
        stripe = f"Stripe: <b>{escape(found.body['account_name'])}</b> ({found.body['mode']})" if linked else ""
        rows = "".join(self._row(client.id, client.name, linked) for client in agency.clients)
        return (
            f"<h2>{escape(agency.name)}</h2><p>{stripe or _button('connect', agency.id, 'Connect with Stripe')}</p>"
            "<table><tr><th>Wallet<th>Balance<th>State<th>Refills<th></tr>"
            f"{self._row(agency.id, agency.name + ' (workspace)', True)}{rows}</table>"
        )

    def _row(self, owner: str, name: str, can_pay: bool) -> str:
        wallet = self._api.get(f"/v1/{_kind(owner)}/{owner}/wallet")
        refill = wallet["refill"]
        pay = _button("dashboard", owner, "Dashboard")
        if can_pay:
            pay += " " + _button("top-up", owner, f"Add {TOP_UP}") + " " + _button("card", owner, "Save a card")
        if can_pay and refill["state"] == "off" and wallet["card"]:
            pay += " " + _button("refill", owner, "Refill at 10 up to 50")
        if refill["state"] in ("retrying", "suspended", "held"):
            pay += " " + _button("retry", owner, "Try again")
        balance = f"{wallet['balance']} {wallet['currency'].upper()}"
        cells = f"<td>{escape(name)}<td class='money'>{balance}<td>{wallet['status']}<td>{_refill(refill)}<td>{pay}"
        return f"<tr>{cells}</tr>"


def _refill(refill: dict[str, str]) -> str:
    """How refills stand, with why they have stopped and when they go on."""
    again = f" Again at {refill['retry_at'][11:16]} UTC." if refill["retry_at"] else ""
    link = f" <a href='{escape(refill['action_url'])}'>Confirm</a>" if refill["action_url"] else ""
    detail = f"<br><small>{escape(refill['detail'])}{again}{link}</small>" if refill["detail"] else ""
    return f"{refill['state']}{detail}"


def _kind(owner: str) -> str:
    return "workspaces" if owner.startswith("ws_") else "sub-accounts"


def _button(do: str, owner: str, label: str) -> str:
    return (
        f"<form method='post' action='/home'><input type='hidden' name='owner' value='{escape(owner)}'>"
        f"<button name='do' value='{do}'>{escape(label)}</button></form>"
    )


def _html(status: HTTPStatus, body: str) -> Answer:
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Rebill at home</title>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><style>{STYLE}</style></head>"
        f"<body>{body}</body></html>"
    )
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
    return Answer(int(status), headers, page.encode())
