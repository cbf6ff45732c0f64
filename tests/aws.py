"""The tests' own hand in AWS at home: one client for each service, as making one costs more than several calls."""

from functools import cache
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config


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
