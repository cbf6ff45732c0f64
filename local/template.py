"""Creates on MiniStack the tables and queues that ``infra/resources.json`` describes for AWS.

Home, tests and AWS read one file, so a table cannot have an index in one place and lack it in another.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

RESOURCES_FILE = Path(__file__).parent.parent / "infra" / "resources.json"
REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
ACCESS_KEY = "test"  # the one that MiniStack takes for the account's owner when it checks rights

# What CreateTable takes as the template has it; the rest is set by other calls or means nothing at home.
TABLE_PROPERTIES = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


class TemplateError(RuntimeError):
    """What is kept on MiniStack does not fit the template of today."""


@lru_cache
def client(endpoint_url: str, service: str) -> Any:
    """A boto3 client that can only reach this endpoint; kept, as making one costs more than a hundred calls."""
    session: Any = boto3.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=REGION)
    config = Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=endpoint_url, config=config)


@lru_cache
def resources(stage: str) -> dict[str, dict[str, Any]]:
    """The template's tables and queues, by their name in the template, with every reference resolved."""
    template = json.loads(RESOURCES_FILE.read_text())
    wanted = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
    declared = {name: item for name, item in template["Resources"].items() if item.get("Type") in wanted}
    return {name: _resolve(item, stage, declared) for name, item in declared.items()}


def create_resources(endpoint_url: str, stage: str) -> None:
    """Create the tables and queues that are not there yet; raises ``TemplateError`` if one is there but outdated."""
    for resource in resources(stage).values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            _create_table(client(endpoint_url, "dynamodb"), resource["Properties"])
        else:
            _create_queue(client(endpoint_url, "sqs"), resource["Properties"])


def _create_table(dynamodb: Any, properties: dict[str, Any]) -> None:
    try:
        dynamodb.create_table(**{name: properties[name] for name in TABLE_PROPERTIES if name in properties})
    except dynamodb.exceptions.ResourceInUseException:
        _require_the_same_indexes(dynamodb, properties)
        return
    if "TimeToLiveSpecification" in properties:
        dynamodb.update_time_to_live(
            TableName=properties["TableName"], TimeToLiveSpecification=properties["TimeToLiveSpecification"]
        )


def _require_the_same_indexes(dynamodb: Any, properties: dict[str, Any]) -> None:
    table = dynamodb.describe_table(TableName=properties["TableName"])["Table"]
    kept, wanted = (
        {index["IndexName"] for index in source.get("GlobalSecondaryIndexes", [])} for source in (table, properties)
    )
    if kept != wanted:
        raise TemplateError(f"{properties['TableName']} was made by another version: remove the state folder")


def _create_queue(sqs: Any, properties: dict[str, Any]) -> None:
    """CreateQueue with the same attributes is a success, so a queue that is there needs no look first."""
    attributes = {
        name: json.dumps(value) if isinstance(value, dict | bool) else str(value)
        for name, value in properties.items()
        if name != "QueueName"
    }
    try:
        sqs.create_queue(QueueName=properties["QueueName"], Attributes=attributes)
    except sqs.exceptions.QueueNameExists:
        url = sqs.get_queue_url(QueueName=properties["QueueName"])["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)


def _resolve(node: Any, stage: str, declared: dict[str, Any]) -> Any:
    """The node with ``Fn::Sub`` of the stage and ``Fn::GetAtt`` of a queue's ARN replaced by what they mean."""
    if isinstance(node, list):
        return [_resolve(child, stage, declared) for child in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Sub" in node:
        return node["Fn::Sub"].replace("${Stage}", stage)
    if "Fn::GetAtt" in node:
        queue = declared[node["Fn::GetAtt"][0]]["Properties"]["QueueName"]
        return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{_resolve(queue, stage, declared)}"
    return {name: _resolve(child, stage, declared) for name, child in node.items()}
