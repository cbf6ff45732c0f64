"""`doctor`: is this stage set up as it must be? One line for each thing that was looked at, each trouble with its fix.

It only reads, and never shows a secret. What cannot be asked from outside (does Stripe know our redirect URI?) is said
as something to compare.
"""

import os
import ssl
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import boto3
import click
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.template import resources
from ops.plain import as_json, say_json, table

STRIPE_API = "https://api.stripe.com"
STRIPE_SECONDS = 10
# How a value begins that may be right, by the name of its parameter.
BEGINNINGS = {
    "secret-key": ("sk_test_", "sk_live_", "rk_test_", "rk_live_"),
    "client-id": ("ca_",),
    "webhook-secret": ("whsec_",),
    "connect-webhook-secret": ("whsec_",),
}
WHERE_TO_FIND = {
    "secret-key": "Stripe, Developers, API keys",
    "client-id": "Stripe, Settings, Connect, OAuth",
    "webhook-secret": "Stripe, Webhooks, your account's endpoint, signing secret",
    "connect-webhook-secret": "Stripe, Webhooks, the endpoint of connected accounts, signing secret",
}
SHORTEST_SECRET = 32
WELL = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True)
class Line:
    """What was looked at. `ok` is None where it could not be asked; `fix` says what to do."""

    name: str
    ok: bool | None
    found: str
    fix: str = ""


@click.command()
@as_json
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Is the stage set up as it must be? Ends with 1 if something is wrong."""
    lines = list(examine(stage_name()))
    if as_json:
        for line in lines:
            say_json(asdict(line))
    else:
        show(lines)
    context.exit(int(any(line.ok is False for line in lines)))


def show(lines: list[Line]) -> None:
    """The lines as a person reads them."""
    marks = {True: "✔", False: "✘", None: "·"}
    for line, shown in zip(lines, table([(marks[each.ok], each.name, each.found) for each in lines]), strict=True):
        click.echo(shown)
        if line.fix and not line.ok:
            click.echo(f"     {line.fix}")


def stage_name() -> str:
    """The stage that the command line has named."""
    return os.environ.get("REBILL_STAGE", "dev")


def client(service: str) -> Any:
    """AWS as the environment of this moment finds it."""
    return _client(service, tuple(sorted((name, value) for name, value in os.environ.items() if name[:4] == "AWS_")))


@cache
def _session(environment: tuple[tuple[str, str], ...]) -> Any:
    """One for all clients: what it has read of AWS's endpoints it keeps. Its types know no service by a variable."""
    return boto3.session.Session()


@cache
def _client(service: str, environment: tuple[tuple[str, str], ...]) -> Any:
    return _session(environment).client(
        service, config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    )


def examine(stage: str) -> Iterator[Line]:
    """Everything, in the order in which it is set up; without credentials nothing else can be asked."""
    who = list(examine_account())
    yield from who
    if not all(line.ok for line in who):
        return
    yield from examine_settings(stage)
    stack = described(stage)
    yield from _tables(stage)
    yield from _queues(stage)
    yield from _stack(stage, stack)
    yield from _sender(_of(stack, "Parameters").get("EmailFrom") or os.environ.get("REBILL_EMAIL_FROM", ""))
    yield from _listeners(_of(stack, "Outputs").get("AlarmTopic", ""))
    base_url = os.environ.get("REBILL_BASE_URL") or _of(stack, "Outputs").get("BaseUrl", "")
    yield from _addresses(base_url)
    yield from _registered(stage, base_url)


def examine_account() -> Iterator[Line]:
    """Who asks, and where."""
    session = boto3.session.Session()
    if session.get_credentials() is None or session.region_name is None:
        found = "no credentials" if session.region_name else "no region"
        fix = "`aws configure`, or AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION."
        yield Line("credentials and region", False, found, fix)
        return
    try:
        who = client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as refused:
        yield Line("credentials", False, str(refused), "Sign in again: `aws sso login`, or make a new access key.")
        return
    yield Line("credentials", True, f"account {who['Account']}, {who['Arn'].rpartition(':')[2]}")
    yield Line("region", True, session.region_name)


def examine_settings(stage: str) -> Iterator[Line]:
    """What a person has to put into the parameter store."""
    found = parameters(stage)
    for name, beginnings in BEGINNINGS.items():
        path = f"/rebill/{stage}/stripe/{name}"
        put = f"`aws ssm put-parameter --type SecureString --overwrite --name {path} --value ...`"
        kind, value = found.get(f"stripe/{name}", ("", ""))
        if not value:
            yield Line(path, False, "is not there", f"{WHERE_TO_FIND[name]}. {put}")
        elif not value.startswith(beginnings):
            yield Line(path, False, f"does not begin with {' or '.join(beginnings)}", f"{WHERE_TO_FIND[name]}. {put}")
        elif kind != "SecureString":
            yield Line(path, False, f"is kept as {kind}, readable to many", f"Delete it first, then {put}")
        else:
            yield Line(path, True, f"{value[: value.rfind('_') + 1]}...")
    yield from _agreement(stage, {name: value for name, (_, value) in found.items()})
    _, secret = found.get("dashboard/session-secret", ("", ""))
    path = f"/rebill/{stage}/dashboard/session-secret"
    fix = f'`aws ssm put-parameter --type SecureString --name {path} --value "$(openssl rand -hex 32)"`'
    long_enough = len(secret) >= SHORTEST_SECRET
    yield Line(path, long_enough, f"{len(secret)} characters" if secret else "is not there", fix)


def parameters(stage: str) -> dict[str, tuple[str, str]]:
    """A parameter's name below the stage's own -> how it is kept, and what it is."""
    pages = client("ssm").get_paginator("get_parameters_by_path")
    root = f"/rebill/{stage}/"
    return {
        each["Name"].removeprefix(root): (each["Type"], each["Value"].strip())
        for page in pages.paginate(Path=root, Recursive=True, WithDecryption=True)
        for each in page["Parameters"]
    }


def _agreement(stage: str, values: dict[str, str]) -> Iterator[Line]:
    key, secret = values.get("stripe/secret-key", ""), values.get("stripe/webhook-secret", "")
    if key:
        live, meant_live = "_live_" in key, stage.startswith(("prod", "live"))
        mode = "live: real money" if live else "test: no real money"
        fix = f"Use the {'live' if meant_live else 'test'} key here, or give the stage a name that says what it is."
        yield Line("Stripe's mode", live == meant_live, f"{mode}, on the stage {stage}", fix)
    if secret:
        different = secret != values.get("stripe/connect-webhook-secret")
        found = "two secrets for two endpoints" if different else "both endpoints have the same secret"
        yield Line("webhook secrets", different, found, "Each endpoint at Stripe has its own: copy both again.")


def described(stage: str) -> dict[str, Any]:
    """The stage's stack as CloudFormation describes it; empty if there is none."""
    try:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=f"rebill-{stage}")["Stacks"][0]
    except ClientError:
        return {}
    return found


def _of(stack: dict[str, Any], part: str) -> dict[str, str]:
    name = part.removesuffix("s")
    return {each[f"{name}Key"]: each.get(f"{name}Value", "") for each in stack.get(part, [])}


def _stack(stage: str, stack: dict[str, Any]) -> Iterator[Line]:
    if not stack and "AWS_ENDPOINT_URL" in os.environ:
        yield Line("stack", None, "none: nothing was deployed to this address")
        return
    state = stack.get("StackStatus", "is not there")
    yield Line("stack", state in WELL, f"rebill-{stage}: {state}", f"`make deploy STAGE={stage}`")


def _tables(stage: str) -> Iterator[Line]:
    dynamodb = client("dynamodb")
    for item in resources(stage).values():
        if item["Type"] != "AWS::DynamoDB::Table":
            continue
        name, wanted = item["Properties"]["TableName"], item["Properties"].get("GlobalSecondaryIndexes", [])
        try:
            table_ = dynamodb.describe_table(TableName=name)["Table"]
        except ClientError:
            yield Line(name, False, "is not there", f"`make deploy STAGE={stage}`")
            continue
        indexes = {each["IndexName"]: each.get("IndexStatus") for each in table_.get("GlobalSecondaryIndexes", [])}
        missing = [each["IndexName"] for each in wanted if indexes.get(each["IndexName"]) != "ACTIVE"]
        found = f"without {', '.join(missing)}" if missing else table_["TableStatus"].lower()
        fix = f"If it is being made, wait; otherwise `make deploy STAGE={stage}`."
        yield Line(name, table_["TableStatus"] == "ACTIVE" and not missing, found, fix)


def _queues(stage: str) -> Iterator[Line]:
    sqs = client("sqs")
    for item in resources(stage).values():
        if item["Type"] != "AWS::SQS::Queue":
            continue
        name = item["Properties"]["QueueName"]
        try:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        except ClientError:
            yield Line(name, False, "is not there", f"`make deploy STAGE={stage}`")
            continue
        waiting = int(asked["Attributes"]["ApproximateNumberOfMessages"])
        kind = "payments" if "payments" in name else "usage"
        fix = f"`python -m ops --stage {stage} dlq list --queue {kind}`, mend the cause, then replay."
        yield Line(name, not (name.endswith("-dead") and waiting), f"{waiting} messages", fix)


def _sender(sender: str) -> Iterator[Line]:
    if not sender:
        yield Line("e-mail sender", None, "none (EmailFrom is empty): no e-mails leave this stage")
        return
    ses = client("sesv2")
    for identity in (sender, sender.rpartition("@")[2]):
        try:
            verified = ses.get_email_identity(EmailIdentity=identity).get("VerifiedForSendingStatus", False)
        except ClientError:
            continue
        fix = f"Follow the link, or set the DNS records, that SES gave you for {identity}."
        yield Line("e-mail sender", verified, f"{identity} is {'' if verified else 'not '}verified", fix)
        break
    else:
        fix = f"`aws sesv2 create-email-identity --email-identity {sender.rpartition('@')[2]}`"
        yield Line("e-mail sender", False, f"SES knows neither {sender} nor its domain", fix)
    production = ses.get_account().get("ProductionAccessEnabled", False)
    fix = "SES, Account dashboard, request production access."
    yield Line("e-mail", production, "to anybody" if production else "to verified addresses only (sandbox)", fix)


def _listeners(topic: str) -> Iterator[Line]:
    if not topic:
        return
    found = client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    waiting = [each["Endpoint"] for each in found if each["SubscriptionArn"].startswith("Pending")]
    if waiting:
        yield Line("alarms", False, f"{waiting[0]} has not confirmed", "Follow the link in the e-mail that AWS sent.")
        return
    told = ", ".join(each["Endpoint"] for each in found) or "nobody is told"
    yield Line("alarms", bool(found), told, "`make deploy` with ALARM_EMAIL=you@example.com")


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of the world's authorities, read once: that takes longer than to ask a server."""
    return httpx.create_ssl_context()


def _addresses(base_url: str) -> Iterator[Line]:
    if not base_url:
        return
    yield Line("redirect URI", None, f"{base_url}/oauth/stripe/callback (compare: Stripe, Settings, Connect, OAuth)")
    try:
        answer = httpx.get(f"{base_url}/healthz", timeout=30, verify=_trusted())
        well, found = answer.status_code == 200, f"{base_url}/healthz answers {answer.status_code}"
    except httpx.HTTPError as silent:
        well, found = False, f"{base_url}/healthz: {type(silent).__name__}"
    yield Line("API", well, found, "Look into the log group and the dashboard that `make deploy` named.")


def _registered(stage: str, base_url: str) -> Iterator[Line]:
    """Stripe's own list of the endpoints that it sends events to, with the stage's key."""
    _, key = parameters(stage).get("stripe/secret-key", ("", ""))
    if not key or not base_url:
        return
    address = os.environ.get("REBILL_STRIPE_API_ADDRESS", "").rstrip("/") or STRIPE_API
    try:
        answer = httpx.get(
            f"{address}/v1/webhook_endpoints",
            params={"limit": 100},
            auth=(key, ""),
            timeout=STRIPE_SECONDS,
            verify=_trusted(),
        )
    except httpx.HTTPError as silent:
        yield Line("Stripe", False, f"{address} does not answer: {type(silent).__name__}", "Try again in a minute.")
        return
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        yield Line("Stripe", False, "refuses the key", f"{WHERE_TO_FIND['secret-key']}: roll it, and put the new one.")
        return
    if answer.status_code != httpx.codes.OK:
        yield Line("Stripe's webhooks", None, f"cannot be listed with this key ({answer.status_code})")
        return
    known = {each["url"]: each["status"] for each in answer.json()["data"]}
    for path in ("/webhooks/stripe", "/webhooks/stripe/connect"):
        state = known.get(base_url + path, "is not registered")
        fix = f"Stripe, Developers, Webhooks: add {base_url + path} with the events of docs/payments.md."
        yield Line(f"Stripe -> {path}", state == "enabled", state, fix)
