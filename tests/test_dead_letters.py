"""Messages that cannot be posted end in the dead-letter queue alone, and a person brings them back from there."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chalicelib.clock import now_ms
from chalicelib.flows.follow_stripe import follow
from chalicelib.settings import settings
from chalicelib.storage import tables
from ops import dead_letters
from ops.__main__ import main
from tests.aws import aws, delete_messages, queue_url
from tests.calls import call, changed
from tests.payments.conftest import Paying, alarms, paying, pretend  # noqa: F401 - pytest finds fixtures by name
from tests.world import World

MOST_RECEIVES = 5  # the template's maxReceiveCount
DAY = 86_400
Alarms = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """MiniStack has one server: nobody needs to wait for the others."""
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)


def test_a_poison_message_ends_in_the_dead_letter_queue_alone(world: World) -> None:
    client = world.sub_account(world.workspace(), "0.15")
    world.report(call(client, seconds=60))
    _send("poison")

    for _ in range(MOST_RECEIVES + 1):
        _handle_and_hand_back_the_failed(world)

    assert [message["Body"] for message in world.messages("-dead")] == ["poison"]
    assert world.balance(client) == "-0.150000"


def test_replaying_the_dead_letters_posts_what_was_waiting_and_replaying_again_changes_nothing(world: World) -> None:
    client = world.sub_account(world.workspace(), "0.15")
    world.report(call(client, seconds=60))
    (message,) = world.messages()
    _send(message["Body"], "-dead")
    _send(message["Body"], "-dead")

    asked = _ops("dlq", "replay")
    done = _ops("dlq", "replay", "--yes")
    world.drain()
    again = _ops("dlq", "replay", "--yes")

    assert "Would replay 2 of 2" in asked
    assert "Replayed 2." in done
    assert _left("-dead") == 0
    assert "Replayed 0." in again
    assert world.balance(client) == "-0.150000"


def test_a_person_sees_what_the_dead_letters_are_about(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, "0.15")
    world.report(call(client, "call_77"))
    (message,) = world.messages()
    _send(message["Body"], "-dead")
    _send("not an event", "-dead")

    listed = _ops("dlq", "list")
    as_json = _told("dlq", "list")

    assert "2 messages in the dead-letter queue." in listed
    assert {(each["workspace"], each["event"]) for each in as_json} == {(workspace, "call_77"), ("-", "not an event")}


def test_one_message_can_be_shown_replayed_or_dropped_and_the_others_stay(world: World) -> None:
    for body in ("one", "two", "three"):
        _send(body, "-dead")
    ids = {each["event"]: each["id"] for each in _told("dlq", "list")}

    shown = _ops("dlq", "show", ids["one"])
    asked = _ops("dlq", "drop", ids["two"], "--reason", "a test of ours")
    dropped = _ops("dlq", "drop", ids["two"], "--reason", "a test of ours", "--yes")
    replayed = _ops("dlq", "replay", "--id", ids["three"], "--yes")

    assert shown.strip() == "one"
    assert asked.endswith("Add --yes to do it.\n")
    assert json.loads(dropped)["reason"] == "a test of ours"
    assert "Replayed 1." in replayed
    assert [message["Body"] for message in world.messages()] == ["three"]
    assert [message["Body"] for message in world.messages("-dead")] == ["one"]


def test_stripes_events_have_dead_letters_of_their_own(world: World) -> None:
    bell = {"id": "evt_1", "type": "charge.refunded", "account_id": None, "livemode": False, "object_id": "ch_1"}
    url = queue_url(settings().payments_queue + "-dead")
    aws("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({**bell, "payment_intent_id": "pi_1"}))

    listed = _ops("dlq", "list", "--queue", "payments")
    replayed = _ops("dlq", "replay", "--queue", "payments", "--yes")

    assert "charge.refunded" in listed
    assert "Replayed 1." in replayed
    assert _ops("dlq", "list").startswith("0 messages")


def test_letters_can_be_kept_in_a_file_and_replayed_from_it_when_the_queue_has_long_forgotten_them(
    world: World, tmp_path: Path
) -> None:
    client = world.sub_account(world.workspace(), "0.15")
    world.report(call(client, seconds=60))
    (message,) = world.messages()
    _send(message["Body"], "-dead")
    saved = tmp_path / "letters.jsonl"
    saved.write_text(_ops("dlq", "list", "--json"))
    aws("sqs").purge_queue(QueueUrl=queue_url(settings().usage_queue + "-dead"))

    counts = [_told("dlq", "replay", "--from", str(saved), *more)[0]["count"] for more in ((), ("--yes",), ("--yes",))]
    world.drain()
    saved.write_text("{}")
    refused = CliRunner().invoke(main, ["dlq", "replay", "--from", str(saved), "--yes"])

    assert counts == [1, 1, 1]
    assert world.balance(client) == "-0.150000"
    assert "This is no file that `dlq list --json` wrote." in refused.output


def test_everything_that_died_is_replayed_twice_after_sixty_days_and_only_what_was_owed_moves_a_balance(
    paying: Paying,  # noqa: F811 - a fixture asks for another by its name
    alarms: Alarms,  # noqa: F811 - the same
    time_machine: Any,
) -> None:
    """Calls and Stripe's events, most of them done with long ago; prices have changed and Stripe was disconnected."""
    world = paying.world
    workspace, client = paying.agency()
    owners = (workspace, client)
    calls = _calls_that_died(world, client)
    bells = _stripes_events_that_died(paying, workspace, client)
    before = {owner: world.balance(owner) for owner in owners}

    world.rebill(client, "0.99")
    world.put(f"/v1/workspaces/{workspace}/cost", {"cost_per_minute": "0.50"})
    world.rebill(client, None)
    assert world.call("DELETE", f"/v1/workspaces/{workspace}/stripe").status == 200
    alarms()
    balances, entries = [], []
    for _ in range(2):
        time_machine.move_to(now_ms() / 1000 + 60 * DAY)
        for queue, bodies in (("usage", calls), ("payments", bells)):
            _die(queue, bodies)
            assert _told("dlq", "replay", "--queue", queue, "--yes") == [{"done": True, "count": len(bodies)}]
        assert world.drain() == []
        assert paying.follow() == []
        balances.append({owner: world.balance(owner) for owner in owners})
        entries.append({owner: len(world.entries(owner)) for owner in owners})

    # The call that was never posted: 60 s at the prices of then, 0.07 and 0.15. The refund of 5 that nobody had
    # followed on the platform's own account. The one on the agency's account is out of reach: a person is told.
    assert Decimal(balances[0][workspace]) - Decimal(before[workspace]) == Decimal("-0.07") - 5
    assert Decimal(balances[0][client]) - Decimal(before[client]) == Decimal("-0.15")
    assert balances[1] == balances[0]
    assert entries[1] == entries[0]
    told = alarms()
    assert {"usage_conflict", "stripe_access_lost", "payment_reversed"} <= set(told)
    assert told.count("payment_reversed") == 1


def _calls_that_died(world: World, client: str) -> list[str]:
    """The messages of a call that is posted, of what contradicts it, of one that never was, each of them twice."""
    posted, never = call(client, "posted", seconds=60), call(client, "never", seconds=60)
    bodies = []
    for event in (posted, changed(posted, ended_at=call(client, seconds=90)["data"]["ended_at"]), never):
        world.report(event)
        taken = world.messages()
        bodies += [message["Body"] for message in taken]
        if event is posted:
            assert world.handle(taken) == []
        else:
            delete_messages(settings().usage_queue, taken)
    assert len(bodies) == 3
    return bodies * 2


def _stripes_events_that_died(paying: Paying, workspace: str, client: str) -> list[str]:  # noqa: F811 - no fixture here
    """What Stripe has said of two top-ups, all of it followed; and of a refund of each, which nobody has followed."""
    intents = [paying.pay(paying.top_up(owner, "50.00", key=owner)) for owner in (workspace, client)]
    said = paying.pretend.control.take()
    bodies = _queued(paying, said)
    for body in bodies:
        assert follow([("-", body)]) == []
    for intent in intents:
        paying.pretend.control.refund(intent, 500)
    return [*bodies, *_queued(paying, paying.pretend.control.take())]


def _queued(paying: Paying, said: Any) -> list[str]:  # noqa: F811 - no fixture here
    for each in said:
        assert paying.knock(each.endpoint, each.body, each.headers) == 200
    bodies: list[str] = []
    while taken := paying.take_waiting():
        bodies += [body for _, body in taken]
    return bodies


def _die(queue: str, bodies: list[str]) -> None:
    name = {"usage": settings().usage_queue, "payments": settings().payments_queue}[queue]
    for body in bodies:
        aws("sqs").send_message(QueueUrl=queue_url(f"{name}-dead"), MessageBody=body)


def test_a_message_that_is_not_there_is_said_to_be_not_there(world: World) -> None:
    answer = CliRunner().invoke(main, ["dlq", "show", "nothing"])

    assert answer.exit_code == 1
    assert "There is no message nothing" in answer.output


def test_an_operator_makes_a_key_that_opens_the_api_and_only_its_hash_is_kept(world: World) -> None:
    key = _ops("keys", "make", "the voice platform").strip()

    assert world.call("GET", "/v1/workspaces/ws_nobody", key=key).status == 404
    kept = json.dumps([item.to_simple_dict() for item in tables.AccountItem.scan()])
    assert key not in kept
    assert "the voice platform" in kept


def _ops(*arguments: str) -> str:
    answer = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def _told(*arguments: str) -> list[Any]:
    return [json.loads(line) for line in _ops(*arguments, "--json").splitlines()]


def _send(body: str, suffix: str = "") -> None:
    aws("sqs").send_message(QueueUrl=queue_url(settings().usage_queue + suffix), MessageBody=body)


def _left(suffix: str) -> int:
    """How many messages a queue holds, those that somebody looks at included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = queue_url(settings().usage_queue + suffix)
    return sum(map(int, aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def _handle_and_hand_back_the_failed(world: World) -> None:
    url = queue_url(settings().usage_queue)
    taken = world.messages()
    refused = world.handle(taken)
    for message in taken:
        if message["MessageId"] in refused:
            handle = message["ReceiptHandle"]
            aws("sqs").change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)


pytestmark = pytest.mark.usefixtures("world")
