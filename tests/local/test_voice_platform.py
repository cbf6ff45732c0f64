"""The pretend platforms speak as the real ones: the real adapters take what they send, and read what was pretended."""

import time

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.domain.usage import Report, Status, UsageEvent, judge
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.gateways.voice.delivery import Delivery
from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call

URL = "http://rebill.example/webhooks/voice/any/whe_a_b"
OUR_SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="


def received(name: str, call: Call) -> list[Report]:
    """What the real adapter reads from all deliveries about a call, each of them verified."""
    platform, adapter = PLATFORMS[name], ADAPTERS[Provider(name)]
    secret = platform.new_secret() or OUR_SECRET
    reports: list[Report] = []
    for body in platform.deliveries(call):
        headers = {header.lower(): value for header, value in platform.sign(body, secret, URL).items()}
        delivery = Delivery(headers, body, URL)
        adapter.verify(delivery, secret, time.time_ns() // 1_000_000)
        reports += adapter.read(delivery)
    return reports


@pytest.mark.parametrize("name", PLATFORMS)
def test_an_answered_call_is_read_once_with_its_talk_time(name: str) -> None:
    call = Call(PLATFORMS[name].new_agent_id(), talk_seconds=142)

    (report,) = received(name, call)

    event = UsageEvent.from_report(report, "ws_a", call.ended_at_ms)
    assert (event.agent_id, event.quantity, event.remarks) == (call.agent_id, 142_000, ())
    assert judge(event) == (Status.POSTED, None)


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_call_that_nobody_answered_is_read_once_and_costs_nothing(name: str) -> None:
    call = Call(PLATFORMS[name].new_agent_id(), talk_seconds=None)

    (report,) = received(name, call)

    assert judge(UsageEvent.from_report(report, "ws_a", call.ended_at_ms))[0] is Status.NOT_BILLABLE


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_call_that_is_reported_again_says_the_same(name: str) -> None:
    call = Call(PLATFORMS[name].new_agent_id(), talk_seconds=20)

    (first,) = received(name, call)
    (again,) = received(name, call)

    assert first == again


def test_who_can_bring_a_secret_is_who_must() -> None:
    brings_its_own = {name: platform.new_secret() is not None for name, platform in PLATFORMS.items()}

    assert brings_its_own == {name: not ADAPTERS[Provider(name)].SECRET_IS_OURS for name in PLATFORMS}
