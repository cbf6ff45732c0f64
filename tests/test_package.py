"""What we would deploy: packaged from the real application, with what it needs and with nothing that it does not.

It is made here without the packages of ``requirements.lock``. The whole zip is made for ``tests/deployed``, where it is
deployed, and must be enough for an interpreter that sees nothing else.
"""

import ast
import importlib.metadata
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local.package import LOCK_FILE, ROOT, SERVICES, PackageError, locked, package
from tests.packaged import STAGE, of_type

FUNCTION_TIMEOUT_SECONDS = 60
RETENTION_SECONDS = 14 * 24 * 60 * 60


def test_one_bad_message_does_not_take_its_whole_batch_with_it(template: dict[str, Any]) -> None:
    events = [event for each in of_type(template, "AWS::Serverless::Function").values() for event in each_event(each)]

    triggers = [event["Properties"] for event in events if event["Type"] == "SQS"]

    # Two keys in one of these, as a careless merge leaves them, are refused by CloudFormation.
    queues = [trigger["Queue"] for trigger in triggers]
    assert sorted(queues, key=str) == [{"Fn::Sub": "${PaymentsQueue.Arn}"}, {"Fn::Sub": "${UsageQueue.Arn}"}]
    assert all(trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for trigger in triggers)


def each_event(function: dict[str, Any]) -> list[dict[str, Any]]:
    return list(function["Properties"].get("Events", {}).values())


def test_every_table_can_be_restored_is_encrypted_and_outlives_the_stack(template: dict[str, Any]) -> None:
    tables = of_type(template, "AWS::DynamoDB::Table")

    assert len(tables) == 7
    answers = tables.pop("RequestsTable")  # what was answered to an Idempotency-Key, for two days
    assert answers["Properties"]["TimeToLiveSpecification"]["Enabled"] is True
    for table in tables.values():
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["SSESpecification"] == {"SSEEnabled": True}
        assert properties["TableName"]["Fn::Sub"].startswith("rebill-${Stage}-")


@pytest.mark.parametrize(("queue", "function"), [("usage", "PostUsage"), ("payments", "SettlePayments")])
def test_no_message_is_ever_dropped_without_a_dead_letter_queue(
    template: dict[str, Any],
    queue: str,
    function: str,
) -> None:
    queues = {
        item["Properties"]["QueueName"]["Fn::Sub"]: (name, item["Properties"])
        for name, item in of_type(template, "AWS::SQS::Queue").items()
    }
    _, live = queues[f"rebill-${{Stage}}-{queue}"]
    dead_name, dead = queues[f"rebill-${{Stage}}-{queue}-dead"]

    assert live["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": [dead_name, "Arn"]}, "maxReceiveCount": 5}
    assert live["VisibilityTimeout"] == 6 * FUNCTION_TIMEOUT_SECONDS
    assert live["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == RETENTION_SECONDS
    assert template["Resources"][function]["Properties"]["Timeout"] == FUNCTION_TIMEOUT_SECONDS


def test_a_client_cannot_read_its_agencys_cost_from_its_statement(template: dict[str, Any]) -> None:
    (entries,) = [
        table["Properties"]
        for table in of_type(template, "AWS::DynamoDB::Table").values()
        if table["Properties"]["TableName"]["Fn::Sub"].endswith("-entries")
    ]
    (statement,) = [index for index in entries["GlobalSecondaryIndexes"] if index["IndexName"] == "by_sub_account"]

    assert statement["Projection"]["ProjectionType"] == "INCLUDE"
    shown = statement["Projection"]["NonKeyAttributes"]
    assert "sub_account_leg" in shown
    assert not [name for name in shown if "workspace" in name or "cost" in name]


def test_the_same_sources_give_the_same_zip(sources: Path, built: Path, tmp_path: Path) -> None:
    package(tmp_path / "again", STAGE, sources, requirements=False)

    assert (tmp_path / "again" / "deployment.zip").read_bytes() == (built / "deployment.zip").read_bytes()


def test_the_zip_brings_its_bytecode(built: Path) -> None:
    with zipfile.ZipFile(built / "deployment.zip") as packaged:
        names = set(packaged.namelist())

    modules = [Path(name) for name in names if name.endswith(".py")]
    tag = sys.implementation.cache_tag
    assert [str(path) for path in modules if f"{path.parent / '__pycache__' / path.stem}.{tag}.pyc" not in names] == []


def wanted() -> list[Requirement]:
    """What requirements.txt names; Chalice's runtime is put into the zip by Chalice itself."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [each for each in found if each.name != "chalice"]


def test_the_lock_names_all_that_the_requirements_need_and_nothing_else() -> None:
    pinned = locked(ROOT / LOCK_FILE)

    assert set(pinned) == with_what_they_require({canonicalize_name(each.name) for each in wanted()})
    assert [str(each) for each in wanted() if pinned[canonicalize_name(each.name)] not in each.specifier] == []


def test_the_lock_names_what_the_tests_run_with() -> None:
    assert {name: importlib.metadata.version(name) for name in locked(ROOT / LOCK_FILE)} == locked(ROOT / LOCK_FILE)


def test_every_package_of_the_lock_has_its_hashes() -> None:
    pins = (ROOT / LOCK_FILE).read_text().replace("\\\n", " ").splitlines()

    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+ *", pin)] == []


def test_another_version_than_the_locks_is_not_packaged(sources: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(sources, tmp_path / "changed")
    lock = (changed / LOCK_FILE).read_text()
    (changed / LOCK_FILE).write_text(re.sub("^pyjwt==.*? ", "pyjwt==2.0.0 ", lock, flags=re.M))

    with pytest.raises(PackageError, match=r"pyjwt is \S+ here and 2.0.0 in requirements.lock"):
        package(tmp_path / "build", STAGE, changed, offline=True)


def test_whatever_the_application_imports_comes_with_the_requirements() -> None:
    """Also the imports inside functions, which starting the application does not try."""
    distributions = importlib.metadata.packages_distributions()
    packaged = locked(ROOT / LOCK_FILE).keys() | {"chalice"}
    files = [ROOT / "app.py", *(ROOT / "chalicelib").rglob("*.py")]

    imported = {module for source in files for module in imports(ast.parse(source.read_text()))}

    foreign = imported - sys.stdlib_module_names - {"chalicelib"}
    missing = [
        module for module in foreign if not {canonicalize_name(name) for name in distributions[module]} & packaged
    ]
    assert missing == []


def imports(node: ast.AST) -> Iterator[str]:
    """The packages that are imported when the code runs; what only the type checker reads is left out."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (name.name.partition(".")[0] for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def test_every_service_that_the_code_asks_for_is_in_the_zip() -> None:
    asked = {
        str(node.args[0].value)
        for source in (ROOT / "chalicelib").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("client", "create_client")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }

    # pynamodb asks for dynamodb by itself, Powertools for ssm.
    assert asked == {"sqs", "sesv2"}
    assert asked | {"dynamodb", "ssm"} <= SERVICES


def with_what_they_require(names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        required = [Requirement(line) for line in importlib.metadata.requires(name) or []]
        waiting += [canonicalize_name(each.name) for each in required if not each.marker or each.marker.evaluate()]
    return found
