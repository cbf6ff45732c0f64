"""The package without the packages of `requirements.lock`, made once for a whole run: every worker reads the same.

`conftest.py` names this file a plugin: its fixtures are every test's.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.package import LOCK_FILE, ROOT, package

STAGE = "dev"


def once_a_run(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that the first to ask for has made; the others wait for it. Nobody changes what is in it."""
    run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent  # a worker's own folder lies in that of the run
    folder, made = run / name, run / f"{name}.made"
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(folder)
            made.touch()
    return folder


def _copy_sources(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # of somebody who has not come to its end
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("app.py", LOCK_FILE):
        shutil.copy(ROOT / name, folder)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, as whoever edits a file during the run would make two packages differ."""
    return once_a_run(tmp_path_factory, "sources", _copy_sources)


@pytest.fixture(scope="session")
def built(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once_a_run(tmp_path_factory, "build", lambda folder: package(folder, STAGE, sources, requirements=False))


@pytest.fixture(scope="session")
def template(built: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((built / "sam.json").read_text())
    return loaded


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: item for name, item in template["Resources"].items() if item["Type"] == kind}
