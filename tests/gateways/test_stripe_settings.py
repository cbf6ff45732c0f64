"""Stripe's keys come from the parameter store, at run time, and nowhere else."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib import settings
from chalicelib.domain.errors import Conflict, Unavailable
from local.stack import Stack

KEYS = {
    "secret-key": "sk_test_from_the_store",
    "client-id": "ca_from_the_store",
    "webhook-secret": "whsec_platform",
    "connect-webhook-secret": "whsec_connect",
}


@pytest.fixture
def parameters(store: Stack) -> Iterator[Any]:
    """The parameter store of this stage; what the process knew of it before is forgotten."""
    settings._parameter_store.cache_clear()
    yield boto3.client("ssm", endpoint_url=store.endpoint_url)
    settings._parameter_store.cache_clear()


def put(parameters: Any, **changed: str) -> None:
    """Write Stripe's keys as an operator does."""
    for name, value in {**KEYS, **changed}.items():
        full = f"/rebill/test/stripe/{name}"
        parameters.put_parameter(Name=full, Value=value, Type="SecureString", Overwrite=True)


def test_the_keys_are_read_and_the_addresses_are_stripes_own(parameters: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REBILL_STRIPE_API_ADDRESS", "REBILL_STRIPE_CONNECT_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    put(parameters)

    assert settings.stripe_settings() == settings.StripeSettings(
        secret_key="sk_test_from_the_store",
        client_id="ca_from_the_store",
        webhook_secret="whsec_platform",
        connect_webhook_secret="whsec_connect",
        api_address="https://api.stripe.com",
        connect_address="https://connect.stripe.com",
    )


def test_the_addresses_can_be_others(parameters: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(parameters)
    monkeypatch.setenv("REBILL_STRIPE_API_ADDRESS", "http://stripe.example:1/")
    monkeypatch.setenv("REBILL_STRIPE_CONNECT_ADDRESS", "http://stripe.example:2")

    known = settings.stripe_settings()

    assert (known.api_address, known.connect_address) == ("http://stripe.example:1", "http://stripe.example:2")


@pytest.mark.parametrize(("key", "livemode"), [("sk_test_1", False), ("sk_live_1", True), ("rk_live_1", True)])
def test_the_key_says_whether_the_money_is_real(parameters: Any, key: str, livemode: bool) -> None:
    put(parameters, **{"secret-key": key})

    assert settings.stripe_settings().livemode is livemode


def test_keys_in_the_environment_are_not_looked_at(parameters: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_SECRET_KEY", "STRIPE_API_KEY", "REBILL_STRIPE_SECRET_KEY"):
        monkeypatch.setenv(name, "sk_test_from_the_environment")

    with pytest.raises(Conflict):
        settings.stripe_settings()


@pytest.mark.parametrize("missing", KEYS)
def test_a_missing_parameter_is_named_and_found_as_soon_as_it_is_there(parameters: Any, missing: str) -> None:
    put(parameters)
    parameters.delete_parameter(Name=f"/rebill/test/stripe/{missing}")

    with pytest.raises(Conflict) as refused:
        settings.stripe_settings()
    put(parameters)

    assert refused.value.code == "stripe_not_configured"
    assert f"/rebill/test/stripe/{missing} is missing" in refused.value.detail
    assert not [value for value in KEYS.values() if value in refused.value.detail]
    assert settings.stripe_settings().client_id == "ca_from_the_store"


def test_where_nothing_is_set_up_all_four_are_named(parameters: Any) -> None:
    with pytest.raises(Conflict) as refused:
        settings.stripe_settings()

    assert all(f"/rebill/test/stripe/{name}" in refused.value.detail for name in KEYS)


def test_the_store_is_asked_once_in_five_minutes(parameters: Any) -> None:
    put(parameters)
    first = settings.stripe_settings()

    put(parameters, **{"secret-key": "sk_test_changed"})

    assert settings.stripe_settings() == first


def test_a_store_that_is_silent_is_our_own_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    settings._parameter_store.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(Unavailable) as silent:
        settings.stripe_settings()

    settings._parameter_store.cache_clear()
    assert "parameter store" in silent.value.detail
    assert silent.value.__suppress_context__
