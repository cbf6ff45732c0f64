"""Declines: whether a card may be asked again, and why it was refused in words that its holder understands."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.declines import NEVER_AGAIN, DeclineKind, in_plain_words, kind_of_decline

POLICY = Path(__file__).parents[2].parent / "shared" / "payloads" / "stripe" / "decline_policy.json"
SOFT, HARD, AUTHENTICATION = DeclineKind.SOFT, DeclineKind.HARD, DeclineKind.AUTHENTICATION

WORDS = st.text(string.ascii_lowercase + "_", max_size=20)


@pytest.mark.parametrize(
    ("code", "decline_code", "advice_code", "kind"),
    [
        # The bank's own advice decides, whatever its reason is ...
        ("card_declined", "insufficient_funds", "do_not_try_again", HARD),
        ("card_declined", "generic_decline", "do_not_try_again", HARD),
        ("card_declined", "generic_decline", "confirm_card_data", HARD),
        ("card_declined", "lost_card", "try_again_later", SOFT),
        ("expired_card", "expired_card", "try_again_later", SOFT),
        # ... then the reason, in whichever place Stripe puts it ...
        ("card_declined", "insufficient_funds", "", SOFT),
        ("card_declined", "generic_decline", "", SOFT),
        ("card_declined", "do_not_honor", "", SOFT),
        ("card_declined", "lost_card", "", HARD),
        ("card_declined", "stolen_card", "", HARD),
        ("card_declined", "fraudulent", "", HARD),
        ("expired_card", "expired_card", "", HARD),
        ("expired_card", "", "", HARD),
        ("incorrect_cvc", "", "", HARD),
        ("processing_error", "", "", SOFT),
        # ... and a bank that wants to see its card's holder may say so in two places.
        ("authentication_required", "authentication_required", "", AUTHENTICATION),
        ("authentication_required", "", "", AUTHENTICATION),
        ("card_declined", "authentication_required", "", AUTHENTICATION),
        ("card_declined", "authentication_not_handled", "", AUTHENTICATION),
        ("authentication_required", "", "try_again_later", AUTHENTICATION),
    ],
)
def test_what_a_bank_said_decides_whether_its_card_is_asked_again(
    code: str, decline_code: str, advice_code: str, kind: DeclineKind
) -> None:
    assert kind_of_decline(code, decline_code, advice_code) is kind


def test_a_decline_that_says_nothing_at_all_is_tried_again() -> None:
    assert kind_of_decline("", "", "") is SOFT


@given(WORDS, WORDS, WORDS)
def test_what_nobody_has_heard_of_yet_is_tried_again(code: str, decline_code: str, advice_code: str) -> None:
    unknown = [f"new_{word}" for word in (code, decline_code, advice_code)]

    assert kind_of_decline(*unknown) is SOFT


@given(st.sampled_from(sorted(NEVER_AGAIN)), WORDS)
def test_a_reason_for_good_counts_beside_advice_that_nobody_has_heard_of(reason: str, advice: str) -> None:
    assert kind_of_decline("card_declined", reason, f"new_{advice}") is HARD


# In words


@pytest.mark.parametrize(
    ("code", "decline_code", "why"),
    [
        ("card_declined", "insufficient_funds", "there is not enough money on it"),
        ("card_declined", "lost_card", "it was reported lost"),
        ("expired_card", "", "it has expired"),
        ("incorrect_cvc", "incorrect_cvc", "its security code is wrong"),
        ("card_declined", "authentication_required", "the bank wants its holder to confirm the payment"),
        ("card_declined", "generic_decline", "the bank did not say why"),
        ("card_declined", "do_not_honor", "the bank did not say why"),
        ("", "", "the bank did not say why"),
    ],
)
def test_the_reason_ends_a_sentence_about_the_card(code: str, decline_code: str, why: str) -> None:
    assert in_plain_words(code, decline_code) == why


@given(WORDS, WORDS)
def test_no_word_for_programs_is_ever_shown_to_people(code: str, decline_code: str) -> None:
    assert "_" not in in_plain_words(code, decline_code)


# The policy that was looked up for every code of Stripe's

needs_policy = pytest.mark.skipif(
    not POLICY.is_file(), reason="../shared/payloads is not here: the policy for declines not compared"
)
KIND_OF_CLASS = {
    "HARD_STOP": HARD,
    "NEEDS_NEW_CARD": HARD,
    "NEEDS_AUTHENTICATION": AUTHENTICATION,
    "SOFT": SOFT,
    "CHECK_FIRST": SOFT,  # every payment is looked up before anything is concluded
    "OUR_BUG": SOFT,
}


def policy() -> dict[str, Any]:
    """Class -> its decline codes."""
    found = json.loads(POLICY.read_text("utf-8"))["policy"]
    return {name.split()[0]: codes for name, codes in found.items() if isinstance(codes, list)}


@needs_policy
def test_every_code_of_the_policy_is_what_the_policy_says() -> None:
    wrong = [
        (name, code)
        for name, codes in policy().items()
        for code in codes
        if kind_of_decline("card_declined", code, "") is not KIND_OF_CLASS[name]
    ]

    assert sum(len(codes) for codes in policy().values()) > 40
    assert wrong == []


@needs_policy
def test_no_card_is_given_up_for_a_reason_that_the_policy_does_not_name() -> None:
    assert set(policy()["HARD_STOP"] + policy()["NEEDS_NEW_CARD"]) == NEVER_AGAIN


@needs_policy
def test_the_policy_knows_no_advice_but_the_three_that_are_followed() -> None:
    advice = json.loads(POLICY.read_text("utf-8"))["advice_code_values"]

    assert {code: kind_of_decline("card_declined", "generic_decline", code) for code in advice} == {
        "confirm_card_data": HARD,
        "do_not_try_again": HARD,
        "try_again_later": SOFT,
    }
