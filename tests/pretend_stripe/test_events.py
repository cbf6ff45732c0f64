"""Events: stored, listed, signed, delivered twice, in any order, and again until somebody answers."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest
import stripe
from stripe import SignatureVerificationError, StripeClient

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import BRIGHT, Shop

PLATFORM_SECRET, CONNECT_SECRET = "whsec_platform", "whsec_connect"


class Listener:
    """An endpoint: keeps what it gets; answers with `statuses` first, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self._lock = Lock()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(listener.take({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?x=1"
        self._thread.start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            self.got.append((headers, body))
            return self.statuses.pop(0) if self.statuses else 200

    def events(self, secret: str) -> list[stripe.Event]:
        """What was delivered, each verified with the SDK."""
        return [stripe.Webhook.construct_event(body, h["stripe-signature"], secret) for h, body in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def test_events_arrive_signed_in_their_order(shop: Shop, listener: Listener) -> None:
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET, listener.url)

    paid = shop.paid()

    assert shop.pretend.control.wait_for_deliveries(5)
    events = listener.events(PLATFORM_SECRET)
    assert [event.type for event in events] == shop.events()
    last = events[-1]
    assert (last.data.object.id, last.livemode, last.api_version) == (paid.id, False, "2026-10-28.endive")
    assert last.request and last.request.idempotency_key
    assert "account" not in json.loads(listener.got[-1][1])
    assert shop.client.v1.events.retrieve(last.id).pending_webhooks == 0
    headers = listener.got[-1][0]
    assert headers["content-type"].startswith("application/json") and headers["user-agent"].startswith("Stripe/1.0")


def test_the_signature_is_stripes(shop: Shop) -> None:
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET)
    shop.customer()
    (sent,) = shop.pretend.control.take()
    header = sent.headers["Stripe-Signature"]

    assert shop.client.construct_event(sent.body, header, PLATFORM_SECRET).type == "customer.created"
    for body, secret in ((sent.body, CONNECT_SECRET), (sent.body.replace(b"pat@", b"pit@"), PLATFORM_SECRET)):
        with pytest.raises(SignatureVerificationError):
            shop.client.construct_event(body, header, secret)
    time, _, _ = header.partition(",")
    assert (
        stripe.WebhookSignature.generate_signature_header(
            sent.body.decode(), PLATFORM_SECRET, int(time.removeprefix("t="))
        )
        == header
    )


def test_connected_accounts_are_heard_at_the_other_endpoint(
    pretend: PretendStripe, platform: StripeClient, agency: StripeClient
) -> None:
    pretend.control.set_endpoint("platform", PLATFORM_SECRET)
    pretend.control.set_endpoint("connect", CONNECT_SECRET)

    platform.v1.customers.create()
    agency.v1.customers.create()

    own, other = pretend.control.take()
    assert (own.endpoint, other.endpoint) == ("platform", "connect")
    assert (
        stripe.Webhook.construct_event(other.body, other.headers["Stripe-Signature"], CONNECT_SECRET).account == BRIGHT
    )
    assert json.loads(own.body).get("account") is None
    pretend.control.deauthorize(BRIGHT)
    assert [sent.event_type for sent in pretend.control.take()] == ["account.application.deauthorized"]
    pretend.control.set_account(BRIGHT, charges_enabled=False)
    assert pretend.control.take() == []


def test_what_is_not_answered_well_comes_again(shop: Shop, listener: Listener) -> None:
    listener.statuses = [500, 302]
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET, listener.url)
    shop.pretend.control.deliveries(paused=True)
    customer = shop.customer()

    results = [shop.pretend.control.flush() for _ in range(4)]

    assert [[result["status"] for result in batch] for batch in results] == [[500], [302], [200], []]
    assert len({body for _, body in listener.got}) == 1
    assert {event.data.object.id for event in listener.events(PLATFORM_SECRET)} == {customer.id}


def test_retries_happen_by_themselves(shop: Shop, listener: Listener) -> None:
    listener.statuses = [503]
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET, listener.url)

    shop.customer()

    assert shop.pretend.control.wait_for_deliveries(5)
    assert [result["status"] for result in shop.pretend.control.sent()] == [503, 200]


def test_an_endpoint_that_is_away_loses_nothing(shop: Shop, listener: Listener) -> None:
    shop.pretend.control.deliveries(paused=True)
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET, "http://127.0.0.1:1/")
    shop.customer()
    assert [result["status"] for result in shop.pretend.control.flush()] == [None]

    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET, listener.url)

    assert [result["status"] for result in shop.pretend.control.flush()] == [200]


def test_repeats_and_disorder_are_on_demand_and_repeatable(shop: Shop) -> None:
    control = shop.pretend.control
    control.set_endpoint("platform", PLATFORM_SECRET)

    def order(seed: int) -> list[str]:
        control.deliveries(shuffle=True, repeat=1.0, seed=seed)
        shop.paid()
        return [sent.event_type for sent in control.take()]

    first, second, other = order(7), order(7), order(8)

    assert first == second != other
    assert sorted(first) == sorted(other)
    assert len(first) == 10 and {first.count(kind) for kind in first} == {2}


def test_everything_can_be_delivered_once_more(shop: Shop) -> None:
    shop.pretend.control.set_endpoint("platform", PLATFORM_SECRET)
    shop.paid()
    first = shop.pretend.control.take()

    assert shop.pretend.control.redeliver() == len(first) == 5
    assert [sent.event_id for sent in shop.pretend.control.take()] == [sent.event_id for sent in first]
    assert shop.pretend.control.redeliver(first[0].event_id) == 1


def test_events_are_listed_by_type_and_forgotten_after_a_month(shop: Shop) -> None:
    shop.paid()
    listing = shop.client.v1.events.list

    assert [event.type for event in listing({"type": "payment_intent.succeeded"}).data] == ["payment_intent.succeeded"]
    assert len(listing({"types": ["customer.created", "charge.succeeded"]}).data) == 2
    assert len(listing({"type": "payment_intent.*"}).data) == 2
    shop.pretend.control.advance(31 * 86_400)
    assert listing().data == []


def test_an_event_tells_how_things_were(shop: Shop) -> None:
    customer = shop.customer()
    shop.client.v1.customers.update(customer.id, {"name": "Pat"})
    shop.client.v1.customers.update(customer.id, {"name": "Sam"})

    second, first = shop.client.v1.events.list({"type": "customer.updated"}).data

    assert (first.data.object.name, first.data.previous_attributes.to_dict()) == ("Pat", {"name": None})
    assert (second.data.object.name, second.data.previous_attributes.to_dict()) == ("Sam", {"name": "Pat"})


def test_an_event_that_nothing_has_caused_can_be_sent(pretend: PretendStripe, agency: StripeClient) -> None:
    pretend.control.set_endpoint("connect", CONNECT_SECRET)
    paid = Shop(pretend, agency).paid()
    pretend.control.take()
    forged = {**json.loads(str(paid)), "amount": 9_900_000, "metadata": {"top_up": "top_of_somebody_else"}}

    pretend.control.send_event("payment_intent.succeeded", forged, account=BRIGHT)

    (sent,) = pretend.control.take()
    event = stripe.Webhook.construct_event(sent.body, sent.headers["Stripe-Signature"], CONNECT_SECRET)
    assert (event.account, event.data.object.amount) == (BRIGHT, 9_900_000)
    assert event.id not in [known.id for known in agency.v1.events.list({"limit": 100}).data]


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://example.com/", "ftp://127.0.0.1/"])
def test_endpoints_are_on_this_machine_only(pretend: PretendStripe, url: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        pretend.control.set_endpoint("platform", PLATFORM_SECRET, url)


def test_live_events_say_so(pretend: PretendStripe) -> None:
    pretend.control.set_endpoint("platform", PLATFORM_SECRET)
    make_client(pretend, api_key=pretend.live_key).v1.customers.create()

    assert json.loads(pretend.control.take()[0].body)["livemode"] is True
