"""What days came to, as pages show it: sums and the pace, from day totals. Pure; amounts leave as the API's strings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from chalicelib.domain.money import format_amount
from chalicelib.domain.rating import MS_PER_MINUTE
from chalicelib.storage.wallets import DayTotal

PACE_DAYS = 7
DAYS_PER_YEAR = 365


@dataclass(frozen=True)
class Figures:
    """What one day, or several, came to. Amounts are decimal strings; `margin_percent` is of the revenue, None
    without any."""

    day: str
    calls: int
    minutes: str
    revenue: str
    cost: str
    margin: str
    margin_percent: str | None


def figures(totals: Sequence[DayTotal], day: str = "") -> Figures:
    """The sum of these days."""
    revenue_micros, cost_micros = sum(each.revenue_micros for each in totals), sum(each.cost_micros for each in totals)
    tenths = sum(each.talk_ms for each in totals) * 10 // MS_PER_MINUTE
    margin_micros = revenue_micros - cost_micros
    percent = f"{margin_micros * 100 / revenue_micros:.0f}" if revenue_micros > 0 else None
    return Figures(
        day=day,
        calls=sum(each.calls for each in totals),
        minutes=f"{tenths // 10:,}.{tenths % 10}",
        revenue=format_amount(revenue_micros),
        cost=format_amount(cost_micros),
        margin=format_amount(margin_micros),
        margin_percent=percent,
    )


def each_day(totals: Sequence[DayTotal], first_day: str, last_day: str) -> list[Figures]:
    """Every day from the first to the last (`2026-11-22`), those without a call too."""
    known = {total.day: total for total in totals}
    days = []
    at, end = date.fromisoformat(first_day), date.fromisoformat(last_day)
    while at <= end:
        days.append(at.isoformat())
        at += timedelta(days=1)
    return [figures([known[day]] if day in known else [], day) for day in days]


def days_before(day: str, count: int) -> str:
    """The day that many days earlier."""
    return (date.fromisoformat(day) - timedelta(days=count)).isoformat()


def days_left(totals: Sequence[DayTotal], today: str, available_micros: int) -> str | None:
    """For how many days the wallet lasts at the pace of the last seven, in words; None where nothing was spent.

    A wallet whose first calls came later than that is measured from their day on.
    """
    recent = [each for each in totals if each.day > days_before(today, PACE_DAYS) and each.cost_micros > 0]
    if not recent:
        return None
    span = (date.fromisoformat(today) - date.fromisoformat(recent[0].day)).days + 1
    days = max(0, available_micros) * span // sum(each.cost_micros for each in recent)
    if days > DAYS_PER_YEAR:
        return "more than a year"
    return "less than a day" if days < 1 else f"{days} day" if days == 1 else f"{days} days"
