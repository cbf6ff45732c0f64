"""A sub-account's statement as its page shows it: a page of entries, the balance over time, and what days came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ulid import ULID

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.money import format_amount, parse_micros
from chalicelib.storage import wallets
from chalicelib.web.dashboard.visits import Visit

ENTRIES = "/v1/sub-accounts/{sub_account_id}/wallet/entries"
KINDS = {
    "usage": "Use",
    "credit": "Balance given",
    "top_up": "Balance bought",
    "refill": "Automatic refill",
    "refund": "Refund",
    "dispute": "Disputed payment",
    "correction": "Correction",
}
PER_PAGE, READ_AT_ONCE, MOST_READ = 25, 100, 500
DAYS = 30
DAY_MS = 86_400_000

Shown = dict[str, Any]  # an entry as the API answers it


@dataclass(frozen=True)
class Wanted:
    """Which entries somebody wants to see: of one kind (or all), posted on some days, older than one that they have."""

    kind: str = ""
    first_day: str = ""
    last_day: str = ""
    after: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Wanted":
        """As the address says it; what nobody could mean is left out."""
        kind = query.get("kind", "")
        first_day, last_day = _day(query.get("from", "")), _day(query.get("to", ""))
        return cls(kind if kind in KINDS else "", first_day, last_day, query.get("after", ""))

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return bool(self.kind or self.first_day or self.last_day)

    def older(self, after: str) -> dict[str, str]:
        """The address's words for the page that follows an entry."""
        said = {"kind": self.kind, "from": self.first_day, "to": self.last_day, "after": after}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Part:
    """A part of the statement. `last_seen` is the entry to go on after, empty where there is no more."""

    entries: Sequence[Shown]
    looked_at: int
    last_seen: str


def read_newest(visit: Visit, sub_account_id: str, after: str = "") -> Shown:
    """Up to a hundred entries, the newest first, older than an entry (or all): the API's page.

    Raises:
        Invalid: `after` is no entry's id. Forbidden, NotFound: the statement is not for this person.
    """
    query = {"limit": str(READ_AT_ONCE), **({"starting_after": after} if after else {})}
    found: Shown = visit.get(ENTRIES, {"sub_account_id": sub_account_id}, **query)
    return found


def read_part(visit: Visit, sub_account_id: str, wanted: Wanted, newest: Shown) -> Part:
    """The newest entries that are wanted, up to a page of them; at most `MOST_READ` are looked at for it.

    `newest` is the page that `read_newest` begins with: where reading begins there, it is not read again.

    The last day is where reading begins, because entries' ids sort by time; kinds are picked out of what was read.

    Raises:
        Invalid: `after` is no entry's id. Forbidden, NotFound: the statement is not for this person.
    """
    after = wanted.after or (_first_id_after(wanted.last_day) if wanted.last_day else "")
    found: list[Shown] = []
    looked_at = 0
    while looked_at < MOST_READ:
        page = read_newest(visit, sub_account_id, after) if after else newest
        for entry in page["data"]:
            if wanted.first_day and entry["posted_at"][:10] < wanted.first_day:
                return Part(found, looked_at, "")
            if len(found) == PER_PAGE:
                return Part(found, looked_at, after)
            looked_at, after = looked_at + 1, entry["id"]
            if wanted.kind in ("", entry["kind"]):
                found.append(entry)
        if not page["has_more"]:
            return Part(found, looked_at, "")
    return Part(found, looked_at, after)


def balances(newest_first: Sequence[Shown], balance: str) -> list[Shown]:
    """The same entries, the oldest first, each with `balance_after`: counted back from the balance of now."""
    after_micros = micros(balance)
    found = []
    for entry in newest_first:
        found.append({**entry, "balance_after": format_amount(after_micros)})
        after_micros -= micros(entry["amount"])
    return found[::-1]


def spend_per_day(sub_account_id: str) -> list[Shown]:
    """What the last 30 days came to at the sub-account's own price, the oldest first; days without use are left out."""
    now = now_ms()
    days = wallets.day_totals(sub_account_id, utc_day(now - (DAYS - 1) * DAY_MS), utc_day(now))
    return [{"day": each.day, "calls": each.calls, "spent": format_amount(each.revenue_micros)} for each in days]


def micros(amount: str) -> int:
    """The API's signed decimal string as micros."""
    size_micros = parse_micros(amount.removeprefix("-"), "amount")
    return -size_micros if amount.startswith("-") else size_micros


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _first_id_after(day: str) -> str:
    """The lowest id that an entry of the next day could have."""
    next_day_ms = (date.fromisoformat(day) + timedelta(days=1) - date(1970, 1, 1)).days * DAY_MS
    return f"ent_{ULID.from_int(max(0, next_day_ms) << 80)}"
