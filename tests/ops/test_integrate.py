"""docs/integrate.md as its reader goes through it: every line of it in one shell, against the running product."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.test_run import Product, running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrate.md"
BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CUT = "=== the next block ==="
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product at home, without its demo."""
    with running(tmp_path_factory.mktemp("home"), DEMO="0") as product:
        yield product


def test_without_a_demo_the_product_at_home_starts_empty(product: Product) -> None:
    assert product.found["workspaces"] == []
    assert product.found["voice_endpoints"] == {}
    assert product.get("/healthz")["status"] == "ok"


@pytest.mark.skipif(not shutil.which("curl"), reason="this machine has no curl to run the page's lines with")
def test_every_line_of_the_first_hour_does_what_the_page_says(product: Product, tmp_path: Path) -> None:
    steps = _steps(PAGE.read_text())
    assert len(steps) >= 10
    script = "set -euo pipefail\n" + f"\necho '{CUT}'\n".join(block for block, _ in steps)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # its python3 may be one of many here
    environment = {"PATH": path, "API": product.found["base_url"], "KEY": product.found["api_key"]}

    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout.split(f"{CUT}\n")
    for (block, promised), answer in zip(steps, said, strict=True):
        for line in promised:
            assert re.search(_pattern(line), answer), f"{block}\nanswered {answer!r}, without {line!r}"
    assert list(tmp_path.iterdir()) == []


def test_a_promise_that_is_not_kept_would_be_seen() -> None:
    assert re.search(_pattern("19.895000"), '{"balance": "19.995000"}') is None
    assert re.search(_pattern('"allowed": true, "max_seconds": 3600'), '{"allowed":true,"max_seconds":3600}')
    assert re.search(_pattern("ws_..."), "ws_") is None


def _steps(page: str) -> list[tuple[str, list[str]]]:
    """Each block of commands, with the lines that the page promises for it."""
    steps: list[tuple[str, list[str]]] = []
    for language, text in BLOCK.findall(page):
        if language == "bash":
            steps.append((text, []))
        else:
            steps[-1][1].extend(text.splitlines())
    return steps


def _pattern(line: str) -> str:
    """The line as it may be written: spaces of JSON do not matter, and `...` is something."""
    return r"\s*".join(re.escape(word) for word in line.split()).replace(r"\.\.\.", r"\S+").replace(":", r":\s*")
