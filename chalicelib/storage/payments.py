"""Top-ups, payments and cards, and the transactions in which a payment's end meets the ledger."""

import json
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.payments import Card, Payment, TopUp, TopUpState
from chalicelib.domain.wallet import Entry
from chalicelib.storage import ledger
from chalicelib.storage.entries import to_attributes
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.tables import PaymentItem, connection, store_trouble_is_ours

OPEN_SHARD = "open"
_OWNER_ID, _TOP_UP_ID = re.compile(r"(ws|sa)_[a-z0-9_]{1,60}"), re.compile(r"top_[0-9A-HJKMNP-TV-Z]{26}")
PAYING, PAYMENT, CARD, HOLD, HOLDER, REFUSED = "paying", "payment", "card", "refill_hold", "holder", "refused"
NOBODY = "-"
SECONDS_TO_TRY = 8.0


def open_top_up(top_up: TopUp, fingerprint: str) -> TopUp:
    """Keep a new top-up, unless its owner has one whose end is not known yet, or the very same was asked for before.

    Answers the top-up that stands under the idempotency key.

    Raises:
        Conflict: another top-up is still open. NotFound: never. Unavailable: ask again with the key.
    """
    key = PaymentItem(top_up.owner_id, f"key#{top_up.idempotency_key}", reference=top_up.id, fingerprint=fingerprint)
    nobody_pays = PaymentItem.reference.does_not_exist() | (PaymentItem.reference == NOBODY)
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(key, condition=PaymentItem.pk.does_not_exist())
            transaction.save(_item(top_up), condition=PaymentItem.pk.does_not_exist())
            paying = PaymentItem(top_up.owner_id, PAYING, reference=top_up.id)
            transaction.save(paying, condition=nobody_pays)
        return top_up
    except TransactWriteError as error:
        reasons = [
            reason is not None and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons
        ]
        if not any(reasons):
            raise Unavailable("The wallet store") from error
    return _asked_before(top_up, fingerprint)


def _asked_before(top_up: TopUp, fingerprint: str) -> TopUp:
    with store_trouble_is_ours():
        try:
            known = PaymentItem.get(top_up.owner_id, f"key#{top_up.idempotency_key}", consistent_read=True)
        except DoesNotExist:
            known = None
    if known is None:
        detail = "A payment for this wallet is still under way. Finish it, or check its state, before paying again."
        raise Conflict("top_up_pending", detail)
    if known.fingerprint != fingerprint:
        raise Conflict("idempotency_key_reused", "This Idempotency-Key was used for another top-up.", "Idempotency-Key")
    return get_top_up(top_up.owner_id, known.reference or "")


def get_top_up(owner_id: str, top_up_id: str) -> TopUp:
    """Read a top-up.

    Raises:
        NotFound: its owner has none with this id.
    """
    with store_trouble_is_ours():
        try:
            if _OWNER_ID.fullmatch(owner_id) and _TOP_UP_ID.fullmatch(top_up_id):
                return _from_item(PaymentItem.get(owner_id, top_up_id, consistent_read=True))
        except DoesNotExist:
            pass
    raise NotFound("not_found", "There is no such top-up.")


def pending_top_up(owner_id: str) -> TopUp | None:
    """The top-up whose end is not known yet, if there is one."""
    with store_trouble_is_ours():
        try:
            paying = PaymentItem.get(owner_id, PAYING, consistent_read=True).reference
        except DoesNotExist:
            return None
    return None if paying in (None, NOBODY) else get_top_up(owner_id, paying)


def open_top_ups(limit: int) -> list[TopUp]:
    """Top-ups whose end is not known yet, the oldest first."""
    with store_trouble_is_ours():
        keys = [(item.pk, item.sk) for item in PaymentItem.open_payments.query(OPEN_SHARD, limit=limit)]
    return [get_top_up(owner_id, top_up_id) for owner_id, top_up_id in keys]


def save_session(top_up: TopUp, session_id: str, url: str | None) -> TopUp:
    """Remember which Checkout session a top-up is paid on, if it has none yet; answers the top-up as it is then."""
    changed = replace(top_up, session_id=session_id, url=url)
    whose = PaymentItem(f"session#{session_id}", PAYMENT, reference=f"{top_up.owner_id} {top_up.id}")
    facts: list[Action] = [PaymentItem.facts.set(_facts(changed)), PaymentItem.reference.set(session_id)]
    first = (PaymentItem.state == TopUpState.OPEN.value) & PaymentItem.reference.does_not_exist()
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(whose)
            transaction.update(PaymentItem(top_up.owner_id, top_up.id), actions=facts, condition=first)
        return changed
    except TransactWriteError as error:
        reasons = [reason.code for reason in error.cancellation_reasons if reason is not None]
        if "ConditionalCheckFailed" not in reasons:
            raise Unavailable("The wallet store") from error
    return get_top_up(top_up.owner_id, top_up.id)


def top_up_of_session(session_id: str) -> TopUp | None:
    """The top-up that is paid on a Checkout session; None for a session that is not ours."""
    with store_trouble_is_ours():
        try:
            whose = PaymentItem.get(f"session#{session_id}", PAYMENT, consistent_read=True).reference or ""
        except DoesNotExist:
            return None
    owner_id, _, top_up_id = whose.partition(" ")
    return get_top_up(owner_id, top_up_id)


@dataclass(frozen=True)
class CardSession:
    """A Checkout session on which an owner saves a card."""

    owner_id: str
    connection_version: int
    account_id: str | None


def keep_card_session(owner_id: str, connection_version: int, account_id: str | None, session_id: str) -> None:
    """Remember whose card a Checkout session saves."""
    facts = asdict(CardSession(owner_id, connection_version, account_id))
    with store_trouble_is_ours():
        PaymentItem(f"session#{session_id}", CARD, facts=facts).save()


def card_session(session_id: str) -> CardSession | None:
    """Whose card a Checkout session saves; None for any other session."""
    with store_trouble_is_ours():
        try:
            return CardSession(**PaymentItem.get(f"session#{session_id}", CARD, consistent_read=True).facts)
        except DoesNotExist:
            return None


def close_unanswered(top_up: TopUp) -> None:
    """Close a top-up whose page nobody was ever told of, unless somebody has been told a moment ago."""
    puts, updates = _closing(replace(top_up, state=TopUpState.EXPIRED))
    puts[0]["ConditionExpression"] += " AND attribute_not_exists(#reference)"
    puts[0]["ExpressionAttributeNames"]["#reference"] = "reference"
    _close(puts, updates)


def release(top_up: TopUp) -> None:
    """Let another top-up be opened beside one whose page is long gone; what became of it is still asked after."""
    item = PaymentItem(top_up.owner_id, PAYING)
    with suppress(UpdateError):  # another top-up has taken its place, or nobody's: either is as it should be
        item.update([PaymentItem.reference.set(NOBODY)], condition=PaymentItem.reference == top_up.id)


def close_without_credit(top_up: TopUp, state: TopUpState) -> None:
    """Close a top-up that brought nothing; the wallet may be paid into again. Closing it twice does no harm."""
    _close(*_closing(replace(top_up, state=state)))


def _close(puts: list[dict[str, Any]], updates: list[dict[str, Any]]) -> None:
    try:
        connection().transact_write_items([], [], puts, updates)
    except TransactWriteError as error:
        if not any(reason is not None for reason in error.cancellation_reasons):
            raise Unavailable("The wallet store") from error


def settle(entry: Entry, top_up: TopUp, payment: Payment) -> Outcome:
    """The entry, the balance, the payment's record and the top-up's end, together. A repeat changes nothing."""
    puts, updates = _closing(replace(top_up, state=TopUpState.SUCCEEDED))
    record = {
        "TableName": PaymentItem.Meta.table_name,
        "Item": to_attributes(
            {
                "pk": payment_key(payment.account_id, payment.payment_intent_id),
                "sk": PAYMENT,
                "facts": json.dumps(asdict(payment)),
                "reversed_micros": 0,
                "reversals": 0,
                "disputed_micros": 0,
            }
        ),
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    return ledger.post_with(entry, [record, *puts], updates, time.monotonic() + SECONDS_TO_TRY)


def _closing(closed: TopUp) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    table = PaymentItem.Meta.table_name
    item = {
        "TableName": table,
        "Item": to_attributes(
            {"pk": closed.owner_id, "sk": closed.id, "state": closed.state.value, "facts": json.dumps(_facts(closed))}
        ),
        "ConditionExpression": "#state = :open",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": to_attributes({":open": TopUpState.OPEN.value}),
    }
    release = {
        "TableName": table,
        "Key": to_attributes({"pk": closed.owner_id, "sk": PAYING}),
        "UpdateExpression": "SET #reference = :nobody",
        "ConditionExpression": "#reference = :mine",
        "ExpressionAttributeNames": {"#reference": "reference"},
        "ExpressionAttributeValues": to_attributes({":nobody": NOBODY, ":mine": closed.id}),
    }
    return [item], [release]


def payment_key(account_id: str | None, payment_intent_id: str) -> str:
    """A PaymentIntent's id means something on its own account only."""
    return f"pi#{account_id or 'platform'}#{payment_intent_id}"


def remember_refused(account_id: str | None, payment_intent_id: str) -> None:
    """Note that a payment was not what we asked for, and that a person has been told."""
    with store_trouble_is_ours():
        PaymentItem(payment_key(account_id, payment_intent_id), REFUSED).save()


def was_refused(account_id: str | None, payment_intent_id: str) -> bool:
    """Whether a person has been told of this payment already."""
    with store_trouble_is_ours():
        return PaymentItem.count(payment_key(account_id, payment_intent_id), PaymentItem.sk == REFUSED) > 0


def find_payment(account_id: str | None, payment_intent_id: str) -> Payment | None:
    """Our own record of a payment; None for a stranger's."""
    with store_trouble_is_ours():
        try:
            item = PaymentItem.get(payment_key(account_id, payment_intent_id), PAYMENT, consistent_read=True)
        except DoesNotExist:
            return None
    seen = {name: int(getattr(item, name) or 0) for name in ("reversed_micros", "reversals", "disputed_micros")}
    return Payment(**{**item.facts, **seen})


def reverse(entry: Entry, payment: Payment, target_micros: int, disputed_micros: int) -> Outcome:
    """Move the wallet by what has newly gone back, if nobody else has seen to it since `payment` was read."""
    update = {
        "TableName": PaymentItem.Meta.table_name,
        "Key": to_attributes({"pk": payment_key(payment.account_id, payment.payment_intent_id), "sk": PAYMENT}),
        "UpdateExpression": "SET reversed_micros = :target, disputed_micros = :disputed, reversals = :next",
        "ConditionExpression": "reversals = :seen",
        "ExpressionAttributeValues": to_attributes(
            {
                ":target": target_micros,
                ":disputed": disputed_micros,
                ":next": payment.reversals + 1,
                ":seen": payment.reversals,
            }
        ),
    }
    return ledger.post_with(entry, [], [update], time.monotonic() + SECONDS_TO_TRY)


def hold_refills(owner_id: str, payment_intent_id: str, held: bool) -> None:
    """A disputed payment holds automatic refills until it is won, or a person lifts it; each payment for itself."""
    with store_trouble_is_ours():
        PaymentItem(owner_id, f"{HOLD}#{payment_intent_id}", held=held).save()


def refills_are_held(owner_id: str) -> bool:
    """Whether any dispute holds this wallet's refills."""
    with store_trouble_is_ours():
        found = PaymentItem.query(owner_id, PaymentItem.sk.startswith(f"{HOLD}#"), consistent_read=True)
        return any(item.held for item in found)


def customer_of(owner_id: str, connection_version: int) -> str | None:
    """The Stripe customer of an owner under one connection."""
    with store_trouble_is_ours():
        try:
            return PaymentItem.get(owner_id, f"customer#{connection_version:06d}", consistent_read=True).reference
        except DoesNotExist:
            return None


def keep_customer(owner_id: str, connection_version: int, customer_id: str) -> str:
    """Remember an owner's Stripe customer under one connection: never shared, never carried over. The first counts."""
    item = PaymentItem(owner_id, f"customer#{connection_version:06d}", reference=customer_id)
    try:
        item.save(condition=PaymentItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return customer_of(owner_id, connection_version) or customer_id
    with store_trouble_is_ours():
        _remember_holder(customer_id, owner_id, connection_version)
    return customer_id


def card_of(owner_id: str, connection_version: int) -> Card | None:
    """The saved card of an owner under one connection."""
    with store_trouble_is_ours():
        try:
            facts = PaymentItem.get(owner_id, f"card#{connection_version:06d}", consistent_read=True).facts
        except DoesNotExist:
            return None
    return Card(**facts) if facts else None


def keep_card(owner_id: str, connection_version: int, card: Card | None) -> None:
    """Remember a saved card, or that there is none any more."""
    facts = asdict(card) if card else None
    with store_trouble_is_ours():
        PaymentItem(owner_id, f"card#{connection_version:06d}", facts=facts).save()
        if card is not None:
            _remember_holder(card.payment_method_id, owner_id, connection_version)


def _remember_holder(stripe_id: str, owner_id: str, connection_version: int) -> None:
    facts = {"owner_id": owner_id, "connection_version": connection_version}
    PaymentItem(f"holder#{stripe_id}", HOLDER, facts=facts).save()


def holder_of(stripe_id: str) -> tuple[str, int] | None:
    """Whose customer or card this is, and under which connection; None for a stranger's."""
    with store_trouble_is_ours():
        try:
            facts = PaymentItem.get(f"holder#{stripe_id}", HOLDER, consistent_read=True).facts
        except DoesNotExist:
            return None
    return facts["owner_id"], facts["connection_version"]


def _item(top_up: TopUp) -> PaymentItem:
    return PaymentItem(
        top_up.owner_id,
        top_up.id,
        state=top_up.state.value,
        facts=_facts(top_up),
        open_shard=OPEN_SHARD,
        opened_at_ms=top_up.created_at_ms,
    )


def _facts(top_up: TopUp) -> dict[str, Any]:
    return {**asdict(top_up), "state": top_up.state.value}


def _from_item(item: PaymentItem) -> TopUp:
    facts: dict[str, Any] = dict(item.facts)
    return TopUp(**{**facts, "state": TopUpState(item.state)})
