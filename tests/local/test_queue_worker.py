"""The queue at home does with messages what Lambda does."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from chalice.app import SQSEventConfig

from local import queue_worker
from local.queue_worker import QueueWorker
from local.stack import Stack
from local.template import client
from tests.local.test_run import eventually

QUEUE = "rebill-test-usage"
DEAD = f"{QUEUE}-dead"

batches: list[list[str]] = []


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Reports what is `bad` as failed, and fails altogether where something is `broken`."""
    assert context.get_remaining_time_in_millis() > 1000
    batches.append([record["body"] for record in event["Records"]])
    if "broken" in batches[-1]:
        raise RuntimeError("broken")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


@pytest.fixture
def sqs(store: Stack, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The queue; failed messages are shown again at once."""
    batches.clear()
    monkeypatch.setattr(queue_worker, "RETRY_SECONDS", 0)
    return client(store.endpoint_url, "sqs")


@contextmanager
def working(sqs: Any, batch_size: int = 100, window_seconds: int = 0) -> Iterator[None]:
    source = SQSEventConfig("post_usage", f"{__name__}.handler", QUEUE, None, batch_size, window_seconds, None)
    stop = Event()
    worker = Thread(target=QueueWorker(sqs, source).run, args=(stop,))
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def put(sqs: Any, *bodies: str) -> None:
    for start in range(0, len(bodies), 10):
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])]
        sqs.send_message_batch(QueueUrl=QUEUE, Entries=entries)


def left(sqs: Any, queue: str) -> int:
    """How many messages a queue still has, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def test_messages_are_handed_over_together_although_sqs_gives_ten_at_a_time(sqs: Any) -> None:
    bodies = [f"call {number}" for number in range(35)]
    put(sqs, *bodies)

    with working(sqs, window_seconds=1):
        assert eventually(lambda: left(sqs, QUEUE) == 0, seconds=60)

    assert sorted(batches[0]) == sorted(bodies)


def test_a_batch_is_never_larger_than_the_app_asks_for(sqs: Any) -> None:
    put(sqs, *[f"call {number}" for number in range(25)])

    with working(sqs, batch_size=10):
        assert eventually(lambda: left(sqs, QUEUE) == 0, seconds=60)

    assert max(map(len, batches)) == 10


def test_what_failed_comes_again_alone_until_it_is_dead(sqs: Any) -> None:
    put(sqs, "good", "bad")

    with working(sqs):
        assert eventually(lambda: left(sqs, DEAD) == 1, seconds=8)

    assert sorted(batches[0]) == ["bad", "good"]
    assert batches[1:] == [["bad"]] * 4  # the queue lets a message be received five times
    assert left(sqs, QUEUE) == 0


def test_a_handler_that_raises_loses_nothing(sqs: Any) -> None:
    put(sqs, "good", "broken")

    with working(sqs):
        assert eventually(lambda: len(batches) >= 2, seconds=60)

    assert sorted(batches[1]) == ["broken", "good"]
