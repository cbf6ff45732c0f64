"""Calls whose webhook was lost are found in the platform's own list, posted once, and nothing else is."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import time_machine
from click.testing import CliRunner

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import Provider
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.usage import UsageEvent
from chalicelib.flows.sweep_calls import Swept, sweep_calls, sweep_tonight
from chalicelib.gateways.voice import listing
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.gateways.voice.listing import list_calls
from chalicelib.storage import accounts
from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call
from local.voice_platform.listing import CallLists
from ops.__main__ import main
from tests.world import World

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
VAPI_KEY, RETELL_KEY = "vapi-private-key-of-tests", "key_retell_of_tests"


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[CallLists]:
    """The platforms' lists of calls, where the product looks for them."""
    with CallLists() as made:
        for name, address in made.addresses().items():
            monkeypatch.setenv(name, address)
        made.open_account("vapi", VAPI_KEY)
        made.open_account("retell", RETELL_KEY)
        yield made


class Agency:
    """A workspace with a voice endpoint at each platform since three hours ago, and one client with agents at both."""

    def __init__(self, world: World, lists: CallLists) -> None:
        self.world, self.lists = world, lists
        self.keys = {"vapi": VAPI_KEY, "retell": RETELL_KEY}
        with time_machine.travel((now_ms() - 3 * HOUR_MS) / 1000):
            self.workspace = world.workspace()
            self.client = world.sub_account(self.workspace, "0.15")
            path = f"/v1/workspaces/{self.workspace}/voice-endpoints"
            vapi = world.post(path, {"provider": "vapi", "api_key": VAPI_KEY})
            retell = world.post(path, {"provider": "retell", "secret": RETELL_KEY})
        self.endpoints = {"vapi": vapi, "retell": retell}
        self.agents = {name: PLATFORMS[name].new_agent_id() for name in self.endpoints}
        for name, agent_id in self.agents.items():
            world.put(f"/v1/sub-accounts/{self.client}/voice-agents/{name}/{agent_id}")
        world.drain()

    def call(self, platform: str, ended_minutes_ago: float = 90, seconds: int | None = 60, **more: Any) -> Call:
        """A call is made, and its platform knows of it."""
        agent_id = more.pop("agent_id", self.agents[platform])
        made = Call(agent_id, seconds, ended_at_ms=now_ms() - int(ended_minutes_ago * MINUTE_MS))
        self.lists.remember(platform, more.pop("api_key", self.keys[platform]), made, **more)
        return made

    def deliver(self, platform: str, call: Call) -> None:
        """Its webhook arrives."""
        endpoint, pretend = self.endpoints[platform], PLATFORMS[platform]
        path = f"/webhooks/voice/{platform}/{endpoint['id']}"
        for body in pretend.deliveries(call):
            headers = pretend.sign(body, endpoint["secret"], f"https://rebill.example{path}")
            assert self.world.call("POST", path, raw=body, headers=headers, key=None).status == 202

    def sweep(self, post: bool = True, since_ms: int | None = None) -> Swept:
        return sweep_calls([self.workspace], since_ms or now_ms() - 3 * DAY_MS, post)

    def charged(self) -> list[str]:
        """What the client was charged for calls."""
        self.world.drain()
        return [entry["amount"] for entry in self.world.entries(self.client) if entry["kind"] == "usage"]


@pytest.fixture
def agency(world: World, lists: CallLists) -> Agency:
    return Agency(world, lists)


both = pytest.mark.parametrize("platform", ["vapi", "retell"])


@both
def test_a_lost_webhook_is_made_good_once(agency: Agency, platform: str) -> None:
    call = agency.call(platform)

    first, again = agency.sweep(), agency.sweep()

    assert [each.report.agent_id for each in first.missed] == [call.agent_id]
    assert again.missed == []
    assert agency.charged() == ["-0.150000"]
    assert agency.sweep().missed == []


@both
def test_a_webhook_that_came_is_not_posted_again(agency: Agency, platform: str) -> None:
    call = agency.call(platform)
    agency.deliver(platform, call)

    before_it_is_posted = agency.sweep()
    agency.world.drain()
    after_it_was_posted = agency.sweep()

    assert (before_it_is_posted.missed, after_it_was_posted.missed) == ([], [])
    assert after_it_was_posted.calls == 1
    assert agency.charged() == ["-0.150000"]


@both
def test_a_webhook_that_comes_after_all_changes_nothing(
    agency: Agency, platform: str, alarms: Callable[[], list[str]]
) -> None:
    call = agency.call(platform)
    agency.sweep()
    agency.world.drain()

    agency.deliver(platform, call)

    assert agency.charged() == ["-0.150000"]
    assert "usage_conflict" not in alarms()


@both
def test_a_listed_call_says_the_same_as_its_webhook(agency: Agency, platform: str) -> None:
    call = agency.call(platform, seconds=142)
    adapter = listing.retell if platform == "retell" else listing.vapi
    told = [r for body in PLATFORMS[platform].deliveries(call) for r in adapter.read(Delivery({}, body, ""))]

    listed = list(list_calls(Provider(platform), agency.keys[platform], call.ended_at_ms - HOUR_MS, now_ms()))

    events = [UsageEvent.from_report(each, agency.workspace, 0) for each in (*told, *listed)]
    assert len(events) == 2
    assert events[0].fingerprint == events[1].fingerprint


def test_looking_alone_posts_nothing(agency: Agency) -> None:
    agency.call("vapi")

    assert len(agency.sweep(post=False).missed) == 1
    assert agency.charged() == []


@both
def test_calls_that_run_or_have_just_ended_are_left_alone(agency: Agency, platform: str) -> None:
    agency.call(platform, running=True)
    agency.call(platform, ended_minutes_ago=30)

    assert agency.sweep().missed == []


@both
def test_what_was_before_the_endpoint_is_none_of_ours(agency: Agency, platform: str) -> None:
    agency.call(platform, ended_minutes_ago=60 * 4)

    assert agency.sweep().missed == []


@both
def test_calls_of_agents_that_nobody_assigned_are_counted_and_left(agency: Agency, platform: str) -> None:
    """The account at the platform may serve other workspaces too: their calls must not end up here."""
    agency.call(platform, agent_id=PLATFORMS[platform].new_agent_id())

    swept = agency.sweep()

    assert (swept.missed, swept.strangers) == ([], 1)


def test_a_call_that_nobody_answered_is_kept_and_costs_nothing(agency: Agency) -> None:
    agency.call("vapi", seconds=None)

    agency.sweep()

    assert agency.charged() == []


@both
def test_pages_are_turned(agency: Agency, platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "VAPI_PAGE", 3)
    monkeypatch.setattr(listing, "RETELL_PAGE", 3)
    for number in range(10):
        agency.call(platform, ended_minutes_ago=90 + number)

    swept = agency.sweep()

    assert (swept.calls, len({each.report.event_id for each in swept.missed})) == (10, 10)
    assert len(agency.lists.asked) > 3
    assert agency.charged() == ["-0.150000"] * 10


def test_a_list_that_comes_with_its_oldest_first_is_read_to_its_end(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vapi does not say in which order it lists."""
    from local.voice_platform import listing as pretended

    def oldest_first(known: Any, asked: Any) -> Any:
        return real(known, {**asked, "limit": "1000"})[::-1][: int(asked["limit"])]

    real = pretended._vapi_page
    monkeypatch.setattr(pretended, "_vapi_page", oldest_first)
    monkeypatch.setattr(listing, "VAPI_PAGE", 3)
    for number in range(10):
        agency.call("vapi", ended_minutes_ago=90 + number)

    assert len(agency.sweep().missed) == 10


def test_one_account_with_two_addresses_is_looked_through_once(agency: Agency) -> None:
    path = f"/v1/workspaces/{agency.workspace}/voice-endpoints"
    with time_machine.travel((now_ms() - 3 * HOUR_MS) / 1000):
        agency.world.post(path, {"provider": "vapi", "api_key": VAPI_KEY})
    agency.call("vapi")

    swept = agency.sweep()

    assert (swept.endpoints, swept.calls, len(swept.missed)) == (2, 1, 1)


def test_a_refused_key_is_named_and_the_others_go_on(agency: Agency) -> None:
    path = f"/v1/workspaces/{agency.workspace}/voice-endpoints"
    wrong = agency.world.post(path, {"provider": "vapi", "api_key": "a-key-that-was-revoked"})
    agency.call("vapi")
    agency.call("retell")

    swept = agency.sweep()

    assert swept.refused == [(wrong["id"], "api_key_refused")]
    assert len(swept.missed) == 2


def test_an_address_that_was_deleted_is_left_out_and_the_others_are_looked_through(agency: Agency) -> None:
    agency.call("vapi")
    agency.call("retell")

    gone = agency.endpoints["vapi"]["id"]
    assert agency.world.call("DELETE", f"/v1/workspaces/{agency.workspace}/voice-endpoints/{gone}").status == 200
    swept = agency.sweep()

    assert (swept.endpoints, swept.calls, swept.refused) == (1, 1, [])
    assert [each.endpoint_id for each in swept.missed] == [agency.endpoints["retell"]["id"]]


@pytest.mark.parametrize("platform", ["vapi", "retell"])
def test_a_call_of_an_agent_that_was_taken_away_is_a_strangers(agency: Agency, platform: str) -> None:
    agency.call(platform)

    path = f"/v1/sub-accounts/{agency.client}/voice-agents/{platform}/{agency.agents[platform]}"
    assert agency.world.call("DELETE", path).status == 200
    swept = agency.sweep()

    assert (swept.strangers, swept.missed) == (1, [])


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"items": 7}', b"null"])
def test_an_answer_that_is_no_list_of_calls_is_told_as_trouble(
    agency: Agency, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_pool", lambda: _Answering(answer))

    with pytest.raises(Unavailable, match="Retell did not answer"):
        list(list_calls(Provider.RETELL, RETELL_KEY, 0, now_ms()))


class _Answering:
    """A platform that says one thing whatever it is asked."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def request(self, *_: Any, **__: Any) -> Any:
        import io

        import urllib3

        return urllib3.HTTPResponse(io.BytesIO(self._said), status=200, preload_content=False)


def test_a_platform_that_is_down_keeps_no_other_from_its_turn(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBILL_RETELL_API_ADDRESS", "http://127.0.0.1:9")
    agency.call("vapi")

    swept = agency.sweep()

    assert [code for _, code in swept.refused] == ["unavailable"]
    assert len(swept.missed) == 1


def test_a_call_that_cannot_be_read_keeps_no_other_from_being_found(
    agency: Agency,
    alarms: Callable[[], list[str]],
) -> None:
    agency.call("vapi", agent_id="an agent with blanks")
    agency.call("vapi")

    assert len(agency.sweep().missed) == 1
    assert "listed_call_unreadable" in alarms()


def test_the_key_is_kept_and_never_answered(agency: Agency) -> None:
    told = json.dumps(agency.endpoints["vapi"])

    kept = accounts.endpoints_of(agency.workspace)

    assert VAPI_KEY not in told
    assert sorted(each.api_key or "-" for each in kept) == ["-", VAPI_KEY]
    audit = agency.world.call("GET", f"/v1/workspaces/{agency.workspace}/audit")
    assert VAPI_KEY not in audit.text


def test_a_key_where_nobody_lists_calls_is_refused(agency: Agency) -> None:
    body = {"provider": "twilio", "secret": "auth-token-1", "api_key": "any-key-at-all"}
    path = f"/v1/workspaces/{agency.workspace}/voice-endpoints"

    assert agency.world.post(path, body, 422)["param"] == "api_key"


def test_the_night_posts_what_was_missed_once_and_tells(
    agency: Agency,
    alarms: Callable[[], list[str]],
) -> None:
    agency.call("vapi")
    agency.call("retell")

    swept = sweep_tonight(60)
    again = sweep_tonight(60)

    assert swept is not None
    assert (len(swept.missed), again) == (2, None)
    assert alarms() == ["calls_missed", "calls_missed"]
    assert agency.charged() == ["-0.150000"] * 2


def test_the_command_looks_first_and_posts_when_told(agency: Agency) -> None:
    agency.call("vapi")

    looked = CliRunner().invoke(main, ["sweep", "--json"])
    assert looked.exit_code == 0, looked.output
    assert json.loads(looked.stdout.splitlines()[-1])["missed"] == 1
    assert agency.charged() == []

    done = CliRunner().invoke(main, ["sweep", "--workspace", agency.workspace, "--yes"])
    assert "1 missed, now on the queue." in done.stdout
    assert agency.charged() == ["-0.150000"]


def test_the_pretended_lists_refuse_a_stranger(lists: CallLists) -> None:
    answer = httpx.get(f"{lists.url}/vapi/call", headers={"Authorization": "Bearer nobody"}, trust_env=False)

    assert answer.status_code == 401
