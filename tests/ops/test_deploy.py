"""`deploy`: a stage is made and changed through change sets; what would lose a balance is refused before it begins."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local.stack import Stack
from ops.__main__ import main
from ops.doctor import client as aws

STAGE, NAME = "shop", "rebill-shop"
WALLETS = "rebill-shop-wallets"
WALLET = {"owner_id": {"S": "sa_1"}, "balance_micros": {"N": "5000000"}}


@pytest.fixture(scope="module")
def packaged(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = shutil.copytree(built, tmp_path_factory.mktemp("package") / "build")
    edit(build, few_routes)
    return build


def few_routes(resources: dict[str, Any]) -> None:
    """Nothing here depends on how many routes there are, and MiniStack takes seconds to transform them all."""
    paths = resources["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    for path in [path for path in paths if path != "/healthz"]:
        del paths[path]


@pytest.fixture
def build(packaged: Path, tmp_path: Path) -> Path:
    """A copy, for a test to edit."""
    return shutil.copytree(packaged, tmp_path / "build")


@contextmanager
def account(stack: Stack) -> Iterator[None]:
    """The AWS account that the commands speak to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", stack.endpoint_url)
        patch.setenv("REBILL_STAGE", STAGE)
        patch.setattr("ops.deploy.POLL_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def another() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.fixture
def empty(another: Stack) -> Iterator[None]:
    """An AWS account in which there is nothing yet."""
    another.reset()
    with account(another):
        yield


@pytest.fixture(scope="module")
def made(packaged: Path) -> Iterator[Result]:
    """A stage that one command has made, with a wallet; what the command said."""
    with Stack() as stack, account(stack):
        yield deploy(packaged, "--alarm-email", "ops@voice.example", "--email-from", "billing@voice.example")


def deploy(build: Path, *words: str, said: str = "y\n") -> Result:
    return CliRunner().invoke(main, ["--stage", STAGE, "deploy", str(build), *words], input=said)


def edit(build: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Another version of the template: what `make package` would have made of a changed file."""
    template = json.loads((build / "sam.json").read_text())
    change(template["Resources"])
    (build / "sam.json").write_text(json.dumps(template))


def renamed(resources: dict[str, Any], name: str) -> dict[str, Any]:
    """The resources, with one of them under another name in the template: for CloudFormation that is one less."""
    changed: dict[str, Any] = json.loads(
        json.dumps(resources).replace(f'"{name}"', f'"{name}2"').replace(f"${{{name}.", f"${{{name}2.")
    )
    return changed


def stack_status() -> str:
    status: str = aws("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["StackStatus"]
    return status


def parameter(name: str) -> str:
    (stack,) = aws("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    found: str = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}[name]
    return found


def test_one_command_makes_a_stage_and_says_what_to_paste_where(made: Result) -> None:
    assert made.exit_code == 0, made.output
    assert aws("dynamodb").describe_table(TableName=WALLETS)["Table"]["TableStatus"] == "ACTIVE"
    assert "Stripe, webhook of your own account:\n    https://" in made.output
    assert "/api/webhooks/stripe/connect\n" in made.output
    assert "/api/oauth/stripe/callback\n" in made.output


def test_the_same_package_again_changes_nothing(made: Result, build: Path) -> None:
    result = deploy(build, said="")

    assert result.exit_code == 0, result.output
    assert "Nothing changes." in result.output


def test_the_package_is_kept_where_nobody_else_can_read_it(made: Result) -> None:
    (bucket,) = [each["Name"] for each in aws("s3").list_buckets()["Buckets"]]

    closed = aws("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert bucket == "rebill-artifacts-000000000000-us-east-1"
    assert set(closed.values()) == {True}
    assert aws("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def test_what_was_said_once_stays_until_it_is_said_anew(made: Result, build: Path) -> None:
    assert (parameter("EmailFrom"), parameter("EmailIdentity")) == ("billing@voice.example", "voice.example")

    result = deploy(build, "--base-url", "https://billing.voice.example")

    assert result.exit_code == 0, result.output
    assert parameter("AlarmEmail") == "ops@voice.example"
    assert "https://billing.voice.example/webhooks/stripe\n" in result.output
    deploy(build, "--base-url", "")
    assert parameter("BaseUrl") == ""


@pytest.mark.parametrize("name", ["WalletsTable", "PaymentsDeadQueue"])
def test_a_package_without_a_table_or_a_queue_is_refused(made: Result, build: Path, name: str) -> None:
    def other_name(resources: dict[str, Any]) -> None:
        changed = renamed(resources, name)
        resources.clear()
        resources.update(changed)

    edit(build, other_name)
    before = stack_status()
    result = deploy(build, "--yes")

    assert result.exit_code == 1
    assert f"so it is refused: {name}" in result.output
    assert stack_status() == before


def test_a_package_that_would_replace_a_table_is_refused(made: Result, build: Path) -> None:
    aws("dynamodb").put_item(TableName=WALLETS, Item=WALLET)

    def other_key(resources: dict[str, Any]) -> None:
        properties = resources["WalletsTable"]["Properties"]
        properties["KeySchema"][0]["AttributeName"] = "wallet_id"
        properties["AttributeDefinitions"][0]["AttributeName"] = "wallet_id"

    edit(build, other_key)
    result = deploy(build, "--yes")

    assert result.exit_code == 1
    assert "so it is refused: WalletsTable" in result.output
    assert aws("dynamodb").get_item(TableName=WALLETS, Key={"owner_id": WALLET["owner_id"]})["Item"] == WALLET


def test_what_would_change_is_shown_and_a_no_changes_nothing(empty: None, build: Path) -> None:
    result = deploy(build, said="n\n")

    assert result.exit_code == 1
    assert "Add  AWS::DynamoDB::Table" in result.output
    assert "WalletsTable" in result.output
    assert aws("dynamodb").list_tables()["TableNames"] == []


def test_a_stage_that_was_deleted_comes_back_with_its_balances(empty: None, build: Path) -> None:
    deploy(build)
    aws("dynamodb").put_item(TableName=WALLETS, Item=WALLET)
    aws("cloudformation").delete_stack(StackName=NAME)

    refused = deploy(build, "--yes")
    assert "Queues of an earlier stage are in the way: rebill-shop-usage-dead" in refused.output
    for url in aws("sqs").list_queues()["QueueUrls"]:
        aws("sqs").delete_queue(QueueUrl=url)
    result = deploy(build, "--yes")

    assert result.exit_code == 0, result.output
    assert "Taking over what an earlier stage has left" in result.output
    assert aws("dynamodb").get_item(TableName=WALLETS, Key={"owner_id": WALLET["owner_id"]})["Item"] == WALLET
