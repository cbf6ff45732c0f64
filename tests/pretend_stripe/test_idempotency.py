"""Idempotency keys, as Stripe documents them."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from stripe import CardError, IdempotencyError, InvalidRequestError, StripeClient, StripeError

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import BRIGHT, NO_REDIRECTS, Shop

DAY = 86_400
INTENT: Any = {"amount": 5000, "currency": "usd", "automatic_payment_methods": NO_REDIRECTS}
KEY: Any = {"idempotency_key": "refill:rfl_1:create"}


def count(client: StripeClient) -> int:
    return len(client.v1.payment_intents.list({"limit": 100}).data)


def outcome(call: Callable[[], Any]) -> tuple[int, str, str | None, bool]:
    """Status, body, original request, and whether it was a replay."""
    try:
        response = call().last_response
        status, body, headers = response.code, response.body, response.headers
    except StripeError as error:
        status, body, headers = error.http_status, error.http_body, error.headers
    return int(status or 0), str(body), headers.get("Original-Request"), headers.get("Idempotent-Replayed") == "true"


def test_the_same_key_and_parameters_replay_the_first_answer(platform: StripeClient) -> None:
    def call() -> Any:
        return platform.v1.payment_intents.create(INTENT, KEY)

    first, second, third = outcome(call), outcome(call), outcome(call)

    assert [answer[3] for answer in (first, second, third)] == [False, True, True]
    assert first[:3] == second[:3] == third[:3]
    assert count(platform) == 1


def test_a_decline_is_replayed_too(shop: Shop) -> None:
    intent = shop.intent(shop.card("pm_card_chargeCustomerFail"))

    def call() -> Any:
        return shop.client.v1.payment_intents.confirm(intent.id, {"off_session": True}, KEY)

    first, second = outcome(call), outcome(call)

    assert (first[0], first[:3], second[3]) == (402, second[:3], True)
    assert shop.events().count("payment_intent.payment_failed") == 1
    with pytest.raises(CardError):
        call()


@pytest.mark.parametrize(("kind", "made"), [("error_500", 0), ("error_500_after", 1)])
def test_a_500_stays_a_500_for_its_key(shop: Shop, kind: str, made: int) -> None:
    shop.pretend.control.plan_fault(kind)

    def call() -> Any:
        return shop.client.v1.payment_intents.create(INTENT, KEY)

    first, second = outcome(call), outcome(call)

    assert (first[0], second[0], second[3]) == (500, 500, True)
    assert count(shop.client) == made


@pytest.mark.parametrize(
    ("params", "says"),
    [({**INTENT, "amount": 5001}, "same parameters"), ({**INTENT, "metadata": {"a": "b"}}, "same parameters")],
)
def test_other_parameters_under_a_key_are_refused(platform: StripeClient, params: Any, says: str) -> None:
    platform.v1.payment_intents.create(INTENT, KEY)

    with pytest.raises(IdempotencyError, match=says) as caught:
        platform.v1.payment_intents.create(params, KEY)

    assert caught.value.http_status == 400
    assert count(platform) == 1


def test_another_call_under_a_key_is_refused(platform: StripeClient) -> None:
    platform.v1.payment_intents.create(INTENT, KEY)

    with pytest.raises(IdempotencyError, match="same endpoint"):
        platform.v1.customers.create({}, KEY)


def test_keys_of_different_accounts_do_not_meet(pretend: PretendStripe, platform: StripeClient) -> None:
    pretend.control.connect(BRIGHT)
    agency = make_client(pretend, stripe_account=BRIGHT)

    own, other = platform.v1.payment_intents.create(INTENT, KEY), agency.v1.payment_intents.create(INTENT, KEY)

    assert own.id != other.id


def test_while_the_first_is_running_the_second_is_told_so(shop: Shop) -> None:
    shop.pretend.control.plan_fault("latency", seconds=0.3)
    first = Thread(target=lambda: shop.client.v1.payment_intents.create(INTENT, KEY))
    first.start()
    while not any(known["status"] is None for known in shop.pretend.control.state()["answers"].values()):
        assert first.is_alive()

    with pytest.raises(StripeError) as caught:
        make_client(shop.pretend).v1.payment_intents.create(INTENT, KEY)

    assert (caught.value.http_status, caught.value.error.code) == (409, "idempotency_key_in_use")
    first.join()
    assert outcome(lambda: shop.client.v1.payment_intents.create(INTENT, KEY))[3]
    assert count(shop.client) == 1


@pytest.mark.parametrize(
    "params", [{"currency": "usd"}, {**INTENT, "amount": 1}, {**INTENT, "amount": "much"}, {**INTENT, "colour": "red"}]
)
def test_what_fails_validation_leaves_the_key_free(platform: StripeClient, params: Any) -> None:
    with pytest.raises(InvalidRequestError):
        platform.v1.payment_intents.create(params, KEY)

    assert platform.v1.payment_intents.create(INTENT, KEY).status == "requires_payment_method"


@pytest.mark.parametrize("kind", ["conflict_409", "rate_limit_429", "lost_before"])
def test_what_never_ran_leaves_the_key_free(shop: Shop, kind: str) -> None:
    shop.pretend.control.plan_fault(kind)
    with pytest.raises(StripeError):
        shop.client.v1.payment_intents.create(INTENT, KEY)
    assert count(shop.client) == 0

    assert not outcome(lambda: shop.client.v1.payment_intents.create(INTENT, KEY))[3]


@pytest.mark.parametrize(
    ("seconds", "replayed", "made"), [(3600, True, 1), (DAY - 60, True, 1), (DAY + 3600, False, 2)]
)
def test_keys_are_pruned_after_a_day_and_then_a_new_request_is_made(
    shop: Shop, seconds: int, replayed: bool, made: int
) -> None:
    def call() -> Any:
        return shop.client.v1.payment_intents.create(INTENT, KEY)

    call()
    shop.pretend.control.advance(seconds)

    assert (outcome(call)[3], count(shop.client)) == (replayed, made)


def test_a_key_may_have_255_characters(platform: StripeClient) -> None:
    platform.v1.customers.create({}, {"idempotency_key": "k" * 255})

    with pytest.raises(InvalidRequestError):
        platform.v1.customers.create({}, {"idempotency_key": "k" * 256})


def test_the_sdk_repeats_a_lost_answer_under_one_key(pretend: PretendStripe) -> None:
    client = make_client(pretend, max_network_retries=1)
    pretend.control.plan_fault("lost_after")

    client.v1.payment_intents.create(INTENT)

    assert count(client) == 1
