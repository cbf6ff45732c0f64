"""Stripe customers and saved cards: of one owner under one connection, never shared and never carried over."""

from dataclasses import asdict, dataclass

from pynamodb.exceptions import DoesNotExist, PutError

from chalicelib.domain.errors import Unavailable
from chalicelib.domain.payments import Card
from chalicelib.storage.tables import PaymentItem, store_trouble_is_ours

CARD, BACKUP, HOLDER = "card", "backup_card", "holder"


@dataclass(frozen=True)
class CardSession:
    """A Checkout session on which an owner saves a card."""

    owner_id: str
    connection_version: int
    account_id: str | None
    backup: bool = False


def keep_card_session(session: CardSession, session_id: str) -> None:
    """Remember whose card a Checkout session saves."""
    with store_trouble_is_ours():
        PaymentItem(f"session#{session_id}", CARD, facts=asdict(session)).save()


def card_session(session_id: str) -> CardSession | None:
    """Whose card a Checkout session saves; None for any other session."""
    with store_trouble_is_ours():
        try:
            return CardSession(**PaymentItem.get(f"session#{session_id}", CARD, consistent_read=True).facts)
        except DoesNotExist:
            return None


def customer_of(owner_id: str, connection_version: int) -> str | None:
    """The Stripe customer of an owner under one connection."""
    with store_trouble_is_ours():
        try:
            return PaymentItem.get(owner_id, f"customer#{connection_version:06d}", consistent_read=True).reference
        except DoesNotExist:
            return None


def keep_customer(owner_id: str, connection_version: int, customer_id: str) -> str:
    """Remember an owner's Stripe customer under one connection: never shared, never carried over. The first counts."""
    item = PaymentItem(owner_id, f"customer#{connection_version:06d}", reference=customer_id)
    try:
        item.save(condition=PaymentItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return customer_of(owner_id, connection_version) or customer_id
    with store_trouble_is_ours():
        _remember_holder(customer_id, owner_id, connection_version)
    return customer_id


def forget_customer(owner_id: str, connection_version: int, customer_id: str) -> None:
    """A Stripe customer was deleted: its cards are gone with it, and the next payment makes another."""
    if customer_of(owner_id, connection_version) != customer_id:
        return
    with store_trouble_is_ours():
        PaymentItem(owner_id, f"customer#{connection_version:06d}").delete()
    keep_card(owner_id, connection_version, None)
    keep_card(owner_id, connection_version, None, backup=True)


def card_of(owner_id: str, connection_version: int) -> Card | None:
    """The saved card of an owner under one connection."""
    return _card(owner_id, f"{CARD}#{connection_version:06d}")


def backup_card_of(owner_id: str, connection_version: int) -> Card | None:
    """The card that is asked where the first one is declined."""
    return _card(owner_id, f"{BACKUP}#{connection_version:06d}")


def _card(owner_id: str, sk: str) -> Card | None:
    with store_trouble_is_ours():
        try:
            facts = PaymentItem.get(owner_id, sk, consistent_read=True).facts
        except DoesNotExist:
            return None
    return Card(**facts) if facts else None


def keep_card(owner_id: str, connection_version: int, card: Card | None, backup: bool = False) -> None:
    """Remember a saved card, or that there is none any more."""
    facts = asdict(card) if card else None
    with store_trouble_is_ours():
        PaymentItem(owner_id, f"{BACKUP if backup else CARD}#{connection_version:06d}", facts=facts).save()
        if card is not None:
            _remember_holder(card.payment_method_id, owner_id, connection_version)


def saved_as_backup(owner_id: str, connection_version: int, payment_method_id: str) -> bool | None:
    """Whether a card is an owner's backup card (True) or the first one (False); None if it is neither."""
    for backup, read in ((False, card_of), (True, backup_card_of)):
        known = read(owner_id, connection_version)
        if known is not None and known.payment_method_id == payment_method_id:
            return backup
    return None


def forget_card(owner_id: str, connection_version: int, payment_method_id: str) -> bool:
    """Forget a saved card, first or backup; False if it is neither."""
    backup = saved_as_backup(owner_id, connection_version, payment_method_id)
    if backup is not None:
        keep_card(owner_id, connection_version, None, backup)
    return backup is not None


def _remember_holder(stripe_id: str, owner_id: str, connection_version: int) -> None:
    facts = {"owner_id": owner_id, "connection_version": connection_version}
    PaymentItem(f"holder#{stripe_id}", HOLDER, facts=facts).save()


def holder_of(stripe_id: str) -> tuple[str, int] | None:
    """Whose customer or card this is, and under which connection; None for a stranger's."""
    with store_trouble_is_ours():
        try:
            facts = PaymentItem.get(f"holder#{stripe_id}", HOLDER, consistent_read=True).facts
        except DoesNotExist:
            return None
    return facts["owner_id"], facts["connection_version"]
