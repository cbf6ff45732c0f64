"""The account owner's hand in a deployed stage: functions, triggers, queues and roles, with rights to everything."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local.stage import STAGE, Stage
from local.template import client

SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "000000000000",
    "time": "2026-11-23T02:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {},
}


@dataclass(frozen=True)
class Ran:
    """What became of one run of a function."""

    answer: Any
    failed: bool
    log: str


class Hand:
    """Functions and roles are called by their name in the template, queues by their suffix."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.names = stage, stage.deployed.names
        url = stage.stack.endpoint_url
        self._lambda, self._sqs, self._iam, self._events, self._logs, self._ses, self._tables = (
            client(url, service) for service in ("lambda", "sqs", "iam", "events", "logs", "ses", "dynamodb")
        )

    def run(self, function: str, event: Any) -> Ran:
        """Run a function as its trigger would, under its own role."""
        answer = self._lambda.invoke(FunctionName=self.names[function], Payload=json.dumps(event), LogType="Tail")
        log = base64.b64decode(answer.get("LogResult", "")).decode()
        return Ran(json.loads(answer["Payload"].read() or b"null"), "FunctionError" in answer, log)

    def run_with_messages(self, function: str, bodies: Sequence[str]) -> Ran:
        """Run a queue's function with these messages."""
        records = [{"messageId": f"m{n}", "body": body, "receiptHandle": "-"} for n, body in enumerate(bodies)]
        return self.run(function, {"Records": records})

    def start_anew(self, function: str) -> None:
        """The next run is a cold start, and none lasts longer than nine seconds: what waits for a refusal to end is
        not waited for.
        """
        self._lambda.update_function_configuration(FunctionName=self.names[function], Timeout=9)

    def triggers_at(self, queue: str) -> list[dict[str, Any]]:
        """What takes messages from a queue."""
        asked = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=["QueueArn"])
        found = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        return [mapping for mapping in found if mapping["EventSourceArn"] == asked["Attributes"]["QueueArn"]]

    @contextmanager
    def trigger_off(self, function: str) -> Iterator[None]:
        """Messages stay on the function's queue."""
        (mapping,) = self._lambda.list_event_source_mappings(FunctionName=self.names[function])["EventSourceMappings"]
        self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    @contextmanager
    def clock_off(self) -> Iterator[None]:
        """Nothing happens by itself."""
        rules = [rule["Name"] for rule in self._events.list_rules()["Rules"]]
        for rule in rules:
            self._events.disable_rule(Name=rule)
        try:
            yield
        finally:
            for rule in rules:
                self._events.enable_rule(Name=rule)

    @contextmanager
    def hidden_for(self, queue: str, seconds: int) -> Iterator[None]:
        """What a function has failed at comes again after so long; six minutes is what the template says."""
        url = self._url(queue)
        usual = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
        try:
            yield
        finally:
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes=usual)

    def put(self, queue: str, body: str) -> None:
        """Put a message on a queue."""
        self._sqs.send_message(QueueUrl=self._url(queue), MessageBody=body)

    def take(self, queue: str) -> list[str]:
        """Take everything that can be seen on a queue."""
        bodies: list[str] = []
        while messages := self._sqs.receive_message(QueueUrl=self._url(queue), MaxNumberOfMessages=10).get("Messages"):
            bodies += [message["Body"] for message in messages]
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._url(queue), ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def on_queue(self, queue: str) -> int:
        """How many messages are on a queue, also those that are hidden or come later."""
        wanted = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=wanted)["Attributes"]
        return sum(map(int, found.values()))

    def seen(self, queue: str) -> int:
        """How many messages on a queue could be taken now."""
        wanted = ["ApproximateNumberOfMessages"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=wanted)["Attributes"]
        return int(found["ApproximateNumberOfMessages"])

    def _url(self, queue: str) -> str:
        url: str = self._sqs.get_queue_url(QueueName=f"rebill-{STAGE}-{queue}")["QueueUrl"]
        return url

    def forget(self, table: str, **key: str) -> None:
        """Take an item out of a table."""
        self._tables.delete_item(
            TableName=f"rebill-{STAGE}-{table}", Key={name: {"S": value} for name, value in key.items()}
        )

    def forget_answers(self) -> None:
        """As if two days had gone by: no answer to an Idempotency-Key is remembered."""
        for item in self._tables.scan(TableName=f"rebill-{STAGE}-requests")["Items"]:
            self.forget("requests", id=item["id"]["S"])

    def logged(self) -> int:
        """How many lines all functions have written."""
        groups = [group["logGroupName"] for group in self._logs.describe_log_groups()["logGroups"]]
        return sum(len(self._logs.filter_log_events(logGroupName=group)["events"]) for group in groups)

    def mailed(self) -> int:
        """How many e-mails were sent."""
        return int(self._ses.get_send_quota()["SentLast24Hours"])

    def statements(self, role: str) -> list[dict[str, Any]]:
        """What a role allows."""
        statements: list[dict[str, Any]] = self._policy(role)["PolicyDocument"]["Statement"]
        return statements

    @contextmanager
    def without(self, role: str, number: int) -> Iterator[None]:
        """One of the role's statements is taken out."""
        policy = self._policy(role)
        document = policy["PolicyDocument"]
        left = [each for position, each in enumerate(document["Statement"]) if position != number]
        which = {"RoleName": policy["RoleName"], "PolicyName": policy["PolicyName"]}
        self._iam.put_role_policy(**which, PolicyDocument=json.dumps({**document, "Statement": left}))
        try:
            yield
        finally:
            self._iam.put_role_policy(**which, PolicyDocument=json.dumps(document))

    def _policy(self, role: str) -> Any:
        name = self.names[role]
        (policy,) = self._iam.list_role_policies(RoleName=name)["PolicyNames"]
        return self._iam.get_role_policy(RoleName=name, PolicyName=policy)
