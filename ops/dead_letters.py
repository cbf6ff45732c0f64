"""The dead-letter queues: what could not be posted or followed five times waits there until a person looks.

Replaying is safe at any time and any number of times: an entry's key outlives every queue, so what was posted
meanwhile is recognised and changes nothing.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, TextIO

import boto3
import click

from chalicelib.clock import rfc3339
from ops.plain import as_json, do_it, in_plain_words, say_json

LOOK_SECONDS = 120  # how long a message that was only looked at stays hidden from the next look
WAIT_SECONDS = 1  # an answer without waiting comes from some of the queue's servers only, and may miss messages
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
        """Every message, hidden from others for a moment. Of very many, the first come again: then all were seen."""
        seen: set[str] = set()
        while new := [message for message in self._take() if message["MessageId"] not in seen]:
            seen |= {message["MessageId"] for message in new}
            yield from new

    def put_back(self, messages: list[Any]) -> None:
        """Let messages that were only looked at be seen again at once."""
        for message in messages:
            self._sqs.change_message_visibility(
                QueueUrl=self._dead_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )

    def replay(self, message: Any) -> None:
        """Back onto its queue first, and only then off the dead letters: never in neither."""
        self.send(message["Body"])
        self.drop(message)

    def send(self, body: str) -> None:
        """Onto the queue from which it is posted."""
        self._sqs.send_message(QueueUrl=self._live_url, MessageBody=body)

    def drop(self, message: Any) -> None:
        """Off the dead letters, for good."""
        self._sqs.delete_message(QueueUrl=self._dead_url, ReceiptHandle=message["ReceiptHandle"])

    def _take(self) -> list[Any]:
        answer = self._sqs.receive_message(
            QueueUrl=self._dead_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=LOOK_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
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
@as_json
@in_plain_words
def list_messages(queue: str, as_json: bool) -> None:
    """One line for each message."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    letters.put_back(messages)
    for message in messages:
        facts = describe(message)
        line = "{id}  {sent_at}  {workspace:<18} {source:<14} {event}".format(**facts)
        say_json({**facts, "body": message["Body"]}) if as_json else click.echo(line)
    if not as_json:
        click.echo(f"{len(messages)} message{'' if len(messages) == 1 else 's'} in the dead-letter queue.")


@dlq.command()
@of_queue
@click.argument("message_id")
@as_json
@in_plain_words
def show(queue: str, message_id: str, as_json: bool) -> None:
    """One message, whole."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    letters.put_back(messages)
    body = _find(messages, message_id)["Body"]
    say_json({"id": message_id, "body": body}) if as_json else click.echo(body)


@dlq.command()
@of_queue
@click.option("--id", "message_id", help="Only this message.")
@click.option(
    "--from",
    "saved",
    type=click.File(),
    help="Not the queue's but those in a file that `dlq list --json` wrote: a queue keeps a message for 14 days.",
)
@do_it
@as_json
@in_plain_words
def replay(queue: str, message_id: str | None, saved: TextIO | None, yes: bool, as_json: bool) -> None:
    """Send messages back to be posted: all of them, or one. Safe to repeat: nothing is posted twice."""
    letters = DeadLetters(queue)
    messages = _read(saved) if saved else list(letters.look())
    chosen = [message for message in messages if message_id in (None, message["MessageId"])]
    if yes:
        with click.progressbar(chosen, label="Replaying", file=sys.stderr) as bar:
            for message in bar:
                letters.send(message["Body"]) if saved else letters.replay(message)
    if not saved:
        letters.put_back([message for message in messages if not yes or message not in chosen])
    if message_id and not chosen:
        raise click.ClickException(_nowhere(message_id))
    said = f"Replayed {len(chosen)}." if yes else f"Would replay {len(chosen)} of {len(messages)}. Add --yes to do it."
    say_json({"done": yes, "count": len(chosen)}) if as_json else click.echo(said)


@dlq.command()
@of_queue
@click.argument("message_id")
@click.option("--reason", required=True, help="Why it may be forgotten; printed with the message, for your records.")
@do_it
@as_json
@in_plain_words
def drop(queue: str, message_id: str, reason: str, yes: bool, as_json: bool) -> None:
    """Delete one message that can never be posted. It is printed as JSON either way: keep that."""
    letters = DeadLetters(queue)
    messages = list(letters.look())
    dropped = [message for message in messages if message["MessageId"] == message_id]
    if yes:
        for message in dropped:
            letters.drop(message)
    letters.put_back([message for message in messages if not yes or message not in dropped])
    body = _find(messages, message_id)["Body"]
    say_json({"dropped" if yes else "would_drop": message_id, "reason": reason, "body": body})
    if not (yes or as_json):
        click.echo("Add --yes to do it.")


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
    sent_at = rfc3339(int(message["Attributes"]["SentTimestamp"]))
    return {"id": message["MessageId"], "sent_at": sent_at, **about}


def _read(saved: TextIO) -> list[Any]:
    """Messages that were kept in a file."""
    try:
        return [{"MessageId": each["id"], "Body": each["body"]} for each in map(json.loads, saved)]
    except (ValueError, KeyError, TypeError):
        raise click.ClickException("This is no file that `dlq list --json` wrote.") from None


def _find(messages: list[Any], message_id: str) -> Any:
    for message in messages:
        if message["MessageId"] == message_id:
            return message
    raise click.ClickException(_nowhere(message_id))


def _nowhere(message_id: str) -> str:
    return f"There is no message {message_id} in the dead-letter queue."
