"""The queue at home: takes messages from SQS and hands them to the app, as Lambda's event source mapping does."""

import logging
import time
from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

from chalice.app import SQSEventConfig

from local.handlers import REGION, context_of, handler_of

MOST_RECEIVED = 10  # of one ReceiveMessage, and of one batch of deletions
LONG_POLL_SECONDS = 1  # short, because ending waits for it
PAUSE_SECONDS = 0.1
HANDLER_SECONDS = 20.0

# Lambda takes the queue's own visibility timeout: 360 s, six times its function's, so that a message is never handed
# out twice while a slow function works on it. Nobody at home waits that long. Here a message is hidden for a little
# longer than its handler may take, so that what a killed process held comes back soon, and a failed message is shown
# again after seconds. How often it may fail stays the queue's own: after maxReceiveCount it moves to the dead-letter
# queue, at home within half a minute.
HIDDEN_SECONDS = 30
RETRY_SECONDS = 5

logger = logging.getLogger("rebill.home")

Received = dict[str, Any]


class QueueWorker:
    """One poller of one queue. Batch size and window are those that the app asks Lambda for."""

    def __init__(self, sqs: Any, source: SQSEventConfig) -> None:
        self._sqs = sqs
        self._source = source
        self._handler = handler_of(source)
        self._url: str = sqs.get_queue_url(QueueName=source.queue)["QueueUrl"]

    def run(self, stop: Event) -> None:
        """Gather and hand over until told to stop; what was taken by then is still handed over."""
        while not stop.is_set():
            try:
                messages = self._gather(stop)
                if messages:
                    self._settle(messages, self._failed(messages))
            except Exception:  # whatever it was, the messages come back and the queue goes on
                logger.exception("queue worker")
                stop.wait(PAUSE_SECONDS)

    def _gather(self, stop: Event) -> list[Received]:
        """Up to a batch of messages, from the first one until the window has passed."""
        messages = self._receive(LONG_POLL_SECONDS)
        closes_at = time.monotonic() + self._source.maximum_batching_window_in_seconds
        while 0 < len(messages) < self._source.batch_size and time.monotonic() < closes_at and not stop.is_set():
            more = self._receive(0)
            messages += more
            if not more:
                stop.wait(PAUSE_SECONDS)
        return messages

    def _receive(self, wait_seconds: int) -> list[Received]:
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(MOST_RECEIVED, self._source.batch_size),
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=HIDDEN_SECONDS,
            AttributeNames=["All"],
        )
        received: list[Received] = answer.get("Messages", [])
        return received

    def _failed(self, messages: Sequence[Received]) -> set[str]:
        """Call the handler; answers the ids of the messages that must come again."""
        event = {"Records": [self._record(message) for message in messages]}
        try:
            answer = self._handler(event, context_of(self._source, HANDLER_SECONDS)) or {}
            return {failure["itemIdentifier"] for failure in answer.get("batchItemFailures", [])}
        except Exception:  # Lambda too takes a handler's exception as the failure of the whole batch
            logger.exception("queue handler %s", self._source.name)
            return {message["MessageId"] for message in messages}

    def _record(self, message: Received) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {},
            "md5OfBody": message.get("MD5OfBody", ""),
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{self._source.queue}",
            "awsRegion": REGION,
        }

    def _settle(self, messages: Sequence[Received], failed: set[str]) -> None:
        """Delete what is done, and show again soon what is not."""
        done = [message for message in messages if message["MessageId"] not in failed]
        again = [message for message in messages if message["MessageId"] in failed]
        for entries in _entries(done):
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        for entries in _entries(again, VisibilityTimeout=RETRY_SECONDS):
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


def _entries(messages: Sequence[Received], **more: int) -> Iterator[list[dict[str, Any]]]:
    """The messages as entries of batch requests, ten to a request."""
    for start in range(0, len(messages), MOST_RECEIVED):
        chunk = messages[start : start + MOST_RECEIVED]
        yield [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"], **more} for n, message in enumerate(chunk)]
