"""Why a card was refused, and whether asking it again can help.

The bank's advice comes first, its decline code second (https://docs.stripe.com/declines/codes). Card networks fine
those who go on asking a card that will never pay.
"""

from enum import StrEnum


class DeclineKind(StrEnum):
    """What a decline asks of us."""

    SOFT = "soft"  # later may be better
    HARD = "hard"  # never again with this card
    AUTHENTICATION = "authentication"  # its holder must confirm a payment in person


ADVICE = {"do_not_try_again": DeclineKind.HARD, "confirm_card_data": DeclineKind.HARD}
ASKS_FOR_ITS_HOLDER = frozenset(("authentication_required", "authentication_not_handled"))
NEVER_AGAIN = frozenset(
    (
        *("lost_card", "stolen_card", "pickup_card", "fraudulent", "merchant_blacklist", "do_not_try_again"),
        *("restricted_card", "security_violation", "stop_payment_order", "revocation_of_authorization"),
        *("revocation_of_all_authorizations", "transaction_not_allowed", "service_not_allowed", "not_permitted"),
        *("invalid_account", "card_not_supported", "currency_not_supported", "testmode_decline"),
        *("expired_card", "incorrect_number", "invalid_number", "incorrect_cvc", "invalid_cvc", "incorrect_zip"),
        *("invalid_expiry_month", "invalid_expiry_year", "new_account_information_available", "no_such_card"),
        *("pin_try_exceeded", "offline_pin_required", "online_or_offline_pin_required"),
        *("invalid_pin", "incorrect_pin"),
    )
)
_PLAINLY = {
    "insufficient_funds": "there is not enough money on it",
    "expired_card": "it has expired",
    "lost_card": "it was reported lost",
    "stolen_card": "it was reported stolen",
    "fraudulent": "the bank suspects fraud",
    "incorrect_cvc": "its security code is wrong",
    "invalid_cvc": "its security code is wrong",
    "card_not_supported": "it does not allow this kind of payment",
    "currency_not_supported": "it does not pay in this currency",
    "authentication_required": "the bank wants its holder to confirm the payment",
    "processing_error": "the bank could not handle the payment just then",
    "issuer_not_available": "the bank could not be reached",
    "card_velocity_exceeded": "it has reached a limit of the bank's",
}


def kind_of_decline(code: str, decline_code: str, advice_code: str) -> DeclineKind:
    """What is to be done about a decline, from Stripe's three words for it; those it left out are empty."""
    if {code, decline_code} & ASKS_FOR_ITS_HOLDER:  # Stripe says it in either place
        return DeclineKind.AUTHENTICATION
    if advice_code in ADVICE:
        return ADVICE[advice_code]
    if advice_code != "try_again_later" and {code, decline_code} & NEVER_AGAIN:
        return DeclineKind.HARD
    return DeclineKind.SOFT


def in_plain_words(code: str, decline_code: str) -> str:
    """Why, as the end of a sentence about the card. What banks keep to themselves stays unsaid."""
    return _PLAINLY.get(decline_code) or _PLAINLY.get(code) or "the bank did not say why"
