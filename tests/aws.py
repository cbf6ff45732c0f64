"""The tests' own hand in AWS at home: one client for each service, as making one costs more than several calls."""

from functools import cache
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from local.stack import Stack
from local.template import client, create_resources
from tests import embedded

_made_by: list[tuple[Any, Any]] = []  # headers and body of every request that makes our tables and queues


def begin_anew(stack: Stack, stage: str) -> None:
    """Our tables and queues, empty, and nothing of the test before.

    The SDK is asked for them once. From then on its requests are asked again as they are: they are the same for every
    test, and the SDK takes longer to make one than MiniStack to answer it.
    """
    embedded.reset()
    if not _made_by:
        _listen_while_created(stack, stage)
        return
    for headers, body in _made_by:
        status, _, told = embedded.ask(headers, body)
        assert status == 200, told


def _listen_while_created(stack: Stack, stage: str) -> None:
    def listen(request: Any, **_: Any) -> None:
        _made_by.append((dict(request.headers), request.body))

    heard = [client(stack.endpoint_url, service).meta.events for service in ("dynamodb", "sqs")]
    for events in heard:
        events.register("before-send", listen)
    create_resources(stack.endpoint_url, stage)
    for events in heard:
        events.unregister("before-send", listen)


def copy_tables(stack: Stack, stage: str) -> None:
    """What is in our tables, also on another stack, where other processes can see it."""
    create_resources(stack.endpoint_url, stage)
    for table in aws("dynamodb").list_tables()["TableNames"]:
        for item in aws("dynamodb").scan(TableName=table)["Items"]:
            client(stack.endpoint_url, "dynamodb").put_item(TableName=table, Item=item)


@cache
def aws(service: str) -> Any:
    """A client of the MiniStack that this process has started; what it checks no signature of, need not be signed."""
    return boto3.client(service, config=Config(signature_version=UNSIGNED))


@cache
def queue_url(name: str) -> str:
    """The address of a queue, which stays what it is when MiniStack is emptied."""
    url: str = aws("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    return url


def take_messages(queue: str) -> list[dict[str, Any]]:
    """Up to ten messages, which nobody else sees for a while."""
    taken = aws("sqs").receive_message(QueueUrl=queue_url(queue), MaxNumberOfMessages=10)
    messages: list[dict[str, Any]] = taken.get("Messages", [])
    return messages


def delete_messages(queue: str, taken: list[dict[str, Any]]) -> None:
    """Delete up to ten messages that were taken."""
    if taken:
        done = [{"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in taken]
        answer = aws("sqs").delete_message_batch(QueueUrl=queue_url(queue), Entries=done)
        assert not answer.get("Failed"), answer
