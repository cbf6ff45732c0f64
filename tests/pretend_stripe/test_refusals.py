"""What Stripe refuses is refused, in Stripe's words; lists have pages, and ids become objects."""

from typing import Any

import httpx
import pytest
from stripe import AuthenticationError, InvalidRequestError, StripeClient

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import SUCCESS, Shop

GOOD: Any = {"amount": 5000, "currency": "usd"}
PRICE: Any = {"currency": "usd", "unit_amount": 5000, "product_data": {"name": "Balance"}}
SESSION: Any = {"mode": "payment", "success_url": SUCCESS, "line_items": [{"price_data": PRICE, "quantity": 1}]}


def without(params: Any, *names: str) -> Any:
    return {name: value for name, value in params.items() if name not in names}


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        (without(GOOD, "amount"), "parameter_missing", "amount"),
        (without(GOOD, "currency"), "parameter_missing", "currency"),
        ({**GOOD, "amout": 1}, "parameter_unknown", "amout"),
        ({**GOOD, "payment_method_types": ["card"]}, "parameter_unknown", "payment_method_types"),
        ({**GOOD, "automatic_payment_methods": {"on": True}}, "parameter_unknown", "automatic_payment_methods[on]"),
        ({**GOOD, "automatic_payment_methods": {}} | {"automatic_payment_methods": {"allow_redirects": "never"}},
         "parameter_missing", "automatic_payment_methods[enabled]"),
        ({**GOOD, "amount": "12.5"}, "parameter_invalid_integer", "amount"),
        ({**GOOD, "amount": -5}, "parameter_invalid_integer", "amount"),
        ({**GOOD, "amount": 49}, "amount_too_small", "amount"),
        ({**GOOD, "amount": 0}, "amount_too_small", "amount"),
        ({**GOOD, "amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 49, "currency": "jpy"}, "amount_too_small", "amount"),
        ({"amount": 5005, "currency": "kwd"}, "parameter_invalid_integer", "amount"),
        ({**GOOD, "currency": "xxx"}, None, "currency"),
        ({**GOOD, "currency": ""}, "parameter_invalid_empty", "currency"),
        ({**GOOD, "customer": "cus_nobody"}, "resource_missing", "customer"),
        ({**GOOD, "payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
        ({**GOOD, "capture_method": "later"}, None, "capture_method"),
        ({**GOOD, "confirm": "perhaps"}, None, "confirm"),
        ({**GOOD, "metadata": {"a": "x" * 501}}, None, "metadata"),
        ({**GOOD, "expand": ["amount"]}, None, "expand"),
        ({**GOOD, "expand": ["colour"]}, None, "expand"),
    ],
)  # fmt: skip
def test_a_payment_is_refused(platform: StripeClient, params: Any, code: str | None, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        platform.v1.payment_intents.create(params)

    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, code, param)


@pytest.mark.parametrize("params", [{"amount": 50, "currency": "JPY"}, {"amount": 99_999_999, "currency": "usd"}])
def test_amounts_at_the_edge_go_through(platform: StripeClient, params: Any) -> None:
    assert platform.v1.payment_intents.create(params).currency == params["currency"].lower()


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        (without(SESSION, "mode"), "parameter_missing", "mode"),
        (without(SESSION, "success_url"), "parameter_missing", "success_url"),
        (without(SESSION, "line_items"), "parameter_missing", "line_items"),
        ({**SESSION, "success_url": "back"}, "url_invalid", "success_url"),
        ({**SESSION, "cancel_url": "javascript:alert(1)"}, "url_invalid", "cancel_url"),
        ({**SESSION, "line_items": [{"price": "price_1"}]}, "resource_missing", "line_items[0][price]"),
        ({**SESSION, "line_items": [{"price_data": {**PRICE, "amount": 1}}]}, "parameter_unknown",
         "line_items[0][price_data][amount]"),
        ({**SESSION, "line_items": [{"price_data": without(PRICE, "currency")}]}, "parameter_missing",
         "line_items[0][price_data][currency]"),
        ({**SESSION, "line_items": [{"price_data": {**PRICE, "unit_amount": 1}}]}, "amount_too_small", "line_items"),
        ({**SESSION, "setup_intent_data": {"metadata": {"a": "b"}}}, None, "setup_intent_data"),
        ({"mode": "setup", "success_url": SUCCESS}, "parameter_missing", "currency"),
        ({**SESSION, "customer": "cus_nobody"}, "resource_missing", "customer"),
        ({**SESSION, "expires_at": 1}, None, "expires_at"),
    ],
)  # fmt: skip
def test_a_session_is_refused(platform: StripeClient, params: Any, code: str | None, param: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        platform.v1.checkout.sessions.create(params)

    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    "path", ["payment_intents/pi_x", "customers/cus_x", "charges/ch_x", "checkout/sessions/cs_x", "events/evt_x"]
)
def test_what_is_not_there_is_a_404(platform: StripeClient, path: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        platform.raw_request("get", f"/v1/{path}")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_unknown_addresses_are_named(platform: StripeClient) -> None:
    with pytest.raises(InvalidRequestError, match="Unrecognized request URL") as caught:
        platform.raw_request("get", "/v1/subscriptions")
    assert caught.value.http_status == 404


@pytest.mark.parametrize("key", ["sk_test_somebodyelse00001", "rk", "sk_live_"])
def test_a_wrong_key_is_a_401(pretend: PretendStripe, key: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        make_client(pretend, api_key=key).v1.customers.list()
    assert caught.value.http_status == 401
    assert key not in str(caught.value) or len(key) < 12


def test_no_key_is_a_401_and_basic_authentication_works(pretend: PretendStripe, browser: httpx.Client) -> None:
    assert browser.get("/v1/account").status_code == 401
    assert browser.get("/v1/account", auth=(pretend.platform_key, "")).json()["id"] == pretend.platform_account


def test_a_card_number_is_never_taken_over_the_api(platform: StripeClient) -> None:
    card: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040}
    with pytest.raises(Exception, match="generally unsafe"):
        platform.v1.payment_methods.create({"type": "card", "card": card})


@pytest.mark.parametrize(
    "body", ["amount=1&amount[x]=2", "[a]=1", "a]b=1", "a" + "[b]" * 12 + "=1", "%00=%ff&amount=%E2%92"]
)
def test_hostile_forms_are_refused(pretend: PretendStripe, browser: httpx.Client, body: str) -> None:
    headers = {"Authorization": f"Bearer {pretend.platform_key}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = browser.post("/v1/payment_intents", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


# Lists and expanding


def test_lists_have_pages_and_the_sdk_walks_them(shop: Shop) -> None:
    customer = shop.customer().id
    made = [shop.intent(customer=customer).id for _ in range(7)]
    shop.intent()
    calls = shop.client.v1.payment_intents

    first = calls.list({"customer": customer, "limit": 3})
    second = calls.list({"customer": customer, "limit": 3, "starting_after": first.data[-1].id})
    back = calls.list({"customer": customer, "limit": 2, "ending_before": second.data[0].id})

    assert [i.id for i in first.data] == made[:3:-1]
    assert (first.has_more, first.url, [i.id for i in second.data]) == (True, "/v1/payment_intents", made[3:0:-1])
    assert ([i.id for i in back.data], back.has_more) == (made[5:3:-1], True)
    assert [i.id for i in calls.list({"customer": customer, "limit": 2}).auto_paging_iter()] == made[::-1]
    assert calls.list({"customer": "cus_other"}).data == []


def test_lists_filter_by_time(shop: Shop) -> None:
    old = shop.intent()
    shop.pretend.control.advance(100)
    new = shop.intent()
    calls = shop.client.v1.payment_intents

    def ids(created: Any) -> list[str]:
        return [intent.id for intent in calls.list({"created": created}).data]

    assert ids({"gt": old.created}) == ids({"gte": new.created}) == ids(new.created) == [new.id]
    assert ids({"lt": new.created}) == ids({"lte": old.created}) == [old.id]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 101}, {"starting_after": "pi_x"},
                                    {"starting_after": "pi_x", "ending_before": "pi_y"}])  # fmt: skip
def test_bad_pages_are_refused(platform: StripeClient, params: Any) -> None:
    with pytest.raises(InvalidRequestError):
        platform.v1.payment_intents.list(params)


def test_ids_become_objects_where_asked(shop: Shop) -> None:
    paid = shop.paid()
    shop.client.v1.refunds.create({"payment_intent": paid.id, "amount": 100})
    calls = shop.client.v1

    intent = calls.payment_intents.retrieve(
        paid.id, {"expand": ["latest_charge.balance_transaction.source", "customer", "payment_method.customer"]}
    )
    rows = calls.payment_intents.list({"expand": ["data.latest_charge.refunds", "data.customer"]})

    assert intent.latest_charge.balance_transaction.source.id == intent.latest_charge.id
    assert intent.customer.email == intent.payment_method.customer.email == "pat@client.example"
    assert [refund.amount for refund in rows.data[0].latest_charge.refunds.data] == [100]
    assert rows.data[0].customer.id == intent.customer.id
    with pytest.raises(InvalidRequestError, match="cannot expand more than 4"):
        calls.payment_intents.retrieve(paid.id, {"expand": ["latest_charge.payment_intent.latest_charge.customer.x"]})


def test_deleted_customers_are_gone_and_their_cards_with_them(shop: Shop) -> None:
    card = shop.card()
    shop.client.v1.customers.delete(str(card.customer))

    assert shop.client.v1.customers.retrieve(str(card.customer)).deleted is True
    assert shop.client.v1.payment_methods.retrieve(card.id).customer is None
    assert shop.client.v1.customers.list().data == []
    with pytest.raises(InvalidRequestError) as caught:
        shop.intent(customer=str(card.customer))
    assert caught.value.code == "resource_missing"
    assert shop.events()[-2:] == ["customer.deleted", "payment_method.detached"]


def test_metadata_is_merged_and_taken_away(shop: Shop) -> None:
    customer = shop.customer(metadata={"a": "1", "b": "2"}).id
    update = shop.client.v1.customers.update

    assert update(customer, {"metadata": {"b": "", "c": "3"}}).metadata.to_dict() == {"a": "1", "c": "3"}
    assert update(customer, {"metadata": ""}).metadata.to_dict() == {}
    assert update(customer, {"name": "Pat"}).name == "Pat"
    assert update(customer, {"name": ""}).name is None


def test_a_default_card_must_be_the_customers_own(shop: Shop) -> None:
    card, other = shop.card(), shop.customer()
    update = shop.client.v1.customers.update
    wanted: Any = {"invoice_settings": {"default_payment_method": card.id}}

    assert update(str(card.customer), wanted).invoice_settings.default_payment_method == card.id
    with pytest.raises(InvalidRequestError):
        update(other.id, wanted)
    shop.client.v1.payment_methods.detach(card.id)
    assert shop.client.v1.customers.retrieve(str(card.customer)).invoice_settings.default_payment_method is None
