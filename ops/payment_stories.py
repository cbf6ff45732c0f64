"""The story of a payment: a refill or a top-up from its first record to the money that went back."""

from chalicelib.clock import now_ms
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.payments import PLATFORM, Payment, TopUp, TopUpState
from chalicelib.domain.refill import Refill, RefillStep
from chalicelib.domain.wallet import Entry, EntryKind
from chalicelib.storage import customers, histories, payments, refills, statements, top_ups
from ops.stories import MOST_NOTICES, Story, balance_after, entry_story, in_words

DAY_MS = 86_400_000
RETRIES_MS, MOST_RETRIES = 2 * DAY_MS, 20  # the third decline in a row comes seven hours after the first
REFILL_SAYS = {
    RefillStep.PLANNED: "It is open: Stripe knows nothing of it yet.",
    RefillStep.CREATED: "It is open: the payment is made, the card has not been asked.",
    RefillStep.CONFIRMING: "It is open: the card was asked, the outcome is not known yet.",
    RefillStep.SUCCEEDED: "It was paid, and is in the balance.",
    RefillStep.DECLINED: "The card was declined. No money has moved.",
    RefillStep.CANCELED: "It was not wanted any more, or could not be made. No money has moved.",
    RefillStep.REFUSED: "What Stripe shows is not what was asked for: nothing was credited, a person was told.",
}
TOP_UP_SAYS = {
    TopUpState.OPEN: "It is open: its page has not been paid, or Stripe is still at it.",
    TopUpState.SUCCEEDED: "It was paid, and is in the balance.",
    TopUpState.EXPIRED: "It was never paid.",
    TopUpState.REFUSED: "What Stripe shows is not what was asked for: nothing was credited, a person was told.",
}


def payment_entry_story(entry: Entry) -> Story:
    """An entry that a card has paid, or that took such a payment back: its own story with the payment's."""
    story = entry_story(entry)
    payment_intent_id = entry.event_id.partition(":")[0]
    account_id = None if entry.source == PLATFORM else entry.source
    story.facts |= {"stripe_account": entry.source, "payment_intent": payment_intent_id}
    payment = payments.find_payment(account_id, payment_intent_id)
    if payment is None:
        return story
    bought = _purchase_story(payment)
    told = {each.what for each in story.timeline}
    story.timeline += [each for each in bought.timeline if each.what not in told and entry.id not in each.what]
    story.facts |= {name: value for name, value in bought.facts.items() if name not in story.facts}
    story.facts["paid_for"] = payment.purchase_id
    return story


def payment_story(account_id: str | None, payment_intent_id: str) -> Story:
    """The refill or top-up that a payment at Stripe was made for.

    Raises:
        NotFound: no record of ours knows it.
    """
    refill = refills.refill_of_payment(account_id, payment_intent_id)
    if refill is not None:
        return refill_story(refill)
    payment = payments.find_payment(account_id, payment_intent_id)
    if payment is None:
        raise NotFound("not_found", f"No record of ours knows {payment_intent_id}: it is another business's payment.")
    return _purchase_story(payment)


def _purchase_story(payment: Payment) -> Story:
    if payment.purchase_id.startswith("rfl_"):
        return refill_story(refills.get_refill(payment.owner_id, payment.purchase_id))
    return top_up_story(top_ups.get_top_up(payment.owner_id, payment.purchase_id))


def refill_story(refill: Refill) -> Story:
    """A refill: what it was opened after, every time that the card was asked, what became of it, and what came next."""
    story = Story(refill.id, "refill", REFILL_SAYS[refill.step])
    story.facts = {**_bought(refill), "card": _card(refill), "step": refill.step.value, "asked": f"{refill.confirms}"}
    before, _ = statements.statement(refill.owner_id, 1, f"ent_{refill.id.removeprefix('rfl_')}")
    for entry in before:
        after = balance_after(refill.owner_id, entry.id)
        held = "" if after is None else f", after which the wallet held {format_amount(after)}"
        story.happened(entry.posted_at_ms, f"the last movement before: {entry.kind.value} {entry.id}{held}")
    amount = f"{format_price(refill.amount_micros)} {refill.currency}"
    story.happened(refill.opened_at_ms, f"opened: {amount} from {refill.payment_method_id}")
    asked = f"the card was asked (time {refill.confirms} for this payment)"
    story.happened(refill.confirmed_at_ms, asked)
    until = now_ms()
    for notice in histories.notices_between(refill.owner_id, refill.opened_at_ms, until, MOST_NOTICES):
        if notice.data.get("refill") == refill.id:
            codes = [str(notice.data[name]) for name in ("code", "decline_code") if notice.data.get(name)]
            story.happened(notice.occurred_at_ms, f"told: {in_words(notice)}" + f" ({', '.join(codes)})" * bool(codes))
    _tell_neighbours(story, refill)
    _tell_money(story, refill, EntryKind.REFILL)
    standing = refills.get_standing(refill.owner_id)
    story.facts["refills_now"] = standing.state().value + (f": {standing.stop.detail}" if standing.stop else "")
    return story


def _tell_neighbours(story: Story, refill: Refill) -> None:
    """The wallet's other refills around this one: tries that were declined before it, and the next ones after it."""
    for other in histories.refills_since(refill.owner_id, refill.opened_at_ms - RETRIES_MS, MOST_RETRIES):
        if other.id == refill.id or other.opened_at_ms > refill.opened_at_ms + RETRIES_MS:
            continue
        which = "an earlier" if other.opened_at_ms < refill.opened_at_ms else "a later"
        amount = f"{format_price(other.amount_micros)} {other.currency}"
        story.happened(other.opened_at_ms, f"{which} refill of the wallet: {other.id} of {amount}, {other.step.value}")


def _card(refill: Refill) -> str:
    """The card as Stripe names it, and as people know it while it is still the saved one."""
    saved = customers.card_of(refill.owner_id, refill.connection_version)
    if saved is not None and saved.payment_method_id == refill.payment_method_id:
        return f"{refill.payment_method_id} ({saved.brand} {saved.last4})"
    return refill.payment_method_id


def top_up_story(top_up: TopUp) -> Story:
    """A top-up: the page that it was paid on, what became of it, and what went back."""
    story = Story(top_up.id, "top_up", TOP_UP_SAYS[top_up.state])
    story.facts = {**_bought(top_up), "state": top_up.state.value, "idempotency_key": top_up.idempotency_key}
    story.facts["checkout_session"] = top_up.session_id or "none: Stripe's answer was lost"
    amount = f"{format_price(top_up.amount_micros)} {top_up.currency}"
    story.happened(top_up.created_at_ms, f"a person asked to buy {amount}, and was given Stripe's page")
    _tell_money(story, top_up, EntryKind.TOP_UP)
    return story


def _bought(bought: Refill | TopUp) -> dict[str, str]:
    return {
        "owner": bought.owner_id,
        "workspace": bought.workspace_id,
        "amount": f"{format_price(bought.amount_micros)} {bought.currency}",
        "stripe_account": bought.account_id or PLATFORM,
        "connection_version": str(bought.connection_version),
        "mode": "live" if bought.livemode else "test",
        "payment_intent": bought.payment_intent_id or "-",
    }


def _tell_money(story: Story, bought: Refill | TopUp, kind: EntryKind) -> None:
    """The entry that a payment became, and each that took some of it back or brought it again."""
    payment_intent_id, account = bought.payment_intent_id, bought.account_id or PLATFORM
    if payment_intent_id is None:
        return
    payment = payments.find_payment(bought.account_id, payment_intent_id)
    steps = [(kind, payment_intent_id)]
    for number in range(1, payment.reversals + 1 if payment else 1):
        steps += [(each, f"{payment_intent_id}:{number}") for each in (EntryKind.REFUND, EntryKind.DISPUTE)]
    for each, event_id in steps:
        entry = histories.entry_of(each, account, event_id, bought.workspace_id)
        if entry is not None:
            moved = ", ".join(format_amount(leg.amount_micros) for leg in entry.legs)
            story.happened(entry.posted_at_ms, f"{each.value} entry {entry.id}: {moved} {entry.currency}")
    if payment is not None and payment.reversed_micros:
        story.facts["gone_back"] = f"{format_amount(payment.reversed_micros)} {payment.currency}"
    if payment is not None and payments.refills_are_held(bought.owner_id):
        story.facts["refills_held"] = "a dispute holds automatic refills of this wallet"
