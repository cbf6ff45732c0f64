"""The one client of Stripe's SDK, and Stripe's errors in our words."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import stripe

from chalicelib.domain.errors import AccessLost, Conflict, Invalid, NotFound, OutcomeUnknown, RebillError, Unavailable
from chalicelib.settings import StripeSettings, stripe_settings
from chalicelib.telemetry import alarm, logger

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, NETWORK_RETRIES = 3.05, 15, 1
# Of an error only such words are written down: its sentences quote keys, and what was sent.
_WORD = re.compile(r"[a-z0-9_.\[\]]{1,60}|req_[A-Za-z0-9]{1,60}")
stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)  # below that, it writes whole objects


@lru_cache(maxsize=1)
def client_for(known: StripeSettings) -> stripe.StripeClient:
    """The one client of these settings; `cache_clear()` forgets it."""
    return stripe.StripeClient(
        known.secret_key,
        client_id=known.client_id,
        base_addresses={"api": known.api_address, "connect": known.connect_address},
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)),
        max_network_retries=NETWORK_RETRIES,
    )


def client() -> stripe.StripeClient:
    """The client of this stage. Raises `Conflict` (`stripe_not_configured`), or `Unavailable`."""
    return client_for(stripe_settings())


def on(account_id: str | None, key: str | None = None) -> stripe.RequestOptions:
    """On which account, and under which idempotency key, a call is made."""
    return {"stripe_account": account_id, "idempotency_key": key}


@contextmanager
def ours() -> Iterator[None]:
    """Turn Stripe's errors into ours; `from None`, so that no traceback shows theirs."""
    try:
        yield
    except stripe.StripeError as trouble:
        raise _meaning(trouble, facts_of(trouble)) from None
    except Exception as unreadable:
        if isinstance(unreadable, RebillError):
            raise
        alarm("stripe_answer_unreadable", kind=type(unreadable).__name__)
        raise OutcomeUnknown from None


def _meaning(trouble: stripe.StripeError, facts: dict[str, str]) -> Exception:
    logger.warning("stripe_error", extra=facts)
    code = facts["stripe_code"]
    match trouble:
        case stripe.CardError():
            return Conflict("card_declined", f"The card was declined: {facts['stripe_decline_code'] or code}.")
        case stripe.IdempotencyError():
            alarm("stripe_idempotency_key_reused", **facts)
            return Conflict("idempotency_key_reused", "This was asked for before, with other contents.")
        case stripe.PermissionError() if code == "account_invalid":
            return AccessLost()
        case stripe.PermissionError() | stripe.AuthenticationError() | stripe.oauth_error.InvalidClientError():
            alarm("stripe_key_refused", **facts)
            return Unavailable("Stripe")
        case stripe.RateLimitError():
            return Unavailable("Stripe")
        case stripe.InvalidRequestError() if code == "resource_missing":
            return NotFound("not_found", "Stripe has no such thing on this account.", facts["stripe_param"] or None)
        case stripe.InvalidRequestError() if code in ("amount_too_small", "amount_too_large"):
            return Invalid("amount", "Stripe does not take payments of this amount.", code)
        case stripe.InvalidRequestError():
            alarm("stripe_refused", **facts)
            return Conflict("stripe_refused", "Stripe does not accept this, and has done nothing.")
    return OutcomeUnknown()


def facts_of(trouble: stripe.StripeError) -> dict[str, str]:
    """What may be written down of an error, `stripe_code` above all; what Stripe left out is empty."""
    said = trouble.json_body.get("error") if isinstance(trouble.json_body, Mapping) else None
    said = said if isinstance(said, Mapping) else {"code": said}
    words = {f"stripe_{name}": said.get(name) for name in ("code", "decline_code", "param")}
    words |= {"stripe_request": trouble.request_id, "stripe_status": trouble.http_status}
    return {"stripe_error": type(trouble).__name__, **{name: safe_word(word) for name, word in words.items()}}


def safe_word(value: object) -> str:
    """A word of Stripe's as it is; empty where there is none, or where it is more than a word."""
    word = str(value or "")
    return word if _WORD.fullmatch(word) else ""


def field(value: object, *names: str) -> Any:
    """A field of a StripeObject, which is no dict, and raises where Stripe has left something out."""
    for name in names:
        value = getattr(value, name, None)
    return value


def id_of(value: object) -> str | None:
    """The id that stands where an object could; None for anything else."""
    return value if isinstance(value, str) else None
