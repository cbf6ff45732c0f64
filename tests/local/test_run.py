"""`make run` as a person starts it: one command, and calls move wallets, until Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call
from tests.ops.commands import refused

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "local.run"]


def eventually(look: Callable[[], Any], seconds: float) -> Any:
    """What `look` answers once it is something, or whatever it answers at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@dataclass
class Product:
    """One running product, as another program finds it."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    started_at: float
    found: dict[str, Any]

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.found['api_key']}"}
        with httpx.Client(base_url=self.found["base_url"], headers=headers, trust_env=False, verify=False) as client:
            return client.get(path).raise_for_status().json()

    @property
    def output(self) -> str:
        return (self.folder / "out").read_text()

    def children(self) -> list[int]:
        lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in lines.splitlines()]
        return [pid for pid, parent in pairs if parent == self.process.pid]

    def entries(self, kind: str, owner_id: str) -> list[Any]:
        entries: list[Any] = self.get(f"/v1/{kind}/{owner_id}/wallet/entries?limit=100")["data"]
        return entries

    def usage(self) -> list[Any]:
        """What the first workspace's calls have cost it so far, newest first."""
        found = self.entries("workspaces", self.found["workspaces"][0]["id"])
        return [entry for entry in found if entry["kind"] == "usage"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PORT": "0", "REBILL_HOME": str(folder), **more}


@contextmanager
def running(folder: Path, **more: str) -> Iterator[Product]:
    """The product, piped into a file, once its `.run.json` is there."""
    started_at = time.time()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(COMMAND, cwd=ROOT, env=environment(folder, **more), stdout=out, stderr=out)
    try:
        run_file = folder / ".run.json"
        assert eventually(run_file.exists, seconds=15), (folder / "out").read_text()
        yield Product(process, folder, started_at, json.loads(run_file.read_text()))
    finally:
        process.terminate()
        process.wait(15)


@dataclass(frozen=True)
class Ended:
    """What there was while the first run in a folder lasted, and what was left of it after Ctrl-C."""

    found: dict[str, Any]
    posted: set[str]
    children: list[int]
    code: int
    output: str
    left: list[Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ended(home: Path) -> Ended:
    """The first run in a folder, until a call was paid for."""
    with running(home) as product:
        posted = {entry["id"] for entry in eventually(product.usage, seconds=60)}
        children = product.children()
        product.process.send_signal(signal.SIGINT)
        code = product.process.wait(10)
        left = [path for path in (*(Path(f"/proc/{pid}") for pid in children), home / ".run.json") if path.exists()]
        return Ended(product.found, posted, children, code, product.output, left)


@pytest.fixture(scope="module")
def again(ended: Ended, home: Path) -> Iterator[tuple[Product, set[str]]]:
    """The next run there, and what was posted when it had just begun."""
    with running(home) as product:
        yield product, {entry["id"] for entry in product.usage()}


@pytest.fixture(scope="module")
def product(again: tuple[Product, set[str]]) -> Product:
    return again[0]


def test_ctrl_c_ends_every_process_and_the_next_run_goes_on_from_there(
    ended: Ended, again: tuple[Product, set[str]]
) -> None:
    assert ended.code == 0
    assert len(ended.children) == 1
    assert ended.left == []
    assert ended.output.endswith("goes on from here.\n")

    product, posted = again
    assert product.found["api_key"] == ended.found["api_key"]
    assert product.found["workspaces"] == ended.found["workspaces"]
    assert ended.posted
    assert ended.posted <= posted


def test_wallets_move_by_themselves_and_the_lines_say_so(product: Product, ended: Ended) -> None:
    assert eventually(lambda: [entry for entry in product.usage() if entry["id"] not in ended.posted], seconds=60)
    assert eventually(lambda: re.search(r"Bright Dental +-\d+\.\d{4}", product.output), seconds=60), product.output
    assert "\x1b" not in product.output


def test_a_call_is_an_entry_of_both_wallets(product: Product) -> None:
    clients = {client["id"] for client in product.found["workspaces"][0]["sub_accounts"]}
    paid_by_both = eventually(lambda: [e for e in product.usage() if e["sub_account"] in clients], seconds=60)[-1]

    own = product.entries("sub-accounts", paid_by_both["sub_account"])

    (same,) = [entry for entry in own if entry["usage"] and entry["usage"]["id"] == paid_by_both["usage"]["id"]]
    assert float(paid_by_both["amount"]) < 0
    assert float(same["amount"]) < float(paid_by_both["amount"]) < 0


def test_every_platforms_address_takes_a_signed_call_and_both_wallets_pay(product: Product) -> None:
    calls = {}
    for name, endpoint in product.found["voice_endpoints"].items():
        platform, call = PLATFORMS[name], Call(endpoint["agent_id"], talk_seconds=60)
        body = platform.deliveries(call)[{"retell": 1}.get(name, -1)]
        headers = {"Content-Type": platform.CONTENT_TYPE, **platform.sign(body, endpoint["secret"], endpoint["url"])}
        with httpx.Client(trust_env=False, verify=False) as client:
            answer = client.post(endpoint["url"], content=body, headers=headers).raise_for_status()
        (event,) = answer.json()["data"]
        calls[name] = f"/v1/usage-events/{event['source']}/{event['id']}"

    def charges() -> list[Any]:
        events = [product.get(path) for path in calls.values()]
        return [event["charges"] for event in events] if all(e["status"] == "posted" for e in events) else []

    assert set(calls) == set(PLATFORMS)
    found = [(c["workspace"]["amount"], c["sub_account"]["amount"]) for c in eventually(charges, seconds=60)]
    assert found == [("0.070000", "0.150000")] * len(PLATFORMS)


def test_an_operators_commands_find_the_product_in_its_folder(product: Product) -> None:
    command = [sys.executable, "-m", "ops", "--home", "dlq", "list"]

    found = subprocess.run(
        command, cwd=ROOT, env=environment(product.folder), capture_output=True, text=True, check=False, timeout=30
    )

    assert found.stdout.startswith("0 messages"), found.stderr


def test_where_nothing_runs_an_operators_commands_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REBILL_HOME", str(tmp_path))

    assert "Nothing runs at home" in refused("--home", "dlq", "list")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer rbk_x"}])
def test_an_unknown_address_is_a_404_problem_as_in_aws(product: Product, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{product.found['base_url']}/nothing/here", headers=headers, trust_env=False, verify=False)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"
    assert answer.headers["X-Request-Id"] == answer.json()["request_id"]


def test_a_second_run_on_the_same_folder_is_refused_in_one_line(product: Product) -> None:
    second = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(product.folder), capture_output=True, text=True, check=False
    )

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"process {product.process.pid}" in second.stderr
    assert product.get("/healthz")["status"] == "ok"


def test_a_port_that_is_taken_is_said_so_in_one_line(product: Product, tmp_path: Path) -> None:
    port = product.found["base_url"].rpartition(":")[2]

    refused = subprocess.run(
        COMMAND, cwd=ROOT, env=environment(tmp_path, PORT=port), capture_output=True, text=True, check=False
    )

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"Port {port}" in refused.stderr
