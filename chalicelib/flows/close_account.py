"""A sub-account is closed, and its balance settled: given back, moved to a neighbour, or forfeited.

Closed comes first, so that nothing is spent or bought any more; then step after step, each noted before it is taken, so
that the same call goes on where an earlier one broke off. Late calls still are posted: facts are never refused.
"""

from contextlib import suppress
from dataclasses import replace

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import SubAccount, refuse_if_closed
from chalicelib.domain.closings import Closing, Refund, Settle
from chalicelib.domain.errors import AccessLost, Conflict, Invalid, NotFound, Unavailable
from chalicelib.domain.payments import PLATFORM, Payment, TopUpState, fingerprint_of
from chalicelib.domain.refill import OPEN_STEPS
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.flows.charge_refill import proceed
from chalicelib.flows.reverse_payment import reverse_payment
from chalicelib.flows.set_refill_rule import set_rule
from chalicelib.flows.settle_payment import settle_top_up
from chalicelib.flows.take_top_up import PAGE_LASTS_MS
from chalicelib.flows.watch_balances import watch
from chalicelib.gateways import stripe
from chalicelib.storage import accounts, closings, payments, refills, top_ups, wallets
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.statements import statement
from chalicelib.telemetry import logger

PAGE = 100
ATTEMPTS = 5
REFUSED = "refund_refused"


def close_account(
    sub_account: SubAccount, settle: Settle, note: str, transfer_to: str | None, key: str, by: str
) -> Closing:
    """Close a sub-account and settle its balance; the same key goes on with, or answers, the same closing.

    A closed one may be closed again under another key, which settles what has come in since.

    Raises:
        Conflict: another closing or a payment is under way, or Stripe does not give a payment back.
        Invalid: the balance is below zero, nobody to transfer to, or the key was used for something else.
        OutcomeUnknown, Unavailable: say it again with the same key.
    """
    asked = Closing(
        id=f"cls_{ULID()}",
        sub_account_id=sub_account.id,
        workspace_id=sub_account.workspace_id,
        key=key,
        settle=settle,
        note=note,
        by=by,
        opened_at_ms=now_ms(),
        transfer_to=transfer_to,
    )
    closing = closings.find_closing(sub_account, key)
    if closing is None:
        _check(asked)
        if not closings.open_closing(sub_account, asked):
            detail = "Another closing of this sub-account is under way. Repeat that one, with its own Idempotency-Key."
            raise Conflict("closing_under_way", detail)
        logger.info("account_closed", extra={"account_id": sub_account.id, "settle": settle.value, "by": by})
        closing = asked
    if not closing.says_the_same_as(asked):
        raise Invalid("Idempotency-Key", "This Idempotency-Key was used for another closing.", "idempotency_key_reused")
    if not closing.ended:
        closing = _settle(sub_account, closing)
    if closing.trouble is not None:
        raise Conflict(*closing.trouble)
    return closing


def _check(asked: Closing) -> None:
    if (asked.transfer_to is not None) != (asked.settle is Settle.TRANSFER):
        raise Invalid("transfer_to", "Say transfer_to with settle: transfer, and only with it.")
    if asked.transfer_to is not None:
        others = accounts.sub_accounts_by_id([asked.transfer_to])
        other = others.get(asked.transfer_to)
        if other is None or other.workspace_id != asked.workspace_id or other.id == asked.sub_account_id:
            raise Invalid("transfer_to", "transfer_to must be another sub-account of the same workspace.")
        refuse_if_closed(other)
    if asked.settle is not Settle.FORFEIT and _balance_micros(asked) < 0:
        detail = "The balance is below zero: there is nothing to give. settle: forfeit writes it off."
        raise Invalid("settle", detail, "balance_below_zero")


def _settle(sub_account: SubAccount, closing: Closing) -> Closing:
    _stop_payments(sub_account)
    try:
        if closing.settle is Settle.REFUND:
            closing = _refund(closing)
    except (AccessLost, Conflict, Invalid, NotFound) as refused:  # for good: another way to settle may be chosen
        known = closings.find_closing(sub_account, closing.key) or closing
        return _end(known, trouble=(refused.code, refused.detail))
    for _ in range(ATTEMPTS):  # a late call may move the wallet at the same moment
        balance_micros = _balance_micros(closing)
        if balance_micros == 0 or (balance_micros < 0 and closing.settle is not Settle.FORFEIT):
            break
        closing = _move(closing, balance_micros)
    watch([closing.sub_account_id, *([closing.transfer_to] if closing.transfer_to else [])])
    return _end(closing)


def _stop_payments(sub_account: SubAccount) -> None:
    """Nothing may be bought any more, and what is being bought comes to its end first."""
    standing = refills.get_standing(sub_account.id)
    if standing.rule.enabled:
        set_rule(sub_account, replace(standing.rule, enabled=False), confirm_charge_now=False)
    if standing.open_refill_id is not None:
        refill = proceed(refills.get_refill(sub_account.id, standing.open_refill_id))
        if refill.step in OPEN_STEPS:
            raise Conflict("refill_under_way", "A refill is under way at Stripe. Close the account when it has ended.")
    pending = top_ups.pending_top_up(sub_account.id)
    if pending is None:
        return
    if pending.session_id is None:  # its page was lost on the way: nobody has been told of it
        top_ups.close_unanswered(pending)
        return
    seen = settle_top_up(pending)
    if seen.state is TopUpState.OPEN:
        with suppress(AccessLost, NotFound):  # settling says what that means
            stripe.expire_checkout(seen.account_id, pending.session_id)
        seen = settle_top_up(seen)
    if seen.state is TopUpState.OPEN and now_ms() - seen.created_at_ms <= PAGE_LASTS_MS:
        raise Conflict("top_up_pending", "A payment is under way at Stripe. Close the account when it has ended.")


def _refund(closing: Closing) -> Closing:
    """Give back what cards have paid, the newest payment first, until the balance is used up."""
    for planned in closing.refunds:  # an earlier call may have broken off after noting it
        _give_back(closing, planned)
    after: str | None = None
    has_more = True
    while has_more:
        found, has_more = statement(closing.sub_account_id, PAGE, after)
        for entry in (each for each in found if each.kind in (EntryKind.TOP_UP, EntryKind.REFILL)):
            balance_micros = _balance_micros(closing)
            if balance_micros < stripe.minor_unit_micros(entry.currency):
                return closing
            closing = _refund_payment(closing, None if entry.source == PLATFORM else entry.source, entry.event_id)
        after = found[-1].id if found else None
    return closing


def _refund_payment(closing: Closing, account_id: str | None, payment_intent_id: str) -> Closing:
    if any(refund.payment_intent_id == payment_intent_id for refund in closing.refunds):
        return closing
    known = payments.find_payment(account_id, payment_intent_id)
    if known is None or known.reversed_micros >= known.amount_micros:
        return closing
    reverse_payment(account_id, payment_intent_id)  # some of it may have gone back already, and we are not told yet
    payment = _payment(account_id, payment_intent_id)
    step_micros = stripe.minor_unit_micros(payment.currency)
    most_micros = min(payment.amount_micros - payment.reversed_micros, _balance_micros(closing))
    amount_micros = most_micros // step_micros * step_micros
    if amount_micros <= 0:
        return closing
    refund = Refund(account_id, payment_intent_id, amount_micros, payment.reversed_micros)
    noted = closing.further(refunds=(*closing.refunds, refund))
    if not closings.save_step(closing, noted):
        raise Unavailable("The wallet store")
    _give_back(noted, refund)
    return noted


def _give_back(closing: Closing, refund: Refund) -> None:
    """Give back what was noted, once: Stripe is looked at before it is asked, and asked under one key."""
    where = refund.account_id, refund.payment_intent_id
    reverse_payment(*where)
    payment = _payment(*where)
    if refund.is_done(payment):
        return
    stripe.create_refund(
        *where,
        amount_micros=refund.amount_micros,
        currency=payment.currency,
        key=f"close:{closing.id}:{refund.payment_intent_id}",
    )
    reverse_payment(*where)
    if not refund.is_done(_payment(*where)):
        raise Conflict(REFUSED, "Stripe could not give a payment back. Settle this balance another way.")


def _payment(account_id: str | None, payment_intent_id: str) -> Payment:
    payment = payments.find_payment(account_id, payment_intent_id)
    if payment is None:
        raise NotFound("not_found", "There is no such payment.")
    return payment


def _move(closing: Closing, balance_micros: int) -> Closing:
    """Take what is left to the neighbour, or write it off, in whichever direction."""
    received = None
    if closing.settle is Settle.TRANSFER:
        after = closing.further(transferred_micros=closing.transferred_micros + balance_micros)
        received = _entry(after, closing.transfer_to or "", balance_micros)
    else:
        after = closing.further(forfeited_micros=closing.forfeited_micros + balance_micros)
    outcome = closings.post_step(closing, after, _entry(after, closing.sub_account_id, -balance_micros), received)
    if outcome is not Outcome.POSTED:
        raise Unavailable("The wallet store")
    return after


def _entry(step: Closing, owner_id: str, amount_micros: int) -> Entry:
    now = now_ms()
    return Entry(
        id=f"ent_{ULID()}",
        kind=EntryKind.CORRECTION,
        workspace_id=step.workspace_id,
        source=owner_id,
        event_id=f"{step.id}:{step.version}",
        fingerprint=fingerprint_of(step.id, step.version, owner_id, amount_micros),
        currency=wallets.get_wallet(owner_id).currency,
        occurred_at_ms=now,
        posted_at_ms=now,
        sub_account_leg=Leg(owner_id, amount_micros),
        sub_account_id=owner_id,
        note=step.note,
        by=step.by,
    )


def _end(closing: Closing, trouble: tuple[str, str] | None = None) -> Closing:
    ended = closing.further(ended=True, trouble=trouble)
    if not closings.end(closing, ended):
        raise Unavailable("The wallet store")
    return ended


def _balance_micros(closing: Closing) -> int:
    return wallets.get_wallet(closing.sub_account_id).balance_micros
