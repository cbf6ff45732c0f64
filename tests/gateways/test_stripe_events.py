"""Stripe rings: who may, what is read of it, and that nothing a stranger sends can do more than be refused."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Malformed, Unauthenticated
from chalicelib.domain.payment_facts import Doorbell
from chalicelib.gateways.stripe import read_event
from local.pretend_stripe import PretendStripe
from tests.gateways.stripe_stands import Stand, settings_of, use
from tests.pretend_stripe.people import BRIGHT

SECRET = "whsec_for_these_tests"
NOW = 1_782_000_000
PAYLOADS = Path(__file__).parents[2].parent / "shared" / "payloads"
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "account": "acct_1",
    "type": "payment_intent.succeeded",
    "livemode": False,
    "data": {"object": {"id": "pi_1", "object": "payment_intent", "amount": 5000}},
}
BODY = json.dumps(EVENT).encode()


def digest(body: bytes, at: object = NOW, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def header(body: bytes, at: object = NOW, secret: str = SECRET) -> str:
    """The signature as Stripe's page on it says, written here a second time."""
    return f"t={at},v1={digest(body, at, secret)}"


def read(event: object) -> Doorbell:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return read_event(body, header(body), SECRET, NOW * 1000)


def about(known: object, **fields: object) -> dict[str, Any]:
    return {**EVENT, "data": {"object": known}, **fields}


def test_a_signed_event_says_where_to_look() -> None:
    assert read(EVENT) == Doorbell("evt_1", "payment_intent.succeeded", "acct_1", False, "pi_1", "pi_1")


def test_an_event_of_the_platforms_own_account_names_none() -> None:
    own = {name: value for name, value in EVENT.items() if name != "account"}

    assert read(own).account_id is None
    assert read({**EVENT, "account": None}).account_id is None


@pytest.mark.parametrize(
    ("known", "object_id", "payment_intent_id"),
    [
        ({"id": "pi_1", "object": "payment_intent"}, "pi_1", "pi_1"),
        ({"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}, "ch_1", "pi_1"),
        ({"id": "du_1", "object": "dispute", "charge": "ch_1", "payment_intent": "pi_1"}, "du_1", "pi_1"),
        ({"id": "re_1", "object": "refund", "payment_intent": "pi_1"}, "re_1", "pi_1"),
        ({"id": "cs_1", "object": "checkout.session", "payment_intent": "pi_1"}, "cs_1", "pi_1"),
        ({"id": "cs_1", "object": "checkout.session", "payment_intent": None}, "cs_1", None),
        ({"id": "ch_1", "object": "charge", "payment_intent": {"id": "pi_1"}}, "ch_1", None),
        ({"id": "seti_1", "object": "setup_intent"}, "seti_1", None),
        ({"id": "pm_1", "object": "payment_method"}, "pm_1", None),
        ({"id": "ca_1", "object": "application", "name": None}, "ca_1", None),
        ({"object": "balance"}, "", None),
    ],
)
def test_an_event_leads_to_its_payment(known: object, object_id: str, payment_intent_id: str | None) -> None:
    rung = read(about(known))

    assert (rung.object_id, rung.payment_intent_id) == (object_id, payment_intent_id)


@pytest.mark.parametrize("livemode", [None, "true", 1, "false"])
def test_only_what_says_so_is_real_money(livemode: object) -> None:
    assert read({**EVENT, "livemode": livemode}).livemode is False
    assert read({**EVENT, "livemode": True}).livemode is True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"event"',
        b"not json",
        b"{",
        b"[" * 100_000,
        b'{"object": "event"}',
        json.dumps({**EVENT, "object": "charge"}).encode(),
        json.dumps({**EVENT, "id": None}).encode(),
        json.dumps({**EVENT, "type": ["a"]}).encode(),
        json.dumps({**EVENT, "account": 7}).encode(),
        json.dumps({**EVENT, "data": None}).encode(),
        json.dumps({**EVENT, "data": {}}).encode(),
        json.dumps({**EVENT, "data": []}).encode(),
        json.dumps(about("pi_1")).encode(),
        json.dumps(about(["pi_1"])).encode(),
        json.dumps(about({"id": 7})).encode(),
        json.dumps({"detail": EVENT, "object": "event"}).encode(),
        b'{"id": "evt_234", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered"}',
    ],
)
def test_what_is_signed_and_no_event_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read(body)

    assert refused.value.code == "not_an_event"


HOSTILE = {
    "missing": "",
    "blank": " ",
    "timestamp only": f"t={NOW}",
    "signature only": f"v1={digest(BODY)}",
    "not of this form": "signed, sealed, delivered",
    "flipped digit": header(BODY)[:-1] + ("0" if header(BODY)[-1] != "0" else "1"),
    "upper case": f"t={NOW},v1={digest(BODY).upper()}",
    "another secret": header(BODY, secret="whsec_of_somebody_else"),
    "empty secret": header(BODY, secret=""),
    "another time": f"t={NOW - 1},v1={digest(BODY)}",
    "too old": header(BODY, NOW - 301),
    "from the future": header(BODY, NOW + 301),
    "milliseconds": header(BODY, NOW * 1000),
    "negative": header(BODY, -NOW),
    "no number": header(BODY, "soon"),
    "400 digits": header(BODY, "9" * 400),
    "5000 digits": header(BODY, "9" * 5000),
    "14 digits": header(BODY, 10**13),
    "digits of another script": header(BODY).replace(str(NOW), str(NOW).translate(ARABIC_DIGITS)),
    "underscores": header(BODY).replace(str(NOW), f"{NOW:_}"),
    "plus": header(BODY).replace(f"t={NOW}", f"t=+{NOW}"),
    "no ASCII": f"t={NOW},v1=é{digest(BODY)}",
    "a lone surrogate": f"t={NOW},v1=\ud800{digest(BODY)}",
    "v0 only": f"t={NOW},v0={digest(BODY)}",
    "v0 beside a wrong v1": f"t={NOW},v1={'0' * 64},v0={digest(BODY)}",
    "far too long": f"{'v1=0,' * 1000}{header(BODY)}",
    "empty signature": f"t={NOW},v1=",
    "no equals sign": f"t,v1={digest(BODY)}",
}


@pytest.mark.parametrize("given_header", HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_rightly_signed_is_refused(given_header: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        read_event(BODY, given_header, SECRET, NOW * 1000)

    assert refused.value.code == "signature_invalid"
    assert SECRET not in refused.value.detail
    assert digest(BODY) not in refused.value.detail


@pytest.mark.parametrize("age_seconds", [-300, -1, 0, 1, 300])
def test_five_minutes_either_way_are_fine(age_seconds: int) -> None:
    signed = header(BODY, NOW - age_seconds)

    assert read_event(BODY, signed, SECRET, NOW * 1000).id == "evt_1"


def test_one_of_several_signatures_is_enough_while_a_secret_changes() -> None:
    both = f"t={NOW},v1={'0' * 64},v1={digest(BODY)},v0={'1' * 64}"

    assert read_event(BODY, both, SECRET, NOW * 1000).id == "evt_1"


@pytest.mark.parametrize("changed", [BODY + b" ", BODY.replace(b"5000", b"5001"), b"", b"\xff\xfe" + BODY])
def test_a_changed_body_is_refused(changed: bytes) -> None:
    with pytest.raises(Unauthenticated):
        read_event(changed, header(BODY), SECRET, NOW * 1000)


def test_a_body_that_is_no_text_is_refused_even_if_it_is_signed() -> None:
    with pytest.raises(Unauthenticated):
        read_event(b"\xff\xfe", header(b"\xff\xfe"), SECRET, NOW * 1000)


@pytest.mark.parametrize("secret", ["", " "])
def test_an_endpoint_without_a_secret_lets_nobody_in(secret: str) -> None:
    with pytest.raises(Unauthenticated):
        read_event(BODY, header(BODY, secret=secret), secret, NOW * 1000)


@given(body=st.binary(max_size=200), sent=st.text(max_size=200), now=st.integers(0, 10**14))
def test_a_stranger_gets_nothing_but_a_refusal(body: bytes, sent: str, now: int) -> None:
    for attempt in (sent, f"t={NOW},v1={sent}", f"t={sent},v1={digest(body)}"):
        with pytest.raises(Unauthenticated):
            read_event(body, attempt, SECRET, now)


NAMES = st.sampled_from(["id", "object", "type", "account", "data", "payment_intent", "livemode"])
TREES = st.recursive(
    st.none() | st.text() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
)


@given(event=TREES)
def test_whatever_stripe_signs_is_read_or_said_to_be_no_event(event: object) -> None:
    for payload in (event, about(event), {**EVENT, "account": event}):
        try:
            assert isinstance(read(payload), Doorbell)
        except Malformed as refused:
            assert refused.code == "not_an_event"


def test_all_that_happens_to_a_payment_rings_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with PretendStripe() as pretend:
        use(settings_of(pretend), monkeypatch)
        pretend.control.connect(BRIGHT)
        pretend.control.set_endpoint("connect", SECRET)
        stand = Stand(BRIGHT, settings_of(pretend))
        page = stand.checkout(stand.customer(), stand.new_key())
        paid = pretend.control.pay(page.id)["session"]["payment_intent"]
        pretend.control.refund(paid, 1000)
        pretend.control.open_dispute(paid, 1000)
        sent = pretend.control.take()

    now_ms = int(sent[-1].headers["Stripe-Signature"][2:12]) * 1000
    rung = [read_event(one.body, one.headers["Stripe-Signature"], SECRET, now_ms) for one in sent]

    assert {bell.account_id for bell in rung} == {BRIGHT}
    led = {bell.type for bell in rung if bell.payment_intent_id == paid}
    assert led >= {
        "payment_intent.succeeded",
        "charge.succeeded",
        "checkout.session.completed",
        "charge.refunded",
        "refund.created",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    }
    assert {bell.type for bell in rung if bell.payment_intent_id is None} <= {
        "customer.created",
        "payment_method.attached",
    }


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="../shared/payloads is not here: real payloads not run")
def test_the_published_signature_is_accepted_and_its_v0_is_not() -> None:
    vector = json.loads((PAYLOADS / "signature_vectors.json").read_bytes())["stripe"]
    body, now_ms = vector["body"].encode(), vector["now"] * 1000

    for name in ("header", "rotation_header"):
        with pytest.raises(Malformed):  # rightly signed, but the published event has no type
            read_event(body, vector[name], vector["secret"], now_ms)
    for refused, at_ms in ((vector["v0_only_must_reject"], now_ms), (vector["header"], now_ms - 301_000)):
        with pytest.raises(Unauthenticated):
            read_event(body, refused, vector["secret"], at_ms)


@pytest.mark.skipif(not PAYLOADS.is_dir(), reason="../shared/payloads is not here: real payloads not run")
def test_real_events_are_read() -> None:
    found = {}
    for file in sorted((PAYLOADS / "stripe").glob("*.json")):
        payload = json.loads(file.read_bytes())
        if payload.get("object") == "event":
            found[file.name] = read(payload)

    assert len(found) >= 5
    deauthorized = found["account.application.deauthorized.djstripe.json"]
    assert (deauthorized.account_id, deauthorized.object_id[:3]) == ("acct_1Fg9jUA3kq9o1aTc", "ca_")
    paid = found["event.connect.payment_intent.succeeded.composite.json"]
    assert paid.account_id
    assert paid.payment_intent_id == paid.object_id
