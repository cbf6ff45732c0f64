"""Telling: a notice for the pages, and one delivery of it for each of the platform's endpoints that hears of its type.

Call `tell` after the money has moved, never before: what it cannot write is told by telling it again with the same key.
"""

import base64
import json
import secrets
from collections.abc import Sequence
from typing import Any

from ulid import ULID

from chalicelib.clock import now_ms, rfc3339, utc_day
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.money import shorten
from chalicelib.domain.notices import (
    EMAIL,
    MAILED,
    Delivery,
    EndpointState,
    Notice,
    NoticeType,
    WebhookEndpoint,
)
from chalicelib.gateways import outgoing
from chalicelib.settings import settings
from chalicelib.storage import accounts, activity
from chalicelib.storage.activity import Kept

SECRET_BYTES = 32


def tell(notice: Notice) -> None:
    """Keep a notice, and queue what is to be sent of it. Telling the same key again changes nothing.

    Raises:
        Unavailable: tell it again.
    """
    tell_with(notice, ())


def tell_with(notice: Notice, updates: Sequence[dict[str, Any]]) -> Kept:
    """Tell a notice in the same transaction as other writes: all of it happens, or nothing.

    `updates` are DynamoDB's own request parts. Answers `OVERTAKEN` where a condition of theirs fails.

    Raises:
        Unavailable: it may or may not have happened.
    """
    now = now_ms()
    body = _body(notice)
    deliveries = [
        Delivery(endpoint.id, notice.id, endpoint.shard, now, now, body)
        for endpoint in activity.webhook_endpoints()
        if endpoint.hears(notice.type)
    ]
    return activity.keep(notice, [*deliveries, *_emails(notice, now)], updates)


def _body(notice: Notice) -> str:
    about = {"id": notice.id, "owner": notice.owner_id, "workspace": notice.workspace_id}
    body = {"type": notice.type, "timestamp": rfc3339(notice.occurred_at_ms), "data": {**notice.data, **about}}
    return json.dumps(body, separators=(",", ":"))


def _emails(notice: Notice, now: int) -> list[Delivery]:
    """The e-mail to a workspace's owner, if we send any: one a day about one thing, however often it happens."""
    if not settings().email_from or notice.type not in MAILED or notice.owner_id != notice.workspace_id:
        return []
    email_id = f"{notice.owner_id}#{notice.type}#{notice.data.get('level', '')}#{utc_day(notice.occurred_at_ms)}"
    if activity.email_is_known(email_id):
        return []
    try:
        recipient = accounts.get_workspace(notice.owner_id).owner_email
    except NotFound:  # nobody to write to is no reason not to tell
        return []
    return [Delivery(EMAIL, email_id, EMAIL, now, now, _email_body(notice), recipient)]


def _email_body(notice: Notice) -> str:
    subject, sentence = MAILED[notice.type]
    balance, currency = (str(notice.data.get(name, "")) for name in ("balance", "currency"))
    sentence = sentence.format(balance=shorten(balance), currency=currency.upper())
    return json.dumps({"subject": subject, "text": f"{sentence}\n\n{settings().base_url}".rstrip() + "\n"})


def add_endpoint(url: str, types: Sequence[NoticeType]) -> WebhookEndpoint:
    """Send notices of these types (none: of all) to an address of the platform's, from now on.

    Raises:
        Invalid: `url` cannot be sent to. Conflict: there are as many endpoints as there may be.
    """
    outgoing.check_url(url)
    now = now_ms()
    for slot in activity.free_slots():
        endpoint = WebhookEndpoint(
            id=f"whk_{ULID()}",
            slot=slot,
            url=url,
            secret=f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}",
            types=tuple(dict.fromkeys(types)),
            state=EndpointState.ENABLED,
            created_at_ms=now,
            enabled_at_ms=now,
        )
        if activity.add_webhook_endpoint(endpoint):
            return endpoint
    detail = f"There may be at most {activity.MOST_ENDPOINTS} webhook endpoints. Delete one that is not used any more."
    raise Conflict("too_many_webhook_endpoints", detail)


def enable_endpoint(endpoint_id: str) -> WebhookEndpoint:
    """Send to an endpoint again that was switched off: of what happens from now on.

    Raises:
        NotFound: there is none with this id.
    """
    endpoint = activity.get_webhook_endpoint(endpoint_id)
    if endpoint.state is EndpointState.DELETED:
        raise NotFound("not_found", "There is no such webhook endpoint.")
    activity.enable_webhook_endpoint(endpoint, now_ms())
    return activity.get_webhook_endpoint(endpoint_id)


def delete_endpoint(endpoint_id: str) -> WebhookEndpoint:
    """Send nothing there any more, not even what waits. Deleting it twice does no harm.

    Raises:
        NotFound: there is none with this id.
    """
    activity.delete_webhook_endpoint(activity.get_webhook_endpoint(endpoint_id))
    return activity.get_webhook_endpoint(endpoint_id)
