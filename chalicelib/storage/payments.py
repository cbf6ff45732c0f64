"""Payments for our wallets: where money that came, or went back, meets the ledger; and what holds refills."""

import json
import time
from dataclasses import asdict, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.payments import Payment, TopUp, TopUpState
from chalicelib.domain.wallet import Entry
from chalicelib.storage import ledger, top_ups
from chalicelib.storage.entries import to_attributes
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.tables import PaymentItem, store_trouble_is_ours

PAYMENT, HOLD, REFUSED = "payment", "refill_hold", "refused"
SECONDS_TO_TRY = 8.0


def settle(entry: Entry, top_up: TopUp, payment: Payment) -> Outcome:
    """The entry, the balance, the payment's record and the top-up's end, together. A repeat changes nothing."""
    puts, updates = top_ups.closing(replace(top_up, state=TopUpState.SUCCEEDED))
    return ledger.post_with(entry, [payment_put(payment), *puts], updates, time.monotonic() + SECONDS_TO_TRY)


def payment_put(payment: Payment) -> dict[str, Any]:
    """The part of a transaction that keeps the record of a payment: nothing of it has gone back yet."""
    values = {
        "pk": payment_key(payment.account_id, payment.payment_intent_id),
        "sk": PAYMENT,
        "facts": json.dumps(asdict(payment)),
        "reversed_micros": 0,
        "reversals": 0,
        "disputed_micros": 0,
    }
    table = PaymentItem.Meta.table_name
    return {"TableName": table, "Item": to_attributes(values), "ConditionExpression": "attribute_not_exists(pk)"}


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


def hold_refills(owner_id: str, payment_intent_id: str, disputed: bool, withdrawn_micros: int = 0) -> None:
    """A disputed payment holds automatic refills until it is won, or a person lifts that; each payment for itself.

    `withdrawn_micros` is what disputes have taken of it so far. What was lifted stays so as long as they take no more.
    """
    item = PaymentItem(owner_id, f"{HOLD}#{payment_intent_id}")
    if not disputed:
        with store_trouble_is_ours():
            item.delete()
        return
    news = PaymentItem.pk.does_not_exist() | (PaymentItem.disputed_micros < withdrawn_micros)
    actions: list[Action] = [PaymentItem.held.set(True), PaymentItem.disputed_micros.set(withdrawn_micros)]
    _update_if(item, actions, news)


def lift_holds(owner_id: str) -> bool:
    """Let refills go on that disputes hold, until there is more to dispute; False if nothing held them."""
    held = [item for item in _holds(owner_id) if item.held]
    for item in held:
        _update_if(item, [PaymentItem.held.set(False)], PaymentItem.disputed_micros == item.disputed_micros)
    return bool(held)


def refills_are_held(owner_id: str) -> bool:
    """Whether any dispute holds this wallet's refills."""
    return any(item.held for item in _holds(owner_id))


def _holds(owner_id: str) -> list[PaymentItem]:
    with store_trouble_is_ours():
        return list(PaymentItem.query(owner_id, PaymentItem.sk.startswith(f"{HOLD}#"), consistent_read=True))


def _update_if(item: PaymentItem, actions: list[Action], condition: Condition) -> None:
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
