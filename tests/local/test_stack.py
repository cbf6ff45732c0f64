"""The AWS at home keeps what it was given, and never outlives or outreaches the program that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.stack import HOST, PROCESS_FILE, Stack, StackError
from local.template import TemplateError, client, create_resources, resources

STAGE = "test"
WALLETS = f"rebill-{STAGE}-wallets"
QUEUE = f"rebill-{STAGE}-usage"
WALLET = {"owner_id": {"S": "sa_1"}, "balance_micros": {"N": "12345678"}}


# A program that starts a stack, says where it is, and then does nothing, as one that hangs.
PARENT = """
import time
from local.stack import Stack
with Stack() as stack:
    print(stack.port, stack.process.pid, stack._folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of these tests' own: that of the session is answered by the tests' process."""
    with Stack() as own:
        yield own


@pytest.fixture
def store(stack: Stack) -> Stack:
    """Our tables and queues, empty."""
    stack.reset()
    create_resources(stack.endpoint_url, STAGE)
    return stack


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it holds before the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def a_wallet_and_a_message(stack: Stack) -> None:
    create_resources(stack.endpoint_url, STAGE)
    client(stack.endpoint_url, "dynamodb").put_item(TableName=WALLETS, Item=WALLET)
    client(stack.endpoint_url, "sqs").send_message(QueueUrl=QUEUE, MessageBody="a call")


def the_wallet(stack: Stack) -> Any:
    found = client(stack.endpoint_url, "dynamodb").get_item(TableName=WALLETS, Key={"owner_id": WALLET["owner_id"]})
    return found.get("Item")


def the_messages(stack: Stack) -> list[str]:
    received = client(stack.endpoint_url, "sqs").receive_message(QueueUrl=QUEUE)
    return [message["Body"] for message in received.get("Messages", [])]


def test_what_was_written_is_there_after_an_orderly_stop(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        a_wallet_and_a_message(stack)

    with Stack(tmp_path) as stack:
        create_resources(stack.endpoint_url, STAGE)

        assert the_wallet(stack) == WALLET
        assert the_messages(stack) == ["a call"]


def test_what_was_written_three_seconds_before_a_power_cut_is_still_there(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        a_wallet_and_a_message(stack)
        saved = tmp_path / "sqs.json"
        assert eventually(lambda: saved.exists() and "a call" in saved.read_text(), seconds=60)
        stack.kill()

    with Stack(tmp_path) as stack:
        create_resources(stack.endpoint_url, STAGE)

        assert the_wallet(stack) == WALLET
        assert the_messages(stack) == ["a call"]


def test_a_quiet_stack_writes_no_snapshots(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        a_wallet_and_a_message(stack)
        saved = tmp_path / "dynamodb.json"
        assert eventually(lambda: saved.exists() and "sa_1" in saved.read_text(), seconds=60)
        assert eventually((tmp_path / "sqs.json").exists, seconds=60)
        saved.unlink()

        assert the_wallet(stack) == WALLET
        assert not eventually(saved.exists, seconds=2)


def test_the_stack_ends_when_its_parent_is_killed() -> None:
    root = PROCESS_FILE.parent.parent
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port, _, folder = parent.stdout.readline().split()
        assert answers(int(port))

        parent.kill()

        assert eventually(lambda: not answers(int(port)), seconds=60)
        assert eventually(lambda: not Path(folder).exists(), seconds=60)


def test_ctrl_c_leaves_the_stack_to_its_parent(stack: Stack) -> None:
    assert stack.process is not None

    os.kill(stack.process.pid, signal.SIGINT)
    stack.reset()

    assert stack.process.poll() is None


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's list of open ports")
def test_only_this_machine_can_reach_the_stack(stack: Stack) -> None:
    assert stack.process is not None
    folder = Path("/proc") / str(stack.process.pid)
    sockets = {str(entry.readlink()) for entry in (folder / "fd").iterdir()}
    lines = (folder / "net/tcp").read_text().splitlines() + (folder / "net/tcp6").read_text().splitlines()
    fields = [line.split() for line in lines]

    listening = [field[1] for field in fields if field[3] == "0A" and f"socket:[{field[9]}]" in sockets]

    assert listening == [f"0100007F:{stack.port:04X}"]


def test_a_port_that_is_taken_is_said_so(stack: Stack) -> None:
    with pytest.raises(StackError, match=str(stack.port)):
        Stack(port=stack.port)


def test_a_stopped_stack_leaves_no_folder_behind() -> None:
    with Stack() as stack:
        folder = stack._folder

    assert folder is not None
    assert not folder.exists()


def test_a_reset_forgets_everything(store: Stack) -> None:
    a_wallet_and_a_message(store)

    store.reset()
    create_resources(store.endpoint_url, STAGE)

    assert the_wallet(store) is None
    assert the_messages(store) == []


def test_creating_what_is_there_changes_nothing(store: Stack) -> None:
    a_wallet_and_a_message(store)

    create_resources(store.endpoint_url, STAGE)

    assert the_wallet(store) == WALLET
    assert the_messages(store) == ["a call"]


def test_a_table_kept_from_an_older_version_is_not_used_silently(store: Stack) -> None:
    dynamodb = client(store.endpoint_url, "dynamodb")
    dynamodb.delete_table(TableName=WALLETS)
    old = resources(STAGE)["WalletsTable"]["Properties"]
    dynamodb.create_table(
        TableName=WALLETS,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=old["KeySchema"],
        AttributeDefinitions=[{"AttributeName": "owner_id", "AttributeType": "S"}],
    )

    with pytest.raises(TemplateError, match="remove the state folder"):
        create_resources(store.endpoint_url, STAGE)


def test_the_dead_letter_queue_takes_what_five_deliveries_could_not_post(store: Stack) -> None:
    sqs = client(store.endpoint_url, "sqs")
    sqs.send_message(QueueUrl=QUEUE, MessageBody="unreadable")

    for _ in range(6):
        sqs.receive_message(QueueUrl=QUEUE, VisibilityTimeout=0)

    dead = sqs.receive_message(QueueUrl=f"{QUEUE}-dead")
    assert [message["Body"] for message in dead["Messages"]] == ["unreadable"]
