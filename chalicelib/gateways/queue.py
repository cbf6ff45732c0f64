"""The queues: what is accepted is put here before anybody is told so."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import Unavailable
from chalicelib.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MOST_MESSAGES = 10  # of one SendMessageBatch


@cache
def _client() -> "SQSClient":
    config = Config(connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 3, "mode": "standard"})
    return cast("SQSClient", botocore.session.get_session().create_client("sqs", config=config))


@cache
def _url(name: str) -> str:
    return _client().get_queue_url(QueueName=name)["QueueUrl"]


def send(bodies: Sequence[str], delay_seconds: int = 0, queue: str | None = None) -> None:
    """Put messages on the usage queue (or another of ours), in any order.

    Raises:
        Unavailable: not all of them are on it; those that are do no harm when they are sent again.
    """
    try:
        for start in range(0, len(bodies), MOST_MESSAGES):
            chunk = bodies[start : start + MOST_MESSAGES]
            answer = _client().send_message_batch(
                QueueUrl=_url(queue or settings().usage_queue),
                Entries=[
                    {"Id": str(number), "MessageBody": body, "DelaySeconds": delay_seconds}
                    for number, body in enumerate(chunk)
                ],
            )
            if answer.get("Failed"):
                raise Unavailable("The queue")
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("The queue") from error
