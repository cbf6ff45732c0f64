"""Builds what CloudFormation deploys: ``sam.json`` and ``deployment.zip``, the same bytes for the same sources.

Chalice packages our own code, on a clean copy. The packages of ``requirements.lock`` are put beside it, each held
against its hash; what no function needs is left out, and the bytecode that Chalice leaves out is put in.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath

from local.template import REGION, RESOURCES_FILE

ROOT = RESOURCES_FILE.parent.parent
LOCK_FILE = "requirements.lock"
LAMBDA_FOLDER = "/var/task"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644

# The wheels of what AWS runs, wherever this runs; Chalice names the runtime after this interpreter's version.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")

# botocore brings the descriptions of some 400 services, two thirds of the whole zip. We call these.
SERVICES = frozenset({"dynamodb", "sesv2", "sqs", "ssm", "sts"})
# Beside the services lie files that are for all of them, and these are kept: only folders are services.
SERVICE_FOLDERS = ("botocore/data", "boto3/data")
# What an installer writes for itself: paths and times of this machine, so that two builds would differ.
INSTALLERS_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


class PackageError(RuntimeError):
    """Something refused to be packaged; the message is what was said."""


def package(
    build: Path, stage: str = "dev", source: Path = ROOT, requirements: bool = True, offline: bool = False
) -> None:
    """Package the application into the build folder.

    Without requirements the zip holds our own code alone: for MiniStack, whose Lambdas see this interpreter's packages.
    Offline, what is installed here is taken instead of being downloaded; it must be what the lock names.

    Raises:
        PackageError: Chalice or pip refused, or what is installed here is not what the lock names.
    """
    with tempfile.TemporaryDirectory(prefix="rebill-package-") as folder:
        project, contents = Path(folder) / "project", Path(folder) / "contents"
        shutil.rmtree(build, ignore_errors=True)
        if requirements:
            (_copy_installed if offline else _install)(source / LOCK_FILE, contents)
            _leave_out(contents)
        _copy_sources(source, project)
        _chalice_package(project, build.absolute(), stage)
        with zipfile.ZipFile(build / "deployment.zip") as packaged:
            packaged.extractall(contents)
        _write_zip(contents, build / "deployment.zip")


def locked(lock: Path) -> dict[str, str]:
    """What the lock names: a package's name -> its version."""
    pins = (line.removesuffix(" \\").split("==") for line in lock.read_text().splitlines() if line[:1].isalnum())
    return dict(pins)


def _copy_sources(source: Path, project: Path) -> None:
    """Only what is packaged: no caches of an earlier build, and no file that another engineer is just writing."""
    left_out = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    for folder in ("chalicelib", ".chalice"):
        shutil.copytree(source / folder, project / folder, ignore=left_out)
    shutil.copy(source / "app.py", project)
    # Chalice would install these by itself, without a look at a hash: it finds none, and packages our code alone.
    (project / "requirements.txt").touch()


def _chalice_package(project: Path, build: Path, stage: str) -> None:
    """Chalice imports the application; the region must be named, though nothing is asked of AWS."""
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "--project-dir", str(project), "package"]
    command += ["--stage", stage, "--merge-template", str(RESOURCES_FILE), str(build)]
    _run(command, os.environ | {"AWS_DEFAULT_REGION": REGION, "REBILL_STAGE": stage})


def _install(lock: Path, contents: Path) -> None:
    """Download the wheels for AWS, and refuse whatever is not what the lock was made with."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--requirement", str(lock), "--target", str(contents), "--no-compile"]
    command += [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={sys.version_info[0]}.{sys.version_info[1]}",
    ]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    _run(command, dict(os.environ))


def _copy_installed(lock: Path, contents: Path) -> None:
    for name, version in locked(lock).items():
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            raise PackageError(f"{name} is not installed here.") from None
        if installed.version != version:
            raise PackageError(f"{name} is {installed.version} here and {version} in {lock.name}: see `make lock`.")
        for file in installed.files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts and not _of_another_service(file):
                (contents / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(installed.locate_file(file)), contents / file)


def _of_another_service(file: PurePath) -> bool:
    """Most of botocore's files would be copied only to be left out."""
    folder, service = file.parts[:2], file.parts[2:3]
    return len(file.parts) > 3 and "/".join(folder) in SERVICE_FOLDERS and service[0] not in SERVICES


def _leave_out(contents: Path) -> None:
    shutil.rmtree(contents / "bin", ignore_errors=True)  # commands, with this machine's path in their first line
    for folder in SERVICE_FOLDERS:
        for service in (contents / folder).iterdir():
            if service.is_dir() and service.name not in SERVICES:
                shutil.rmtree(service)
    for notes in contents.glob("*.dist-info"):
        for name in INSTALLERS_NOTES:
            (notes / name).unlink(missing_ok=True)


def _write_zip(contents: Path, archive: Path) -> None:
    """Add bytecode, which takes a second off every cold start, and write the zip without anything that varies."""
    # Unchecked: the file system of a Lambda has other times than ours. The paths in tracebacks are a Lambda's.
    compile_all = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    # Beside the sources, wherever this machine keeps its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"}
    command = [*compile_all, "-s", str(contents), "-p", LAMBDA_FOLDER, str(contents)]
    subprocess.run(command, env=environment, check=False)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as rebuilt:
        for path in sorted(path for path in contents.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(contents).as_posix(), ZIP_EPOCH)
            entry.external_attr = FILE_MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            rebuilt.writestr(entry, path.read_bytes())


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise PackageError(done.stdout + done.stderr)


def main() -> None:
    """``python -m local.package BUILD_FOLDER STAGE``."""
    build, stage = Path(sys.argv[1]), sys.argv[2]
    package(build, stage)
    size = (build / "deployment.zip").stat().st_size
    print(f"{build}/sam.json and {build}/deployment.zip ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
