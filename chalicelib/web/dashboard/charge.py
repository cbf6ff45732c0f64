"""Why this charge: one entry of a wallet, with everything that its amount was worked out from.

A client is shown its own side, read from an index that holds no cost; only the workspace's people are shown both.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from chalice.app import Response
from ulid import ULID

from chalicelib.clock import rfc3339
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import MICROS_PER_UNIT, format_amount, format_price
from chalicelib.domain.rating import MS_PER_MINUTE, VOICE, Charge, Price, PriceType
from chalicelib.domain.usage import UsageEvent
from chalicelib.domain.wallet import CreditKind, Entry, EntryKind
from chalicelib.storage import accounts, statements
from chalicelib.web.callers import admit
from chalicelib.web.dashboard.money import money
from chalicelib.web.dashboard.visits import Visit, draw

OF_WORKSPACE, OF_SUB_ACCOUNT = "/v1/workspaces/{workspace_id}", "/v1/sub-accounts/{sub_account_id}"
NEAR_MS = 10 * 60_000
TIMES = "\u00d7"
WHAT_IT_IS = {
    EntryKind.USAGE: "A call, or other use, was paid from the balance.",
    EntryKind.CREDIT: "Balance was given without a payment by card.",
    EntryKind.TOP_UP: "A person bought balance by card. Stripe confirmed the payment before it was added.",
    EntryKind.REFILL: "The balance had fallen to the threshold of its automatic refills, so the saved card was asked. "
    "Stripe confirmed the payment before it was added.",
    EntryKind.REFUND: "Money of an earlier payment went back to the card, or such a refund failed and the money came "
    "back: the balance moved by the same amount.",
    EntryKind.DISPUTE: "The card's holder disputed an earlier payment at the bank, or a dispute was settled: the "
    "balance moved by what the bank took or gave back.",
    EntryKind.CORRECTION: "The balance was put right by hand.",
}
GIVEN_AS = {
    CreditKind.GOODWILL: "goodwill",
    CreditKind.EXTERNAL_PAYMENT: "paid in another way, such as a bank transfer",
    CreditKind.PROMO: "a promotion",
    CreditKind.CORRECTION: "a correction",
}
SAID_OF = {
    "wallet.low": "The balance was told to be low",
    "wallet.recovered": "The balance rose above its notice levels again",
    "refill.succeeded": "An automatic refill came in",
    "refill.declined": "The card was declined for a refill",
    "refill.suspended": "Automatic refills stopped",
    "refill.action_required": "The bank asked to confirm a refill",
    "refill.held": "Automatic refills were held",
    "refill.resumed": "Automatic refills went on",
    "payment.reversed": "A payment went back",
}

Facts = dict[str, Any]


def show(visit: Visit) -> Response:
    """The page of one entry: of a sub-account's wallet, or, where the address names none, of the workspace's own."""
    sub_account_id, entry_id = visit.query.get("sub_account", ""), visit.query.get("entry", "")
    owner_id = sub_account_id or visit.workspace.id
    path = OF_SUB_ACCOUNT if sub_account_id else OF_WORKSPACE
    values = {"sub_account_id": sub_account_id} if sub_account_id else {"workspace_id": owner_id}
    admit(visit.person, "GET", f"{path}/wallet/entries", values)
    sees_both = visit.rights.role is not None
    own = statements.read_entry(owner_id, entry_id)
    entry = _with_both_legs(visit, own) if sees_both else own
    leg = next(leg for leg in own.legs if leg.owner_id == owner_id)
    client_id = sub_account_id or entry.sub_account_id or ""
    return draw(
        visit,
        "charge.html",
        "Why this charge" if entry.kind is EntryKind.USAGE else "Why this entry",
        entry=entry,
        amount=format_amount(leg.amount_micros),
        currency=entry.currency,
        what_it_is=WHAT_IT_IS[entry.kind],
        given_as=GIVEN_AS[entry.credit_kind] if entry.credit_kind else "",
        payment_id=_payment_of(entry),
        client=accounts.get_sub_account(client_id) if client_id else None,
        sub_account_id=sub_account_id,
        may_bill=sub_account_id in visit.rights.sub_account_ids,
        sees_both=sees_both,
        occurred_at=rfc3339(entry.occurred_at_ms),
        posted_at=rfc3339(entry.posted_at_ms),
        call=_call_facts(entry.usage) if entry.usage else None,
        legs=_legs(entry),
        margin=_margin(entry) if sees_both else None,
        notices=_set_off(visit, path, values, entry),
    )


def _with_both_legs(visit: Visit, own: Entry) -> Entry:
    """The same entry as the workspace's people may see it; one that moved no wallet of theirs is whole already."""
    try:
        return statements.read_entry(visit.workspace.id, own.id)
    except NotFound:
        return own


def _payment_of(entry: Entry) -> str:
    """The payment at Stripe that an entry is about; empty for other entries."""
    by_card = (EntryKind.TOP_UP, EntryKind.REFILL, EntryKind.REFUND, EntryKind.DISPUTE)
    return entry.event_id.partition(":")[0] if entry.kind in by_card else ""


def _call_facts(usage: UsageEvent) -> Facts:
    return {
        "is_voice": usage.meter == VOICE,
        "meter": usage.meter,
        "source": usage.source,
        "id": usage.event_id,
        "agent_id": usage.agent_id,
        "outcome": usage.outcome,
        "answered_at": _moment(usage.answered_at_ms),
        "ended_at": _moment(usage.ended_at_ms),
        "received_at": _moment(usage.received_at_ms),
        "talk": _seconds(usage.quantity) if usage.meter == VOICE else None,
        "quantity": usage.quantity,
        "remarks": [remark.replace("_", " ") for remark in usage.remarks],
    }


def _legs(entry: Entry) -> Sequence[Facts]:
    """How each side's amount was worked out, the client's first; the workspace's is in no entry that a client reads."""
    if entry.usage is None:
        return ()
    sides = (("The client pays", entry.sub_account_leg), ("The workspace pays", entry.workspace_leg))
    return [
        _worked_out(whose, leg.charge, entry.usage, entry.currency)
        for whose, leg in sides
        if leg is not None and leg.charge is not None
    ]


def _worked_out(whose: str, charge: Charge, usage: UsageEvent, currency: str) -> Facts:
    price, is_voice = charge.price, charge.billed_ms is not None
    marked_up = price.price_type is PriceType.MARKUP and price.markup_basis_points
    return {
        "whose": whose,
        "amount": format_amount(charge.amount_micros),
        "price": f"{money(charge.price_per_unit, currency)} {'a minute' if is_voice else 'each'}",
        "rounding": _rounding(usage.quantity, charge.billed_ms, price) if charge.billed_ms is not None else None,
        "card_date": rfc3339(charge.card_effective_at_ms),
        "markup": f"{price.markup_basis_points / 100:.2f} %" if marked_up else None,
        "sum": _sum(charge, usage.quantity or 0, currency),
    }


def _rounding(talk_ms: int | None, billed_ms: int, price: Price) -> str:
    """How talk time became billed time, in one sentence."""
    if not billed_ms:
        return "Without talk, nothing is billed."
    first, step = price.initial_increment_seconds, price.increment_seconds
    rule = "rounded up to whole seconds" if (first, step) == (1, 1) else f"rounded up to {first} s, then by {step} s"
    least = f", at least {price.minimum_seconds} s" if price.minimum_seconds else ""
    return f"{_seconds(talk_ms)} of talk are billed as {_seconds(billed_ms)} ({rule}{least})."


def _sum(charge: Charge, count: int, currency: str) -> str:
    """The amount as a line that people can check with a calculator."""
    per, amount = money(charge.price_per_unit, currency), money(format_amount(charge.amount_micros), currency)
    exact = Fraction(charge.price_per_unit) * MICROS_PER_UNIT
    if charge.billed_ms is None:
        line, exact = f"{count:,} {TIMES} {per}", exact * count
    else:
        line, exact = f"{_seconds(charge.billed_ms)} ÷ 60 {TIMES} {per}", exact * charge.billed_ms / MS_PER_MINUTE
    fee_micros = charge.price.connect_fee_micros if charge.billed_ms else 0
    if fee_micros and charge.price.price_type is not PriceType.ABSORB:
        line, exact = f"{line} + {money(format_price(fee_micros), currency)} for the connection", exact + fee_micros
    rounded = "" if exact == charge.amount_micros else ", rounded once, to a millionth"
    return f"{line} = {amount}{rounded}"


def _margin(entry: Entry) -> Facts | None:
    """What is left to the workspace; None where no call was paid for by both."""
    client, workspace = entry.sub_account_leg, entry.workspace_leg
    if entry.usage is None or workspace is None:
        return None
    revenue_micros = -client.amount_micros if client else 0
    margin_micros = revenue_micros + workspace.amount_micros
    percent = f"{100 * margin_micros / revenue_micros:.1f}" if revenue_micros else None
    return {"amount": format_amount(margin_micros), "percent": percent, "rebilled": client is not None}


def _set_off(visit: Visit, path: str, values: Mapping[str, str], entry: Entry) -> Sequence[Facts]:
    """What was told of the wallet in the ten minutes from the entry on, the oldest first."""
    just_after = f"evt_{ULID.from_int(entry.posted_at_ms + NEAR_MS << 80)}"
    told = visit.get(f"{path}/activity", values, limit="20", starting_after=just_after)["data"]
    posted_at = rfc3339(entry.posted_at_ms)
    return [
        {"at": each["occurred_at"], "what": _told(each, entry.currency)}
        for each in reversed(told)
        if each["occurred_at"] >= posted_at
    ]


def _told(notice: Facts, currency: str) -> str:
    """A notice in one line: what happened, at which balance or of how much, and why."""
    data = notice["data"]
    what = SAID_OF.get(notice["type"], str(notice["type"]))
    if "balance" in data:
        what += f", at {money(data['balance'], currency)}"
    elif "amount" in data:
        what += f": {money(data['amount'], currency)}"
    return f"{what}. {data['detail']}" if "detail" in data else what


def _moment(at_ms: int | None) -> str | None:
    return rfc3339(at_ms) if at_ms else None


def _seconds(milliseconds: int | None) -> str:
    """`42318` milliseconds are `42.318 s`, and `42000` are `42 s`."""
    if milliseconds is None:
        return "an unknown time"
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d} s".replace(".000 s", " s")
