"""What happened, from what was stored when it did: a story has its facts, its movements, and its moments in order.

Nothing is rated again. What no record holds is counted back from what does, and said to be.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from chalicelib.clock import rfc3339
from chalicelib.domain.accounts import agent_provider
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.notices import Notice
from chalicelib.domain.rating import VOICE, Price, PriceType
from chalicelib.domain.wallet import Entry, Leg
from chalicelib.storage import accounts, audit, histories, wallets
from chalicelib.storage.usage_events import KeptEvent, find_usage
from chalicelib.web.dashboard.charge import GIVEN_AS, SAID_OF, WHAT_IT_IS

NEAR_MS = 10 * 60_000  # what is told of a wallet, or opened for it, so soon after an entry is told beside it
MOST_COUNTED_BACK = 20_000  # entries; beyond that a balance of then costs more to find than it tells
MOST_NOTICES, MOST_REFILLS, MOST_CHANGES = 50, 20, 2_000
BALANCE_TRIES = 3

Facts = dict[str, str]


@dataclass(frozen=True)
class Moment:
    """Something that happened at a moment."""

    at_ms: int
    what: str


@dataclass
class Story:
    """Everything that is known of one thing. `legs` are the movements of wallets, a row for each."""

    id: str
    kind: str
    says: str
    facts: Facts = field(default_factory=dict)
    legs: list[Facts] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)

    def happened(self, at_ms: int | None, what: str) -> None:
        """Add a moment, if it is known."""
        if at_ms is not None:
            self.timeline.append(Moment(at_ms, what))

    def to_json(self) -> dict[str, Any]:
        """The story for programs."""
        moments = [{"at": rfc3339(each.at_ms), "what": each.what} for each in self.in_order()]
        own = {"id": self.id, "kind": self.kind, "says": self.says, "facts": self.facts}
        return {"object": "explanation", **own, "legs": self.legs, "timeline": moments}

    def in_order(self) -> list[Moment]:
        """Its moments, the oldest first; of the same millisecond in the order in which they were told."""
        return sorted(self.timeline, key=lambda each: each.at_ms)


def entry_story(entry: Entry) -> Story:
    """One entry: what caused it, how each side was worked out, what both wallets held after it, what it set off."""
    story = Story(entry.id, entry.kind.value, WHAT_IT_IS[entry.kind])
    story.facts = {"workspace": entry.workspace_id, "sub_account": entry.sub_account_id or "-"}
    if entry.usage is not None:
        (kept,) = [each for each in find_usage(entry.source, entry.event_id) if each.workspace_id == entry.workspace_id]
        _tell_call(story, kept)
    if entry.credit_kind is not None:
        story.facts |= {"given_as": GIVEN_AS[entry.credit_kind], "idempotency_key": entry.event_id}
    if entry.by:
        story.facts["by"] = entry.by
    if entry.note:
        story.facts["note"] = entry.note
    story.legs = [_leg(entry, leg) for leg in entry.legs]
    wallets_moved = " and ".join(leg.owner_id for leg in entry.legs)
    story.happened(
        entry.posted_at_ms, f"posted: moved {wallets_moved}" + (", in one transaction" * (len(entry.legs) > 1))
    )
    for leg in entry.legs:
        _tell_prices(story, entry, leg)
        tell_consequences(story, leg.owner_id, entry.posted_at_ms)
    return story


def call_story(kept: KeptEvent) -> Story:
    """A usage event, posted or not."""
    if kept.entry is not None:
        return entry_story(kept.entry)
    why = f", because of {kept.reason.replace('_', ' ')}" if kept.reason else ""
    says = f"It moved no wallet. Its state is: {kept.status.value.replace('_', ' ')}{why}."
    story = Story(f"{kept.source}/{kept.event_id}", "usage", says)
    story.facts = {"workspace": kept.workspace_id, "status": kept.status.value, "reason": kept.reason or "-"}
    if kept.usage and kept.usage.sub_account_id:
        story.facts["sub_account"] = kept.usage.sub_account_id
    _tell_call(story, kept)
    return story


def _tell_call(story: Story, kept: KeptEvent) -> None:
    """When it happened, by its own platform's clock; when it came, and what else was said of it."""
    usage, source = kept.usage, kept.source
    story.facts |= {"source": source, "event": kept.event_id}
    story.happened(kept.received_at_ms or None, "received, and put on the queue")
    if usage is None:
        return
    amount = f"{_seconds(usage.quantity)} of talk" if usage.meter == VOICE else f"{usage.quantity} pieces"
    story.facts |= {"meter": usage.meter, "quantity": amount if usage.quantity is not None else "not said"}
    story.facts |= {"outcome": usage.outcome} if usage.outcome else {}
    story.facts |= {"remarks": ", ".join(usage.remarks).replace("_", " ")} if usage.remarks else {}
    story.happened(usage.answered_at_ms, f"answered, {source} says")
    story.happened(usage.ended_at_ms, f"ended, {source} says: {amount}")
    if usage.agent_id:
        story.facts["voice_agent"] = usage.agent_id
        key = accounts.agent_key(agent_provider(source), usage.agent_id)
        assigned_at_ms = histories.agent_assigned_at_ms(kept.workspace_id, key)
        if assigned_at_ms is None or assigned_at_ms > usage.received_at_ms:
            story.happened(assigned_at_ms, "its voice agent was assigned: until then the call waited for that")
    for other in kept.contradictions:
        said = f"{_seconds(other.quantity)} of talk" if other.meter == VOICE else f"{other.quantity} pieces"
        story.happened(other.received_at_ms, f"another delivery said something else ({said}): kept, and not posted")


def _leg(entry: Entry, leg: Leg) -> Facts:
    """One wallet's side, as it is stored; only its balance after is counted back."""
    after = balance_after(leg.owner_id, entry.id)
    row = {
        "wallet": leg.owner_id,
        "amount": format_amount(leg.amount_micros),
        "balance_after": "-" if after is None else format_amount(after),
        "currency": entry.currency,
    }
    if leg.charge is not None:
        billed_ms = leg.charge.billed_ms
        row |= {
            "billed": _seconds(billed_ms) if billed_ms is not None else f"{entry.usage and entry.usage.quantity}",
            "price": f"{leg.charge.price_per_unit} {'a minute' if billed_ms is not None else 'each'}",
            "how": _how(leg.charge.price),
            "card_since": rfc3339(leg.charge.card_effective_at_ms) if leg.charge.card_effective_at_ms else "always",
        }
    return row


def _how(price: Price) -> str:
    """The rate card's own words."""
    words = [price.price_type.value]
    if price.price_type is PriceType.MARKUP:
        words = [f"cost + {price.markup_basis_points / 100:g} %"]
    words.append(f"{price.initial_increment_seconds}/{price.increment_seconds} s")
    words += [f"at least {price.minimum_seconds} s"] * bool(price.minimum_seconds)
    words += [f"{format_price(price.connect_fee_micros)} to connect"] * bool(price.connect_fee_micros)
    return ", ".join(words)


def balance_after(owner_id: str, entry_id: str) -> int | None:
    """What a wallet held after an entry, in micros: its balance of now without what came later.

    None where that are too many entries, or where the wallet moves while we look.
    """
    for _ in range(BALANCE_TRIES):
        balance_micros = wallets.get_wallet(owner_id).balance_micros
        later = histories.amounts_after(owner_id, entry_id, MOST_COUNTED_BACK)
        if later is None:
            return None
        if wallets.get_wallet(owner_id).balance_micros == balance_micros:
            return balance_micros - sum(later)
    return None


def _tell_prices(story: Story, entry: Entry, leg: Leg) -> None:
    """Who set the price, and that the call waited for it if it did."""
    if leg.charge is None or not leg.charge.card_effective_at_ms:
        return
    since_ms = leg.charge.card_effective_at_ms
    whose = "the cost" if leg.owner_id == entry.workspace_id else "the price"
    change = _change_that_says(entry.workspace_id, leg.owner_id, rfc3339(since_ms))
    by = f", set by {change.by} at {rfc3339(change.at_ms)}" if change else ""
    waited = entry.usage is not None and since_ms > entry.usage.rated_at_ms
    story.happened(since_ms, f"{whose} came into force{by}" + ": the call waited for it" * waited)


def _change_that_says(workspace_id: str, on: str, text: str) -> audit.Change | None:
    """The first change of an owner's settings in whose outcome a text stands."""
    found, looked_at, after, has_more = None, 0, None, True
    while has_more and looked_at < MOST_CHANGES:
        changes, has_more = audit.list_changes(workspace_id, 100, after)
        for change in changes:
            if change.on == on and text in json.dumps(change.new):
                found = change
        looked_at, after = looked_at + len(changes), changes[-1].id if changes else None
    return found


def tell_consequences(story: Story, owner_id: str, from_ms: int) -> None:
    """What was told of a wallet, and opened for it, in the minutes after it moved."""
    for notice in histories.notices_between(owner_id, from_ms, from_ms + NEAR_MS, MOST_NOTICES):
        story.happened(notice.occurred_at_ms, f"told {owner_id}: {in_words(notice)}")
    for refill in histories.refills_since(owner_id, from_ms, MOST_REFILLS):
        if refill.opened_at_ms <= from_ms + NEAR_MS:
            amount = f"{format_price(refill.amount_micros)} {refill.currency}"
            story.happened(refill.opened_at_ms, f"refill {refill.id} of {amount} opened for {owner_id}")


def in_words(notice: Notice) -> str:
    """A notice in one line."""
    said = SAID_OF.get(notice.type, notice.type.value)
    told = [
        f"{name.replace('_', ' ')} {notice.data[name]}" for name in ("balance", "amount", "why") if name in notice.data
    ]
    detail = str(notice.data.get("detail", ""))
    return ". ".join(part for part in (", ".join([said, *told]), detail) if part)


def _seconds(milliseconds: int | None) -> str:
    return "an unknown time" if milliseconds is None else f"{milliseconds // 1000}.{milliseconds % 1000:03d} s"
