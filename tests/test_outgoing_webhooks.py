"""Outgoing webhooks: a platform's receiver hears of every notice, signed, again and again within a day; a dead one is
switched off, and said so.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from chalicelib.clock import now_ms
from chalicelib.domain.notices import MINUTE_MS, TRIES_AT_MINUTES
from chalicelib.flows import deliver_notices
from chalicelib.flows.deliver_notices import MOST_DELIVERIES, MOST_FAILURES, deliver_due
from chalicelib.gateways import outgoing
from chalicelib.storage import activity, tables
from tests.calls import call
from tests.receiver import ENDPOINTS, Platform, Receiver
from tests.world import World

DAY_MS = 86_400_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def another() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def platform(world: World, time_machine: Any) -> Platform:
    return Platform(world, time_machine)


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [name for line in caplog.records if (name := getattr(line, "alarm", None))]


def test_a_client_that_runs_low_is_heard_of_in_a_webhook_that_the_standards_own_library_accepts(
    platform: Platform, receiver: Receiver
) -> None:
    endpoint = platform.listen(receiver.url)
    workspace = platform.world.workspace()
    client = platform.world.sub_account(workspace, "10.00")
    platform.world.credit(client, "20.50")
    platform.world.report(call(client, seconds=6))
    platform.world.drain()

    deliver_due(now_ms())

    (notice,) = platform.world.get(f"/v1/sub-accounts/{client}/activity")["data"]
    (delivered,) = receiver.received
    assert endpoint["secret"].startswith("whsec_")
    assert Webhook(endpoint["secret"]).verify(delivered.body, delivered.headers) == {
        "type": "wallet.low",
        "timestamp": notice["occurred_at"],
        "data": {
            "level": "20.00",
            "balance": "19.500000",
            "currency": "usd",
            "id": notice["id"],
            "owner": client,
            "workspace": workspace,
        },
    }
    assert delivered.id == notice["id"]
    assert delivered.path == "/hooks/7?token=s3cret"
    assert delivered.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXJvdGhlcm90aGVy").verify(delivered.body, delivered.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_received_and_nothing_is_sent_twice(platform: Platform, receiver: Receiver, status: int) -> None:
    receiver.status = status
    platform.listen(receiver.url)
    platform.something_happens()
    began = now_ms()

    for minutes in (0, 1, 5, 60 * 24, 60 * 48):
        platform.at(began + minutes * MINUTE_MS)

    assert len(receiver.received) == 1


def test_what_is_not_received_comes_again_over_a_day_with_the_same_id_and_a_signature_of_the_moment(
    platform: Platform, receiver: Receiver
) -> None:
    receiver.status = 500
    secret = platform.listen(receiver.url)["secret"]
    notice_id = platform.something_happens()
    began = now_ms() + 1

    for tries, minutes in enumerate(TRIES_AT_MINUTES[1:], 1):
        platform.at(began + 1000 * tries)  # long before it is due again
        assert len(receiver.received) == tries
        platform.at(began + minutes * MINUTE_MS)
        assert len(receiver.received) == tries + 1
        Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)
        platform.at(began + minutes * MINUTE_MS + 1000)
        assert len(receiver.received) == tries + 1

    assert set(receiver.ids) == {notice_id}
    assert len({each.body for each in receiver.received}) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.received}) == len(TRIES_AT_MINUTES)
    assert len(receiver.received) == len(TRIES_AT_MINUTES)


def test_a_receiver_that_comes_back_gets_everything_that_it_has_missed(
    platform: Platform, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    platform.listen(receiver.url)
    missed = [platform.something_happens() for _ in range(4)]
    began = now_ms()
    for minute in range(3):
        platform.at(began + minute * MINUTE_MS)

    receiver.status = 200
    receiver.received.clear()
    for minute in range(3, 40):
        platform.at(began + minute * MINUTE_MS)

    assert sorted(receiver.ids) == sorted(missed)
    assert alarms(caplog) == []


def test_an_endpoint_that_is_dead_for_a_day_is_switched_off_and_that_is_said(
    platform: Platform, receiver: Receiver, another: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    dead = platform.listen(receiver.url, "refill.succeeded")
    alive = platform.listen(another.url, "webhook_endpoint.disabled")
    receiver.status = 500
    platform.something_happens()
    began = now_ms()

    for minutes in TRIES_AT_MINUTES:
        platform.at(began + minutes * MINUTE_MS + 1000)
    waiting = platform.something_happens()
    platform.at(began + DAY_MS + 2 * MINUTE_MS)

    shown = platform.endpoint(dead["id"])
    assert (shown["state"], shown["reason"]) == ("disabled", "http_500")
    assert shown["disabled_at"] is not None
    assert platform.endpoint(alive["id"])["state"] == "enabled"
    assert alarms(caplog) == ["webhook_endpoint_disabled"]
    (heard,) = another.received
    assert heard.json["type"] == "webhook_endpoint.disabled"
    assert heard.json["data"] == {
        "endpoint": dead["id"],
        "reason": "http_500",
        "id": heard.id,
        "owner": "platform",
        "workspace": None,
    }
    assert waiting not in receiver.ids


def test_an_endpoint_that_a_person_switches_on_again_hears_of_what_happens_from_then_on(
    platform: Platform, receiver: Receiver
) -> None:
    receiver.status = 410
    endpoint = platform.listen(receiver.url)
    missed = [platform.something_happens() for _ in range(3)]
    began = now_ms()
    platform.at(began + 1000)
    receiver.status = 200
    receiver.received.clear()

    again = platform.world.post(f"{ENDPOINTS}/{endpoint['id']}/enable", None, 200)
    for minutes in TRIES_AT_MINUTES:
        platform.at(began + 2000 + minutes * MINUTE_MS)
    new = platform.something_happens()
    platform.at(now_ms())

    assert (again["state"], again["reason"], again["disabled_at"]) == ("enabled", None, None)
    assert "secret" not in again
    assert receiver.ids == [new]
    assert new not in missed


def test_switching_on_what_is_on_changes_nothing(platform: Platform, receiver: Receiver) -> None:
    endpoint = platform.listen(receiver.url)
    waiting = platform.something_happens()

    again = platform.world.post(f"{ENDPOINTS}/{endpoint['id']}/enable", None, 200)
    platform.at(now_ms() + 1000)

    assert again["state"] == "enabled"
    assert receiver.ids == [waiting]


def test_an_endpoint_that_has_received_something_meanwhile_stays_on_though_one_notice_is_given_up(
    platform: Platform, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = platform.listen(receiver.url)
    refused = platform.something_happens("refill.declined")

    def refuse_one(request: BaseHTTPRequestHandler) -> None:
        request.send_response(400 if request.headers["webhook-id"] == refused else 200)
        request.end_headers()

    receiver.answering = refuse_one
    began = now_ms()
    for minutes in TRIES_AT_MINUTES:
        platform.something_happens()
        platform.at(began + minutes * MINUTE_MS + 1000)

    platform.at(began + DAY_MS + 5 * MINUTE_MS)  # nobody tries it once more

    assert receiver.ids.count(refused) == len(TRIES_AT_MINUTES)
    assert len(set(receiver.ids)) == 1 + len(TRIES_AT_MINUTES)
    assert platform.endpoint(endpoint["id"])["state"] == "enabled"
    assert alarms(caplog) == ["webhook_given_up"]


def test_a_receiver_that_says_gone_is_switched_off_at_once(
    platform: Platform, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = platform.listen(receiver.url)
    platform.something_happens()
    platform.at(now_ms() + 1000)  # it has received things before
    receiver.status = 410
    for _ in range(3):
        platform.something_happens()

    platform.at(now_ms() + 1000)
    platform.at(now_ms() + DAY_MS)

    assert len(receiver.received) == 2
    shown = platform.endpoint(endpoint["id"])
    assert (shown["state"], shown["reason"]) == ("disabled", "gone")
    assert shown["last_success_at"] is not None
    assert alarms(caplog) == ["webhook_endpoint_disabled"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(platform: Platform, receiver: Receiver, another: Receiver, status: int) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", another.url)
        request.end_headers()

    receiver.answering = redirect
    platform.listen(receiver.url)
    platform.something_happens()
    began = now_ms()

    platform.at(began + 1000)
    platform.at(began + MINUTE_MS + 1000)

    assert len(receiver.received) == 2
    assert another.received == []


def test_a_slow_receiver_is_not_waited_for_and_delays_no_other(
    platform: Platform, receiver: Receiver, another: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "READ_SECONDS", 0.4)
    over = threading.Event()

    def say_nothing(_: BaseHTTPRequestHandler) -> None:
        over.wait(10)

    receiver.answering = say_nothing
    platform.listen(receiver.url)
    platform.listen(another.url)
    for _ in range(10):
        platform.something_happens()
    heard: list[float] = []

    def hear(request: BaseHTTPRequestHandler) -> None:
        heard.append(time.monotonic())
        request.send_response(200)
        request.end_headers()

    another.answering = hear

    began_at = time.monotonic()
    platform.at(now_ms() + 1000)
    over.set()

    assert len(receiver.received) == MOST_FAILURES  # then it waits for the next minute
    assert len(another.received) == 10
    assert heard[-1] - began_at < 3 * 0.4
    assert time.monotonic() - began_at < 8


def test_a_receiver_that_drips_its_answer_is_cut_off(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outgoing, "READ_SECONDS", 0.5)
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        for letter in b"HTTP/1.1 200 OK" * 20:
            if over.wait(0.1):
                return
            request.wfile.write(bytes([letter]))

    receiver.answering = drip
    platform.listen(receiver.url)
    platform.something_happens()

    began_at = time.monotonic()
    platform.at(now_ms() + 1000)
    took = time.monotonic() - began_at
    over.set()

    assert took < 3
    assert [getattr(line, "reason", None) for line in caplog.records][-1] == "timeout"


def test_an_answer_without_an_end_is_not_read(platform: Platform, receiver: Receiver) -> None:
    sent: list[int] = []

    def never_end(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**12))
        request.end_headers()
        try:
            while len(sent) < 10_000:
                sent.append(request.wfile.write(b"x" * 65_536))
        except OSError:
            request.close_connection = True

    receiver.answering = never_end
    platform.listen(receiver.url)
    platform.something_happens()
    began = now_ms()

    platform.at(began + 1000)
    platform.at(began + MINUTE_MS + 1000)

    assert len(receiver.received) == 1
    assert len(sent) < 1_000


def test_nobody_at_the_address_is_tried_again_and_holds_nobody_up(
    platform: Platform, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver() as closed:
        url = closed.url
    platform.listen(url)
    platform.listen(receiver.url)
    for _ in range(20):
        platform.something_happens()

    platform.at(now_ms() + 1000)

    refused = [line.reason for line in caplog.records if line.message == "notice_not_received"]  # type: ignore[attr-defined]  # our extra
    assert refused == ["no_answer"] * MOST_FAILURES
    assert len(receiver.received) == 20


def test_however_much_waits_one_tick_sends_so_many_and_the_next_goes_on(platform: Platform, receiver: Receiver) -> None:
    platform.listen(receiver.url)
    happened = [platform.something_happens() for _ in range(MOST_DELIVERIES + 7)]

    platform.at(now_ms() + 1000)
    first = len(receiver.received)
    platform.at(now_ms() + MINUTE_MS)

    assert first == MOST_DELIVERIES
    assert sorted(receiver.ids) == sorted(happened)


def test_what_is_due_longest_is_sent_first(platform: Platform, receiver: Receiver) -> None:
    platform.listen(receiver.url)
    began, happened = now_ms(), []
    for number in range(5):
        platform.time_machine.move_to((began + number * 1000) / 1000)
        happened.append(platform.something_happens())

    platform.at(began + MINUTE_MS)

    assert receiver.ids == happened


def test_no_try_is_begun_once_the_tick_has_used_up_its_time(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver_notices, "MOST_SECONDS", 0.2)

    def hesitate(request: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        request.send_response(200)
        request.end_headers()

    receiver.answering = hesitate
    platform.listen(receiver.url)
    for _ in range(5):
        platform.something_happens()

    platform.at(now_ms() + 1000)
    first = len(receiver.received)
    platform.at(now_ms() + MINUTE_MS)

    assert first == 1
    assert len(receiver.received) == 2


def test_four_ticks_at_the_same_moment_send_everything_once(platform: Platform, receiver: Receiver) -> None:
    platform.listen(receiver.url)
    happened = [platform.something_happens() for _ in range(12)]
    at_ms, together = now_ms() + 1000, threading.Barrier(4)

    def tick(_: int) -> None:
        together.wait()
        deliver_due(at_ms)

    with ThreadPoolExecutor(4) as ticks:
        list(ticks.map(tick, range(4)))

    assert sorted(receiver.ids) == sorted(happened)


def test_a_breakdown_in_the_middle_of_a_try_is_made_up_for_at_the_next(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    platform.listen(receiver.url)
    notice_id = platform.something_happens()
    began = now_ms()

    def break_down(*_: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as broken:
        broken.setattr(outgoing, "send", break_down)
        platform.at(began + 1000)
    platform.at(began + 2000)
    before = list(receiver.ids)
    platform.at(began + MINUTE_MS + 1000)

    assert alarms(caplog) == ["notices_not_delivered"]
    assert before == []
    assert receiver.ids == [notice_id]


def test_a_breakdown_in_the_last_try_does_not_lose_the_notice(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.listen(receiver.url)
    notice_id = platform.something_happens()
    began = now_ms()

    def break_down(*_: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as broken:
        broken.setattr(outgoing, "send", break_down)
        platform.at(began + DAY_MS + 1000)
    platform.at(began + DAY_MS + 2 * MINUTE_MS)

    assert receiver.ids == [notice_id]


def test_an_endpoint_hears_of_the_types_that_it_asked_for_and_of_all_if_it_named_none(
    platform: Platform, receiver: Receiver, another: Receiver
) -> None:
    platform.listen(receiver.url, "refill.declined", "wallet.low")
    platform.listen(another.url)
    kinds = ["refill.succeeded", "refill.declined", "refill.suspended", "payment.reversed"]
    for kind in kinds:
        platform.something_happens(kind)

    platform.at(now_ms() + 1000)

    assert [each.json["type"] for each in receiver.received] == ["refill.declined"]
    assert sorted(each.json["type"] for each in another.received) == sorted(kinds)


def test_a_deleted_endpoint_hears_nothing_more_not_even_what_waited(platform: Platform, receiver: Receiver) -> None:
    endpoint = platform.listen(receiver.url)
    platform.something_happens()

    deleted = [platform.world.call("DELETE", f"{ENDPOINTS}/{endpoint['id']}") for _ in range(2)]
    platform.something_happens()
    platform.at(now_ms() + 1000)

    assert [(answer.status, answer.json["state"]) for answer in deleted] == [(200, "deleted")] * 2
    assert receiver.received == []
    assert platform.world.get(ENDPOINTS)["data"] == []
    assert endpoint["secret"] not in [item.secret for item in tables.ActivityItem.scan()]
    assert platform.world.call("POST", f"{ENDPOINTS}/{endpoint['id']}/enable").status == 404


def test_there_may_be_five_endpoints_also_when_twelve_are_made_at_once(platform: Platform, receiver: Receiver) -> None:
    body = {"url": receiver.url}

    with ThreadPoolExecutor(6) as people:
        answers = list(people.map(lambda _: platform.world.call("POST", ENDPOINTS, body), range(12)))
    refused = [answer for answer in answers if answer.status != 201]
    platform.something_happens()
    platform.at(now_ms() + 1000)

    assert len(platform.world.get(ENDPOINTS)["data"]) == 5
    assert len(refused) == 7
    assert {(answer.status, answer.json["code"]) for answer in refused} == {(409, "too_many_webhook_endpoints")}
    assert len(receiver.received) == 5


def test_a_secret_is_shown_once_and_is_another_for_each_endpoint(platform: Platform, receiver: Receiver) -> None:
    one, two = platform.listen(receiver.url), platform.listen(receiver.url)

    listed = platform.world.call("GET", ENDPOINTS).text

    assert one["secret"] != two["secret"]
    assert one["id"] in listed
    assert "whsec_" not in listed


def test_neither_secrets_nor_addresses_are_written_into_the_logs(
    platform: Platform, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    endpoint = platform.listen(receiver.url)
    platform.something_happens()
    began = now_ms()
    for status, minutes in ((500, 0), (302, 1), (410, 5)):
        receiver.status = status
        platform.at(began + minutes * MINUTE_MS + 1000)

    written = " ".join(str(vars(line)) for line in caplog.records if line.name == "rebill")
    assert endpoint["id"] in written
    assert "s3cret" not in written
    assert endpoint["secret"] not in written
    (kept,) = activity.webhook_endpoints()
    assert "s3cret" not in repr(kept)
    assert endpoint["secret"] not in repr(kept)
