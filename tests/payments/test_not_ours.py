"""What is not ours, or not what we asked for: no credit, and one alarm each."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.settings import _parameter_store, settings
from local.pretend_stripe.deliveries import signature
from tests.aws import aws
from tests.payments.conftest import BRIGHT, LIVE, NORTH, SECRETS, Paying
from tests.payments.money import everything_stored, own_sale, paid_fifty, said_again


def signed(paying: Paying, event: Any, door: str = "connect", secret: str | None = None) -> int:
    """Hand an event over at a door, signed as Stripe signs, and follow it."""
    body = json.dumps(event).encode()
    header = signature(secret or SECRETS[door], body, now_ms() // 1000)
    status = paying.knock(door, body, {"Stripe-Signature": header, "content-type": "application/json"})
    paying.follow()
    return status


def event_of(event_type: str, thing: Any, account: str | None = BRIGHT, livemode: bool = False) -> Any:
    """An event as Stripe writes it."""
    said = {
        "id": "evt_1Hostile",
        "object": "event",
        "type": event_type,
        "livemode": livemode,
        "data": {"object": thing},
    }
    return said | ({"account": account} if account else {})


def session_id(top_up: Any) -> str:
    return str(top_up["url"].rpartition("/")[2].partition("#")[0].partition("?")[0])


def unpaid(paying: Paying) -> tuple[str, Any]:
    """A client whose payment page is open, and what the page is."""
    _, client = paying.agency()
    top_up = paying.top_up(client)
    paying.pretend.control.take()
    return client, top_up


def test_a_payment_of_the_accounts_own_that_bears_our_reference_is_not_credited_and_a_person_is_told(
    paying: Paying, alarms: Callable[[], list[str]]
) -> None:
    client, top_up = unpaid(paying)
    alarms()

    own_sale(paying, BRIGHT, metadata={"rebill": top_up["id"]})
    paying.deliver()

    assert paying.amounts(client) == []
    assert len(alarms()) == 1


def test_an_agencys_own_sales_are_not_credited_and_call_nobody(paying: Paying, alarms: Callable[[], list[str]]) -> None:
    client, _ = unpaid(paying)
    sale = {"id": "cs_test_own", "object": "checkout.session", "payment_intent": "pi_own", "client_reference_id": None}
    alarms()

    own_sale(paying, BRIGHT)
    paying.deliver()
    signed(paying, event_of("checkout.session.completed", sale))

    assert paying.amounts(client) == []
    assert alarms() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount_received", 4999),
        ("amount_received", 5_000_000),
        ("currency", "eur"),
        ("livemode", True),
        ("customer", "cus_somebodyElse"),
    ],
)
def test_a_payment_that_is_not_what_was_asked_for_is_not_credited_and_one_alarm_says_so(
    paying: Paying, alarms: Callable[[], list[str]], field: str, value: Any
) -> None:
    client, top_up = unpaid(paying)
    intent = paying.pay(top_up)
    paying.pretend.control.state()["spaces"][f"{BRIGHT}:test"]["payment_intent"][intent][field] = value
    alarms()

    paying.deliver()
    said_again(paying, 1)
    paying.return_to(top_up)

    assert paying.amounts(client) == []
    assert paying.world.get(f"/v1/sub-accounts/{client}/wallet/top-ups/{top_up['id']}")["state"] == "refused"
    assert alarms() == ["payment_mismatch"]


def test_an_event_that_lies_about_an_unpaid_page_credits_nothing(paying: Paying) -> None:
    client, top_up = unpaid(paying)
    lie = {"id": session_id(top_up), "object": "checkout.session", "status": "complete", "payment_status": "paid"}
    lie |= {"amount_total": 500_000, "payment_intent": "pi_hostile", "client_reference_id": top_up["id"]}

    status = signed(paying, event_of("checkout.session.completed", lie))

    assert status == 200
    assert paying.amounts(client) == []
    assert paying.world.get(f"/v1/sub-accounts/{client}/wallet/top-ups/{top_up['id']}")["state"] == "open"


@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "checkout.session.completed"])
def test_what_is_ours_told_by_another_account_is_not_credited_and_one_alarm_says_so(
    paying: Paying, alarms: Callable[[], list[str]], kind: str
) -> None:
    client, top_up = unpaid(paying)
    paying.agency(NORTH)
    intent = paying.pay(top_up)
    paying.pretend.control.take()
    named = intent if kind.startswith("payment_intent") else session_id(top_up)
    thing = {"id": named, "object": kind.rpartition(".")[0], "metadata": {"rebill": top_up["id"]}}
    thing |= {"client_reference_id": top_up["id"]}
    alarms()

    status = signed(paying, event_of(kind, thing, account=NORTH))

    assert status == 200
    assert len(alarms()) == 1
    assert paying.amounts(client) in ([], [("top_up", "50.000000")])  # it was paid where it belongs: never more


def test_a_refund_of_our_payment_told_by_another_account_moves_nothing(paying: Paying) -> None:
    _, client = paying.agency()
    paying.agency(NORTH)
    intent = paid_fifty(paying, client)
    thing = {"id": "ch_1", "object": "charge", "payment_intent": intent, "amount_refunded": 5000, "refunded": True}

    status = signed(paying, event_of("charge.refunded", thing, account=NORTH))

    assert status == 200
    assert paying.amounts(client) == [("top_up", "50.000000")]


@pytest.fixture
def live(paying: Paying) -> Paying:
    """The same stage with a live key."""
    name = f"/rebill/{settings().stage}/stripe/secret-key"
    aws("ssm").put_parameter(Name=name, Value=paying.pretend.live_key, Type="SecureString", Overwrite=True)
    _parameter_store().clear_cache()
    return paying


@pytest.mark.parametrize("door", ["platform", "connect"])
def test_an_event_of_the_test_mode_at_a_live_stage_is_not_followed_and_one_alarm_says_so(
    live: Paying, alarms: Callable[[], list[str]], door: str
) -> None:
    workspace, client = live.agency(LIVE)
    owner = workspace if door == "platform" else client
    top_up = live.top_up(owner)
    live.pay(top_up)
    live.pretend.control.take()
    before = everything_stored()
    alarms()

    thing = {"id": session_id(top_up), "object": "checkout.session"}
    account = LIVE if door == "connect" else None
    status = signed(live, event_of("checkout.session.completed", thing, account, livemode=False), door)

    assert status == 200
    assert alarms() == ["stripe_event_of_the_other_mode"]
    assert everything_stored() == before
    assert live.amounts(owner) == []


def test_a_live_event_at_a_test_stage_is_not_followed_and_one_alarm_says_so(
    paying: Paying, alarms: Callable[[], list[str]]
) -> None:
    client, top_up = unpaid(paying)
    paying.pay(top_up)
    alarms()

    thing = {"id": session_id(top_up), "object": "checkout.session"}
    signed(paying, event_of("checkout.session.completed", thing, livemode=True))

    assert alarms() == ["stripe_event_of_the_other_mode"]
    assert paying.amounts(client) == []


@pytest.mark.parametrize(
    ("door", "account", "alarm"),
    [
        ("connect", "acct_1Nobody", "stripe_event_of_an_unknown_account"),
        ("connect", None, "stripe_event_at_the_wrong_door"),
        ("platform", BRIGHT, "stripe_event_at_the_wrong_door"),
    ],
)
def test_an_event_that_this_door_does_not_expect_changes_nothing_and_one_alarm_says_so(
    paying: Paying, alarms: Callable[[], list[str]], door: str, account: str | None, alarm: str
) -> None:
    client, top_up = unpaid(paying)
    paying.pay(top_up)
    before = everything_stored()
    alarms()

    thing = {"id": session_id(top_up), "object": "checkout.session"}
    status = signed(paying, event_of("checkout.session.completed", thing, account), door)

    assert status == 200
    assert alarms() == [alarm]
    assert everything_stored() == before
    assert paying.amounts(client) == []


@pytest.mark.parametrize("door", ["platform", "connect"])
def test_a_thin_event_changes_nothing_and_one_alarm_says_so(
    paying: Paying, alarms: Callable[[], list[str]], door: str
) -> None:
    unpaid(paying)
    thin = {"id": "evt_1Thin", "object": "v2.core.event", "type": "v2.core.account.updated", "livemode": False}
    thin |= {"related_object": {"id": BRIGHT, "type": "v2.core.account", "url": f"/v2/core/accounts/{BRIGHT}"}}
    before = everything_stored()
    alarms()

    signed(paying, thin | ({"context": BRIGHT} if door == "connect" else {}), door)

    assert everything_stored() == before
    assert len(alarms()) == 1


@pytest.mark.parametrize("door", ["platform", "connect"])
def test_what_stripe_has_not_signed_is_turned_away_and_nothing_is_written(paying: Paying, door: str) -> None:
    client, top_up = unpaid(paying)
    paying.pay(top_up)
    before = everything_stored()
    account, other = (BRIGHT, "platform") if door == "connect" else (None, "connect")
    thing = {"id": session_id(top_up), "object": "checkout.session"}
    body = json.dumps(event_of("checkout.session.completed", thing, account)).encode()
    now, secret = now_ms() // 1000, SECRETS[door]
    headers = {
        "another secret": signature("whsec_guessed", body, now),
        "the other door's secret": signature(SECRETS[other], body, now),
        "another body": signature(secret, body + b" ", now),
        "too old": signature(secret, body, now - 301),
        "from the future": signature(secret, body, now + 330),
        "nothing": "",
        "no signature": "t=\xff,v1=\xe9,v1",
    }

    statuses = {flaw: paying.knock(door, body, {"Stripe-Signature": header}) for flaw, header in headers.items()}
    paying.follow()

    assert statuses == dict.fromkeys(headers, 401)
    assert everything_stored() == before
    assert paying.amounts(client) == []
    assert paying.knock(door, body, {"Stripe-Signature": signature(secret, body, now)}) == 200
