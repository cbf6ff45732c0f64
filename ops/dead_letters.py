"""The dead-letter queues: what could not be posted or followed five times waits there until a person looks.

Replaying is safe at any time and any number of times: an entry's key outlives every queue, so what was posted
meanwhile is recognised and changes nothing.
"""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import click

LOOK_SECONDS = 30  # how long a message that was only looked at stays hidden from the next look
DEAD_SUFFIX = "-dead"


class DeadLetters:
    """One queue's dead letters, each seen at most once by one instance."""

    def __init__(self, queue: str) -> None:
        from chalicelib.settings import settings  # reads the environment, which the command line may have set

        name = {"usage": settings().usage_queue, "payments": settings().payments_queue}[queue]
        self._sqs: Any = boto3.client("sqs")
        self._live_url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        self._dead_url = self._sqs.get_queue_url(QueueName=name + DEAD_SUFFIX)["QueueUrl"]

    def look(self) -> Iterator[Any]:
        """Every message, hidden from others for a moment."""
        seen: set[str] = set()
        while taken := self._take():
            for message in taken:
                if message["MessageId"] not in seen:
                    seen.add(message["MessageId"])
                    yield message

    def put_back(self, messages: list[Any]) -> None:
        """Let messages that were only looked at be seen again at once."""
        for message in messages:
            self._sqs.change_message_visibility(
                QueueUrl=self._dead_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )

    def replay(self, message: Any) -> None:
        """Back onto its queue first, and only then off the dead letters: never in neither."""
        self._sqs.send_message(QueueUrl=self._live_url, MessageBody=message["Body"])
        self.drop(message)

    def drop(self, message: Any) -> None:
        """Off the dead letters, for good."""
        self._sqs.delete_message(QueueUrl=self._dead_url, ReceiptHandle=message["ReceiptHandle"])

    def _take(self) -> list[Any]:
        answer = self._sqs.receive_message(
            QueueUrl=self._dead_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=LOOK_SECONDS,
            AttributeNames=["SentTimestamp"],
        )
        found: list[Any] = answer.get("Messages", [])
        return found


of_queue = click.option(
    "--queue", type=click.Choice(["usage", "payments"]), default="usage", help="Calls, or Stripe's events."
)


@click.group()
def dlq() -> None:
    """Look at a dead-letter queue, and replay or drop what is there."""


@dlq.command(name="list")
@of_queue
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_messages(queue: str, as_json: bool) -> None:
    """One line for each message."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    letters.put_back(messages)
    for message in messages:
        facts = describe(message)
        click.echo(json.dumps(facts) if as_json else "{id}  {workspace:<18} {source:<14} {event}".format(**facts))
    if not as_json:
        click.echo(f"{len(messages)} message{'' if len(messages) == 1 else 's'} in the dead-letter queue.")


@dlq.command()
@of_queue
@click.argument("message_id")
def show(queue: str, message_id: str) -> None:
    """One message, whole."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    letters.put_back(messages)
    click.echo(_find(messages, message_id)["Body"])


@dlq.command()
@of_queue
@click.option("--id", "message_id", help="Only this message.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be done.")
def replay(queue: str, message_id: str | None, yes: bool) -> None:
    """Send messages back to be posted: all of them, or one. Safe to repeat: nothing is posted twice."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    chosen = [_find(messages, message_id)] if message_id else messages
    if not yes:
        letters.put_back(messages)
        click.echo(f"Would replay {len(chosen)} of {len(messages)}. Add --yes to do it.")
        return
    with click.progressbar(chosen, label="Replaying") as bar:
        for message in bar:
            letters.replay(message)
    letters.put_back([message for message in messages if message not in chosen])
    click.echo(f"Replayed {len(chosen)}.")


@dlq.command()
@of_queue
@click.argument("message_id")
@click.option("--reason", required=True, help="Why it may be forgotten; printed with the message, for your records.")
def drop(queue: str, message_id: str, reason: str) -> None:
    """Delete one message that can never be posted."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    message = _find(messages, message_id)
    letters.drop(message)
    letters.put_back([each for each in messages if each is not message])
    click.echo(json.dumps({"dropped": message_id, "reason": reason, "body": message["Body"]}))


def describe(message: Any) -> dict[str, str]:
    """What a dead letter is about, as far as it can be read."""
    try:
        body = json.loads(message["Body"])
        if "type" in body:
            about = {"workspace": body["account_id"] or "platform", "source": body["type"], "event": body["id"]}
        else:
            about = {"workspace": body["workspace_id"], "source": body["source"], "event": body["event_id"]}
    except (ValueError, KeyError, TypeError):
        about = {"workspace": "-", "source": "unreadable", "event": message["Body"][:60]}
    return {"id": message["MessageId"], **about}


def _find(messages: list[Any], message_id: str) -> Any:
    for message in messages:
        if message["MessageId"] == message_id:
            return message
    raise click.ClickException(f"There is no message {message_id} in the dead-letter queue.")
