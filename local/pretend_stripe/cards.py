"""Stripe's test cards, and what each of them does. Nothing here is a card that somebody has."""

from dataclasses import dataclass
from typing import Any, Literal

Authentication = Literal["never", "until_set_up", "on_session", "always"]
TRY_LATER, NEVER_AGAIN, CHECK_CARD = "try_again_later", "do_not_try_again", "confirm_card_data"


@dataclass(frozen=True)
class Decline:
    """Why the bank, or Stripe, says no."""

    code: str
    message: str
    decline_code: str | None = None
    advice_code: str | None = None
    blocked: bool = False


def _declined(reason: str, message: str, advice: str | None) -> Decline:
    return Decline("card_declined", message, reason, advice)


GENERIC = _declined("generic_decline", "Your card was declined.", TRY_LATER)
INSUFFICIENT = _declined("insufficient_funds", "Your card has insufficient funds.", TRY_LATER)
LOST = _declined("lost_card", "Your card was declined.", NEVER_AGAIN)
STOLEN = _declined("stolen_card", "Your card was declined.", NEVER_AGAIN)
VELOCITY = _declined("card_velocity_exceeded", "Your card was declined for making repeated attempts.", TRY_LATER)
EXPIRED = Decline("expired_card", "Your card has expired.", None, CHECK_CARD)
WRONG_CVC = Decline("incorrect_cvc", "Your card's security code is incorrect.", None, CHECK_CARD)
PROCESSING = Decline("processing_error", "An error occurred while processing your card. Try again in a little bit.")
BLOCKED = Decline("card_declined", "Your card was declined.", "fraudulent", NEVER_AGAIN, blocked=True)
NOT_A_TEST_CARD = Decline(
    "card_declined",
    "Your card was declined. Your request was in test mode, but used a non test card.",
    "test_mode_live_card",
)
NEEDS_AUTHENTICATION = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)


@dataclass(frozen=True)
class Card:
    """One test card. `attach` is its decline on being saved or paid with, `pay` on being paid with only."""

    token: str
    number: str | None = None
    brand: str = "visa"
    attach: Decline | None = None
    pay: Decline | None = None
    authentication: Authentication = "never"
    dispute: str | None = None
    disputes: int = 0
    inquiry: bool = False
    warning: bool = False
    refund: Literal["succeeds", "pends", "fails"] = "succeeds"
    country: str = "US"

    @property
    def last4(self) -> str:
        """What people know a card by."""
        return self.number[-4:] if self.number else "0000"

    @property
    def label(self) -> str:
        """The token without what all of them begin with."""
        return self.token.removeprefix("pm_card_")


VISA = Card("pm_card_visa", "4242424242424242")
CARDS = (
    VISA,
    Card("pm_card_mastercard", "5555555555554444", "mastercard"),
    Card("pm_card_amex", "378282246310005", "amex"),
    Card("pm_card_bypassPending", "4000000000000077"),
    Card("pm_card_chargeCustomerFail", "4000000000000341", pay=GENERIC),
    Card("pm_card_authenticationRequiredOnSetup", "4000002500003155", authentication="until_set_up"),
    Card("pm_card_authenticationRequired", "4000002760003184", authentication="always"),
    Card("pm_card_authenticationRequiredSetupForOffSession", "4000003800000446", authentication="on_session"),
    Card(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        pay=INSUFFICIENT,
        authentication="until_set_up",
    ),
    Card("pm_card_visa_chargeDeclined", "4000000000000002", attach=GENERIC),
    Card("pm_card_visa_chargeDeclinedInsufficientFunds", "4000000000009995", attach=INSUFFICIENT),
    Card("pm_card_visa_chargeDeclinedLostCard", "4000000000009987", attach=LOST),
    Card("pm_card_visa_chargeDeclinedStolenCard", "4000000000009979", attach=STOLEN),
    Card("pm_card_chargeDeclinedExpiredCard", "4000000000000069", attach=EXPIRED),
    Card("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", attach=WRONG_CVC),
    Card("pm_card_chargeDeclinedProcessingError", "4000000000000119", attach=PROCESSING),
    Card("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975", attach=VELOCITY),
    Card("pm_card_radarBlock", "4100000000000019", pay=BLOCKED),
    Card("pm_card_riskLevelHighest", "4000000000004954", pay=BLOCKED),
    Card("pm_card_createDispute", "4000000000000259", dispute="fraudulent", disputes=1),
    Card("pm_card_createDisputeProductNotReceived", "4000000000002685", dispute="product_not_received", disputes=1),
    Card("pm_card_createDisputeInquiry", "4000000000001976", dispute="general", disputes=1, inquiry=True),
    Card("pm_card_createIssuerFraudRecord", "4000000000005423", warning=True),
    Card("pm_card_createMultipleDisputes", "4000000404000079", dispute="fraudulent", disputes=2),
    Card("pm_card_pendingRefund", "4000000000007726", refund="pends"),
    Card("pm_card_refundFail", "4000000000005126", refund="fails"),
    # These two have no number: they are kept on a customer and fail there.
    Card("pm_card_visa_chargeCustomerFailLostCard", pay=LOST),
    Card("pm_card_visa_chargeCustomerFailStolenCard", pay=STOLEN),
)
_BY_TOKEN = {card.token: card for card in CARDS} | {card.token.replace("pm_card_", "tok_"): card for card in CARDS}
_BY_NUMBER = {card.number: card for card in CARDS if card.number}


def card_by_token(token: str) -> Card | None:
    """The card behind `pm_card_...` or `tok_...`."""
    return _BY_TOKEN.get(token)


def card_by_number(number: str) -> Card | None:
    """The card that a person typed, with any spaces."""
    return _BY_NUMBER.get("".join(number.split()).replace("-", ""))


def needs_authentication(card: Card, hidden: dict[str, Any], *, off_session: bool) -> bool:
    """Whether the bank wants to see the card's owner first."""
    if card.authentication == "until_set_up":
        return not (off_session and hidden.get("set_up"))
    if card.authentication == "on_session":
        return not off_session
    return card.authentication == "always"
