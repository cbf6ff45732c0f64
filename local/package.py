"""Builds what CloudFormation deploys: ``sam.json`` and ``deployment.zip``, the same bytes for the same sources.

Chalice does the packaging, on a clean copy; afterwards the zip gets the bytecode that Chalice leaves out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from local.template import REGION, RESOURCES_FILE

ROOT = RESOURCES_FILE.parent.parent
LAMBDA_FOLDER = "/var/task"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644


class PackageError(RuntimeError):
    """Chalice refused to package; the message is what it said."""


def package(build: Path, stage: str = "dev", source: Path = ROOT, requirements: bool = True) -> None:
    """Package the application into the build folder.

    Without requirements the zip holds our own code alone: for MiniStack, whose Lambdas see this interpreter's packages.
    """
    with tempfile.TemporaryDirectory(prefix="rebill-package-") as folder:
        project = Path(folder) / "project"
        _copy_sources(source, project, requirements)
        shutil.rmtree(build, ignore_errors=True)
        _chalice_package(project, build.absolute(), stage)
        _rebuild_zip(build / "deployment.zip", Path(folder) / "contents")


def _copy_sources(source: Path, project: Path, requirements: bool) -> None:
    """Only what is packaged: no caches of an earlier build, and no file that another engineer is just writing."""
    left_out = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    for folder in ("chalicelib", ".chalice"):
        shutil.copytree(source / folder, project / folder, ignore=left_out)
    shutil.copy(source / "app.py", project)
    wanted = (source / "requirements.txt").read_text().splitlines() if requirements else []
    # Chalice puts its runtime into every zip by itself; named here, it would bring pip, setuptools and its prompts too.
    (project / "requirements.txt").write_text("\n".join(line for line in wanted if not line.startswith("chalice==")))


def _chalice_package(project: Path, build: Path, stage: str) -> None:
    """Chalice imports the application; the region must be named, though nothing is asked of AWS."""
    # What our requirements require in turn has no version there: take the ones that the tests ran with.
    constraints = project / "constraints.txt"
    constraints.write_text("".join(f"{found.name}=={found.version}\n" for found in distributions()))
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "--project-dir", str(project), "package"]
    command += ["--stage", stage, "--merge-template", str(RESOURCES_FILE), str(build)]
    environment = os.environ | {"AWS_DEFAULT_REGION": REGION, "REBILL_STAGE": stage, "PIP_CONSTRAINT": str(constraints)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise PackageError(done.stdout + done.stderr)


def _rebuild_zip(archive: Path, contents: Path) -> None:
    """Add bytecode, which takes a second off every cold start, and write the zip without anything that varies."""
    with zipfile.ZipFile(archive) as packaged:
        packaged.extractall(contents)
    # Unchecked: the file system of a Lambda has other times than ours. The paths in tracebacks are a Lambda's.
    compile_all = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compile_all, "-s", str(contents), "-p", LAMBDA_FOLDER, str(contents)], check=False)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as rebuilt:
        for path in sorted(path for path in contents.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(contents).as_posix(), ZIP_EPOCH)
            entry.external_attr = FILE_MODE << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            rebuilt.writestr(entry, path.read_bytes())


def main() -> None:
    """``python -m local.package BUILD_FOLDER STAGE``."""
    build, stage = Path(sys.argv[1]), sys.argv[2]
    package(build, stage)
    size = (build / "deployment.zip").stat().st_size
    print(f"{build}/sam.json and {build}/deployment.zip ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
