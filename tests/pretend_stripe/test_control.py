"""The strings: clock, faults, a state that survives, and the same over HTTP."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import stripe
from stripe import APIConnectionError, APIError, RateLimitError, StripeClient, StripeError

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import BRIGHT, NORTH, Shop

HOUSE = Path(__file__).resolve().parents[2]
CONFIRM = r"/v1/payment_intents/[^/]+/confirm"


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("lost_before", APIConnectionError, "requires_confirmation"),
        ("lost_after", APIConnectionError, "succeeded"),
        ("error_500", APIError, "requires_confirmation"),
        ("error_500_after", APIError, "succeeded"),
        ("conflict_409", StripeError, "requires_confirmation"),
        ("rate_limit_429", RateLimitError, "requires_confirmation"),
    ],
)
def test_planned_trouble_happens_before_or_after_the_effect(
    shop: Shop, kind: str, error: type[Exception], status: str
) -> None:
    intent = shop.intent(shop.card())
    shop.pretend.control.plan_fault(kind, path=CONFIRM)

    with pytest.raises(error):
        shop.client.v1.payment_intents.confirm(intent.id, {"off_session": True})

    assert shop.client.v1.payment_intents.retrieve(intent.id).status == status


def test_trouble_comes_to_the_calls_that_match_and_as_often_as_planned(pretend: PretendStripe) -> None:
    for account in (BRIGHT, NORTH):
        pretend.control.connect(account)
    bright, north = make_client(pretend, stripe_account=BRIGHT), make_client(pretend, stripe_account=NORTH)
    pretend.control.plan_fault("rate_limit_429", times=2, method="*", path="/v1/customers", account=NORTH)

    bright.v1.customers.list(), north.v1.payment_intents.list()
    for call in (north.v1.customers.list, north.v1.customers.create):
        with pytest.raises(RateLimitError):
            call()
    north.v1.customers.list()

    pretend.control.plan_fault("error_500")
    pretend.control.clear_faults()
    assert north.v1.customers.create().id


def test_an_answer_may_take_too_long(shop: Shop) -> None:
    shop.pretend.control.plan_fault("latency", seconds=30)
    hasty = make_client(shop.pretend, http_client=stripe.RequestsClient(timeout=0.2))

    with pytest.raises(APIConnectionError):
        hasty.v1.customers.create()


@pytest.mark.parametrize(
    ("kind", "error", "still_connected"),
    [
        ("lost_before", APIConnectionError, True),
        ("lost_after", APIConnectionError, False),
        ("error_500", APIError, True),
        ("error_500_after", APIError, False),
        ("conflict_409", StripeError, True),
        ("rate_limit_429", RateLimitError, True),
    ],
)
def test_oauth_has_the_same_trouble_before_or_after_the_effect(
    pretend: PretendStripe, platform: StripeClient, kind: str, error: type[Exception], still_connected: bool
) -> None:
    pretend.control.connect(BRIGHT)
    pretend.control.plan_fault(kind, path="/oauth/deauthorize")

    with pytest.raises(error):
        platform.oauth.deauthorize({"stripe_user_id": BRIGHT})

    assert [account.id for account in platform.v1.accounts.list().data] == [BRIGHT] * still_connected


@pytest.mark.parametrize("plan", [{"kind": "flood"}, {"kind": "error_500", "path": "("}])
def test_a_plan_must_make_sense(pretend: PretendStripe, browser: httpx.Client, plan: Any) -> None:
    answer = browser.post("/_control/plan_fault", json=plan)
    assert (answer.status_code, "error" in answer.json()) == (400, True)


def test_the_clock_moves(shop: Shop) -> None:
    before = shop.pretend.control.clock()
    assert 3600 <= shop.pretend.control.advance(3600) - before <= 3602

    assert shop.customer().created >= before + 3600


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "stripe" / "state.json"
    with PretendStripe(file) as first:
        first.control.connect(BRIGHT)
        first.control.advance(1000)
        first.control.set_endpoint("platform", "whsec_1")
        shop = Shop(first, make_client(first))
        paid = shop.paid(metadata={"a": "b"})
        shop.client.v1.customers.create({"name": "Pat"}, {"idempotency_key": "k1"})
        waiting = first.control.deliveries()["waiting"]
    assert file.stat().st_mode & 0o777 == 0o600

    with PretendStripe(file) as second:
        again = Shop(second, make_client(second))
        assert again.client.v1.payment_intents.retrieve(paid.id).metadata.to_dict() == {"a": "b"}
        assert [account.id for account in again.client.v1.accounts.list().data] == [BRIGHT]
        replayed = again.client.v1.customers.create({"name": "Pat"}, {"idempotency_key": "k1"})
        assert replayed.last_response.headers["Idempotent-Replayed"] == "true"
        assert again.customer().created >= paid.created
        assert waiting == 6 and len(second.control.take()) == 7


def test_a_broken_state_file_is_a_fresh_start(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("{")
    with PretendStripe(file) as server:
        assert make_client(server).v1.customers.list().data == []


def test_reset_begins_anew(shop: Shop) -> None:
    shop.pretend.control.set_endpoint("platform", "whsec_1")
    shop.paid()

    shop.pretend.control.reset()

    assert shop.client.v1.payment_intents.list().data == []
    assert shop.pretend.control.take() == []
    shop.customer()
    assert len(shop.pretend.control.take()) == 1


def test_every_string_can_be_pulled_over_http(shop: Shop, browser: httpx.Client) -> None:
    named = browser.get("/_control").json()
    assert {"advance", "plan_fault", "open_dispute", "deauthorize", "set_endpoint", "flush", "state"} <= named.keys()
    paid = shop.paid()

    def pull(name: str, **values: Any) -> Any:
        answer = browser.post(f"/_control/{name}", json=values)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    assert pull("refund", payment=paid.id, amount=100)["amount"] == 100
    assert pull("open_dispute", payment=paid.id)["status"] == "needs_response"
    assert pull("advance", seconds=60) == browser.get("/_control/clock").json()["result"]
    assert pull("connect", account=BRIGHT).startswith("sk_test_")
    assert pull("deauthorize", account=BRIGHT) is True
    assert browser.get("/_control/state").json()["result"]["accounts"].keys() >= {BRIGHT, NORTH}


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("advance", '{"days": 1}', 400),
        ("advance", "{", 400),
        ("refund", '{"payment": "pi_x"}', 400),
        ("set_account", '{"account": "acct_x"}', 400),
        ("nothing", "{}", 404),
        ("_find", "{}", 404),
        ("take", "{}", 404),
    ],
)
def test_strings_that_are_pulled_wrongly_say_so(browser: httpx.Client, name: str, body: str, status: int) -> None:
    answer = browser.post(f"/_control/{name}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, "error" in answer.json()) == (status, True)


def test_other_pages_in_the_same_browser_pull_no_strings(shop: Shop, browser: httpx.Client) -> None:
    before = shop.pretend.control.clock()
    assert browser.post("/_control/advance", content='{"seconds": 99}').status_code == 415
    assert shop.pretend.control.clock() - before < 90


def test_twenty_callers_at_once_get_their_own_answers(pretend: PretendStripe) -> None:
    got: dict[int, str] = {}

    def call(number: int) -> None:
        client = make_client(pretend)
        for _ in range(5):
            got[number] = str(client.v1.customers.create({"name": f"caller {number}"}).name)

    threads = [Thread(target=call, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == {number: f"caller {number}" for number in range(20)}
    assert len(list(make_client(pretend).v1.customers.list({"limit": 7}).auto_paging_iter())) == 100


def test_it_runs_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "local.pretend_stripe", "--port", "0", "--state-file", str(tmp_path / "s.json")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with subprocess.Popen(command, cwd=HOUSE, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        url = first.split()[-1]
        try:
            assert "SIMULATION" in first
            assert "SIMULATION" in httpx.get(url, trust_env=False).text
            httpx.post(f"{url}/_control/advance", json={"seconds": 5}, trust_env=False).raise_for_status()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
            process.stdout.read()
    assert json.loads((tmp_path / "s.json").read_text())["clock_offset"] == 5
