"""A card is saved on Stripe's own page, for the refills to come; and what becomes of it later is followed."""

from ulid import ULID

from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.flows.take_top_up import RETURN_PATH, customer_for, taker_of
from chalicelib.gateways import stripe
from chalicelib.storage import payments, wallets
from chalicelib.telemetry import alarm


def save_card(owner: Workspace | SubAccount, key: str, base_url: str) -> str:
    """The address of a Checkout page that saves a card and takes no money.

    Raises:
        Conflict: the agency has no account that can take payments. OutcomeUnknown: ask again with the same key.
    """
    account_id, version, _ = taker_of(owner)
    back = f"{base_url}{RETURN_PATH}?owner={owner.id}"
    checkout = stripe.open_card_setup(
        account_id,
        customer_id=customer_for(owner, account_id, version),
        currency=wallets.get_wallet(owner.id).currency,
        reference=owner.id,
        success_url=f"{back}&card=saved",
        cancel_url=f"{back}&card=canceled",
        key=f"card:{owner.id}:{version}:{key}:{ULID()}",
    )
    payments.keep_card_session(owner.id, version, account_id, checkout.id)
    return checkout.url or back


def follow_card(session_id: str) -> bool:
    """If a finished Checkout session of ours saved a card, remember the card; False for any other session.

    Raises:
        OutcomeUnknown, Unavailable: come again.
    """
    known = payments.card_session(session_id)
    if known is None:
        return False
    checkout = stripe.read_checkout(known.account_id, session_id)
    if checkout.setup_intent_id:
        card = stripe.read_setup_card(known.account_id, checkout.setup_intent_id)
        if card is not None:
            payments.keep_card(known.owner_id, known.connection_version, card)
    return True


def follow_saved(account_id: str | None, stripe_id: str, gone: bool) -> None:
    """A saved card was renewed, replaced or removed at Stripe, or its customer was: look at it, and remember.

    Raises:
        OutcomeUnknown, Unavailable: come again.
    """
    holder = payments.holder_of(stripe_id)
    if holder is None:
        return
    owner_id, version = holder
    known = payments.card_of(owner_id, version)
    if gone:
        if known is not None and (known.payment_method_id == stripe_id or stripe_id.startswith("cus_")):
            payments.keep_card(owner_id, version, None)
            alarm("saved_card_gone", owner_id=owner_id)
    elif known is not None and known.payment_method_id == stripe_id:
        payments.keep_card(owner_id, version, stripe.read_card(account_id, stripe_id))


def open_portal(owner: Workspace | SubAccount, base_url: str) -> str:
    """The address of Stripe's own page on which an owner looks after cards and receipts.

    Raises:
        Conflict: the agency has no account that can take payments.
    """
    account_id, version, _ = taker_of(owner)
    customer_id = customer_for(owner, account_id, version)
    return stripe.open_portal(account_id, customer_id, f"{base_url}{RETURN_PATH}?owner={owner.id}")
