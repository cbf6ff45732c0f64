"""Stripe: the only file that imports its SDK, and the only page on which cents exist.

`account_id` is the connected account that a call is made on, None the platform's own. Every write that a repeat could
double carries an idempotency `key` of ours (https://docs.stripe.com/api/idempotent_requests). Stripe's objects end
here: what leaves this file is ours, and small. Besides what it names, every call may raise:

    NotFound        the account has nothing under this id
    AccessLost      the connected account does not let us in any more
    OutcomeUnknown  409s, 5xx and lost answers do not say what happened
    Unavailable     Stripe has not begun, or the parameter store is silent, or our key is refused: a person is told
    Conflict        `idempotency_key_reused`; `stripe_refused`, for good, a person is told; `stripe_not_configured`
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import stripe

from chalicelib.domain import strict_json
from chalicelib.domain.errors import (
    AccessLost,
    Conflict,
    Invalid,
    Malformed,
    NotFound,
    OutcomeUnknown,
    RebillError,
    Unavailable,
)
from chalicelib.domain.money import MICROS_PER_UNIT, check_currency
from chalicelib.domain.payment_facts import AccountFacts, Checkout, Doorbell, Exchange, PaymentFacts
from chalicelib.domain.payments import Card
from chalicelib.gateways.voice import signatures
from chalicelib.settings import StripeSettings, stripe_settings
from chalicelib.telemetry import alarm, logger

CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, NETWORK_RETRIES = 3.05, 15, 1
# How many decimals Stripe's smallest unit of a currency has, where it is not two; of three, the last must be 0:
# https://docs.stripe.com/currencies#zero-decimal
DECIMALS = {"jpy": 0, "kwd": 3}
# Money on its way back is gone; it returns when a refund fails: https://docs.stripe.com/refunds#failed-refunds
REFUND_STATES_THAT_COUNT = ("succeeded", "pending", "requires_action")
# All others are open or lost, states that we do not know included: https://docs.stripe.com/api/disputes/object
DISPUTES_IN_OUR_FAVOUR = ("won", "warning_closed", "prevented")
CODE_REFUSED = (  # Stripe's own answer does not tell these apart
    "Stripe does not accept this answer: it has expired, or was used before, or is of the other mode (test or live)."
    " Please connect again."
)
CONSENT = "Your card will be saved and may be used for later automatic refills, if they are switched on."
# Of an error only such words are written down: its sentences quote keys, and what was sent.
_WORD = re.compile(r"[a-z0-9_.\[\]]{1,60}|req_[A-Za-z0-9]{1,60}")
_SessionParams = stripe.params.checkout.SessionCreateParams
stripe.enable_telemetry = False
logging.getLogger("stripe").setLevel(logging.WARNING)  # below that, it writes whole objects


class Page(TypedDict):
    """What every Checkout page is told. `reference` is our own id of what the page is for."""

    customer_id: str
    reference: str
    success_url: str
    cancel_url: str


def minor_units(amount_micros: int, currency: str) -> int:
    """Micros as the smallest unit: 5 usd are 500, 5 kwd 5000. Raises `Invalid` for finer amounts, other currencies."""
    decimals = DECIMALS.get(check_currency(currency), 2)
    usable = min(decimals, 2)
    steps, rest = divmod(amount_micros, MICROS_PER_UNIT // int(10**usable))
    if rest:
        raise Invalid("amount", f"A payment in {currency} can have at most {usable} decimals.")
    return steps * int(10 ** (decimals - usable))


def micros(amount_minor: int, currency: str) -> int:
    """Stripe's smallest units in micros. In a currency that no wallet holds, the result means nothing."""
    return amount_minor * (MICROS_PER_UNIT // int(10 ** DECIMALS.get(currency, 2)))


def authorize_url(state: str, redirect_uri: str) -> str:
    """Where an account's owner is sent to let us in (https://docs.stripe.com/connect/oauth-reference)."""
    return _client().oauth.authorize_url({"scope": "read_write", "state": state, "redirect_uri": redirect_uri})


def exchange_code(code: str) -> Exchange:
    """Turn the code that came back into a connection: once, as a second use would end the connection.

    Raises `Conflict` (`oauth_code_invalid`) where it is expired, used, not ours, or of the other mode.
    """
    with _ours():
        try:
            got = _client().oauth.token({"grant_type": "authorization_code", "code": code}, {"max_network_retries": 0})
        except (stripe.oauth_error.InvalidGrantError, stripe.oauth_error.InvalidRequestError) as refused:
            logger.warning("stripe_error", extra=_facts(refused))
            raise Conflict("oauth_code_invalid", CODE_REFUSED) from None
        return Exchange(str(got.stripe_user_id), bool(got.livemode), str(got.scope))


def deauthorize(account_id: str) -> None:
    """End our access to an account. Access that has ended before is success."""
    with suppress(AccessLost), _ours():
        try:
            _client().oauth.deauthorize({"stripe_user_id": account_id})
        except stripe.oauth_error.InvalidClientError:
            # Stripe's word for "not connected" as well as for "no such client id": whether it lets us read tells.
            _client().v1.accounts.retrieve(account_id)
            raise


def read_account(account_id: str) -> AccountFacts:
    """A connected account, and what its owner calls it."""
    with _ours():
        account = _client().v1.accounts.retrieve(account_id)
        given, shown = _field(account, "business_profile", "name"), _field(account, "settings", "dashboard")
        name = given or _field(shown, "display_name") or _field(account, "email") or account.id
        return AccountFacts(account.id, str(name), _field(account, "charges_enabled") is True)


def create_customer(account_id: str | None, *, owner_id: str, name: str, key: str) -> str:
    """The id of a new customer for a wallet's owner. Under one `key`, `name` must stay what it was."""
    with _ours():
        return _client().v1.customers.create({"name": name, "metadata": {"rebill": owner_id}}, _on(account_id, key)).id


def open_checkout(
    account_id: str | None, *, amount_micros: int, currency: str, description: str, key: str, **page: Unpack[Page]
) -> Checkout:
    """A page on which a person pays once, and leaves the card for later. Raises `Invalid` for the amount as well."""
    with _ours():
        price: stripe.params.checkout.SessionCreateParamsLineItemPriceData = {
            "currency": currency,
            "unit_amount": minor_units(amount_micros, currency),
            "product_data": {"name": description},
        }
        params: _SessionParams = {
            **_page(page),
            "mode": "payment",
            "line_items": [{"quantity": 1, "price_data": price}],
            "payment_intent_data": {
                "setup_future_usage": "off_session",
                "description": description,
                "metadata": {"rebill": page["reference"]},
            },
            "adaptive_pricing": {"enabled": False},  # the payer's own currency is not the wallet's
        }
        return _checkout(_client().v1.checkout.sessions.create(params, _on(account_id, key)))


def open_card_setup(account_id: str | None, *, currency: str, key: str, **page: Unpack[Page]) -> Checkout:
    """A page on which a person leaves a card, and pays nothing."""
    with _ours():
        params: _SessionParams = {**_page(page), "mode": "setup", "currency": currency}
        return _checkout(_client().v1.checkout.sessions.create(params, _on(account_id, key)))


def _page(page: Page) -> _SessionParams:
    """What both pages tell Stripe. Nothing depends on the time: a repeat under the same key must say the same."""
    return {
        "customer": page["customer_id"],
        "client_reference_id": page["reference"],
        "allowed_payment_method_types": ["card"],  # others take days to arrive, or cannot be used again
        "custom_text": {"submit": {"message": CONSENT}},
        "success_url": page["success_url"],
        "cancel_url": page["cancel_url"],
    }


def read_checkout(account_id: str | None, session_id: str) -> Checkout:
    """A Checkout session as it is now."""
    with _ours():
        return _checkout(_client().v1.checkout.sessions.retrieve(session_id, options=_on(account_id)))


def expire_checkout(account_id: str | None, session_id: str) -> bool:
    """Close a Checkout page. Says whether nobody can pay there now; False where somebody has, in the meantime."""
    with _ours():
        sessions = _client().v1.checkout.sessions
        try:
            return sessions.expire(session_id, options=_on(account_id)).status == "expired"
        except stripe.InvalidRequestError:  # it is not open any more, or not there
            return sessions.retrieve(session_id, options=_on(account_id)).status == "expired"


def open_portal(account_id: str | None, customer_id: str, return_url: str) -> str:
    """The address of Stripe's page for a customer's cards and receipts; it is short-lived, so each call makes one."""
    with _ours():
        params: stripe.params.billing_portal.SessionCreateParams = {"customer": customer_id, "return_url": return_url}
        return _client().v1.billing_portal.sessions.create(params, _on(account_id)).url


def read_payment(account_id: str | None, payment_intent_id: str) -> PaymentFacts:
    """All that became of a payment until now."""
    with _ours():
        v1, options = _client().v1, _on(account_id)
        intent = v1.payment_intents.retrieve(payment_intent_id, {"expand": ["payment_method"]}, options)
        refunds = v1.refunds.list({"payment_intent": intent.id}, options).auto_paging_iter()
        refunded = sum(refund.amount for refund in refunds if refund.status in REFUND_STATES_THAT_COUNT)
        disputes = list(v1.disputes.list({"payment_intent": intent.id}, options).auto_paging_iter())
        moved = [amount for dispute in disputes for amount in _moved(dispute)]
        return PaymentFacts(
            status=intent.status,
            received_micros=micros(intent.amount_received, intent.currency),
            currency=intent.currency,
            livemode=intent.livemode,
            customer_id=_id(intent.customer),
            card=_card(intent.payment_method),
            refunded_micros=micros(refunded, intent.currency),
            withdrawn_micros=micros(-sum(amount for amount in moved if amount < 0), intent.currency),
            reinstated_micros=micros(sum(amount for amount in moved if amount > 0), intent.currency),
            disputed=any(dispute.status not in DISPUTES_IN_OUR_FAVOUR for dispute in disputes),
        )


def _moved(dispute: stripe.Dispute) -> Iterator[int]:
    """What a dispute took (negative) and gave back, in minor units of the payment's currency, fees aside."""
    for moved in dispute.balance_transactions:
        # An account that settles in another currency tells amounts in that: then it was the whole.
        whole = dispute.amount if moved.amount > 0 else -dispute.amount
        yield moved.amount if moved.currency == dispute.currency else whole


def read_setup_card(account_id: str | None, setup_intent_id: str) -> Card | None:
    """The card that a person has left; None as long as there is none."""
    with _ours():
        intent = _client().v1.setup_intents.retrieve(setup_intent_id, {"expand": ["payment_method"]}, _on(account_id))
        return _card(intent.payment_method) if intent.status == "succeeded" else None


def read_card(account_id: str | None, payment_method_id: str) -> Card | None:
    """A saved card as it is now, for banks replace them; None once it has been removed from its customer."""
    with _ours():
        method = _client().v1.payment_methods.retrieve(payment_method_id, options=_on(account_id))
        return _card(method) if method.customer else None


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
    claimed = _id(known.get("client_reference_id")) or _id((known.get("metadata") or {}).get("rebill"))
    livemode = event.get("livemode") is True
    return Doorbell(words[0], words[1], words[2] or None, livemode, words[3], _id(payment), claimed)


def _checkout(session: stripe.checkout.Session) -> Checkout:
    payment, setup = _id(session.payment_intent), _id(session.setup_intent)
    return Checkout(session.id, session.url, str(session.status), payment, setup, session.livemode)


def _card(method: stripe.PaymentMethod | str | None) -> Card | None:
    if not isinstance(method, stripe.PaymentMethod) or (card := _field(method, "card")) is None:
        return None
    return Card(method.id, card.brand, card.last4, card.exp_month, card.exp_year)


def _field(value: object, *names: str) -> Any:
    """A field of a StripeObject, which is no dict, and raises where Stripe has left something out."""
    for name in names:
        value = getattr(value, name, None)
    return value


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else None


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


def _client() -> stripe.StripeClient:
    return client_for(stripe_settings())


def _on(account_id: str | None, key: str | None = None) -> stripe.RequestOptions:
    return {"stripe_account": account_id, "idempotency_key": key}


@contextmanager
def _ours() -> Iterator[None]:
    """Turn Stripe's errors into ours; `from None`, so that no traceback shows theirs."""
    try:
        yield
    except stripe.StripeError as trouble:
        raise _meaning(trouble, _facts(trouble)) from None
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


def _facts(trouble: stripe.StripeError) -> dict[str, str]:
    """What may be written down of an error."""
    said = trouble.json_body.get("error") if isinstance(trouble.json_body, Mapping) else None
    said = said if isinstance(said, Mapping) else {"code": said}
    words = {f"stripe_{name}": str(said.get(name) or "") for name in ("code", "decline_code", "param")}
    words |= {"stripe_request": trouble.request_id or "", "stripe_status": str(trouble.http_status or "")}
    known = {name: word if _WORD.fullmatch(word) else "" for name, word in words.items()}
    return {"stripe_error": type(trouble).__name__, **known}
