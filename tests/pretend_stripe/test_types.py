"""Every answer has the shape that the installed SDK says: the SDK's own annotations are the judge."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe import StripeClient, StripeError

from local.pretend_stripe import PretendStripe
from local.pretend_stripe.routes import ROUTES, find_route
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import BRIGHT, NO_REDIRECTS, NORTH, Shop
from tests.pretend_stripe.walker import problems

SHARED = Path(__file__).resolve().parents[3] / "shared" / "payloads" / "stripe"
# The fixtures are a little older than the SDK: it has learnt of a field since.
KNOWN_DIFFERENCES = {"object_dispute.fixtures3.json": ["dispute.evidence_details.submission_method: is missing"]}


class Recorder(stripe.RequestsClient):
    """Remembers every answer."""

    def __init__(self) -> None:
        super().__init__(timeout=5)
        self.answers: list[tuple[str, str, int, Any]] = []

    def request(self, method: str, url: str, headers: Any, post_data: Any = None, **more: Any) -> Any:
        body, status, answer_headers = super().request(method, url, headers, post_data)
        text = body.decode() if isinstance(body, bytes) else body
        path = "/" + url.split("/", 3)[3].partition("?")[0]
        self.answers.append((method.upper(), path, status, json.loads(text)))
        return body, status, answer_headers

    def routes(self) -> set[tuple[str, str]]:
        """The routes that have answered well."""
        found = [find_route(method, path) for method, path, status, _ in self.answers if status == 200]
        return {(route.method, route.path) for route, _ in filter(None, found)}

    def problems(self) -> list[str]:
        """All that is wrong in all of them, errors and what they carry included."""
        wrong = []
        for method, path, _, body in self.answers:
            for value in _objects(body):
                wrong += [f"{method} {path}: {problem}" for problem in problems(value)]
        return wrong


def _objects(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "error" in body:
        return [part for part in body["error"].values() if isinstance(part, dict) and "object" in part]
    rows = body["data"] if body["object"] == "list" else [body]
    carried = [row["data"]["object"] for row in rows if row["object"] == "event"]
    return [dict(body), *carried]


def _refused(call: Any, *args: Any) -> None:
    with pytest.raises(StripeError):
        call(*args)


def walk_customers(client: StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Pat", "metadata": {"sub_account": "sa_1"}}).id
    client.v1.customers.update(customer, {"description": "moved"})
    client.v1.customers.retrieve(customer)
    client.v1.customers.list({"email": "pat@client.example"})
    card = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}).id
    client.v1.payment_methods.attach(card, {"customer": customer})
    client.v1.payment_methods.update(card, {"metadata": {"a": "b"}, "card": {"exp_year": 2044}})
    client.v1.payment_methods.retrieve(card)
    client.v1.payment_methods.list({"customer": customer, "type": "card"})
    client.v1.customers.payment_methods.list(customer)
    client.v1.customers.payment_methods.retrieve(customer, card)
    client.v1.billing_portal.sessions.create({"customer": customer, "return_url": "http://127.0.0.1:1/"})
    client.v1.payment_methods.detach(card)
    _refused(client.v1.payment_methods.attach, "pm_card_visa_chargeDeclined", {"customer": customer})
    client.v1.customers.delete(customer)
    client.v1.customers.retrieve(customer)


def walk_intents(client: StripeClient, pretend: PretendStripe) -> None:
    shop = Shop(pretend, client)
    card = shop.card()
    intent = shop.intent(card).id
    client.v1.payment_intents.update(intent, {"metadata": {"a": "b"}})
    client.v1.payment_intents.confirm(intent, {"off_session": True})
    client.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge.balance_transaction", "customer"]})
    client.v1.payment_intents.list({"customer": str(card.customer), "expand": ["data.payment_method"]})
    client.v1.payment_intents.cancel(shop.intent(card).id, {"cancellation_reason": "abandoned"})
    held = shop.intent(card, capture_method="manual", confirm=True)
    client.v1.payment_intents.capture(held.id)
    shop.intent(shop.card("pm_card_authenticationRequired"), confirm=True)
    shop.intent(
        shop.card("pm_card_authenticationRequired"),
        confirm=True,
        return_url="http://127.0.0.1:1/",
        automatic_payment_methods={"enabled": True},
    )
    pretend.control.hold_payments()
    pretend.control.finish_payment(shop.paid().id)
    for token in ("pm_card_chargeCustomerFail", "pm_card_authenticationRequired", "pm_card_radarBlock"):
        _refused(shop.paid, token)
    _refused(client.v1.payment_intents.confirm, intent)
    shop.paid("pm_card_createIssuerFraudRecord")


def walk_setups(client: StripeClient, pretend: PretendStripe) -> None:
    customer = client.v1.customers.create().id
    params: Any = {"customer": customer, "automatic_payment_methods": NO_REDIRECTS}
    intent = client.v1.setup_intents.create(params).id
    client.v1.setup_intents.update(intent, {"metadata": {"a": "b"}})
    client.v1.setup_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    client.v1.setup_intents.retrieve(intent, {"expand": ["payment_method"]})
    client.v1.setup_intents.list({"customer": customer})
    client.v1.setup_intents.cancel(client.v1.setup_intents.create(params).id)
    asked = client.v1.setup_intents.create(params)
    client.v1.setup_intents.confirm(asked.id, {"payment_method": "pm_card_authenticationRequired"})
    refused = client.v1.setup_intents.create(params)
    _refused(client.v1.setup_intents.confirm, refused.id, {"payment_method": "pm_card_visa_chargeDeclined"})


def walk_checkout(client: StripeClient, pretend: PretendStripe) -> None:
    shop = Shop(pretend, client)
    session = shop.checkout(
        payment_intent_data={"setup_future_usage": "off_session", "metadata": {"top_up": "top_1"}},
        custom_text={"submit": {"message": "We keep this card."}},
        consent_collection={"terms_of_service": "required"},
    )
    pretend.control.pay(session.id)
    whole = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items", "payment_intent.latest_charge"]})
    client.v1.checkout.sessions.list({"payment_intent": whole.payment_intent.id})
    client.v1.checkout.sessions.line_items.list(session.id)
    client.v1.checkout.sessions.expire(shop.checkout(customer=shop.customer().id).id)
    saved = shop.save_card(customer=shop.customer().id)
    pretend.control.pay(saved.id)
    client.v1.checkout.sessions.retrieve(saved.id, {"expand": ["setup_intent.payment_method"]})


def walk_money_back(client: StripeClient, pretend: PretendStripe) -> None:
    shop = Shop(pretend, client)
    paid = shop.paid()
    refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 1000, "metadata": {"a": "b"}})
    client.v1.refunds.update(refund.id, {"metadata": {"a": "c"}})
    client.v1.refunds.retrieve(refund.id, {"expand": ["charge", "balance_transaction"]})
    client.v1.refunds.list({"payment_intent": paid.id})
    pretend.control.fail_refund(client.v1.refunds.create({"charge": str(paid.latest_charge)}).id)
    client.v1.refunds.create({"payment_intent": shop.paid("pm_card_pendingRefund").id})
    client.v1.charges.retrieve(str(paid.latest_charge), {"expand": ["refunds", "balance_transaction"]})
    client.v1.charges.list({"payment_intent": paid.id})
    first = client.v1.balance_transactions.list({"type": "charge", "expand": ["data.source"]}).data[0]
    client.v1.balance_transactions.retrieve(first.id)
    for token in ("pm_card_createDispute", "pm_card_createDisputeInquiry", "pm_card_createMultipleDisputes"):
        shop.paid(token)
    won, lost, *_ = client.v1.disputes.list({"expand": ["data.charge"]}).data
    client.v1.disputes.update(won.id, {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True})
    client.v1.disputes.close(lost.id)
    client.v1.disputes.retrieve(won.id)


@pytest.mark.parametrize("account", [None, NORTH])
def test_every_route_answers_in_the_shapes_of_the_installed_sdk(pretend: PretendStripe, account: str | None) -> None:
    recorder = Recorder()
    pretend.control.connect(BRIGHT)
    pretend.control.connect(NORTH)
    client = make_client(pretend, http_client=recorder, **({"stripe_account": account} if account else {}))

    walk_customers(client)
    walk_intents(client, pretend)
    walk_setups(client, pretend)
    walk_checkout(client, pretend)
    walk_money_back(client, pretend)
    pretend.control.set_account(NORTH, charges_enabled=False)
    current = client.v1.accounts.retrieve_current()
    client.v1.accounts.retrieve(current.id)
    client.v1.accounts.list()
    events = list(client.v1.events.list({"limit": 100}).auto_paging_iter())
    client.v1.events.retrieve(events[0].id)

    assert {(route.method, route.path) for route in ROUTES} - recorder.routes() == set()
    assert recorder.problems() == []
    assert len(events) > 60


def _fixtures() -> list[Path]:
    return sorted(SHARED.glob("object_*.json"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared payloads are not beside the repository")
def test_the_judge_lets_official_objects_through() -> None:
    found = {path.name: problems(json.loads(path.read_text())) for path in _fixtures()}

    assert len(found) >= 9
    assert {name: wrong for name, wrong in found.items() if wrong} == KNOWN_DIFFERENCES


@pytest.mark.parametrize(
    ("break_it", "finding"),
    [
        (lambda o: o.pop("amount_received"), "payment_intent.amount_received: is missing"),
        (lambda o: o.update(amount="5000"), "payment_intent.amount: is '5000', should be int"),
        (lambda o: o.update(amount=True), "payment_intent.amount: is True, should be int"),
        (lambda o: o.update(created=None), "payment_intent.created: is null"),
        (lambda o: o.update(livemode="false"), "payment_intent.livemode: is 'false', should be bool"),
        (lambda o: o.update(status="succeded"), "payment_intent.status: is 'succeded', should be one of"),
        (lambda o: o.update(metadata={"a": 1}), "payment_intent.metadata.a: is 1, should be str"),
        (lambda o: o.update(payment_method_types="card"), "payment_intent.payment_method_types: is 'card'"),
        (lambda o: o.update(payed=True), "payment_intent.payed: is not known to PaymentIntent"),
        (lambda o: o["latest_charge"].pop("paid"), "payment_intent.latest_charge.paid: is missing"),
        (
            lambda o: o["latest_charge"]["outcome"].update(type=None),
            "payment_intent.latest_charge.outcome.type: is null",
        ),
        (
            lambda o: o["latest_charge"]["payment_method_details"]["card"].update(exp_year="2030"),
            "payment_intent.latest_charge.payment_method_details.card.exp_year: is '2030', should be int",
        ),
    ],
)
def test_the_judge_catches_a_broken_object(shop: Shop, break_it: Any, finding: str) -> None:
    intent = shop.client.v1.payment_intents.retrieve(shop.paid().id, {"expand": ["latest_charge"]}).to_dict()
    good = json.loads(json.dumps(intent, default=str))
    broken = copy.deepcopy(good)

    break_it(broken)

    assert problems(good) == []
    assert any(problem.startswith(finding) for problem in problems(broken)), problems(broken)


def test_the_judge_looks_into_lists(shop: Shop) -> None:
    shop.paid()
    rows = json.loads(json.dumps(shop.client.v1.payment_intents.list().to_dict(), default=str))
    del rows["data"][0]["client_secret"], rows["data"][0]["currency"]

    assert problems(rows) == ["list.data[0].currency: is missing"]
