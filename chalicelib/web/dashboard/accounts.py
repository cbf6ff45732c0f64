"""Accounts: every sub-account with its state, its price, its balance and what its month came to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from chalice.app import Response

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.access import wallet_status
from chalicelib.domain.accounts import AccountStatus, SubAccount
from chalicelib.domain.money import format_amount
from chalicelib.domain.rating import VOICE, PriceType, RateCard, card_in_force
from chalicelib.domain.standing import RefillState
from chalicelib.domain.wallet import WalletStatus
from chalicelib.storage.account_pages import Row, read_rows
from chalicelib.storage.wallets import DayTotal
from chalicelib.web.dashboard.account import show_account
from chalicelib.web.dashboard.account_forms import ACCOUNT_ACTIONS, create
from chalicelib.web.dashboard.figures import Figures, figures
from chalicelib.web.dashboard.forms import Action
from chalicelib.web.dashboard.snapshot import SNAPSHOT_ACTIONS, show_snapshot
from chalicelib.web.dashboard.visits import Visit, draw
from chalicelib.web.show import show_price

__all__ = ["ACTIONS", "show", "show_account", "show_snapshot"]

SUB_ACCOUNTS = "/v1/workspaces/{workspace_id}/sub-accounts"
ROWS = 25
NEEDS_SOMEBODY = (RefillState.RETRYING, RefillState.ACTION_REQUIRED, RefillState.SUSPENDED, RefillState.HELD)


@dataclass(frozen=True)
class Line:
    """One row of the table, as people read it. `balance_micros` and `month_micros` are what it is sorted by."""

    id: str
    name: str
    status: AccountStatus
    rebilled: bool
    price_type: str
    price: str
    balance: str
    wallet_state: str
    refill_state: str
    month: Figures
    balance_micros: int
    month_micros: tuple[int, int]


SORTS: dict[str, tuple[str, Callable[[Line], object]]] = {
    "name": ("Client", lambda line: line.name.casefold()),
    "balance": ("Balance", lambda line: line.balance_micros),
    "revenue": ("Revenue", lambda line: -line.month_micros[0]),
    "cost": ("Cost", lambda line: -line.month_micros[1]),
    "margin": ("Margin", lambda line: line.month_micros[0] - line.month_micros[1]),
}


def show(visit: Visit) -> Response:
    """The page: 25 accounts at a time, in as many trips to the store however many there are."""
    after = visit.query.get("starting_after", "")
    more = {"starting_after": after} if after else {}
    listed = visit.get(SUB_ACCOUNTS, None, limit=str(ROWS), **more)
    ids = [each["id"] for each in listed["data"]]
    sort = visit.query.get("sort", "")
    lines = [_line(visit, row) for row in read_rows(visit.workspace.id, ids, days_of_month(utc_day(now_ms())))]
    if sort in SORTS:
        lines.sort(key=SORTS[sort][1])  # type: ignore[arg-type]  # each key sorts among its own kind
    return draw(
        visit,
        "accounts.html",
        "Accounts",
        lines=lines,
        sorts={name: label for name, (label, _) in SORTS.items()},
        sort=sort if sort in SORTS else "",
        after=after,
        next_after=ids[-1] if listed["has_more"] else "",
        currency=visit.workspace.currency,
    )


def days_of_month(today: str) -> list[str]:
    """The days of a month from its first to this one (`2026-11-22`)."""
    first = date.fromisoformat(today).replace(day=1)
    return [(first + timedelta(days=number)).isoformat() for number in range(int(today[-2:]))]


def _line(visit: Visit, row: Row) -> Line:
    sub_account, wallet, now = row.sub_account, row.wallet, now_ms()
    card = card_in_force(sub_account.rebilling_cards, now)
    status = wallet_status(wallet, visit.workspace, sub_account, now)
    refill = row.standing.state()
    price_type, price = _price(card)
    return Line(
        id=sub_account.id,
        name=sub_account.name,
        status=sub_account.status,
        rebilled=_is_rebilled(sub_account, card),
        price_type=price_type,
        price=price,
        balance=format_amount(wallet.balance_micros),
        wallet_state=_wallet_state(sub_account, status),
        refill_state=refill.value if refill in NEEDS_SOMEBODY else "",
        month=figures(row.days),
        balance_micros=wallet.balance_micros,
        month_micros=_sums(row.days),
    )


def _is_rebilled(sub_account: SubAccount, card: RateCard | None) -> bool:
    return card is not None and card.enabled and sub_account.status is not AccountStatus.CLOSED


def _wallet_state(sub_account: SubAccount, status: WalletStatus) -> str:
    return "closed" if sub_account.status is AccountStatus.CLOSED else status.value


def _sums(days: list[DayTotal]) -> tuple[int, int]:
    return sum(each.revenue_micros for each in days), sum(each.cost_micros for each in days)


def _price(card: RateCard | None) -> tuple[str, str]:
    """What a voice minute costs the client, as (type, amount or percent); empty while it is not re-billed."""
    price = card.prices.get(VOICE) if card and card.enabled else None
    if price is None:
        return "", ""
    shown = show_price(price, VOICE)
    if price.price_type is PriceType.MARKUP:
        return "markup", shown.markup_percent or ""
    return price.price_type.value, shown.price_per_minute or ""


ACTIONS: dict[str, Action] = {
    "new-account": Action(create, show),
    **ACCOUNT_ACTIONS,
    **SNAPSHOT_ACTIONS,
}
