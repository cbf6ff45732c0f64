"""Refills and how they stand: every step is one transaction, and whoever comes second changes nothing.

A wallet is in the index of due refills while its rule is on and nothing keeps it from being refilled. Opening a refill
takes it out, as does whatever stops refills; the standing's `wake_at_ms` brings it back, so that no crash between two
steps can leave a wallet behind.
"""

import json
import time
from dataclasses import asdict, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactWriteError

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.payments import Payment
from chalicelib.domain.refill import OPEN_STEPS, Refill, RefillMode, RefillRule, RefillStep
from chalicelib.domain.standing import Cause, Spent, Standing, Stop
from chalicelib.domain.wallet import Entry
from chalicelib.storage import ledger
from chalicelib.storage.entries import to_attributes
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.payments import payment_key, payment_put
from chalicelib.storage.tables import PaymentItem, connection, store_trouble_is_ours
from chalicelib.storage.wallets import get_wallet, resting, unwatched, watched

OPEN_SHARD, ASLEEP_SHARD, PARKED_SHARD = "refill", "asleep", "refill_out_of_reach"
STANDING, REFILL = "standing", "refill"
SECONDS_TO_TRY = 8.0

Request = dict[str, Any]  # one action of a transaction, as DynamoDB takes it


def get_standing(owner_id: str) -> Standing:
    """A wallet's refill rule and how it has fared; one that has never been set is off."""
    with store_trouble_is_ours():
        try:
            return standing_from_item(PaymentItem.get(owner_id, STANDING, consistent_read=True))
        except DoesNotExist:
            return Standing(owner_id)


def save_rule(before: Standing, after: Standing) -> bool:
    """Keep a rule, and watch the wallet at its threshold or not at all; False if another change has won."""
    threshold_micros = get_wallet(before.owner_id).refill_threshold_micros
    updates: list[Request] = []
    if after.rule.enabled:
        updates = [watched(before.owner_id, threshold_micros, after.rule.threshold_micros)]
    elif threshold_micros is not None:
        updates = [unwatched(before.owner_id, threshold_micros)]
    return _write([_standing_put(before, after)], updates)


def open_refill(refill: Refill, before: Standing, after: Standing) -> bool:
    """Open a refill for a wallet that is due; False if it is not, or if another one was opened meanwhile."""
    created = _refill_put(refill, "attribute_not_exists(pk)", {})
    return _write([created, _standing_put(before, after)], [resting(refill.owner_id, only_if_due=True)])


def rest(before: Standing, after: Standing) -> bool:
    """Let a wallet rest, until `wake_at_ms` if it says so; False if another change has won."""
    return _write([_standing_put(before, after)], [resting(before.owner_id)])


def watch_again(before: Standing, after: Standing) -> bool:
    """Put a wallet back among those that are looked at; False if another change has won."""
    threshold_micros = get_wallet(before.owner_id).refill_threshold_micros
    updates = [watched(before.owner_id, threshold_micros, after.rule.threshold_micros)] if after.rule.enabled else []
    return _write([_standing_put(before, after)], updates)


def asleep_until(now_ms: int, limit: int) -> list[str]:
    """Owners of wallets whose rest is over, the longest over first."""
    with store_trouble_is_ours():
        over = PaymentItem.open_payments.query(ASLEEP_SHARD, PaymentItem.opened_at_ms <= now_ms, limit=limit)
        return [item.pk for item in over]


def get_refill(owner_id: str, refill_id: str) -> Refill:
    """Read a refill.

    Raises:
        NotFound: its owner has none with this id.
    """
    with store_trouble_is_ours():
        try:
            return _refill(PaymentItem.get(owner_id, refill_id, consistent_read=True))
        except DoesNotExist:
            pass
    raise NotFound("not_found", "There is no such refill.")


def open_refills(limit: int) -> list[Refill]:
    """Refills whose end is not known yet, the oldest first."""
    with store_trouble_is_ours():
        keys = [(item.pk, item.sk) for item in PaymentItem.open_payments.query(OPEN_SHARD, limit=limit)]
    return [get_refill(owner_id, refill_id) for owner_id, refill_id in keys]


def refill_of_payment(account_id: str | None, payment_intent_id: str) -> Refill | None:
    """The refill that a payment is for; None for any other payment."""
    with store_trouble_is_ours():
        try:
            key = payment_key(account_id, payment_intent_id)
            whose = PaymentItem.get(key, REFILL, consistent_read=True).reference or ""
        except DoesNotExist:
            return None
    owner_id, _, refill_id = whose.partition(" ")
    return get_refill(owner_id, refill_id)


def advance(refill: Refill, **changes: Any) -> Refill | None:
    """A refill one step on, if it is still where we saw it; None if somebody else has moved it."""
    further = replace(refill, **changes)
    puts = [_refill_put(further, *_unmoved(refill))]
    if further.payment_intent_id is not None and refill.payment_intent_id is None:
        values = {
            "pk": payment_key(refill.account_id, further.payment_intent_id),
            "sk": REFILL,
            "reference": f"{refill.owner_id} {refill.id}",
        }
        puts.append({"TableName": PaymentItem.Meta.table_name, "Item": to_attributes(values)})
    return further if _write(puts, []) else None


def close(refill: Refill, step: RefillStep, before: Standing, after: Standing) -> bool:
    """End a refill that brought nothing; False if it, or the standing, is not as we saw it."""
    closed = _refill_put(replace(refill, step=step), *_unmoved(refill))
    return _write([closed, *_standing_puts(before, after)], _rests(before, after))


def park(refill: Refill, before: Standing, after: Standing) -> bool:
    """Put a refill aside whose account does not let us look; False if it, or the standing, is not as we saw it."""
    parked = _refill_put(refill, *_unmoved(refill), PARKED_SHARD)
    return _write([parked, *_standing_puts(before, after)], _rests(before, after))


def _standing_puts(before: Standing, after: Standing) -> list[Request]:
    return [_standing_put(before, after)] if after != before else []


def _rests(before: Standing, after: Standing) -> list[Request]:
    """A rule that was saved meanwhile has put the wallet back into the index: it rests until its time all the same."""
    return [resting(before.owner_id)] if after != before else []


def unpark(account_id: str) -> None:
    """Ask after the refills of an account again that were put aside: it has let us in again."""
    with store_trouble_is_ours():
        keys = [(item.pk, item.sk) for item in PaymentItem.open_payments.query(PARKED_SHARD)]
    for refill in (get_refill(owner_id, refill_id) for owner_id, refill_id in keys):
        if refill.account_id == account_id:
            _write([_refill_put(refill, *_unmoved(refill))], [])


def settle(entry: Entry, refill: Refill, payment: Payment, before: Standing, after: Standing) -> Outcome:
    """The entry, the balance, the payment's record, the refill's end and the standing, together. A repeat changes
    nothing; `OVERTAKEN` where the standing is not as we saw it."""
    puts = [payment_put(payment), _refill_put(replace(refill, step=RefillStep.SUCCEEDED), *_still_open())]
    if after != before:
        puts.append(_standing_put(before, after))
    return ledger.post_with(entry, puts, [], time.monotonic() + SECONDS_TO_TRY)


def _write(puts: list[Request], updates: list[Request]) -> bool:
    pause_seconds, give_up_at = ledger.FIRST_PAUSE_SECONDS, time.monotonic() + SECONDS_TO_TRY
    while True:
        try:
            connection().transact_write_items([], [], puts, updates)
            return True
        except TransactWriteError as error:
            reasons = {reason.code for reason in error.cancellation_reasons if reason is not None}
            if "ConditionalCheckFailed" in reasons:
                return False
            if not reasons or time.monotonic() + pause_seconds > give_up_at:
                raise Unavailable("The wallet store") from error
        pause_seconds = ledger.pause(pause_seconds)  # a call is being posted to this wallet at the same moment


def _unmoved(refill: Refill) -> tuple[str, dict[str, Any]]:
    return "#state = :seen AND confirms = :confirms", {":seen": refill.step.value, ":confirms": refill.confirms}


def _still_open() -> tuple[str, dict[str, Any]]:
    names = {f":{step.value}": step.value for step in OPEN_STEPS}
    return f"#state IN ({', '.join(names)})", names


def _refill_put(refill: Refill, condition: str, values: dict[str, Any], shard: str = OPEN_SHARD) -> Request:
    item: dict[str, Any] = {
        "pk": refill.owner_id,
        "sk": refill.id,
        "state": refill.step.value,
        "confirms": refill.confirms,
        "facts": json.dumps(asdict(refill)),
    }
    if refill.step in OPEN_STEPS:
        item |= {"open_shard": shard, "opened_at_ms": refill.opened_at_ms}
    put = {"TableName": PaymentItem.Meta.table_name, "Item": to_attributes(item), "ConditionExpression": condition}
    if not values:
        return put
    return {
        **put,
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": to_attributes(values),
    }


def _standing_put(before: Standing, after: Standing) -> Request:
    item: dict[str, Any] = {
        "pk": after.owner_id,
        "sk": STANDING,
        "version": after.version,
        "facts": json.dumps(asdict(after)),
    }
    if after.wake_at_ms is not None:
        item |= {"open_shard": ASLEEP_SHARD, "opened_at_ms": after.wake_at_ms}
    put = {"TableName": PaymentItem.Meta.table_name, "Item": to_attributes(item)}
    if before.version == 0:
        return {**put, "ConditionExpression": "attribute_not_exists(pk)"}
    return {
        **put,
        "ConditionExpression": "#version = :version",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": to_attributes({":version": before.version}),
    }


def standing_from_item(item: PaymentItem) -> Standing:
    """The standing that an item holds."""
    facts = dict(item.facts)
    rule = RefillRule(**{**facts["rule"], "mode": RefillMode(facts["rule"]["mode"])})
    stop = facts["stop"] and Stop(**{**facts["stop"], "cause": Cause(facts["stop"]["cause"])})
    lists = {name: tuple(facts[name]) for name in ("tried", "dead", "opened_ms")}
    return Standing(**{**facts, **lists, "rule": rule, "stop": stop, "spent": Spent(**facts["spent"])})


def _refill(item: PaymentItem) -> Refill:
    return Refill(**{**item.facts, "step": RefillStep(item.facts["step"])})
