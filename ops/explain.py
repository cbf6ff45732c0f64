"""Why was this charged, why did no call start, where is that payment: the whole story of one id, from stored facts."""

import re
from typing import TYPE_CHECKING

import click

from chalicelib.clock import rfc3339
from chalicelib.domain.errors import NotFound
from ops.plain import as_json, in_plain_words, say_json, table

if TYPE_CHECKING:
    from ops.stories import Facts, Story

_STRIPES = re.compile(r"pi_[A-Za-z0-9_]{8,64}", re.ASCII)
_OURS = re.compile(r"(ent|rfl|top|gte)_[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
HEADS = {"card_since": "card in force since"}


@click.command()
@click.argument("what")
@click.option("--workspace", default="", help="Whose it is: a workspace (ws_...) or a sub-account (sa_...).")
@as_json
@in_plain_words
def explain(what: str, workspace: str, as_json: bool) -> None:
    """Tell the whole story of an entry (ent_...), a call (SOURCE/ID, as it was reported), a refill (rfl_...), a top-up
    (top_...), a payment at Stripe (pi_...), or a decision of the gate (gte_..., with --workspace sa_...).

    Everything is read from what was stored when it happened, in UTC. Nothing is changed.
    """
    story = _story(what, workspace)
    if as_json:
        say_json(story.to_json())
        return
    for line in draw(story):
        click.echo(line)


def _story(what: str, near: str) -> "Story":
    from ops import stories  # reads the settings, which the command line may have set

    if _STRIPES.fullmatch(what):
        return _of_payment(what)
    found = _OURS.fullmatch(what)
    if found is None:
        source, slash, event_id = what.partition("/")
        if not slash:
            detail = f"{what!r} has no story: say ent_..., rfl_..., top_..., pi_..., gte_..., or SOURCE/ID for a call."
            raise NotFound("not_found", detail)
        return _of_call(source, event_id, near)
    if found[1] == "gte":
        return _of_gate(what, near)
    if found[1] == "ent":
        return _of_entry(what, near)
    from chalicelib.storage import refills, tables, top_ups
    from ops import payment_stories

    owner_id = near if near.startswith("sa_") else _owner_in(tables.PaymentItem.Meta.table_name, what)
    if found[1] == "rfl":
        return payment_stories.refill_story(refills.get_refill(owner_id, what))
    story: stories.Story = payment_stories.top_up_story(top_ups.get_top_up(owner_id, what))
    return story


def _of_payment(payment_intent_id: str) -> "Story":
    from chalicelib.domain.payments import PLATFORM
    from chalicelib.storage import tables
    from ops.lookups import find_keys
    from ops.payment_stories import payment_story

    keys = find_keys(tables.PaymentItem.Meta.table_name, "pk", f"#{payment_intent_id}", part=True)
    account = keys[0].split("#")[1] if keys else PLATFORM
    return payment_story(None if account == PLATFORM else account, payment_intent_id)


def _owner_in(table_name: str, sort_key: str) -> str:
    from ops.lookups import find_keys

    keys = find_keys(table_name, "sk", sort_key)
    if keys is None:
        raise NotFound("not_found", f"There is no {sort_key} on this stage.")
    return keys[0]


def _of_call(source: str, event_id: str, near: str) -> "Story":
    from chalicelib.domain.accounts import owning_workspace
    from chalicelib.storage.usage_events import find_usage
    from ops.stories import call_story

    found = find_usage(source, event_id)
    if near:
        found = [each for each in found if each.workspace_id == (owning_workspace(near) or near)]
    if not found:
        detail = f"No call {event_id} of {source} was received. Was it sent to this stage, and under this source?"
        raise NotFound("not_found", detail)
    if len(found) > 1:
        workspaces = ", ".join(each.workspace_id for each in found)
        raise NotFound("not_found", f"Several workspaces have reported this call. Say --workspace: {workspaces}.")
    return call_story(found[0])


def _of_entry(entry_id: str, near: str) -> "Story":
    from chalicelib.domain.wallet import EntryKind
    from chalicelib.storage import histories, overview, tables
    from chalicelib.storage.entries import key_parts
    from ops.lookups import find_keys
    from ops.payment_stories import payment_entry_story
    from ops.stories import entry_story

    if near:
        owner_ids = [near, *([each.id for each in overview.sub_accounts_of(near)] if near.startswith("ws_") else [])]
        _, part = histories.place_of(owner_ids, entry_id)
        key = (part.kind, part.source, part.event_id, part.workspace_id)
    else:
        keys = find_keys(tables.EntryItem.Meta.table_name, "sort_id", entry_id.removeprefix("ent_"))
        if keys is None:
            raise NotFound("not_found", f"There is no entry {entry_id} on this stage.")
        key = (*key_parts(keys[0]), keys[1])
    entry = histories.entry_of(*key)
    if entry is None:
        raise NotFound("not_found", f"{entry_id} is kept for a person, and has moved no wallet.")
    by_card = (EntryKind.TOP_UP, EntryKind.REFILL, EntryKind.REFUND, EntryKind.DISPUTE)
    return payment_entry_story(entry) if entry.kind in by_card else entry_story(entry)


def _of_gate(decision_id: str, near: str) -> "Story":
    from ops.gate_story import gate_story

    if not near.startswith("sa_"):
        detail = "A decision does not say whose it is. Add the sub-account that was asked for: --workspace sa_..."
        raise NotFound("not_found", detail)
    return gate_story(decision_id, near)


def draw(story: "Story") -> list[str]:
    """A story as lines for people: what it is, its facts, how wallets moved, and its moments with the time between."""
    lines = [f"{story.id}  {story.kind.replace('_', ' ')}", story.says, ""]
    lines += table([(name.replace("_", " "), value) for name, value in story.facts.items()], indent="  ")
    if story.legs:
        lines += ["", *_legs(story.legs)]
    rows, before_ms = [], None
    for moment in story.in_order():
        after = "" if before_ms is None else f"+{_time_between(moment.at_ms - before_ms)}"
        rows.append((rfc3339(moment.at_ms), after, moment.what))
        before_ms = moment.at_ms
    return [*lines, "", *table(rows, indent="  ")]


def _legs(legs: list["Facts"]) -> list[str]:
    names = list(dict.fromkeys(name for leg in legs for name in leg))
    head = [HEADS.get(name, name.replace("_", " ")) for name in names]
    return list(table([head, *[[leg.get(name, "") for name in names] for leg in legs]], indent="  "))


def _time_between(milliseconds: int) -> str:
    """How long something took, at a glance: `0.42 s`, `3 min`, `5 h`, `12 d`."""
    seconds = milliseconds / 1000
    for most, divisor, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < most:
            return f"{seconds:.2f} s" if unit == "s" else f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
