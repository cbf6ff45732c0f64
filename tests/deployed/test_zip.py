"""The whole zip is enough for an interpreter that sees nothing else: a Lambda has nothing besides it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.package import ROOT, SERVICES
from tests.packaged import STAGE


@pytest.fixture(scope="module")
def unzipped(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, with what is installed here in place of what would be downloaded."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(build / "deployment.zip") as packaged:
        packaged.extractall(folder)
    return folder


def run_alone(folder: Path, program: str) -> str:
    """What a program says that sees the unzipped folder, the standard library and nothing else."""
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(folder)!r})\n{program}"],
        capture_output=True,
        text=True,
        env={"AWS_DEFAULT_REGION": "us-east-1", "REBILL_STAGE": STAGE},
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


def test_the_zip_alone_is_enough_for_every_module_of_ours(unzipped: Path) -> None:
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "chalicelib").rglob("*.py")]
    modules = [name.removesuffix(".__init__") for name in modules]

    said = run_alone(
        unzipped, f"import app, importlib\nfor name in {modules}: importlib.import_module(name)\nprint('well')"
    )

    assert said == "well"


def test_the_zip_alone_is_enough_for_every_service_that_we_call(unzipped: Path) -> None:
    """The descriptions of all other services are left out; those that boto3 needs to find an endpoint are not."""
    program = f"""
import boto3
for service in {sorted(SERVICES)}:
    print(boto3.client(service).meta.endpoint_url)
"""
    assert run_alone(unzipped, program).splitlines() == [
        "https://dynamodb.us-east-1.amazonaws.com",
        "https://email.us-east-1.amazonaws.com",
        "https://sqs.us-east-1.amazonaws.com",
        "https://ssm.us-east-1.amazonaws.com",
        "https://sts.us-east-1.amazonaws.com",
    ]
    assert {path.name for path in (unzipped / "botocore" / "data").iterdir() if path.is_dir()} == SERVICES
