"""What Stripe sends by itself."""

import stripe

from chalicelib.domain import strict_json
from chalicelib.domain.errors import Malformed
from chalicelib.domain.payment_facts import Doorbell
from chalicelib.gateways.stripe.client import id_of
from chalicelib.gateways.voice import signatures


def read_event(body: bytes, header: str, secret: str, now_ms: int) -> Doorbell:
    """Verify and read what Stripe has sent; `header` is `Stripe-Signature` (https://docs.stripe.com/webhooks).

    Raises `Unauthenticated` where it is not signed with this secret within 300 seconds of `now_ms`, whatever a
    stranger sends; `Malformed` where it is signed, but no event that has an object.
    """
    try:
        # Without a tolerance: the SDK's check reads a clock of its own, and lets the future through.
        stripe.WebhookSignature.verify_header(body, header[: signatures.LONGEST_HEADER], secret)
    except Exception:  # noqa: BLE001 - hostile input makes the SDK raise TypeError, UnicodeDecodeError and others
        raise signatures.mismatch("Stripe-Signature", "the one of this endpoint in Stripe") from None
    signed_at = next(item[2:] for item in header.split(",") if item.startswith("t="))
    signatures.check_age(signatures.timestamp(signed_at, "Stripe-Signature") * 1000, now_ms)
    try:
        event = strict_json.load(body)
        known = event["data"]["object"]
        words = [event["id"], event["type"], event.get("account") or "", known.get("id") or ""]
        if event["object"] != "event" or not all(isinstance(word, str) for word in words):
            raise TypeError
    except (Malformed, KeyError, TypeError, AttributeError):
        raise Malformed("not_an_event", "The body is signed, but is no event with an object.", "body") from None
    payment = known.get("id" if known.get("object") == "payment_intent" else "payment_intent")
    claimed = id_of(known.get("client_reference_id")) or id_of((known.get("metadata") or {}).get("rebill"))
    livemode = event.get("livemode") is True
    return Doorbell(words[0], words[1], words[2] or None, livemode, words[3], id_of(payment), claimed)
