"""Billing: a client's balance, payments, cards, automatic refills and statement, for its authorized users only."""

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

from chalice.app import Response
from ulid import ULID

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.errors import Conflict, Invalid, NotFound
from chalicelib.domain.money import MICROS_PER_UNIT, format_price
from chalicelib.domain.payments import Connection, ConnectionState
from chalicelib.domain.people import check_person
from chalicelib.storage import accounts, connections, customers
from chalicelib.storage.items import together
from chalicelib.storage.page_reads import read_wallet_page
from chalicelib.web.dashboard import statement
from chalicelib.web.dashboard.forms import Action, Done, Onward
from chalicelib.web.dashboard.money import money
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw
from chalicelib.web.permissions import permit_of
from chalicelib.web.show import show_card_on_file

SUB_ACCOUNT = "/v1/sub-accounts/{sub_account_id}"
WALLET = f"{SUB_ACCOUNT}/wallet"
RULE = f"{WALLET}/refill-rule"
SHORTCUTS = (25, 50, 100, 250)
TOP_UP_SAID = {
    "open": "Not paid yet, or Stripe is still at it. It is added to the balance as soon as Stripe confirms it.",
    "succeeded": "Payment received. It has been added to the balance.",
    "expired": "Nothing was paid, and the payment page is closed. You can start again.",
    "refused": "This payment was not what was asked for, and is not in the balance. Support has been told.",
}
# The API's words in its refusals, and the labels that stand on the page instead.
LABELS = {
    "amount": "The amount",
    "threshold": "The threshold",
    "target_balance": "The balance to refill to",
    "daily_limit": "The limit per day",
    "monthly_limit": "The limit per month",
    "daily_count_limit": "The number of refills per day",
    "cooldown_seconds": "The pause between two refills",
}
SENTENCES = {
    "off": "Automatic refills are off: nothing is taken from the card by itself.",
    "target": "When the balance is at or below {threshold}, refill it to {target_balance}.",
    "fixed": "When the balance is at or below {threshold}, add {refill_amount}.",
}
FIXED_AMOUNT = "refill_amount"  # on the page, where `amount` is the one to pay now
RULE_FIELDS = ("enabled", "mode", FIXED_AMOUNT, *(name for name in LABELS if name != "amount"))
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_TAKES = re.compile(r"saving takes (\d+\.\d+) from the card now")


def show(visit: Visit) -> Response:
    """The page, for authorized users; others are told who can let them in."""
    sub_account = _sub_account_of(visit)
    values = {"sub_account_id": sub_account.id}
    linked = connections.get_connection(sub_account.workspace_id)
    with together() as reads:
        reads.begin(read_wallet_page, sub_account.workspace_id, sub_account.id, linked.version if linked else 0)
        days = reads.begin(statement.spend_per_day, sub_account.id)
        page = reads.begin(statement.read_newest, visit, sub_account.id)
    wallet, rule = visit.get(WALLET, values), visit.get(RULE, values)
    wanted = statement.Wanted.from_query(visit.query)
    newest = page.result()
    limits = visit.workspace.sub_account_limits
    shortcuts = [f"{each}.00" for each in SHORTCUTS if _within(each, limits.minimum_micros, limits.maximum_micros)]
    return draw(
        visit,
        "billing.html",
        "Billing",
        sub_account=sub_account,
        wallet=wallet,
        currency=wallet["currency"],
        rule=_typed(visit, rule),
        kept_threshold=rule["threshold"] if rule["enabled"] else "",
        sentences=SENTENCES,
        sentence=_sentence(visit, rule, wallet["currency"]),
        symbol=money("0", wallet["currency"]).removesuffix("0.00"),
        question=_question(visit, wallet["currency"]),
        question_fields={name: visit.form[name] for name in RULE_FIELDS if name in visit.form},
        takes_cards=linked is not None and linked.state is ConnectionState.CONNECTED and linked.charges_enabled,
        cards=_cards(sub_account, linked, wallet),
        shortcuts=shortcuts,
        least=format_price(limits.minimum_micros),
        most=format_price(limits.maximum_micros),
        key=str(ULID()),
        qr=_qr(wallet["pending_top_up"]),
        wanted=wanted,
        kinds=statement.KINDS,
        part=statement.read_part(visit, sub_account.id, wanted, newest),
        balances=statement.balances(newest["data"], wallet["balance"]),
        days=days.result(),
    )


def _sub_account_of(visit: Visit) -> SubAccount:
    """Whose billing it is about; without a word in the address, the first that is the person's own.

    Raises:
        Forbidden: the person is of the workspace, but no authorized user. NotFound: it is somebody else's, or nobody's.
    """
    asked = visit.form.get("sub_account") or visit.query.get("sub_account")
    asked = asked or min(visit.rights.sub_account_ids, default="")
    if not asked:
        raise NotFound("not_found", "There is no such sub-account.")
    sub_account = accounts.get_sub_account(asked)
    check_person(visit.person, visit.rights, permit_of("PUT", RULE), sub_account.workspace_id, asked)
    return sub_account


def _within(whole: int, minimum_micros: int, maximum_micros: int) -> bool:
    return minimum_micros <= whole * MICROS_PER_UNIT <= maximum_micros


def _cards(sub_account: SubAccount, linked: Connection | None, wallet: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The card and the backup card, as what they are for, what is known of them, and the form that saves another."""
    backup = customers.backup_card_of(sub_account.id, linked.version if linked else 0)
    shown = show_card_on_file(backup).model_dump() if backup else None
    return [
        {"what": "Card", "action": "billing-card", **_card_facts(wallet["card"])},
        {"what": "Backup card", "action": "billing-backup-card", **_card_facts(shown)},
    ]


def _card_facts(card: Mapping[str, str] | None) -> dict[str, Any]:
    """A card is good until the end of the month that stands on it."""
    if card is None:
        return {"card": None, "expired": False}
    month, _, year = card["expires"].partition("/")
    return {"card": card, "expired": f"{year}-{month}" < utc_day(now_ms())[:7]}


def _typed(visit: Visit, rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as the form shows it: as it is kept, or as it was typed a moment ago and not accepted."""
    if "threshold" not in visit.form:
        return {**rule, FIXED_AMOUNT: rule["amount"]}
    typed = {name: visit.form.get(name, "") for name in RULE_FIELDS}
    return {**rule, **typed, "enabled": "enabled" in visit.form}


def _sentence(visit: Visit, rule: Mapping[str, Any], currency: str) -> str:
    """The rule in words; app.js writes it anew while somebody types."""
    shown = _typed(visit, rule)
    if not shown["enabled"]:
        return SENTENCES["off"]
    names = ("threshold", "target_balance", FIXED_AMOUNT)
    amounts = {name: money(shown[name], currency) if _AMOUNT.fullmatch(shown[name]) else "…" for name in names}
    return SENTENCES["fixed" if shown["mode"] == "fixed" else "target"].format_map(amounts)


def _question(visit: Visit, currency: str) -> str:
    """How much saving the rule takes from the card now, where the API has asked for a yes to that."""
    if visit.refused is None or visit.refused.code != "confirm_charge_now":
        return ""
    found = _TAKES.search(visit.refused.detail)
    return money(found[1], currency) if found else "what is missing"


def _qr(top_up: Mapping[str, Any] | None) -> str:
    """The address of a picture of the payment's link, for a phone's camera; empty where there is nothing to pay."""
    if top_up is None or not top_up["url"]:
        return ""
    import segno  # the gate shares this process, and draws nothing

    picture = io.BytesIO()
    segno.make(top_up["url"], error="m", micro=False).save(picture, kind="svg", scale=4, border=4, light="#fff")
    return "data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode()


# What the forms do


def _ask(visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, **more: str) -> Any:
    """Ask the API about the form's sub-account; what it refuses is said in the page's words."""
    values = {"sub_account_id": visit.form.get("sub_account", ""), **more}
    key = visit.form.get("key", "")
    # Going back and paying another sum is another request; pressing twice is the same one.
    key += "".join(re.findall(r"[0-9.]", str((body or {}).get("amount", ""))))
    try:
        return ask(visit.call, method, path, values, body, idempotency_key=key)
    except Conflict as refused:
        if refused.code != "confirm_charge_now":
            raise
        raise Conflict(refused.code, refused.detail.partition(" Send ")[0]) from refused  # the rest is for programs
    except Invalid as refused:
        label = LABELS.get(refused.param or "")
        if label is None:
            raise
        said = f"{label}{refused.detail.removeprefix(refused.param or '')}"
        param = FIXED_AMOUNT if refused.param == "amount" and path == RULE else refused.param
        raise Invalid(param or "", said, refused.code) from refused


def _here(visit: Visit, said: str) -> Done:
    return Done(said, "billing", {"sub_account": visit.form.get("sub_account", "")})


def _pay(visit: Visit) -> Done | Onward:
    amount = visit.form.get("amount", "").strip()
    made = _ask(visit, "POST", f"{WALLET}/top-ups", {"amount": amount})
    if made["state"] != "open" or not made["url"]:
        return _here(visit, TOP_UP_SAID[made["state"]])
    if "phone" in visit.form:
        return _here(visit, "Ready to pay: point your phone's camera at the code.")
    return Onward(made["url"])


def _check_payment(visit: Visit) -> Done:
    seen = _ask(visit, "GET", f"{WALLET}/top-ups/{{top_up_id}}", top_up_id=visit.form.get("top_up", ""))
    return _here(visit, TOP_UP_SAID[seen["state"]])


def _save_card(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/payment-method")["url"])


def _save_backup_card(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/backup-payment-method")["url"])


def _open_portal(visit: Visit) -> Onward:
    return Onward(_ask(visit, "POST", f"{WALLET}/portal")["url"])


def _set_rule(visit: Visit) -> Done:
    form = {name: value.strip() for name, value in visit.form.items()}
    body: dict[str, Any] = {
        "enabled": "enabled" in form,
        "mode": form.get("mode", "target"),
        "threshold": form.get("threshold", ""),
        "target_balance": form.get("target_balance", ""),
        "amount": form.get(FIXED_AMOUNT, ""),
        "daily_limit": form.get("daily_limit") or None,
        "monthly_limit": form.get("monthly_limit") or None,
        "daily_count_limit": _whole(form, "daily_count_limit"),
        "cooldown_seconds": _whole(form, "cooldown_seconds"),
        "confirm_charge_now": "confirm_charge_now" in form,
    }
    _ask(visit, "PUT", RULE, body)
    if not body["enabled"]:
        return _here(visit, "Saved. Automatic refills are off.")
    if body["confirm_charge_now"]:
        return _here(visit, "Saved. Automatic refills are on. The payment that you agreed to is made within a minute.")
    return _here(visit, "Saved. Automatic refills are on.")


def _whole(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Invalid(name, f"{LABELS[name]} must be a whole number.")
    return int(text)


def _try_again(visit: Visit) -> Done:
    _ask(visit, "POST", f"{RULE}/retry")
    return _here(visit, "Refills go on: the next one is tried within a minute, if the balance is still low.")


def _add_me(visit: Visit) -> Done:
    """Oneself and nobody else, whatever the form says."""
    _ask(visit, "PUT", f"{SUB_ACCOUNT}/authorized-users/{{email}}", email=visit.person.email)
    return _here(visit, "You are an authorized user now.")


ACTIONS = {
    "billing-pay": Action(_pay, show),
    "billing-check": Action(_check_payment, show),
    "billing-card": Action(_save_card, show),
    "billing-backup-card": Action(_save_backup_card, show),
    "billing-portal": Action(_open_portal, show),
    "billing-refill": Action(_set_rule, show),
    "billing-retry": Action(_try_again, show),
    "add-me": Action(_add_me, show),
}
