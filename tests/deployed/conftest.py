"""What would go to AWS, packaged from these sources and deployed on a MiniStack of its own, once for each file.

So the tests here are few, and each says many things: tests are handed out one by one, and a stage takes a while.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.package import package
from local.stage import Stage, standing
from tests.packaged import once_a_run


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once_a_run(tmp_path_factory, "whole", lambda folder: package(folder, offline=True))


@pytest.fixture(scope="module")
def stage(build: Path) -> Iterator[Stage]:
    with standing(build) as stage:
        yield stage


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-right", action="store_true", help="Take every statement out of every role, one by one.")
