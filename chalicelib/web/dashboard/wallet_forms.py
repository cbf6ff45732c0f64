"""A wallet on its owner's page, an agency's or a client's: what its forms show, and what they do.

Both pages have the same forms: to add balance, to save a card and a backup card, and to say when it refills itself.
"""

import base64
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalice.app import Response
from ulid import ULID

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.errors import Conflict, Invalid
from chalicelib.domain.money import MICROS_PER_UNIT, format_price
from chalicelib.domain.payments import TopUpLimits
from chalicelib.storage import customers
from chalicelib.web.dashboard.forms import Action, Done, Onward
from chalicelib.web.dashboard.money import money
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit
from chalicelib.web.show import show_card_on_file

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


@dataclass(frozen=True)
class WalletForms:
    """The forms about the wallets of one kind of owners.

    `wallet` is their address in the API and `values` fills it in; `page` shows them, and their actions begin with it;
    `fields` go with each form, and into the address of the page that comes after it.
    """

    wallet: str
    page: str
    values: Callable[[Visit], dict[str, str]]
    fields: Callable[[Visit], dict[str, str]]

    def actions(self, page: Callable[[Visit], Response]) -> dict[str, Action]:
        """What the forms do, by their names; `page` is drawn again where the API refuses."""
        known = {
            "pay": self._pay,
            "check": self._check,
            "card": self._save_card,
            "backup-card": self._save_backup_card,
            "portal": self._open_portal,
            "refill": self._set_rule,
            "retry": self._try_again,
        }
        return {f"{self.page}-{name}": Action(do, page) for name, do in known.items()}

    def _ask(self, visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, **more: str) -> Any:
        """Ask the API about the form's wallet; what it refuses is said in the page's words."""
        key = visit.form.get("key", "")
        # Going back and paying another sum is another request; pressing twice is the same one.
        key += "".join(re.findall(r"[0-9.]", str((body or {}).get("amount", ""))))
        try:
            return ask(visit.call, method, self.wallet + path, self.values(visit) | more, body, idempotency_key=key)
        except Conflict as refused:
            if refused.code != "confirm_charge_now":
                raise
            raise Conflict(refused.code, refused.detail.partition(" Send ")[0]) from refused  # that is for programs
        except Invalid as refused:
            label = LABELS.get(refused.param or "")
            if label is None:
                raise
            said = f"{label}{refused.detail.removeprefix(refused.param or '')}"
            param = FIXED_AMOUNT if refused.param == "amount" and path == "/refill-rule" else refused.param
            raise Invalid(param or "", said, refused.code) from refused

    def _here(self, visit: Visit, said: str) -> Done:
        return Done(said, self.page, self.fields(visit))

    def _pay(self, visit: Visit) -> Done | Onward:
        made = self._ask(visit, "POST", "/top-ups", {"amount": visit.form.get("amount", "").strip()})
        if made["state"] != "open" or not made["url"]:
            return self._here(visit, TOP_UP_SAID[made["state"]])
        if "phone" in visit.form:
            return self._here(visit, "Ready to pay: point your phone's camera at the code.")
        return Onward(made["url"])

    def _check(self, visit: Visit) -> Done:
        seen = self._ask(visit, "GET", "/top-ups/{top_up_id}", top_up_id=visit.form.get("top_up", ""))
        return self._here(visit, TOP_UP_SAID[seen["state"]])

    def _save_card(self, visit: Visit) -> Onward:
        return Onward(self._ask(visit, "POST", "/payment-method")["url"])

    def _save_backup_card(self, visit: Visit) -> Onward:
        return Onward(self._ask(visit, "POST", "/backup-payment-method")["url"])

    def _open_portal(self, visit: Visit) -> Onward:
        return Onward(self._ask(visit, "POST", "/portal")["url"])

    def _set_rule(self, visit: Visit) -> Done:
        rule = _asked_for({name: value.strip() for name, value in visit.form.items()})
        self._ask(visit, "PUT", "/refill-rule", rule)
        if not rule["enabled"]:
            return self._here(visit, "Saved. Automatic refills are off.")
        agreed = " The payment that you agreed to is made within a minute." if rule["confirm_charge_now"] else ""
        return self._here(visit, f"Saved. Automatic refills are on.{agreed}")

    def _try_again(self, visit: Visit) -> Done:
        self._ask(visit, "POST", "/refill-rule/retry")
        return self._here(visit, "Refills go on: the next one is tried within a minute, if the balance is still low.")


def shown_on(
    visit: Visit,
    wallet: Mapping[str, Any],
    kept: Mapping[str, Any],
    limits: TopUpLimits,
    connection_version: int,
) -> dict[str, Any]:
    """What the forms show of a wallet and of its rule of refills, as it is `kept` or as somebody has just typed it."""
    currency, rule = wallet["currency"], _typed(visit, kept)
    return {
        "wallet": wallet,
        "kept": kept,
        "rule": rule,
        "currency": currency,
        "symbol": money("0", currency).removesuffix("0.00"),
        "sentences": SENTENCES,
        "sentence": _sentence(rule, currency),
        "question": _question(visit, currency),
        "question_fields": {name: visit.form[name] for name in RULE_FIELDS if name in visit.form},
        "cards": _cards(wallet, connection_version),
        "shortcuts": [f"{each}.00" for each in SHORTCUTS if _within(each * MICROS_PER_UNIT, limits)],
        "least": format_price(limits.minimum_micros),
        "most": format_price(limits.maximum_micros),
        "qr": _qr(wallet["pending_top_up"]),
        "key": str(ULID()),
    }


def _asked_for(form: Mapping[str, str]) -> dict[str, Any]:
    """The rule that was typed, as the API takes it."""
    return {
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


def _whole(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Invalid(name, f"{LABELS[name]} must be a whole number.")
    return int(text)


def _typed(visit: Visit, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as the form shows it: as it is kept, or as it was typed a moment ago and not accepted."""
    if "threshold" not in visit.form:
        return {**kept, FIXED_AMOUNT: kept["amount"]}
    typed = {name: visit.form.get(name, "") for name in RULE_FIELDS}
    return {**kept, **typed, "enabled": "enabled" in visit.form}


def _sentence(rule: Mapping[str, Any], currency: str) -> str:
    """The rule in words; app.js writes it anew while somebody types."""
    if not rule["enabled"]:
        return SENTENCES["off"]
    names = ("threshold", "target_balance", FIXED_AMOUNT)
    amounts = {name: money(rule[name], currency) if _AMOUNT.fullmatch(rule[name]) else "…" for name in names}
    return SENTENCES["fixed" if rule["mode"] == "fixed" else "target"].format_map(amounts)


def _question(visit: Visit, currency: str) -> str:
    """How much saving the rule takes from the card now, where the API has asked for a yes to that."""
    if visit.refused is None or visit.refused.code != "confirm_charge_now":
        return ""
    found = _TAKES.search(visit.refused.detail)
    return money(found[1], currency) if found else "what is missing"


def _cards(wallet: Mapping[str, Any], connection_version: int) -> list[dict[str, Any]]:
    """The card and the backup card, as what they are for, what is known of them, and the form that saves another."""
    backup = customers.backup_card_of(wallet["owner"], connection_version)
    shown = show_card_on_file(backup).model_dump() if backup else None
    return [
        {"what": "Card", "form": "card", **_card_facts(wallet["card"])},
        {"what": "Backup card", "form": "backup-card", **_card_facts(shown)},
    ]


def _card_facts(card: Mapping[str, str] | None) -> dict[str, Any]:
    """A card is good until the end of the month that stands on it."""
    if card is None:
        return {"card": None, "expired": False}
    month, _, year = card["expires"].partition("/")
    return {"card": card, "expired": f"{year}-{month}" < utc_day(now_ms())[:7]}


def _within(amount_micros: int, limits: TopUpLimits) -> bool:
    return limits.minimum_micros <= amount_micros <= limits.maximum_micros


def _qr(top_up: Mapping[str, Any] | None) -> str:
    """The address of a picture of the payment's link, for a phone's camera; empty where there is nothing to pay."""
    if top_up is None or not top_up["url"]:
        return ""
    import segno  # the gate shares this process, and draws nothing

    picture = io.BytesIO()
    segno.make(top_up["url"], error="m", micro=False).save(picture, kind="svg", scale=4, border=4, light="#fff")
    return "data:image/svg+xml;base64," + base64.b64encode(picture.getvalue()).decode()
