"""What was told is sent: signed webhooks to the platform, e-mails to people, each again and again within a day."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.clock import now_ms
from chalicelib.domain.errors import RebillError, Unavailable
from chalicelib.domain.notices import (
    EMAIL,
    MINUTE_MS,
    PLATFORM_OWNER,
    Delivery,
    EndpointState,
    Notice,
    NoticeType,
    WebhookEndpoint,
    next_try_ms,
)
from chalicelib.flows.tell import tell_with
from chalicelib.gateways import outgoing
from chalicelib.gateways.email import send_email
from chalicelib.settings import settings
from chalicelib.storage import activity
from chalicelib.storage.activity import Kept
from chalicelib.telemetry import alarm, bug, logger

MOST_DELIVERIES = 50  # to one endpoint in one go
MOST_FAILURES = 3  # after these an endpoint waits for the next minute
MOST_SECONDS = 20.0  # after this no try is begun; one takes eight seconds at the most
DELIVERED, GIVEN_UP = "delivered", "given_up"
LEASE_MS = MINUTE_MS  # when the last try is made again, if nobody lives to tell how it went

Send = Callable[[Delivery], str | None]  # answers why it failed, None if it was received


def deliver_due(now: int) -> None:
    """Try what is due at this moment, the longest due first. Endpoints are served side by side: none waits for another.

    At least once: a receiver tells repeats by the notice's id. Two of these at once do not send the same twice, unless
    one of them breaks down.

    Raises:
        Unavailable: the store did not answer; what is due stays due.
    """
    give_up_at = time.monotonic() + MOST_SECONDS
    endpoints = [each for each in activity.webhook_endpoints() if each.state is EndpointState.ENABLED]
    with ThreadPoolExecutor(len(endpoints) + 1) as side_by_side:
        for endpoint in endpoints:
            side_by_side.submit(_safely, _deliver_webhooks, endpoint, now, give_up_at)
        if settings().email_from:
            side_by_side.submit(_safely, _deliver_emails, now, give_up_at)


def _safely(work: Callable[..., None], *given: object) -> None:
    try:
        work(*given)
    except RebillError as trouble:
        logger.warning("notices_not_delivered", extra={"detail": trouble.detail})
    except Exception as error:  # noqa: BLE001 - nobody asks this thread what became of it
        bug("notices_not_delivered", error)


def _deliver_webhooks(endpoint: WebhookEndpoint, now: int, give_up_at: float) -> None:
    received = False

    def post(delivery: Delivery) -> str | None:
        nonlocal received
        reply = outgoing.send(endpoint.url, endpoint.secret, delivery.notice_id, delivery.body, now_ms())
        if reply.received and not received:
            received = True
            activity.note_success(endpoint, now)  # once in one go is enough
        return None if reply.received else reply.reason

    for failed in _failures(endpoint.shard, now, give_up_at, post):
        if failed.reason == outgoing.GONE:
            activity.end_delivery(failed.delivery, GIVEN_UP)
            _disable(endpoint, failed.reason, now, None)
            return
        if failed.was_the_last:
            if _disable(endpoint, failed.reason, now, failed.delivery.queued_at_ms):
                return
            alarm("webhook_given_up", endpoint_id=endpoint.id, notice_id=failed.delivery.notice_id)


def _disable(endpoint: WebhookEndpoint, reason: str, now: int, failing_since_ms: int | None) -> bool:
    """Switch an endpoint off and say so; False if it has received something since, or somebody else was at it."""
    notice = Notice(
        type=NoticeType.WEBHOOK_ENDPOINT_DISABLED,
        owner_id=PLATFORM_OWNER,
        workspace_id=None,
        occurred_at_ms=now,
        key=f"{endpoint.id}:{endpoint.enabled_at_ms}:disabled",
        data={"endpoint": endpoint.id, "reason": reason},
    )
    if tell_with(notice, [activity.disabling(endpoint, reason, now, failing_since_ms)]) is not Kept.KEPT:
        return False
    alarm("webhook_endpoint_disabled", endpoint_id=endpoint.id, reason=reason)
    return True


def _deliver_emails(now: int, give_up_at: float) -> None:
    def mail(delivery: Delivery) -> str | None:
        message = json.loads(delivery.body)
        try:
            send_email(delivery.recipient or "", message["subject"], message["text"])
        except Unavailable as refused:
            return type(refused.__cause__).__name__
        return None

    for failed in _failures(EMAIL, now, give_up_at, mail):
        if failed.was_the_last:
            alarm("email_given_up", email_id=failed.delivery.notice_id, reason=failed.reason)


@dataclass(frozen=True)
class _Failed:
    """One try that was not received; `was_the_last` where it is not tried again."""

    delivery: Delivery
    reason: str
    was_the_last: bool


def _failures(shard: str, now: int, give_up_at: float, send: Send) -> Iterator[_Failed]:
    """Try one shard's deliveries; yields those that failed. Stops where it is asked no further."""
    failures = 0
    for due in activity.due_deliveries(shard, now, MOST_DELIVERIES):
        if failures == MOST_FAILURES or time.monotonic() > give_up_at:
            return
        next_at_ms = next_try_ms(due.queued_at_ms, now)
        delivery = activity.claim_delivery(due, next_at_ms or now + LEASE_MS)
        if delivery is None:
            continue  # somebody else has it
        reason = send(delivery)
        if reason is None:
            activity.end_delivery(delivery, DELIVERED)
            continue
        failures += 1
        logger.warning("notice_not_received", extra={"shard": shard, "notice_id": due.notice_id, "reason": reason})
        if next_at_ms is None:
            activity.end_delivery(delivery, GIVEN_UP)
        yield _Failed(delivery, reason, next_at_ms is None)
