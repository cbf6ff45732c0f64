"""Notices: a low balance is told once on the way down, and again only after it has recovered; nothing else moves."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.notices import (
    ABOVE_ALL_MICROS,
    MINUTE_MS,
    TRIES_AT_MINUTES,
    Crossing,
    Notice,
    NoticeType,
    crossing,
    next_try_ms,
)
from chalicelib.flows import deliver_notices, post_usage, watch_balances
from chalicelib.flows.tell import tell
from chalicelib.settings import settings
from chalicelib.storage import tables, wallets
from local.stack import Stack
from tests.calls import call
from tests.world import World, handle_batch

LEVELS = (20, 5, 0)
ABOVE = ABOVE_ALL_MICROS
LOW, RECOVERED = NoticeType.WALLET_LOW, NoticeType.WALLET_RECOVERED
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("known", "balance", "found"),
    [
        (None, 0, Crossing(0, None)),  # a new wallet is empty, and has not fallen
        (None, 100, Crossing(ABOVE, None)),
        (ABOVE, 21, None),
        (ABOVE, 20, Crossing(20, LOW)),  # at the level is low
        (20, 6, None),
        (20, 5, Crossing(5, LOW)),
        (5, 1, None),
        (5, 0, Crossing(0, LOW)),
        (0, -50, None),
        (ABOVE, 4, Crossing(5, LOW)),  # through two at once: the lowest
        (ABOVE, -1, Crossing(0, LOW)),
        (0, 3, Crossing(5, None)),  # above 0 again, and below 5 still
        (5, 12, Crossing(20, None)),
        (5, 21, Crossing(ABOVE, RECOVERED)),
        (0, 21, Crossing(ABOVE, RECOVERED)),
    ],
)
def test_what_a_balance_newly_says_given_what_was_known(
    known: int | None, balance: int, found: Crossing | None
) -> None:
    assert crossing(LEVELS, known, balance) == found


@given(st.lists(st.integers(-10, 30), max_size=60), st.sets(st.integers(0, 25), max_size=5))
def test_however_a_balance_moves_each_level_is_told_once_between_two_recoveries_above_it(
    balances: list[int], levels: set[int]
) -> None:
    known, armed = ABOVE, set(levels)
    for balance in balances:
        found = crossing(tuple(levels), known, balance)
        fallen = {level for level in armed if balance <= level}
        if found is not None and found.tells is LOW:
            assert found.level_micros == min(level for level in levels if balance <= level)
        assert (found is not None and found.tells is LOW) == bool(fallen)
        armed = {level for level in levels if balance > level}
        known = found.level_micros if found else known


def test_a_delivery_is_tried_over_a_day_and_a_late_try_leaves_out_what_it_has_missed() -> None:
    assert next_try_ms(1000, 1000) == 1000 + MINUTE_MS
    assert next_try_ms(1000, 1000 + MINUTE_MS) == 1000 + 5 * MINUTE_MS
    assert next_try_ms(1000, 1000 + 7 * 60 * MINUTE_MS) == 1000 + 10 * 60 * MINUTE_MS
    assert next_try_ms(1000, 1000 + DAY_MS - 1) == 1000 + DAY_MS
    assert next_try_ms(1000, 1000 + DAY_MS) is None
    assert TRIES_AT_MINUTES[-1] * MINUTE_MS == DAY_MS


@given(st.integers(1, 2**47), st.integers(0, 10**9), st.text(max_size=20), st.text(max_size=20))
def test_ids_sort_by_time_and_the_same_notice_has_the_same_one(at: int, later: int, key: str, other: str) -> None:
    def notice_id(at_ms: int, of: str) -> str:
        return Notice(LOW, "ws_a", "ws_a", at_ms, of).id

    assert notice_id(at, key) == notice_id(at, key)
    assert (notice_id(at, key) < notice_id(at + later, other)) or later == 0
    assert (notice_id(at, key) == notice_id(at, other)) == (key == other)


def test_a_wallet_that_falls_is_told_of_at_twenty_at_five_and_at_zero_once_each(world: World) -> None:
    client = a_client(world, "25.00")

    for number, units in enumerate((4, 2, 3, 11, 1, 4, 1)):  # 21, 19, 16, 5, 4, 0, -1
        talk(world, client, units, f"call_{number}")

    assert told(world, client) == [("wallet.low", "20.00"), ("wallet.low", "5.00"), ("wallet.low", "0.00")]
    first = activity(world, client)[-1]
    assert first["owner"] == client
    assert first["data"] == {"level": "20.00", "balance": "19.000000", "currency": "usd"}


def test_a_wallet_that_falls_through_several_levels_at_once_is_told_of_the_lowest_only(world: World) -> None:
    client = a_client(world, "25.00")

    talk(world, client, 21)

    assert told(world, client) == [("wallet.low", "5.00")]


def test_a_wallet_that_recovers_says_so_and_is_told_of_again_when_it_falls_again(world: World) -> None:
    client = a_client(world, "21.00")

    talk(world, client, 2, "one")
    world.credit(client, "10.00", key="second")
    talk(world, client, 10, "two")

    assert told(world, client) == [("wallet.low", "20.00"), ("wallet.recovered", None), ("wallet.low", "20.00")]


def test_a_credit_above_the_lowest_level_only_arms_that_level_and_is_no_recovery(world: World) -> None:
    client = a_client(world, "21.00")

    talk(world, client, 17, "one")  # 4
    world.credit(client, "6.00", key="second")  # 10
    talk(world, client, 6, "two")  # 4

    assert told(world, client) == [("wallet.low", "5.00"), ("wallet.low", "5.00")]


def test_a_new_wallet_is_empty_and_nobody_needs_to_hear_that_nor_that_its_first_balance_is_small(world: World) -> None:
    client = world.sub_account(world.workspace(), "10.00")

    talk(world, client, 1, "unpaid")
    world.credit(client, "11.00")

    assert told(world, client) == []


def test_the_agencys_own_wallet_is_watched_by_the_same_rules(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace)
    world.credit(workspace, "20.05")
    world.credit(client, "30.00")

    talk(world, client, 10)  # a minute, at 0.07

    assert told(world, workspace) == [("wallet.low", "20.00")]
    assert told(world, client) == []  # it is not re-billed: it pays nothing


def test_a_clients_activity_holds_neither_its_agencys_notices_nor_any_cost(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "10.00")
    world.credit(workspace, "20.05")
    world.credit(client, "29.50")

    talk(world, client, 10)  # a minute

    (notice,) = activity(world, client)
    assert notice["data"] == {"level": "20.00", "balance": "19.500000", "currency": "usd"}
    assert "0.07" not in json.dumps(notice)
    assert "19.98" not in json.dumps(notice)


def test_eight_who_look_at_the_same_moment_tell_once(world: World) -> None:
    client = a_client(world, "25.00")
    wallets_moved_by_hand(client, -20_000_000)
    together = threading.Barrier(8)

    def look(_: int) -> None:
        together.wait()
        watch_balances.watch([client])

    with ThreadPoolExecutor(8) as watchers:
        list(watchers.map(look, range(8)))

    assert told(world, client) == [("wallet.low", "5.00")]


def test_who_looked_before_the_balance_fell_further_looks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = a_client(world, "25.00")
    wallets_moved_by_hand(client, -6_000_000)
    read = wallets.watched_wallets

    def read_and_be_overtaken(owners: Any) -> Any:
        found = read(owners)
        monkeypatch.setattr(wallets, "watched_wallets", read)
        wallets_moved_by_hand(client, -15_000_000)
        watch_balances.watch([client])
        wallets_moved_by_hand(client, -5_000_000)
        return found

    monkeypatch.setattr(wallets, "watched_wallets", read_and_be_overtaken)
    watch_balances.watch([client])

    assert told(world, client) == [("wallet.low", "5.00"), ("wallet.low", "0.00")]


def test_a_fall_that_is_over_before_it_is_written_down_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_client(world, "25.00")
    wallets_moved_by_hand(client, -6_000_000)
    read = wallets.watched_wallets

    def read_and_be_overtaken(owners: Any) -> Any:
        found = read(owners)
        monkeypatch.setattr(wallets, "watched_wallets", read)
        wallets_moved_by_hand(client, 50_000_000)
        return found

    monkeypatch.setattr(wallets, "watched_wallets", read_and_be_overtaken)
    watch_balances.watch([client])

    assert told(world, client) == []


def test_a_recovery_that_is_over_before_it_is_written_down_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_client(world, "25.00")
    talk(world, client, 21)
    wallets_moved_by_hand(client, 50_000_000)
    read = wallets.watched_wallets

    def read_and_be_overtaken(owners: Any) -> Any:
        found = read(owners)
        monkeypatch.setattr(wallets, "watched_wallets", read)
        wallets_moved_by_hand(client, -50_000_000)
        return found

    monkeypatch.setattr(wallets, "watched_wallets", read_and_be_overtaken)
    watch_balances.watch([client])

    assert told(world, client) == [("wallet.low", "5.00")]


def test_a_crash_between_posting_and_looking_is_made_up_for_when_the_calls_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_client(world, "21.00")
    world.report(call(client, seconds=12))
    messages = [(message["MessageId"], message["Body"]) for message in world.messages()]

    def crash(_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as broken, pytest.raises(SystemExit):
        broken.setattr(post_usage, "watch", crash)
        handle_batch(messages)
    before = told(world, client)
    again = handle_batch(messages)

    assert before == []
    assert again == []
    assert world.balance(client) == "19.000000"
    assert told(world, client) == [("wallet.low", "20.00")]


@pytest.mark.parametrize("trouble", [Unavailable("The wallet store"), KeyError("a mistake of ours")])
def test_a_look_that_fails_is_logged_and_fails_neither_the_calls_nor_a_credit(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    client = a_client(world, "21.00")

    def fail(_: Any) -> Any:
        raise trouble

    with monkeypatch.context() as broken:
        broken.setattr(wallets, "watched_wallets", fail)
        talk(world, client, 2)
        world.credit(client, "0.50", key="second")

    assert world.balance(client) == "19.500000"
    assert [line.message for line in caplog.records].count("balances_not_watched") >= 2
    watch_balances.watch([client])
    assert told(world, client) == [("wallet.low", "20.00")]


def test_a_wallet_that_cannot_be_written_does_not_keep_the_others_from_being_told_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [a_client(world, "21.00") for _ in range(3)]
    noting = wallets.noting

    def fail_for_one(wallet: Any, found: Any) -> Any:
        if wallet.owner_id == clients[1]:
            raise Unavailable("The wallet store")
        return noting(wallet, found)

    for client in clients:
        wallets_moved_by_hand(client, -2_000_000)
    monkeypatch.setattr(wallets, "noting", fail_for_one)
    watch_balances.watch(clients)

    assert [len(told(world, client)) for client in clients] == [1, 0, 1]


def test_looking_at_a_batch_of_wallets_is_one_read_and_writes_nothing_unless_a_level_was_crossed(world: World) -> None:
    clients = [a_client(world, "500.00") for _ in range(3)]
    world.report([call(client, f"{client}_1", seconds=60) for client in clients])
    world.drain()  # each wallet's level is noted when it is looked at for the first time
    world.report([call(client, f"{client}_2", seconds=60) for client in clients])
    messages = [(message["MessageId"], message["Body"]) for message in world.messages()]

    with requests_to_wallets() as sent:
        handle_batch(messages)

    assert sent == ["BatchGetItem"]


def test_own_levels_are_told_instead_of_the_usual_ones_and_an_empty_list_tells_none(world: World) -> None:
    loud, quiet = a_client(world, "101.00"), a_client(world, "21.00")

    answer = world.put(f"/v1/sub-accounts/{loud}/wallet/notice-levels", {"levels": ["1", "100", "50.5"]})
    none = world.put(f"/v1/sub-accounts/{quiet}/wallet/notice-levels", {"levels": []})
    talk(world, loud, 2, "one")
    talk(world, loud, 40, "two")
    talk(world, loud, 40, "and_two")
    talk(world, quiet, 30, "three")

    assert answer["levels"] == ["100.00", "50.50", "1.00"]
    assert none["levels"] == []
    assert world.get(f"/v1/sub-accounts/{loud}/wallet/notice-levels") == answer
    assert told(world, loud) == [("wallet.low", "100.00"), ("wallet.low", "50.50")]
    assert told(world, quiet) == []


def test_levels_are_twenty_five_and_zero_until_they_are_set(world: World) -> None:
    workspace = world.workspace(currency="eur")

    shown = world.get(f"/v1/workspaces/{workspace}/wallet/notice-levels")

    assert shown == {
        "object": "notice_levels",
        "owner": workspace,
        "levels": ["20.00", "5.00", "0.00"],
        "currency": "eur",
    }


def test_a_level_that_is_reached_when_it_is_set_is_told_at_once(world: World) -> None:
    client = a_client(world, "30.00")

    world.put(f"/v1/sub-accounts/{client}/wallet/notice-levels", {"levels": ["50"]})

    assert told(world, client) == [("wallet.low", "50.00")]


def test_lower_levels_that_call_a_balance_good_are_no_recovery(world: World) -> None:
    client = a_client(world, "21.00")
    talk(world, client, 2)

    for levels in (["5"], [], ["20", "5"]):
        world.put(f"/v1/sub-accounts/{client}/wallet/notice-levels", {"levels": levels})

    assert told(world, client) == [("wallet.low", "20.00"), ("wallet.low", "20.00")]  # told again, once it is asked for


@pytest.mark.parametrize("levels", [["5", "5.00"], ["1", "2", "3", "4", "5", "6"], ["-1"], ["1000000.01"], [5], "5"])
def test_levels_that_cannot_be_are_refused_by_their_name(world: World, levels: Any) -> None:
    workspace = world.workspace()

    answer = world.call("PUT", f"/v1/workspaces/{workspace}/wallet/notice-levels", {"levels": levels})

    assert answer.status == 422
    assert answer.json["param"].startswith("levels")


def test_the_same_key_is_told_once_whoever_tells_it_how_often_and_whenever(world: World) -> None:
    workspace = world.workspace()
    together = threading.Barrier(8)

    def tell_it(number: int) -> None:
        together.wait()
        tell(refill(workspace, "refill:rfl_1:succeeded", now_ms() + number))

    with ThreadPoolExecutor(8) as tellers:
        list(tellers.map(tell_it, range(8)))
    tell(refill(workspace, "refill:rfl_1:succeeded", now_ms() + DAY_MS))

    assert [notice["type"] for notice in activity(world, workspace)] == ["refill.succeeded"]


def test_activity_is_read_page_by_page_the_newest_first(world: World) -> None:
    workspace = world.workspace()
    for number in range(5):
        tell(refill(workspace, f"refill:rfl_{number}:succeeded", now_ms() + number))
    path, seen, after = f"/v1/workspaces/{workspace}/activity?limit=2", [], ""

    for _ in range(3):
        page = world.get(path + after)
        seen += [notice["id"] for notice in page["data"]]
        after = f"&starting_after={seen[-1]}"

    assert len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    assert page["has_more"] is False


def test_notices_delete_themselves_after_four_hundred_days(world: World) -> None:
    workspace = world.workspace()

    tell(refill(workspace, "refill:rfl_1:succeeded", now_ms()))

    items = list(tables.ActivityItem.scan())
    days = [round((item.expires_at * 1000 - now_ms()) / DAY_MS) for item in items]
    assert days == [400, 400]


def test_an_agencys_owner_is_written_to_when_its_balance_is_low_once_a_day(
    world: World, mailing: None, time_machine: Any
) -> None:
    time_machine.move_to((now_ms() // DAY_MS + 1) * DAY_MS / 1000 + 43_200)  # noon
    workspace = world.workspace(owner_email="owner@acme.example")
    world.credit(workspace, "21.00")

    for number in range(3):  # falls three times on one day
        wallets_moved_by_hand(workspace, -2_000_000)
        watch_balances.watch([workspace])
        world.credit(workspace, "2.00", key=f"again_{number}")
        deliver_notices.deliver_due(now_ms())
    same_day = mails()
    time_machine.move_to((now_ms() + DAY_MS) / 1000)
    wallets_moved_by_hand(workspace, -2_000_000)
    watch_balances.watch([workspace])
    deliver_notices.deliver_due(now_ms())

    assert len(same_day) == 1
    assert same_day[0]["To"] == ["owner@acme.example"]
    assert same_day[0]["Source"] == "billing@rebill.example"
    assert same_day[0]["Subject"] == "Your balance is low"
    assert same_day[0]["BodyText"] == "Your balance has fallen to 19.00 USD.\n\nhttps://rebill.example\n"
    assert len(mails()) == 2


def test_a_clients_people_are_not_written_to_and_neither_is_anybody_unless_it_is_switched_on(
    world: World, request: pytest.FixtureRequest
) -> None:
    workspace, client = world.workspace(), a_client(world, "21.00")
    world.credit(workspace, "21.00")
    wallets_moved_by_hand(workspace, -2_000_000)
    watch_balances.watch([workspace])  # while it is off
    request.getfixturevalue("mailing")

    talk(world, client, 2)
    deliver_notices.deliver_due(now_ms())

    assert len(told(world, client)) == len(told(world, workspace)) == 1
    assert mails() == []


@pytest.mark.parametrize("kind", ["refill.declined", "refill.suspended", "refill.action_required"])
def test_an_agencys_owner_is_written_to_when_a_refill_needs_a_person(world: World, mailing: None, kind: str) -> None:
    workspace = world.workspace()

    tell(Notice(NoticeType(kind), workspace, workspace, now_ms(), f"refill:rfl_1:{kind}", {"reason": "expired_card"}))
    tell(refill(workspace, "refill:rfl_2:succeeded", now_ms()))
    deliver_notices.deliver_due(now_ms())

    (mail,) = mails()
    assert mail["BodyText"].count(".\n") == 1
    assert "{" not in mail["BodyText"]


def test_an_email_that_is_refused_is_tried_again_and_given_up_with_an_alarm_after_a_day(
    world: World, mailing: None, time_machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    boto3.client("sesv2").delete_email_identity(EmailIdentity="billing@rebill.example")
    workspace = world.workspace()
    began = now_ms()
    tell(Notice(NoticeType.REFILL_DECLINED, workspace, workspace, began, "refill:rfl_1:declined"))

    for minutes in (0, 1, 4, 5):
        time_machine.move_to((began + minutes * MINUTE_MS) / 1000 + 1)
        deliver_notices.deliver_due(now_ms())
    tries = [line.message for line in caplog.records].count("notice_not_received")
    time_machine.move_to((began + DAY_MS) / 1000 + 1)
    deliver_notices.deliver_due(now_ms())

    assert tries == 3
    assert [getattr(line, "alarm", None) for line in caplog.records].count("email_given_up") == 1
    assert mails() == []


def a_client(world: World, balance: str) -> str:
    """A client of an agency of its own, at 10.00 a minute, with this balance."""
    client = world.sub_account(world.workspace(), "10.00")
    world.credit(client, balance)
    return client


def talk(world: World, client: str, units: int, event_id: str = "call_1") -> None:
    """A call that costs the client so many units of its currency."""
    world.report(call(client, f"{client}_{event_id}", seconds=6 * units))
    assert world.drain() == []


def activity(world: World, owner: str) -> list[Any]:
    kind = "workspaces" if owner.startswith("ws_") else "sub-accounts"
    found: list[Any] = world.get(f"/v1/{kind}/{owner}/activity?limit=100")["data"]
    return found


def told(world: World, owner: str) -> list[tuple[str, str | None]]:
    """What was told of an owner, as (type, level), the oldest first."""
    return [(notice["type"], notice["data"].get("level")) for notice in reversed(activity(world, owner))]


def refill(workspace: str, key: str, at_ms: int) -> Notice:
    return Notice(NoticeType.REFILL_SUCCEEDED, workspace, workspace, at_ms, key, {"amount": "40.00", "currency": "usd"})


def wallets_moved_by_hand(owner: str, micros: int) -> None:
    """As posting moves them, with nobody looking afterwards."""
    tables.WalletItem(owner).update([tables.WalletItem.balance_micros.add(micros)])


@contextmanager
def requests_to_wallets() -> Iterator[list[str]]:
    """What was asked of the wallets' table for itself, while it lasts; posting asks in transactions."""
    seen: list[str] = []
    events = tables.connection().client.meta.events

    def remember(model: Any, params: dict[str, Any], **_: Any) -> None:
        if tables.WalletItem.Meta.table_name in str(params["body"]) and model.name != "TransactWriteItems":
            seen.append(model.name)

    events.register("before-call.dynamodb", remember)
    yield seen
    events.unregister("before-call.dynamodb", remember)


def mails() -> list[Any]:
    """What SES has sent."""
    with urllib.request.urlopen(f"{boto3.client('sesv2').meta.endpoint_url}/_ministack/ses/messages") as answer:
        by_account = json.load(answer)["messages"]
    return [mail for mails in by_account.values() for mail in mails]


@pytest.fixture
def mailing(stack: Stack, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """E-mail is switched on, from an address that SES knows, and nothing has been sent yet."""
    stack.reset()  # e-mails are the one service that tests ask over HTTP
    monkeypatch.setenv("REBILL_EMAIL_FROM", "billing@rebill.example")
    monkeypatch.setenv("REBILL_BASE_URL", "https://rebill.example")
    settings.cache_clear()
    boto3.client("sesv2").create_email_identity(EmailIdentity="billing@rebill.example")
    yield
    settings.cache_clear()
