"""A person buys balance: on Stripe's own page, for the right wallet, on the right account."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import SubAccount, Workspace, refuse_if_closed
from chalicelib.domain.errors import AccessLost, Conflict, NotFound
from chalicelib.domain.money import format_price
from chalicelib.domain.payment_facts import Checkout
from chalicelib.domain.payments import ConnectionState, TopUp, TopUpLimits, TopUpState
from chalicelib.flows.settle_payment import settle_top_up
from chalicelib.gateways import stripe
from chalicelib.settings import stripe_settings
from chalicelib.storage import accounts, connections, customers, top_ups, wallets

PAGE_LASTS_MS = 25 * 3_600_000  # Stripe's pages end after 24 hours
RETURN_PATH = "/payments/return"
T = TypeVar("T")


def take_top_up(owner: Workspace | SubAccount, amount_micros: int, key: str, base_url: str) -> TopUp:
    """Open a Checkout page for a payment; its `url` is where the person pays.

    One payment at a time: what became of an earlier one is asked first, and if it was never paid it is ended, so that
    nobody pays twice. The same key and amount answer the same top-up again.

    Raises:
        Invalid: the amount. Conflict: no connection, an unresolved payment, or the key was used for something else.
        OutcomeUnknown: ask again with the same key.
    """
    if isinstance(owner, SubAccount):
        refuse_if_closed(owner)
    account_id, version, livemode = taker_of(owner)
    limits_of(owner).check(amount_micros)
    currency = wallets.get_wallet(owner.id).currency
    stripe.minor_units(amount_micros, currency)
    _ask_after_the_pending(owner.id, key)
    asked = TopUp(
        id=f"top_{ULID()}",
        owner_id=owner.id,
        workspace_id=owner.id if isinstance(owner, Workspace) else owner.workspace_id,
        amount_micros=amount_micros,
        currency=currency,
        account_id=account_id,
        connection_version=version,
        livemode=livemode,
        idempotency_key=key,
        created_at_ms=now_ms(),
    )
    contents = hashlib.sha256(json.dumps([owner.id, amount_micros]).encode()).hexdigest()[:32]
    top_up = top_ups.open_top_up(asked, contents)
    if top_up.state is not TopUpState.OPEN or top_up.session_id:
        return top_up
    return _open_checkout(top_up, owner, base_url)


def limits_of(owner: Workspace | SubAccount) -> TopUpLimits:
    """The smallest and the largest payment into an owner's wallet, as the workspace has set them."""
    if isinstance(owner, Workspace):
        return owner.workspace_limits
    return accounts.get_workspace(owner.workspace_id).sub_account_limits


def taker_of(owner: Workspace | SubAccount) -> tuple[str | None, int, bool]:
    """Whose Stripe account takes an owner's payments: (account, connection version, live or test).

    A workspace pays the platform; a sub-account pays on its agency's own connected account, never elsewhere.

    Raises:
        Conflict: the agency has no account that can take payments now.
    """
    if isinstance(owner, Workspace):
        return None, 0, stripe_settings().livemode
    linked = connections.get_connection(owner.workspace_id)
    if linked is None or linked.state is not ConnectionState.CONNECTED:
        raise Conflict("stripe_not_connected", "This agency has not connected a Stripe account, so it cannot be paid.")
    if not linked.charges_enabled:
        raise Conflict("stripe_payments_disabled", "Stripe does not let this agency's account take payments yet.")
    return linked.account_id, linked.version, linked.livemode


def for_customer(owner: Workspace | SubAccount, account_id: str | None, version: int, ask: Callable[[str], T]) -> T:
    """Ask Stripe something for the owner's customer; where it was deleted and nobody told us, for a new one."""
    customer_id = customer_for(owner, account_id, version)
    try:
        return ask(customer_id)
    except NotFound as gone:
        if gone.param != "customer":
            raise
    customers.forget_customer(owner.id, version, customer_id)
    return ask(customer_for(owner, account_id, version))


def customer_for(owner: Workspace | SubAccount, account_id: str | None, version: int) -> str:
    """The owner's own Stripe customer under this connection, made when it is first needed.

    Each try has a key of its own: Stripe keeps a 500 under its key for a day. A customer that was made and never heard
    of costs nothing, and nobody can pay as it; of two that are made at once, the first that is remembered counts.
    """
    known = customers.customer_of(owner.id, version)
    if known is not None:
        return known
    key = f"customer:{owner.id}:{version}:{ULID()}"
    made = stripe.create_customer(account_id, owner_id=owner.id, name=owner.name, key=key)
    return customers.keep_customer(owner.id, version, made)


def _ask_after_the_pending(owner_id: str, key: str) -> None:
    pending = top_ups.pending_top_up(owner_id)
    if pending is None or pending.idempotency_key == key:
        return
    if pending.session_id is None:  # its page was lost on the way: nobody has been told of it
        top_ups.close_unanswered(pending)
        return
    seen = settle_top_up(pending)
    if seen.state is TopUpState.OPEN and seen.session_id:
        with suppress(AccessLost, NotFound):  # settling says what that means
            stripe.expire_checkout(seen.account_id, seen.session_id)  # if it was paid a moment ago, it cannot be ended
        seen = settle_top_up(seen)
    if seen.state is TopUpState.OPEN and now_ms() - seen.created_at_ms > PAGE_LASTS_MS:
        top_ups.release(seen)


def _open_checkout(top_up: TopUp, owner: Workspace | SubAccount, base_url: str) -> TopUp:
    """Each try has a key of its own, and only the page that is remembered first is ever told to anybody."""
    back = f"{base_url}{RETURN_PATH}?owner={owner.id}&top_up={top_up.id}"

    def page_for(customer_id: str) -> Checkout:
        return stripe.open_checkout(
            top_up.account_id,
            customer_id=customer_id,
            amount_micros=top_up.amount_micros,
            currency=top_up.currency,
            description=f"Balance of {format_price(top_up.amount_micros)} {top_up.currency.upper()}",
            reference=top_up.id,
            success_url=back,
            cancel_url=f"{back}&canceled=1",
            key=f"top_up:{top_up.id}:{ULID()}",
        )

    checkout = for_customer(owner, top_up.account_id, top_up.connection_version, page_for)
    return top_ups.save_session(top_up, checkout.id, checkout.url)
