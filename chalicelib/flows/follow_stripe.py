"""Stripe's events: verified at the door, put on the queue, followed from there. An event is only a doorbell."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from chalicelib.clock import now_ms
from chalicelib.domain.errors import AccessLost, Malformed, RebillError, Unauthenticated, Unavailable
from chalicelib.domain.payment_facts import Doorbell
from chalicelib.flows.charge_refill import proceed
from chalicelib.flows.connect_stripe import account_changed
from chalicelib.flows.reverse_payment import reverse_payment
from chalicelib.flows.save_card import follow_card, follow_saved
from chalicelib.flows.settle_payment import settle_top_up
from chalicelib.gateways import queue, stripe
from chalicelib.settings import settings, stripe_settings
from chalicelib.storage import connections, payments, refills, top_ups
from chalicelib.telemetry import alarm, bug, logger

MOST_OPEN_TOP_UPS, SWEEP_SECONDS = 100, 20.0
MONEY_WENT_BACK = ("charge.refunded", "refund.", "charge.refund.", "charge.dispute.")


def receive(body: bytes, signature: str, connect: bool) -> None:
    """Accept an event at one of the two doors: the platform's own, or the connected accounts'.

    Raises:
        Unauthenticated: not signed with this door's secret. Malformed: no event. Unavailable: not on the queue.
    """
    known = stripe_settings()
    secret = known.connect_webhook_secret if connect else known.webhook_secret
    try:
        bell = stripe.read_event(body, signature, secret, now_ms())
    except Unauthenticated:
        logger.warning("signature_invalid", extra={"endpoint": "stripe connect" if connect else "stripe"})
        raise
    except Malformed:
        alarm("stripe_event_unreadable", endpoint="stripe connect" if connect else "stripe")
        raise
    if _is_for_this_door(bell, connect, known.livemode):
        queue.send([json.dumps(asdict(bell))], queue=settings().payments_queue)


def _is_for_this_door(bell: Doorbell, connect: bool, livemode: bool) -> bool:
    """A foreign event is acknowledged, so that Stripe does not send it for days; it changes nothing."""
    facts = {"event_id": bell.id, "type": bell.type, "account_id": bell.account_id}
    if bell.livemode != livemode:  # test events reach live Connect endpoints too
        alarm("stripe_event_of_the_other_mode", **facts)
        return False
    if connect != (bell.account_id is not None):
        alarm("stripe_event_at_the_wrong_door", **facts)
        return False
    if bell.type == "account.application.authorized":  # rings before the browser is back, and says nothing new
        return False
    if bell.account_id is not None and not connections.account_is_known(bell.account_id):
        alarm("stripe_event_of_an_unknown_account", **facts)
        return False
    return True


def follow(messages: Sequence[tuple[str, str]]) -> list[str]:
    """Do what each of these (id, body) messages asks for; answers the ids of those that must come again."""
    failed: list[str] = []
    for message_id, body in messages:
        try:
            _follow(_read(body))
        except Malformed:
            alarm("stripe_message_not_read", message_id=message_id)
            failed.append(message_id)
        except AccessLost as gone:  # asking again would not help: a person must look at what is left there
            alarm("stripe_access_lost", message_id=message_id, detail=gone.detail)
        except RebillError as trouble:
            alarm("stripe_event_not_followed", message_id=message_id, code=trouble.code, detail=trouble.detail)
            failed.append(message_id)
        except Exception as error:  # noqa: BLE001 - one message's trouble is its own
            bug("stripe_event_not_followed", error, message_id=message_id)
            failed.append(message_id)
    return failed


def _read(body: str) -> Doorbell:
    try:
        return Doorbell(**json.loads(body))
    except (ValueError, TypeError):
        raise Malformed("unreadable_message", "Not an event of Stripe's.") from None


def _follow(bell: Doorbell) -> None:
    if bell.type.startswith("checkout.session."):
        _follow_session(bell)
    elif bell.type.startswith("payment_intent."):
        _follow_payment(bell)
    elif bell.type.startswith(MONEY_WENT_BACK) and bell.payment_intent_id:
        reverse_payment(bell.account_id, bell.payment_intent_id)
    elif bell.type.startswith("payment_method.") or bell.type == "customer.deleted":
        follow_saved(bell.account_id, bell.object_id, gone=bell.type.endswith((".detached", ".deleted")))
    elif bell.type in ("account.updated", "account.application.deauthorized") and bell.account_id:
        account_changed(bell.account_id)


def _follow_session(bell: Doorbell) -> None:
    if follow_card(bell.object_id):
        return
    top_up = top_ups.top_up_of_session(bell.object_id)
    if top_up is not None and top_up.account_id == bell.account_id:
        settle_top_up(top_up)
    elif top_up is not None or _claims_to_be_ours(bell):  # an agency's own sales are none of our business
        alarm("stripe_session_is_not_ours", event_id=bell.id, account_id=bell.account_id)


def _follow_payment(bell: Doorbell) -> None:
    """A refill's payment is known by its id; a top-up's is not, so what is open is looked at, and there is little."""
    payment = (bell.account_id, bell.payment_intent_id or "")
    refill = refills.refill_of_payment(*payment)
    if refill is not None:
        proceed(refill)
        return
    sweep_top_ups()
    if bell.type != "payment_intent.succeeded" or not _claims_to_be_ours(bell):
        return
    if payments.find_payment(*payment) is None and not payments.was_refused(*payment):
        alarm("payment_is_not_ours", event_id=bell.id, account_id=bell.account_id)


def _claims_to_be_ours(bell: Doorbell) -> bool:
    return (bell.reference or "").startswith(("top_", "rfl_"))


def sweep_top_ups(seconds: float = SWEEP_SECONDS) -> int:
    """Ask what became of open top-ups, the oldest first, for so long; answers how many are still open."""
    still_open, give_up_at = 0, time.monotonic() + seconds
    for top_up in top_ups.open_top_ups(MOST_OPEN_TOP_UPS):
        try:
            still_open += time.monotonic() > give_up_at or settle_top_up(top_up).state == top_up.state
        except Unavailable as trouble:
            still_open += 1
            logger.warning("top_up_not_settled", extra={"top_up_id": top_up.id, "detail": trouble.detail})
    return still_open
