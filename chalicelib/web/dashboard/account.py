"""One account: its wallet, its re-billing, who has access, and how it is paused and closed."""

from collections.abc import Callable, Mapping
from typing import Any

from chalice.app import Response
from ulid import ULID

from chalicelib.clock import now_ms, rfc3339, utc_day
from chalicelib.domain.accounts import Provider
from chalicelib.domain.closings import Settle
from chalicelib.domain.errors import NotFound
from chalicelib.domain.rating import VOICE
from chalicelib.domain.wallet import CreditKind
from chalicelib.storage import account_pages, accounts, wallets
from chalicelib.storage.items import together
from chalicelib.storage.page_reads import read_wallet_page
from chalicelib.web.dashboard import prices
from chalicelib.web.dashboard.figures import figures
from chalicelib.web.dashboard.visits import Visit, draw

SUB_ACCOUNT = "/v1/sub-accounts/{sub_account_id}"
WALLET, USERS = f"{SUB_ACCOUNT}/wallet", f"{SUB_ACCOUNT}/authorized-users"
VOICE_FIELDS = "voice."
TABS = {
    "overview": "Overview",
    "rebilling": "Re-billing",
    "access": "Access",
    "balance": "Add balance",
    "state": "Pause",
    "close": "Close",
}
Facts = dict[str, Any]


def show_account(visit: Visit) -> Response:
    """The page: one tab of it, so that no form stands beside another that has the same fields."""
    asked = visit.form.get("sub_account") or visit.query.get("sub_account", "")
    if not asked:
        raise NotFound("not_found", "There is no such sub-account.")
    found = visit.get(SUB_ACCOUNT, {"sub_account_id": asked})
    tab = visit.form.get("tab") or visit.query.get("tab", "")
    tab = tab if tab in TABS else "overview"
    common = {
        "account": found,
        "tab": tab,
        "tabs_of_account": TABS,
        "currency": visit.workspace.currency,
        "form_fields": {"sub_account": found["id"], "tab": tab},
    }
    return draw(visit, "account.html", found["name"], **common, **FACTS[tab](visit, found))


def _overview(visit: Visit, found: Mapping[str, Any]) -> Facts:
    today = utc_day(now_ms())
    with together() as reads:
        reads.begin(read_wallet_page, visit.workspace.id, found["id"])
        # A clock may run ahead of ours.
        days = reads.begin(wallets.day_totals, found["id"], f"{today[:7]}-01", f"{today[:7]}-31")
        agents = reads.begin(account_pages.agents_of, accounts.get_sub_account(found["id"]))
    return {
        "wallet": visit.get(WALLET, {"sub_account_id": found["id"]}),
        "month": figures(days.result()),
        "voice": _voice_of(found["rebilling"]),
        "agents": agents.result(),
        "providers": [each.value for each in Provider],
    }


def _rebilling(visit: Visit, found: Mapping[str, Any]) -> Facts:
    fields = prices.typed_price(visit.form, VOICE_FIELDS) or prices.typed_price(visit.query, VOICE_FIELDS)
    kept = _kept_fields(found)
    below_cost = visit.refused is not None and visit.refused.code == "price_below_cost"
    fields = fields or kept
    example = prices.example_of(visit.workspace, fields)
    return {
        "fields": fields,
        "example": example,
        "cost": prices.cost_shown(visit.workspace),
        "is_on": bool(found["rebilling"] and found["rebilling"]["enabled"]),
        "asks_below_cost": below_cost or (example is not None and example.is_loss and fields["price_type"] == "fixed"),
        "effective_at": visit.query.get("effective_at", ""),
        "history": [{**card, "voice": _voice_of(card)} for card in found["rebilling_cards"]],
        "now": rfc3339(now_ms()),
        "others": sorted(prices.kept_meters(found["rebilling"])),
    }


def _kept_fields(found: Mapping[str, Any]) -> dict[str, str]:
    """The price of now; while re-billing is off, the last one that there was."""
    for card in (found["rebilling"], *found["rebilling_cards"]):
        if card and VOICE in card["prices"] and (card["enabled"] or card["prices"][VOICE]):
            return prices.fields_of(card["prices"][VOICE])
    return dict(prices.BEGIN)


def _voice_of(card: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return card["prices"].get(VOICE) if card and card["enabled"] else None


def _access(visit: Visit, found: Mapping[str, Any]) -> Facts:
    users = [each["email"] for each in visit.get(USERS, {"sub_account_id": found["id"]})["data"]]
    return {"users": users, "is_user": visit.person.email in users}


def _balance(visit: Visit, found: Mapping[str, Any]) -> Facts:
    wallet = visit.get(WALLET, {"sub_account_id": found["id"]})
    return {"wallet": wallet, "key": _key(visit), "kinds": [each.value for each in CreditKind]}


def _state(_: Visit, __: Mapping[str, Any]) -> Facts:
    return {}


def _close(visit: Visit, found: Mapping[str, Any]) -> Facts:
    wallet = visit.get(WALLET, {"sub_account_id": found["id"]})
    return {"wallet": wallet, "key": _key(visit), "settles": [each.value for each in Settle]}


def _key(visit: Visit) -> str:
    """What makes pressing twice one request: kept while a form is put right, new where the old one was used up."""
    reused = visit.refused is not None and visit.refused.code == "idempotency_key_reused"
    return (not reused and visit.form.get("key")) or str(ULID())


FACTS: dict[str, Callable[[Visit, Mapping[str, Any]], Facts]] = {
    "overview": _overview,
    "rebilling": _rebilling,
    "access": _access,
    "balance": _balance,
    "state": _state,
    "close": _close,
}
