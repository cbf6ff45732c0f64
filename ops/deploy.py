"""`deploy`: the package in `build/` becomes a stage, through a change set of CloudFormation that is shown first.

A change that would replace or remove a table or a queue is refused here: whatever it is for, it is a migration, and
template-notes.md says how to make one.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import ClientError

from local.template import resources
from ops.doctor import client, described, examine_account, examine_settings, show, stage_name
from ops.plain import in_plain_words, table

LARGEST_TEMPLATE_BYTES = 1_048_576  # CloudFormation's own limit
POLL_SECONDS = 3.0
TABLE, QUEUE = "AWS::DynamoDB::Table", "AWS::SQS::Queue"
KEPT = (TABLE, QUEUE)
NOTHING_CHANGES = ("didn't contain changes", "No updates are to be performed")
FUNCTION = "AWS::Serverless::Function"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
# An option of the command line -> the template's parameter.
PARAMETERS = {
    "alarm_email": "AlarmEmail",
    "base_url": "BaseUrl",
    "email_from": "EmailFrom",
    "email_identity": "EmailIdentity",
}


@dataclass(frozen=True)
class Change:
    """What would be done to one resource. `replaced` is CloudFormation's own word: True, False or Conditional."""

    action: str
    name: str
    kind: str
    replaced: str

    @property
    def loses_what_is_kept(self) -> bool:
        """Whether this would take a ledger or its queue away."""
        return self.kind in KEPT and (self.action == "Remove" or self.replaced in ("True", "Conditional"))


@click.command()
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path), default="build")
@click.option("--bucket", help="Where the package is put; without it one is made: rebill-artifacts-ACCOUNT-REGION.")
@click.option("--alarm-email", help="Who is told of alarms.")
@click.option("--base-url", help="The public address, if the API stands behind a domain of its own.")
@click.option("--email-from", help="The sender of our e-mails.")
@click.option("--email-identity", help="What SES has verified of that: its domain (the default) or the address.")
@click.option("--yes", is_flag=True, help="Do it; without this, the changes are shown and you are asked.")
@in_plain_words
def deploy(build: Path, bucket: str | None, yes: bool, **options: str | None) -> None:
    """Make the stage what `make package` has put into BUILD. What is not said stays as it is."""
    stage = stage_name()
    _look_before()
    if options["email_from"] and not options["email_identity"]:
        options["email_identity"] = options["email_from"].rpartition("@")[2]
    given = {"Stage": stage} | {PARAMETERS[name]: value for name, value in options.items() if value is not None}
    template_url = _upload(build, bucket or _usual_bucket())
    change_set = _propose(stage, template_url, given)
    changes = list(_changes_of(stage, change_set))
    if not changes:
        click.echo("Nothing changes.")
        _say_outputs(stage)
        return
    for line in table([(each.action, each.kind, each.name, _words_for(each)) for each in changes]):
        click.echo(line)
    try:
        _refuse_losses(changes)
        if not (yes or click.confirm(f"Change rebill-{stage} like this?")):
            raise click.Abort
    except (click.ClickException, click.Abort):
        _forget(stage, change_set)
        raise
    _execute(stage, change_set)
    _say_outputs(stage)


def _look_before() -> None:
    account = list(examine_account())
    show(account)
    if not all(line.ok for line in account):
        raise click.ClickException("Nothing was changed: AWS cannot be asked.")
    # Stripe tells its webhook secrets only for addresses that exist, so a first deployment has none of them yet.
    missing = [line for line in examine_settings(stage_name()) if line.ok is False]
    if missing:
        click.echo("Needed before money moves, not before the stage exists:")
        show(missing)


def _usual_bucket() -> str:
    account = client("sts").get_caller_identity()["Account"]
    return f"rebill-artifacts-{account}-{client('s3').meta.region_name}"


def _upload(build: Path, bucket: str) -> str:
    """Put the package where CloudFormation can read it; a key names its contents, so a new zip is a new function."""
    account = client("sts").get_caller_identity()["Account"]
    _make_bucket(bucket, account)
    zip_key = _put(bucket, account, (build / "deployment.zip").read_bytes(), "zip")
    template = json.loads((build / "sam.json").read_text())
    names = resources(stage_name())
    for name, resource in template["Resources"].items():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["CodeUri"] = f"s3://{bucket}/{zip_key}"
        elif resource["Type"] == TABLE and name in names:
            # CloudFormation takes over a table that is there already only by a name that is written out.
            resource["Properties"]["TableName"] = names[name]["Properties"]["TableName"]
    body = json.dumps(template, separators=(",", ":")).encode()
    if len(body) > LARGEST_TEMPLATE_BYTES:
        raise click.ClickException(f"The template has {len(body):,} bytes; CloudFormation takes 1,048,576.")
    key = _put(bucket, account, body, "json")
    return f"{client('s3').meta.endpoint_url}/{bucket}/{key}"


def _make_bucket(bucket: str, account: str) -> None:
    s3 = client("s3")
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
    region = s3.meta.region_name
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **where)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
    encrypted = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    click.echo(f"Made the bucket {bucket}: private, encrypted.")


def _put(bucket: str, account: str, content: bytes, kind: str) -> str:
    key = f"{hashlib.sha256(content).hexdigest()}.{kind}"
    click.echo(f"Uploading {key[:12]}....{kind} ({len(content) / 1e6:.1f} MB)")
    client("s3").put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=account)
    return key


def _propose(stage: str, template_url: str, given: dict[str, str]) -> str:
    """Have CloudFormation work out what would change; answers the change set's ARN."""
    stack = described(stage)
    state = stack.get("StackStatus", "")
    if state in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
        fix = f"`aws cloudformation delete-stack --stack-name rebill-{stage}`, then deploy again. Tables stay."
        raise click.ClickException(f"The stack was never made ({state}): {fix}")
    is_new = state in ("", "REVIEW_IN_PROGRESS")
    known = {each["ParameterKey"] for each in stack.get("Parameters", [])} - given.keys()
    values: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    values += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(known)]
    made: str = client("cloudformation").create_change_set(
        StackName=f"rebill-{stage}",
        ChangeSetName=f"deploy-{time.time_ns()}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateURL=template_url,
        Parameters=values,
        Capabilities=CAPABILITIES,
        **({"ImportExistingResources": True} if is_new and _was_there_before(stage) else {}),
    )["Id"]
    return made


def _was_there_before(stage: str) -> bool:
    """Whether a stage that was deleted has left its tables, which this one is to take over.

    Raises:
        ClickException: it has left queues, which CloudFormation cannot take over.
    """
    left = {kind: [name for name in _names(stage, kind) if _is_there(kind, name)] for kind in KEPT}
    if queues := left[QUEUE]:
        fix = "Replay or wait until they are empty, then `aws sqs delete-queue` each, and deploy a minute later."
        raise click.ClickException(f"Queues of an earlier stage are in the way: {', '.join(queues)}. {fix}")
    if tables := left[TABLE]:
        click.echo(f"Taking over what an earlier stage has left: {', '.join(tables)}")
    return bool(tables)


def _names(stage: str, kind: str) -> list[str]:
    found = [item["Properties"] for item in resources(stage).values() if item["Type"] == kind]
    return [each.get("TableName") or each["QueueName"] for each in found]


def _is_there(kind: str, name: str) -> bool:
    try:
        if kind == TABLE:
            client("dynamodb").describe_table(TableName=name)
        else:
            client("sqs").get_queue_url(QueueName=name)
    except ClientError as error:
        if error.response["Error"]["Code"].endswith(
            ("ResourceNotFoundException", "NonExistentQueue", "QueueDoesNotExist")
        ):
            return False
        raise
    return True


def _changes_of(stage: str, change_set: str) -> Iterator[Change]:
    """Wait until CloudFormation has worked it out; none if nothing would change."""
    cloudformation = client("cloudformation")
    click.echo("CloudFormation works out what would change ...")
    while (found := cloudformation.describe_change_set(ChangeSetName=change_set))["Status"].startswith("CREATE_"):
        if found["Status"] == "CREATE_COMPLETE":
            break
        time.sleep(POLL_SECONDS)
    if found["Status"] != "CREATE_COMPLETE":
        reason = found.get("StatusReason", "")
        cloudformation.delete_change_set(ChangeSetName=change_set)
        if any(words in reason for words in NOTHING_CHANGES):
            return
        raise click.ClickException(f"CloudFormation refuses: {reason}")
    for page in cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
        for each in page.get("Changes", []):
            change = each["ResourceChange"]
            yield Change(
                change["Action"],
                change["LogicalResourceId"],
                change["ResourceType"],
                change.get("Replacement", "False"),
            )


def _words_for(change: Change) -> str:
    return {"True": "replaced", "Conditional": "perhaps replaced"}.get(change.replaced, "")


def _refuse_losses(changes: list[Change]) -> None:
    names = resources(stage_name())
    added = [each.name for each in changes if (each.kind, each.action) == (TABLE, "Add") and each.name in names]
    lost = [each.name for each in changes if each.loses_what_is_kept]
    # A table that is there already is imported; CloudFormation that would make it anew has not understood.
    lost += [name for name in added if _is_there(TABLE, names[name]["Properties"]["TableName"])]
    if lost:
        why = "This would replace or remove what holds balances or owed calls, so it is refused"
        raise click.ClickException(f"{why}: {', '.join(lost)}. See template-notes.md, Change a table.")


def _forget(stage: str, change_set: str) -> None:
    """Leave nothing of what was only proposed."""
    client("cloudformation").delete_change_set(ChangeSetName=change_set)
    if described(stage).get("StackStatus") == "REVIEW_IN_PROGRESS":
        client("cloudformation").delete_stack(StackName=f"rebill-{stage}")


def _execute(stage: str, change_set: str) -> None:
    """Do it, and tell what happens as it happens.

    Raises:
        ClickException: CloudFormation could not; everything is as it was before.
    """
    cloudformation, told = client("cloudformation"), set[str]()
    began = time.time()
    cloudformation.execute_change_set(ChangeSetName=change_set)
    while True:
        state = described(stage)["StackStatus"]
        for event in reversed(cloudformation.describe_stack_events(StackName=f"rebill-{stage}")["StackEvents"]):
            if event["EventId"] not in told and event["Timestamp"].timestamp() > began - 1:
                told.add(event["EventId"])
                click.echo(_told(event))
        if not state.endswith("_IN_PROGRESS"):
            break
        time.sleep(POLL_SECONDS)
    if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise click.ClickException(f"CloudFormation could not ({state}); the reason stands above, at FAILED.")


def _told(event: dict[str, Any]) -> str:
    reason = event.get("ResourceStatusReason", "") if "FAILED" in event["ResourceStatus"] else ""
    return f"{event['ResourceStatus']:20} {event['LogicalResourceId']} {reason}".rstrip()


def _say_outputs(stage: str) -> None:
    """What a person has to paste elsewhere, and where."""
    told = [each for each in described(stage).get("Outputs", []) if each.get("Description")]
    for each in sorted(told, key=lambda output: str(output["Description"])):
        click.echo(f"{each['Description']}:\n    {each['OutputValue']}")
    click.echo(f"Next: `make doctor STAGE={stage}`")
