"""Notices, their deliveries and the endpoints that they go to."""

import json
import random
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.notices import EMAIL, Delivery, EndpointState, Notice, NoticeType, WebhookEndpoint
from chalicelib.storage.entries import Values, to_attributes
from chalicelib.storage.tables import ActivityItem, connection, store_trouble_is_ours

ENDPOINTS = "webhook_endpoints"
MOST_ENDPOINTS = 5
NOTICE_SECONDS, DELIVERY_SECONDS = 400 * 86_400, 8 * 86_400  # how long they are kept
WRITE_ATTEMPTS = 6
LONGEST_PAUSE_SECONDS = 0.2

Actions = Sequence[dict[str, Any]]


class Kept(StrEnum):
    """What became of a notice."""

    KEPT = "kept"
    REPEAT = "repeat"  # its key was told before
    OVERTAKEN = "overtaken"  # what was to happen together with it has changed meanwhile: look again


def keep(notice: Notice, deliveries: Sequence[Delivery] = (), updates: Actions = ()) -> Kept:
    """Write a notice, what is to be sent of it, and what belongs to it, together, once for its key.

    `updates` are DynamoDB's own request parts.

    Raises:
        Unavailable: it may or may not be there; telling it again does no harm.
    """
    told = {"pk": notice.owner_id, "expires_at": notice.occurred_at_ms // 1000 + NOTICE_SECONDS}
    key = {**_put({**told, "sk": f"key#{notice.key}"}), "ConditionExpression": "attribute_not_exists(pk)"}
    item = {
        **told,
        "sk": notice.id,
        "type": notice.type.value,
        "notice_key": notice.key,
        "workspace_id": notice.workspace_id,
        "occurred_at_ms": notice.occurred_at_ms,
        "data": json.dumps(dict(notice.data)),
    }
    puts = [key, _put(item), *(_put(_delivery_values(each)) for each in deliveries)]
    for _ in range(WRITE_ATTEMPTS):
        try:
            connection().transact_write_items([], [], puts, updates)
            return Kept.KEPT
        except TransactWriteError as error:
            failed = [bool(reason and reason.code == "ConditionalCheckFailed") for reason in error.cancellation_reasons]
            if any(failed):
                return Kept.REPEAT if failed[0] else Kept.OVERTAKEN
            if not failed:
                raise Unavailable("The wallet store") from error
        # Somebody else was at the same wallet at this very moment.
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))  # noqa: S311 - rivals must not meet again, nothing more
    raise Unavailable("The wallet store")


def list_notices(owner_id: str, limit: int, after: str | None = None) -> tuple[list[Notice], bool]:
    """Up to `limit` notices of an owner, newest first, older than the id `after`; and whether there are more."""
    start = to_attributes({"pk": owner_id, "sk": after}) if after else None
    with store_trouble_is_ours():
        found = ActivityItem.query(
            owner_id,
            ActivityItem.sk.startswith("evt_"),
            scan_index_forward=False,
            limit=limit + 1,
            last_evaluated_key=start,
        )
        rows = [_notice_from_item(item) for item in found]
    return rows[:limit], len(rows) > limit


def due_deliveries(shard: str, now_ms: int, limit: int) -> list[Delivery]:
    """Up to `limit` deliveries that are due, the longest due first; without their bodies."""
    with store_trouble_is_ours():
        found = ActivityItem.due_deliveries.query(shard, ActivityItem.due_at_ms <= now_ms, limit=limit)
        return [_delivery_from_item(item) for item in found]


def claim_delivery(due: Delivery, next_at_ms: int) -> Delivery | None:
    """Put a delivery off to its next try before it is tried now; None if another has taken it.

    Nothing more needs to be written if this try fails, or if we break down in it.
    """
    item = ActivityItem(due.endpoint_id, due.notice_id)
    same = (ActivityItem.due_at_ms == due.due_at_ms) & (ActivityItem.due_shard == due.shard)
    if not _update(item, [ActivityItem.due_at_ms.set(next_at_ms)], same):
        return None
    return _delivery_from_item(item)


def end_delivery(delivery: Delivery, state: str) -> None:
    """Nothing more is sent: it is `delivered`, or `given_up`."""
    actions = [ActivityItem.state.set(state), ActivityItem.due_shard.remove(), ActivityItem.due_at_ms.remove()]
    item = ActivityItem(delivery.endpoint_id, delivery.notice_id)
    _update(item, actions, ActivityItem.due_shard == delivery.shard)


def email_is_known(email_id: str) -> bool:
    """Whether an e-mail with this id was queued before."""
    with store_trouble_is_ours():
        return ActivityItem.count(EMAIL, ActivityItem.sk == email_id, consistent_read=True) > 0


def webhook_endpoints() -> list[WebhookEndpoint]:
    """Every endpoint that was not deleted, the oldest first."""
    found = [endpoint for endpoint in _all_endpoints() if endpoint.state is not EndpointState.DELETED]
    return sorted(found, key=lambda each: (each.created_at_ms, each.id))


def get_webhook_endpoint(endpoint_id: str) -> WebhookEndpoint:
    """Read an endpoint; a deleted one may still be known for a while.

    Raises:
        NotFound: there is none with this id.
    """
    for endpoint in _all_endpoints():
        if endpoint.id == endpoint_id:
            return endpoint
    raise NotFound("not_found", "There is no such webhook endpoint.")


def _all_endpoints() -> list[WebhookEndpoint]:
    with store_trouble_is_ours():
        return [_endpoint_from_item(item) for item in ActivityItem.query(ENDPOINTS, consistent_read=True)]


def free_slots() -> list[int]:
    """The places at which another endpoint may stand."""
    taken = {endpoint.slot for endpoint in webhook_endpoints()}
    return [slot for slot in range(1, MOST_ENDPOINTS + 1) if slot not in taken]


def add_webhook_endpoint(endpoint: WebhookEndpoint) -> bool:
    """Keep a new endpoint at its slot; False if another has taken that."""
    item = ActivityItem(
        ENDPOINTS,
        _slot(endpoint),
        endpoint_id=endpoint.id,
        url=endpoint.url,
        secret=endpoint.secret,
        types=[each.value for each in endpoint.types],
        state=endpoint.state.value,
        created_at_ms=endpoint.created_at_ms,
        enabled_at_ms=endpoint.enabled_at_ms,
    )
    free: Condition = ActivityItem.pk.does_not_exist() | (ActivityItem.state == EndpointState.DELETED.value)
    try:
        item.save(condition=free)
        return True
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return False


def enable_webhook_endpoint(endpoint: WebhookEndpoint, now_ms: int) -> None:
    """Send to an endpoint again that was switched off; to one that is on, it changes nothing."""
    actions = [
        ActivityItem.state.set(EndpointState.ENABLED.value),
        ActivityItem.enabled_at_ms.set(now_ms),
        ActivityItem.reason.remove(),
        ActivityItem.disabled_at_ms.remove(),
    ]
    off = _is_still(endpoint) & (ActivityItem.state == EndpointState.DISABLED.value)
    _update(ActivityItem(ENDPOINTS, _slot(endpoint)), actions, off)


def delete_webhook_endpoint(endpoint: WebhookEndpoint) -> None:
    """Forget an endpoint's secret; nothing is sent there any more. Its slot is free for another."""
    actions = [ActivityItem.state.set(EndpointState.DELETED.value), ActivityItem.secret.remove()]
    _update(ActivityItem(ENDPOINTS, _slot(endpoint)), actions, _is_still(endpoint))


def note_success(endpoint: WebhookEndpoint, now_ms: int) -> None:
    """Remember that an endpoint has received something."""
    item = ActivityItem(ENDPOINTS, _slot(endpoint))
    _update(item, [ActivityItem.last_success_at_ms.set(now_ms)], _is_still(endpoint))


def disabling(endpoint: WebhookEndpoint, reason: str, now_ms: int, failing_since_ms: int | None) -> dict[str, Any]:
    """The part of a transaction that switches an endpoint off, as DynamoDB takes it.

    Its condition fails where it was switched off or on meanwhile, or has received something since `failing_since_ms`
    (None: whatever it has received).
    """
    condition = "endpoint_id = :id AND #state = :enabled AND enabled_at_ms = :enabled_at"
    values: Values = {
        ":disabled": EndpointState.DISABLED.value,
        ":enabled": EndpointState.ENABLED.value,
        ":reason": reason,
        ":now": now_ms,
        ":id": endpoint.id,
        ":enabled_at": endpoint.enabled_at_ms,
    }
    if failing_since_ms is not None:
        condition += " AND (attribute_not_exists(last_success_at_ms) OR last_success_at_ms < :since)"
        values[":since"] = failing_since_ms
    return {
        "TableName": ActivityItem.Meta.table_name,
        "Key": to_attributes({"pk": ENDPOINTS, "sk": _slot(endpoint)}),
        "UpdateExpression": "SET #state = :disabled, #reason = :reason, disabled_at_ms = :now",
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#state": "state", "#reason": "reason"},
        "ExpressionAttributeValues": to_attributes(values),
    }


def _is_still(endpoint: WebhookEndpoint) -> Condition:
    """Its slot may hold another by now."""
    same: Condition = ActivityItem.endpoint_id == endpoint.id
    return same


def _slot(endpoint: WebhookEndpoint) -> str:
    return f"slot#{endpoint.slot}"


def _update(item: ActivityItem, actions: Any, condition: Condition) -> bool:
    try:
        item.update(actions, condition=condition)
        return True
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return False


def _put(values: Values) -> dict[str, Any]:
    return {"TableName": ActivityItem.Meta.table_name, "Item": to_attributes(values)}


def _delivery_values(delivery: Delivery) -> Values:
    return {
        "pk": delivery.endpoint_id,
        "sk": delivery.notice_id,
        "due_shard": delivery.shard,
        "due_at_ms": delivery.due_at_ms,
        "queued_at_ms": delivery.queued_at_ms,
        "body": delivery.body,
        "recipient": delivery.recipient,
        "expires_at": delivery.queued_at_ms // 1000 + DELIVERY_SECONDS,
    }


def _delivery_from_item(item: ActivityItem) -> Delivery:
    return Delivery(
        endpoint_id=item.pk,
        notice_id=item.sk,
        shard=item.due_shard or "",
        queued_at_ms=int(item.queued_at_ms or 0),
        due_at_ms=int(item.due_at_ms or 0),
        body=item.body or "",
        recipient=item.recipient,
    )


def _notice_from_item(item: ActivityItem) -> Notice:
    return Notice(
        type=NoticeType(item.type),
        owner_id=item.pk,
        workspace_id=item.workspace_id,
        occurred_at_ms=int(item.occurred_at_ms or 0),
        key=item.notice_key or "",
        data=item.data or {},
    )


def _endpoint_from_item(item: ActivityItem) -> WebhookEndpoint:
    last = item.last_success_at_ms
    return WebhookEndpoint(
        id=item.endpoint_id or "",
        slot=int(item.sk.removeprefix("slot#")),
        url=item.url or "",
        secret=item.secret or "",
        types=tuple(NoticeType(each) for each in item.types or ()),
        state=EndpointState(item.state),
        created_at_ms=int(item.created_at_ms or 0),
        enabled_at_ms=int(item.enabled_at_ms or 0),
        disabled_at_ms=None if item.disabled_at_ms is None else int(item.disabled_at_ms),
        reason=item.reason,
        last_success_at_ms=None if last is None else int(last),
    )
