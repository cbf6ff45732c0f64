"""An agency lets us into its Stripe account, and out again; the portal, and what an account is called."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import stripe

from chalicelib.domain.errors import AccessLost, Conflict, NotFound, OutcomeUnknown, Unavailable
from chalicelib.gateways import stripe as gateway
from local.pretend_stripe import PretendStripe
from tests.gateways.stripe_stands import AWAY, BACK, Stand, settings_of, use
from tests.pretend_stripe.people import BRIGHT, INACTIVE, LIVE, NORTH


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendStripe]:
    with PretendStripe() as server:
        use(settings_of(server), monkeypatch)
        yield server


def code_for(account: str) -> str:
    """The owner of an account continues on Stripe's page, and comes back with a code."""
    address = urlsplit(gateway.authorize_url("s 1&=", BACK))
    form = {name: values[0] for name, values in parse_qs(address.query).items()}
    page = f"{address.scheme}://{address.netloc}{address.path}"
    answer = httpx.post(page, data={**form, "account": account, "answer": "continue"}, trust_env=False)
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert back["state"] == ["s 1&="]
    return back["code"][0]


def test_the_authorize_address_asks_for_what_payments_need(pretend: PretendStripe) -> None:
    address = urlsplit(gateway.authorize_url("state-1", BACK))

    assert f"{address.scheme}://{address.netloc}" == pretend.url
    assert parse_qs(address.query) == {
        "client_id": [pretend.client_id],
        "response_type": ["code"],
        "scope": ["read_write"],
        "state": ["state-1"],
        "redirect_uri": [BACK],
    }


def test_a_code_becomes_a_connection(pretend: PretendStripe) -> None:
    exchange = gateway.exchange_code(code_for(BRIGHT))

    assert exchange == gateway.Exchange(BRIGHT, livemode=False, scope="read_write")
    assert gateway.read_account(BRIGHT) == gateway.AccountFacts(BRIGHT, "Bright Voice Agency", charges_enabled=True)


def test_a_code_that_was_used_or_is_too_old_or_made_up_is_refused(pretend: PretendStripe) -> None:
    used, old = code_for(BRIGHT), code_for(NORTH)
    gateway.exchange_code(used)
    pretend.control.advance(301)

    for code in (used, old, "ac_made_up"):
        with pytest.raises(Conflict) as refused:
            gateway.exchange_code(code)
        assert refused.value.code == "oauth_code_invalid"
        assert code not in refused.value.detail


def test_an_account_of_the_other_mode_is_refused(pretend: PretendStripe) -> None:
    with pytest.raises(Conflict) as refused:
        gateway.exchange_code(code_for(LIVE))

    assert refused.value.code == "oauth_code_invalid"


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "error_500", "error_500_after"])
def test_an_exchange_without_an_answer_is_unknown_and_never_repeated(pretend: PretendStripe, fault: str) -> None:
    code = code_for(BRIGHT)
    pretend.control.plan_fault(fault, path="/oauth/token")

    with pytest.raises(OutcomeUnknown):  # a second use of the code would have been refused instead
        gateway.exchange_code(code)


def test_an_exchange_without_a_code_is_refused(pretend: PretendStripe) -> None:
    with pytest.raises(Conflict):
        gateway.exchange_code("")


def test_a_connection_ends_once_and_ending_it_again_is_success(pretend: PretendStripe) -> None:
    gateway.exchange_code(code_for(BRIGHT))

    for _ in range(2):
        gateway.deauthorize(BRIGHT)

    with pytest.raises(AccessLost):
        gateway.read_account(BRIGHT)


def test_a_connection_that_its_owner_ended_is_ended(pretend: PretendStripe) -> None:
    pretend.control.connect(BRIGHT)
    pretend.control.deauthorize(BRIGHT)

    gateway.deauthorize(BRIGHT)


def test_an_end_that_was_lost_on_the_way_can_be_repeated(pretend: PretendStripe) -> None:
    pretend.control.connect(BRIGHT)
    pretend.control.plan_fault("lost_after", times=2, path="/oauth/deauthorize")

    gateway.deauthorize(BRIGHT)  # the SDK's own repeat is told that nothing is connected any more

    with pytest.raises(AccessLost):
        gateway.read_account(BRIGHT)


def test_a_wrong_client_id_is_not_taken_for_a_connection_that_has_ended(
    pretend: PretendStripe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend.control.connect(BRIGHT)
    known = settings_of(pretend)
    wrong = type(known)(known.secret_key, "ca_wrong", "whsec_1", "whsec_2", pretend.url, pretend.url)
    use(wrong, monkeypatch)

    with pytest.raises(Unavailable):
        gateway.deauthorize(BRIGHT)

    assert [line.alarm for line in caplog.records if hasattr(line, "alarm")] == ["stripe_key_refused"]
    use(known, monkeypatch)
    assert gateway.read_account(BRIGHT).id == BRIGHT


def test_an_account_says_whether_it_can_be_paid(pretend: PretendStripe) -> None:
    pretend.control.connect(INACTIVE)

    assert gateway.read_account(INACTIVE).charges_enabled is False


@pytest.mark.parametrize(
    ("business", "dashboard", "email", "name"),
    [
        ({"name": "Business"}, {"display_name": "Dashboard"}, "owner@agency.example", "Business"),
        ({"name": None}, {"display_name": "Dashboard"}, "owner@agency.example", "Dashboard"),
        (None, {"display_name": None}, "owner@agency.example", "owner@agency.example"),
        (None, None, None, BRIGHT),
    ],
)
def test_an_account_is_called_what_its_owner_calls_it(
    pretend: PretendStripe, business: object, dashboard: object, email: str | None, name: str
) -> None:
    pretend.control.connect(BRIGHT)
    pretend.control.set_account(BRIGHT, business_profile=business, settings={"dashboard": dashboard}, email=email)

    assert gateway.read_account(BRIGHT).name == name


def test_the_portal_is_a_page_of_its_own_at_every_call(pretend: PretendStripe) -> None:
    pretend.control.connect(BRIGHT)
    customer_id = Stand(BRIGHT, settings_of(pretend)).customer()

    addresses = {gateway.open_portal(BRIGHT, customer_id, BACK) for _ in range(2)}

    assert len(addresses) == 2
    assert all(address.startswith(pretend.url) for address in addresses)


def test_what_is_made_on_a_connected_account_is_not_on_the_platforms(pretend: PretendStripe) -> None:
    pretend.control.connect(BRIGHT)
    pretend.control.connect(NORTH)
    stand = Stand(BRIGHT, settings_of(pretend))
    page = stand.checkout(stand.customer(), stand.new_key())

    assert gateway.read_checkout(BRIGHT, page.id) == page
    for other in (None, NORTH):
        with pytest.raises(NotFound):
            gateway.read_checkout(other, page.id)


def test_a_card_saved_on_its_page_is_read_afterwards(pretend: PretendStripe) -> None:
    pretend.control.connect(BRIGHT)
    customer_id = Stand(BRIGHT, settings_of(pretend)).customer()
    asked = {"customer_id": customer_id, "reference": "sa_1", "success_url": BACK, "cancel_url": AWAY}
    page = gateway.open_card_setup(BRIGHT, currency="usd", key="setup:1", **asked)
    before = gateway.read_checkout(BRIGHT, page.id)

    pretend.control.pay(page.id, number="5555555555554444")

    after = gateway.read_checkout(BRIGHT, page.id)
    card = gateway.read_setup_card(BRIGHT, str(after.setup_intent_id))
    assert (before.status, after.status, after.payment_intent_id) == ("open", "complete", None)
    assert card
    assert (card.brand, card.last4, card.exp_month, card.exp_year) == ("mastercard", "4444", 12, 2040)
    pretend.control.set_card(card.payment_method_id, exp_year=2044)
    renewed = gateway.read_card(BRIGHT, card.payment_method_id)
    assert renewed
    assert renewed.exp_year == 2044


def test_stripe_hears_nothing_of_us_but_what_it_needs(pretend: PretendStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    send = stripe.RequestsClient.request
    monkeypatch.setattr(stripe.RequestsClient, "request", lambda self, *args: asked.append(args) or send(self, *args))

    for number in range(2):
        gateway.create_customer(None, owner_id="sa_1", name="Pat", key=f"customer:{number}")

    headers = [{name.lower(): value for name, value in args[2].items()} for args in asked]
    assert [sent["idempotency-key"] for sent in headers] == ["customer:0", "customer:1"]
    assert not [sent for sent in headers if "x-stripe-client-telemetry" in sent]
