"""What callers get about accounts as such, and how it is filled in: the snapshot, its applications, closings."""

from typing import Literal

from pydantic import Field

from chalicelib.clock import rfc3339
from chalicelib.domain.closings import Closing, Settle
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.people import Caller, Key
from chalicelib.domain.rating import RateCard
from chalicelib.domain.snapshot import Application, Defaults, Result, ResultState, Snapshot
from chalicelib.flows.apply_snapshot import Preview
from chalicelib.web.answers import ShownPrice
from chalicelib.web.models import AnswerModel
from chalicelib.web.show import show_price


class ShownRebilling(AnswerModel):
    """Re-billing without a date. A meter with `null` is deliberately not billed."""

    enabled: bool
    prices: dict[str, ShownPrice | None]


class ShownSuggestion(AnswerModel):
    """A refill rule that is filled in; whether it is on is the client's."""

    threshold: str
    target_balance: str


class ShownDefaults(AnswerModel):
    """What an account has, or is to have. Null: nothing is said of it."""

    rebilling: ShownRebilling | None
    refill: ShownSuggestion | None
    notice_levels: list[str] | None = Field(examples=[["20.00", "5.00", "0.00"]])
    credit_limit: str | None


class ShownSnapshot(ShownDefaults):
    """What a workspace's new sub-accounts begin with. Version 0 was never set."""

    object: Literal["snapshot"] = "snapshot"
    workspace: str
    version: int
    set_at: str | None
    by: str | None


class ShownPreview(AnswerModel):
    """What would change in one account, from what to what; `detail` says why nothing can."""

    sub_account: str
    changes: list[str]
    before: ShownDefaults
    after: ShownDefaults
    detail: str | None


class ShownSnapshotPreview(AnswerModel):
    """What applying this version would change, account by account."""

    object: Literal["snapshot_preview"] = "snapshot_preview"
    workspace: str
    version: int
    data: list[ShownPreview]


class ShownResult(ShownPreview):
    """What became of one account of an application."""

    state: ResultState


class ShownApplication(AnswerModel):
    """A version of the snapshot, applied to accounts that existed before it."""

    object: Literal["snapshot_application"] = "snapshot_application"
    id: str
    workspace: str
    version: int
    by: str
    applied_at: str
    data: list[ShownResult]


class ShownRefund(AnswerModel):
    """What was given back of one payment."""

    payment: str
    amount: str


class ShownClosing(AnswerModel):
    """How a sub-account was closed. What no card had paid is in `forfeited`; negative is what was written off.

    `balance` is what the wallet holds now: late calls still are posted.
    """

    object: Literal["closing"] = "closing"
    id: str
    sub_account: str
    status: Literal["closed"] = "closed"
    settle: Settle
    note: str
    by: str
    currency: str
    refunded: str
    refunds: list[ShownRefund]
    transferred: str
    transfer_to: str | None
    forfeited: str
    balance: str
    closed_at: str


def caller_name(caller: Caller) -> str:
    """Who did something, as it is kept: the key's name, or the person's e-mail."""
    return caller.name if isinstance(caller, Key) else caller.email


def show_snapshot(snapshot: Snapshot) -> ShownSnapshot:
    """A workspace's snapshot."""
    shown = _show_defaults(snapshot.defaults)
    at = rfc3339(snapshot.set_at_ms) if snapshot.version else None
    return ShownSnapshot(
        workspace=snapshot.workspace_id,
        version=snapshot.version,
        set_at=at,
        by=snapshot.by or None,
        **dict(shown),
    )


def show_preview(snapshot: Snapshot, found: list[Preview]) -> ShownSnapshotPreview:
    """What would change."""
    data = [ShownPreview(**_changed(each.sub_account_id, each.had, each.has, each.detail)) for each in found]
    return ShownSnapshotPreview(workspace=snapshot.workspace_id, version=snapshot.version, data=data)


def show_application(application: Application, results: list[Result]) -> ShownApplication:
    """What became of each account."""
    data = [
        ShownResult(state=each.state, **_changed(each.sub_account_id, each.had, each.has, each.detail))
        for each in results
    ]
    return ShownApplication(
        id=application.id,
        workspace=application.workspace_id,
        version=application.version,
        by=application.by,
        applied_at=rfc3339(application.at_ms),
        data=data,
    )


def show_closing(closing: Closing, currency: str, balance_micros: int) -> ShownClosing:
    """How an account was closed, and what its wallet holds now."""
    refunds = [
        ShownRefund(payment=each.payment_intent_id, amount=format_amount(each.amount_micros))
        for each in closing.refunds
    ]
    return ShownClosing(
        id=closing.id,
        sub_account=closing.sub_account_id,
        settle=closing.settle,
        note=closing.note,
        by=closing.by,
        currency=currency,
        refunded=format_amount(closing.refunded_micros),
        refunds=refunds,
        transferred=format_amount(closing.transferred_micros),
        transfer_to=closing.transfer_to,
        forfeited=format_amount(closing.forfeited_micros),
        balance=format_amount(balance_micros),
        closed_at=rfc3339(closing.opened_at_ms),
    )


def _changed(sub_account_id: str, had: Defaults, has: Defaults, detail: str | None) -> dict[str, object]:
    return {
        "sub_account": sub_account_id,
        "changes": list(has.named),
        "before": _show_defaults(had),
        "after": _show_defaults(has),
        "detail": detail,
    }


def _show_defaults(defaults: Defaults) -> ShownDefaults:
    levels, limit_micros = defaults.notice_levels_micros, defaults.credit_limit_micros
    rule = defaults.refill
    return ShownDefaults(
        rebilling=_show_rebilling(defaults.rebilling) if defaults.rebilling else None,
        refill=ShownSuggestion(
            threshold=format_price(rule.threshold_micros), target_balance=format_price(rule.target_balance_micros)
        )
        if rule
        else None,
        notice_levels=None if levels is None else [format_price(each) for each in sorted(levels, reverse=True)],
        credit_limit=None if limit_micros is None else format_price(limit_micros),
    )


def _show_rebilling(card: RateCard) -> ShownRebilling:
    prices = {meter: price and show_price(price, meter) for meter, price in card.prices.items()}
    return ShownRebilling(enabled=card.enabled, prices=prices)
