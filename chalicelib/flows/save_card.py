"""A card is saved on Stripe's own page, for the refills to come; and what becomes of it later is followed."""

from ulid import ULID

from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.domain.payment_facts import Checkout
from chalicelib.flows.take_top_up import RETURN_PATH, for_customer, taker_of
from chalicelib.flows.wake_refills import wake
from chalicelib.gateways import stripe
from chalicelib.storage import customers, wallets
from chalicelib.storage.customers import CardSession
from chalicelib.telemetry import alarm


def save_card(owner: Workspace | SubAccount, key: str, base_url: str, backup: bool = False) -> str:
    """The address of a Checkout page that saves a card and takes no money.

    A `backup` card is asked where the first one is declined.

    Raises:
        Conflict: no connected account that can take payments. OutcomeUnknown: ask again with the same key.
    """
    account_id, version, _ = taker_of(owner)
    back = f"{base_url}{RETURN_PATH}?owner={owner.id}"
    currency = wallets.get_wallet(owner.id).currency

    def page_for(customer_id: str) -> Checkout:
        return stripe.open_card_setup(
            account_id,
            customer_id=customer_id,
            currency=currency,
            reference=owner.id,
            success_url=f"{back}&card=saved",
            cancel_url=f"{back}&card=canceled",
            key=f"card:{owner.id}:{version}:{key}:{ULID()}",
        )

    checkout = for_customer(owner, account_id, version, page_for)
    customers.keep_card_session(CardSession(owner.id, version, account_id, backup), checkout.id)
    return checkout.url or back


def follow_card(session_id: str) -> bool:
    """If a finished Checkout session of ours saved a card, remember the card; False for any other session.

    Raises:
        OutcomeUnknown, Unavailable: come again.
    """
    known = customers.card_session(session_id)
    if known is None:
        return False
    checkout = stripe.read_checkout(known.account_id, session_id)
    if checkout.setup_intent_id:
        card = stripe.read_setup_card(known.account_id, checkout.setup_intent_id)
        if card is not None:
            customers.keep_card(known.owner_id, known.connection_version, card, known.backup)
            wake(known.owner_id)
    return True


def follow_saved(account_id: str | None, stripe_id: str, gone: bool) -> None:
    """A saved card was renewed, replaced or removed at Stripe, or its customer was: look at it, and remember.

    Raises:
        OutcomeUnknown, Unavailable: come again.
    """
    holder = customers.holder_of(stripe_id)
    if holder is None:
        return
    owner_id, version = holder
    if gone and stripe_id.startswith("cus_"):
        customers.forget_customer(owner_id, version, stripe_id)
        alarm("saved_card_gone", owner_id=owner_id)
    elif gone and customers.forget_card(owner_id, version, stripe_id):
        alarm("saved_card_gone", owner_id=owner_id)
    elif not gone and (backup := customers.saved_as_backup(owner_id, version, stripe_id)) is not None:
        customers.keep_card(owner_id, version, stripe.read_card(account_id, stripe_id), backup)
        wake(owner_id)  # one that had expired may be good again


def open_portal(owner: Workspace | SubAccount, base_url: str) -> str:
    """The address of Stripe's own page on which an owner looks after cards and receipts.

    Raises:
        Conflict: the agency has no account that can take payments.
    """
    account_id, version, _ = taker_of(owner)
    back = f"{base_url}{RETURN_PATH}?owner={owner.id}"
    return for_customer(
        owner, account_id, version, lambda customer_id: stripe.open_portal(account_id, customer_id, back)
    )
