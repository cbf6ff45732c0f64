"""Messages that cannot be posted end in the dead-letter queue alone, and a person brings them back from there."""

import json

import pytest
from click.testing import CliRunner

from chalicelib.settings import settings
from chalicelib.storage import tables
from ops.__main__ import main
from tests.aws import aws, queue_url
from tests.calls import call
from tests.world import World

MOST_RECEIVES = 5  # the template's maxReceiveCount


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
    as_json = [json.loads(line) for line in _ops("dlq", "list", "--json").splitlines()]

    assert "2 messages in the dead-letter queue." in listed
    assert {(each["workspace"], each["event"]) for each in as_json} == {(workspace, "call_77"), ("-", "not an event")}


def test_one_message_can_be_shown_replayed_or_dropped_and_the_others_stay(world: World) -> None:
    for body in ("one", "two", "three"):
        _send(body, "-dead")
    ids = {each["event"]: each["id"] for each in map(json.loads, _ops("dlq", "list", "--json").splitlines())}

    shown = _ops("dlq", "show", ids["one"])
    dropped = _ops("dlq", "drop", ids["two"], "--reason", "a test of ours")
    replayed = _ops("dlq", "replay", "--id", ids["three"], "--yes")

    assert shown.strip() == "one"
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
    return answer.output


def _send(body: str, suffix: str = "") -> None:
    aws("sqs").send_message(QueueUrl=queue_url(settings().usage_queue + suffix), MessageBody=body)


def _handle_and_hand_back_the_failed(world: World) -> None:
    url = queue_url(settings().usage_queue)
    taken = world.messages()
    refused = world.handle(taken)
    for message in taken:
        if message["MessageId"] in refused:
            handle = message["ReceiptHandle"]
            aws("sqs").change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)


pytestmark = pytest.mark.usefixtures("world")
