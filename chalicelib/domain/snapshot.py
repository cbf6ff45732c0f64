"""The new-account snapshot: what a new sub-account begins with, and what becomes of it in accounts that exist. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from chalicelib.domain.rating import RateCard
from chalicelib.domain.refill import RefillRule

T = TypeVar("T")


@dataclass(frozen=True)
class Defaults:
    """What an account has, or is to have; None says nothing about it. Amounts are micros of its currency.

    The date of `rebilling` means nothing. `refill` only suggests: it is never on, and nobody has agreed to it.
    """

    rebilling: RateCard | None = None
    refill: RefillRule | None = None
    notice_levels_micros: tuple[int, ...] | None = None
    credit_limit_micros: int | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """Of what it says something."""
        said = {
            "rebilling": self.rebilling,
            "refill": self.refill,
            "notice_levels": self.notice_levels_micros,
            "credit_limit": self.credit_limit_micros,
        }
        return tuple(name for name, value in said.items() if value is not None)


NOTHING = Defaults()


@dataclass(frozen=True)
class Snapshot:
    """One version of a workspace's defaults; 0 was never set. `below_cost` are meters sold at a loss on purpose."""

    workspace_id: str
    version: int = 0
    defaults: Defaults = NOTHING
    below_cost: tuple[str, ...] = ()
    set_at_ms: int = 0
    by: str = ""


class ResultState(StrEnum):
    """What became of one account of an application. All but the first two are final."""

    PENDING = "pending"  # it broke off before this account: apply again with the same key
    APPLIED = "applied"
    UNCHANGED = "unchanged"  # it had all of it
    REFUSED = "refused"
    UNDONE = "undone"
    LEFT_ALONE = "left_alone"  # somebody has changed it since, so it was not undone


@dataclass(frozen=True)
class Result:
    """What an application did to one account: `had` and `has` name only what it changed.

    `cards_version` is the count of price changes after it, by which a later one is seen.
    """

    sub_account_id: str
    state: ResultState = ResultState.PENDING
    had: Defaults = NOTHING
    has: Defaults = NOTHING
    cards_version: int = 0
    detail: str | None = None


@dataclass(frozen=True)
class Application:
    """One version of a snapshot applied to accounts that existed before it."""

    id: str
    workspace_id: str
    version: int
    sub_account_ids: tuple[str, ...]
    by: str
    at_ms: int


def suggestion(rule: RefillRule) -> RefillRule:
    """A rule that is filled in and off."""
    return replace(rule, enabled=False, consented_at_ms=None)


def changes(has: Defaults, wanted: Defaults) -> Defaults:
    """What of `wanted` an account does not have yet. A rule that its owner has switched on is never changed."""
    return Defaults(
        rebilling=None if same_prices(has.rebilling, wanted.rebilling) else wanted.rebilling,
        refill=None if has.refill and has.refill.enabled else _unless_equal(has.refill, wanted.refill),
        notice_levels_micros=_unless_same_levels(has.notice_levels_micros, wanted.notice_levels_micros),
        credit_limit_micros=_unless_equal(has.credit_limit_micros, wanted.credit_limit_micros),
    )


def only(defaults: Defaults, names: Sequence[str]) -> Defaults:
    """The same, of these things alone."""
    return Defaults(
        rebilling=defaults.rebilling if "rebilling" in names else None,
        refill=defaults.refill if "refill" in names else None,
        notice_levels_micros=defaults.notice_levels_micros if "notice_levels" in names else None,
        credit_limit_micros=defaults.credit_limit_micros if "credit_limit" in names else None,
    )


def same_prices(one: RateCard | None, other: RateCard | None) -> bool:
    """Whether two cards charge the same, whatever their dates; no card is one that is off."""
    nothing = RateCard(0, enabled=False)
    one, other = one or nothing, other or nothing
    return (one.enabled, dict(one.prices)) == (other.enabled, dict(other.prices))


def _unless_equal(has: T | None, wanted: T | None) -> T | None:
    return None if has == wanted else wanted


def _unless_same_levels(has: tuple[int, ...] | None, wanted: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if wanted is None or sorted(has or ()) == sorted(wanted) else wanted
