"""Top-ups: balance that a person buys. One stays open until its end is known; only then may its owner buy again."""

import json
import re
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.errors import Conflict, Invalid, NotFound, Unavailable
from chalicelib.domain.payments import PLATFORM, TopUp, TopUpState
from chalicelib.storage.entries import to_attributes
from chalicelib.storage.tables import PaymentItem, connection, store_trouble_is_ours

OPEN_SHARD, OUT_OF_REACH_SHARD = "open", "out_of_reach"
_OWNER_ID, _TOP_UP_ID = re.compile(r"(ws|sa)_[a-z0-9_]{1,60}"), re.compile(r"top_[0-9A-HJKMNP-TV-Z]{26}")
PAYING, PAYMENT = "paying", "payment"
NOBODY = "-"


def open_top_up(top_up: TopUp, fingerprint: str) -> TopUp:
    """Keep a new top-up, unless its owner has one whose end is not known yet, or the very same was asked for before.

    Answers the top-up that stands under the idempotency key.

    Raises:
        Conflict: another top-up is still open. Unavailable: ask again with the key.
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
        raise Invalid("Idempotency-Key", "This Idempotency-Key was used for another top-up.", "idempotency_key_reused")
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
    paying = _paying(owner_id)
    return None if paying is None else get_top_up(owner_id, paying)


def _paying(owner_id: str) -> str | None:
    with store_trouble_is_ours():
        try:
            paying = PaymentItem.get(owner_id, PAYING, consistent_read=True).reference
        except DoesNotExist:
            return None
    return None if paying == NOBODY else paying


def open_top_ups(limit: int) -> list[TopUp]:
    """Top-ups whose end is not known yet and may be asked after, the oldest first."""
    with store_trouble_is_ours():
        keys = [(item.pk, item.sk) for item in PaymentItem.open_payments.query(OPEN_SHARD, limit=limit)]
    return [get_top_up(owner_id, top_up_id) for owner_id, top_up_id in keys]


def put_aside(top_up: TopUp) -> bool:
    """Take a top-up whose account is out of reach from those that are asked after; False if it is not among them."""
    return _move(top_up.owner_id, top_up.id, OPEN_SHARD, _out_of_reach(top_up.account_id))


def ask_after_again(account_id: str) -> None:
    """Put the top-ups of an account that has let us in again back among those that are asked after."""
    shard = _out_of_reach(account_id)
    with store_trouble_is_ours():
        keys = [(item.pk, item.sk) for item in PaymentItem.open_payments.query(shard)]
    for owner_id, top_up_id in keys:
        _move(owner_id, top_up_id, shard, OPEN_SHARD)


def _out_of_reach(account_id: str | None) -> str:
    return f"{OUT_OF_REACH_SHARD}#{account_id or PLATFORM}"


def _move(owner_id: str, top_up_id: str, shard: str, other_shard: str) -> bool:
    """A transaction, though of one write: the SDK's own repeat after a lost answer is then the same, and succeeds."""
    there = (PaymentItem.state == TopUpState.OPEN.value) & (PaymentItem.open_shard == shard)
    actions: list[Action] = [PaymentItem.open_shard.set(other_shard)]
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.update(PaymentItem(owner_id, top_up_id), actions=actions, condition=there)
        return True
    except TransactWriteError as error:
        if not any(reason and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons):
            raise Unavailable("The wallet store") from error
        return False


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


def close_unanswered(top_up: TopUp) -> None:
    """Close a top-up whose page nobody was ever told of, unless somebody has been told a moment ago."""
    puts, updates = closing(replace(top_up, state=TopUpState.EXPIRED))
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
    _close(*closing(replace(top_up, state=state)))


def _close(puts: list[dict[str, Any]], updates: list[dict[str, Any]]) -> None:
    try:
        connection().transact_write_items([], [], puts, updates)
    except TransactWriteError as error:
        if not any(reason is not None for reason in error.cancellation_reasons):
            raise Unavailable("The wallet store") from error


def closing(closed: TopUp) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The puts and updates that close a top-up if it is open, and let its owner open another."""
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
    if _paying(closed.owner_id) != closed.id:  # it was let go of, and another may have taken its place
        return [item], []
    release = {
        "TableName": table,
        "Key": to_attributes({"pk": closed.owner_id, "sk": PAYING}),
        "UpdateExpression": "SET #reference = :nobody",
        "ConditionExpression": "#reference = :mine",
        "ExpressionAttributeNames": {"#reference": "reference"},
        "ExpressionAttributeValues": to_attributes({":nobody": NOBODY, ":mine": closed.id}),
    }
    return [item], [release]


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
