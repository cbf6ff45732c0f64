"""Each voice platform's own payloads, signed as it signs, in through its own webhook and out of both wallets."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.accounts import Provider
from chalicelib.gateways.voice import ADAPTERS
from chalicelib.storage import tables
from tests.gateways.voice_platforms import SENDERS, Sender, at, body_of
from tests.world import Answer, World

PAYLOADS = Path(__file__).parents[2] / "shared" / "payloads"
OUR_SUBJECT = b"sa_k3v9_m2x7"  # whom the CloudEvents fixtures name: each test puts its own client there
SENDER_OF = {sender.provider: sender for sender in SENDERS}

# What a call costs is worked out by hand: talk time up to the next second, times 0.07 and 0.15 a minute.
# provider, payload, agent, when it ended, billed seconds, the agency's micros, the client's micros
FINISHED = [
    ("cloudevents", "cloudevents/call.json", None, "2026-06-19T08:31:01Z", "61.000", 71_167, 152_500),
    ("vapi", "vapi/end_of_call_report.json", "e9d41b70-8c25-4a6f-b3f1-5572c08ad936", "2026-06-18T12:05:12Z", "182.000", 212_333, 455_000),
    ("vapi", "vapi/call_beside_message.json", "71a6e3d2-0f94-4bc8-95e7-3d8b26f0c1a4", "2026-06-18T12:05:12Z", "182.000", 212_333, 455_000),
    ("vapi", "vapi/worker_died_mid_call.json", "e9d41b70-8c25-4a6f-b3f1-5572c08ad936", "2026-06-18T15:05:01Z", "301.000", 351_167, 752_500),
    ("retell", "retell/call_ended.json", "agent_c7e15a4408", "2026-06-19T10:01:48Z", "108.000", 126_000, 270_000),
    ("elevenlabs", "elevenlabs/post_call_transcription.json", "agent_01jw8qk3z7", "2026-06-20T10:12:34Z", "94.000", 109_667, 235_000),
    ("elevenlabs", "elevenlabs/failed_after_two_minutes.json", "agent_01jw8qk3z7", "2026-06-20T13:02:01Z", "121.000", 141_167, 302_500),
    ("twilio", "twilio/completed.form", "+13035550121", "2026-06-18T16:20:09Z", "64.000", 74_667, 160_000),
    ("twilio", "twilio/completed_outbound.form", "+14155550111", "2026-07-15T09:10:33Z", "33.000", 38_500, 82_500),
    ("twilio", "twilio/completed_over_sip.form", "sip:Front.Desk@hotel.sip.twilio.com", "2026-06-18T16:20:09Z", "64.000", 74_667, 160_000),
]  # fmt: skip
REAL = [
    ("vapi", "vapi/end_of_call_report.composite.json", "ab4f358c-94a5-4676-88a7-83b7c9888a4b", "2025-06-17T18:10:36Z", "51.000", 59_500, 127_500),
    ("retell", "retell/call_ended.docs.json", "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD", "2024-05-02T00:08:12Z", "16.000", 18_667, 40_000),
    ("retell", "retell/call_ended_user_hangup.json", "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD", "2025-07-15T07:01:15Z", "75.000", 87_500, 187_500),
    ("elevenlabs", "elevenlabs/post_call_transcription.docs.json", "xyz", "2025-02-14T12:48:39Z", "22.000", 25_667, 55_000),
    ("twilio", "twilio/call_status_callback_completed.form", "+14155550142", "2026-07-15T14:32:18Z", "187.000", 218_167, 467_500),
]  # fmt: skip
FREE = [
    ("cloudevents", "cloudevents/no_answer.json", "2026-06-19T09:00:00Z", "no_answer"),
    ("vapi", "vapi/customer_did_not_answer.json", "2026-06-18T13:40:44Z", "customer-did-not-answer"),
    ("retell", "retell/call_not_connected.json", "2026-06-19T11:00:06Z", "dial_no_answer"),
    ("elevenlabs", "elevenlabs/call_initiation_failure.json", "2026-06-20T10:00:00Z", "no-answer"),
    ("elevenlabs", "elevenlabs/failed_at_once.json", "2026-06-20T13:00:01Z", "failed"),
    ("twilio", "twilio/no_answer.form", "2026-06-18T16:20:10Z", "no-answer"),
]
REAL_FREE = [
    ("elevenlabs", "elevenlabs/call_initiation_failure_sip_busy.json", "2025-07-15T07:30:00Z", "busy"),
]
ABOUT_NO_FINISHED_CALL = [
    ("vapi", "vapi/status_update_ended.json"),
    ("retell", "retell/call_started.json"),
    ("retell", "retell/call_analyzed.json"),
    ("elevenlabs", "elevenlabs/post_call_audio.json"),
    ("twilio", "twilio/ringing.form"),
]
AGAIN = [
    ("cloudevents", "cloudevents/call.json", "cloudevents/call_again.json"),
    ("vapi", "vapi/end_of_call_report.json", "vapi/end_of_call_report_again.json"),
    ("retell", "retell/call_ended.json", "retell/call_ended_again.json"),
    ("elevenlabs", "elevenlabs/post_call_transcription.json", "elevenlabs/post_call_transcription_again.json"),
    ("twilio", "twilio/completed.form", "twilio/completed_again.form"),
]

real_payloads = pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason="../shared/payloads is not here: real payloads not run through the webhooks"
)


class Agency:
    """An agency whose client's agent is answered by one voice platform, an hour before the call of the test."""

    def __init__(self, world: World, clock: Any, provider: str, ended_at: str, agent_id: str | None) -> None:
        self.world, self.clock, self.ended_at_ms = world, clock, at(ended_at)
        clock.move_to((self.ended_at_ms - 3_600_000) / 1000)
        self.sender: Sender = SENDER_OF[Provider(provider)]
        self.workspace = world.workspace()
        self.client = world.sub_account(self.workspace, "0.15")
        given = None if ADAPTERS[self.sender.provider].SECRET_IS_OURS else self.sender.secret
        self.endpoint = world.endpoint(self.workspace, provider, given)
        if agent_id:
            world.put(f"/v1/sub-accounts/{self.client}/voice-agents/{provider}/{agent_id.replace('+', '%2B')}")

    def receive(self, body: bytes, seconds_after: int = 5, secret: str | None = None) -> Answer:
        """Have the platform send this a moment after the call, signed at that moment, and post what it sets off."""
        now_ms = self.ended_at_ms + seconds_after * 1000
        self.clock.move_to(now_ms / 1000)
        body = body.replace(OUR_SUBJECT, self.client.encode())
        url = self.endpoint["url"]
        signed = self.sender.sign(body, secret or self.endpoint["secret"], self.sender.stamp(now_ms), url)
        is_form = self.sender.provider is Provider.TWILIO
        media_type = "application/x-www-form-urlencoded" if is_form else "application/json"
        path = url.removeprefix("https://rebill.example")
        answer = self.world.call("POST", path, raw=body, headers={**signed, "content-type": media_type}, key=None)
        self.world.drain()
        return answer

    def paid_micros(self) -> tuple[int, int]:
        """What agency and client have paid so far."""
        return _paid(self.world, self.workspace), _paid(self.world, self.client)


def _paid(world: World, owner_id: str) -> int:
    return -round(float(world.balance(owner_id)) * 1_000_000)


def _accepted_status(provider: str) -> int:
    """ElevenLabs switches off a webhook that answers anything but 200."""
    return 200 if provider == "elevenlabs" else 202


@pytest.mark.parametrize(("provider", "payload", "agent", "ended_at", "billed", "cost", "price"), FINISHED)
def test_a_finished_call_moves_both_wallets_by_the_exact_micros(
    world: World, time_machine: Any, provider: str, payload: str, agent: str | None, ended_at: str, billed: str,
    cost: int, price: int,
) -> None:  # fmt: skip
    agency = Agency(world, time_machine, provider, ended_at, agent)

    answer = agency.receive(body_of(payload))

    assert answer.status == _accepted_status(provider)
    assert agency.paid_micros() == (cost, price)
    (event,) = answer.json["data"]
    assert world.usage(event["source"], event["id"])["charges"]["sub_account"]["billed_seconds"] == billed


@real_payloads
@pytest.mark.parametrize(("provider", "payload", "agent", "ended_at", "billed", "cost", "price"), REAL)
def test_a_real_finished_call_moves_both_wallets_by_the_exact_micros(
    world: World, time_machine: Any, provider: str, payload: str, agent: str, ended_at: str, billed: str, cost: int,
    price: int,
) -> None:  # fmt: skip
    agency = Agency(world, time_machine, provider, ended_at, agent)

    answer = agency.receive((PAYLOADS / payload).read_bytes())

    assert answer.status == _accepted_status(provider)
    assert agency.paid_micros() == (cost, price)


@pytest.mark.parametrize(("provider", "payload", "ended_at", "outcome"), FREE)
def test_a_call_that_never_connected_costs_nobody_anything_and_is_kept_as_such(
    world: World, time_machine: Any, provider: str, payload: str, ended_at: str, outcome: str
) -> None:
    agency = Agency(world, time_machine, provider, ended_at, None)

    (event,) = agency.receive(body_of(payload)).json["data"]

    assert agency.paid_micros() == (0, 0)
    kept = world.usage(event["source"], event["id"])
    assert (kept["status"], kept["reason"]) == ("not_billable", outcome)


@real_payloads
@pytest.mark.parametrize(("provider", "payload", "ended_at", "outcome"), REAL_FREE)
def test_a_real_call_that_never_connected_costs_nobody_anything(
    world: World, time_machine: Any, provider: str, payload: str, ended_at: str, outcome: str
) -> None:
    agency = Agency(world, time_machine, provider, ended_at, None)

    (event,) = agency.receive((PAYLOADS / payload).read_bytes()).json["data"]

    assert agency.paid_micros() == (0, 0)
    assert world.usage(event["source"], event["id"])["reason"] == outcome


@pytest.mark.parametrize(("provider", "payload", "again"), AGAIN)
def test_a_call_that_is_delivered_again_with_another_envelope_is_paid_once(
    world: World, time_machine: Any, provider: str, payload: str, again: str
) -> None:
    finished = next(row for row in FINISHED if row[1] == payload)
    agency = Agency(world, time_machine, provider, finished[3], finished[2])

    for number, body in enumerate((payload, again, payload, again)):
        agency.receive(body_of(body), seconds_after=5 + 60 * number)

    assert agency.paid_micros() == (finished[5], finished[6])
    assert world.get(f"/v1/workspaces/{agency.workspace}/usage-events?status=conflict")["data"] == []


@pytest.mark.parametrize(("provider", "payload"), ABOUT_NO_FINISHED_CALL)
def test_a_delivery_about_anything_but_a_finished_call_is_thanked_for_and_changes_nothing(
    world: World, time_machine: Any, provider: str, payload: str
) -> None:
    agency = Agency(world, time_machine, provider, "2026-06-20T12:00:00Z", None)

    answer = agency.receive(body_of(payload))

    assert answer.status == _accepted_status(provider)
    assert answer.json["data"] == []
    assert tables.EntryItem.count() == 0


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.provider.value)
def test_a_delivery_signed_with_another_secret_writes_nothing_and_is_told_401(
    world: World, time_machine: Any, sender: Sender
) -> None:
    agency = Agency(world, time_machine, sender.provider.value, "2026-06-20T12:00:00Z", None)

    answer = agency.receive(sender.body, secret=sender.other_secret)

    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert tables.EntryItem.count() == 0


def test_a_delivery_to_another_platforms_address_is_not_found(world: World, time_machine: Any) -> None:
    agency = Agency(world, time_machine, "retell", "2026-06-19T10:01:48Z", None)
    agency.endpoint["url"] = agency.endpoint["url"].replace("/retell/", "/vapi/")

    answer = agency.receive(body_of("retell/call_ended.json"))

    assert answer.status == 404


@pytest.mark.parametrize(("provider", "payload"), [(row[0], row[1]) for row in FINISHED if row[0] != "cloudevents"])
def test_a_call_of_an_agent_nobody_assigned_waits_and_is_paid_once_it_is_assigned(
    world: World, time_machine: Any, provider: str, payload: str
) -> None:
    _, _, agent, ended_at, _, cost, price = next(row for row in FINISHED if row[1] == payload)
    agency = Agency(world, time_machine, provider, ended_at, None)
    (event,) = agency.receive(body_of(payload)).json["data"]
    before = (world.usage(event["source"], event["id"])["status"], agency.paid_micros())

    time_machine.shift(timedelta(days=2))
    world.put(f"/v1/sub-accounts/{agency.client}/voice-agents/{provider}/{agent}")
    world.drain()

    assert before == ("unmatched", (0, 0))
    assert agency.paid_micros() == (cost, price)
