"""The running product, as `make run` starts it: empty, in a folder of its own, on a port of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_START, SECONDS_TO_HAPPEN = 30.0, 30.0
VOICE_PLATFORM, MINUTES = "retell", 4
VOICE_SIGNING = {"provider": VOICE_PLATFORM, "secret": PLATFORMS[VOICE_PLATFORM].new_secret()}


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` answers once it is something, or whatever it answers when half a minute is over."""
    deadline = time.monotonic() + SECONDS_TO_HAPPEN
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


class Product:
    """The voice platform's side of it: the API with the platform's key, and the webhooks of calls."""

    def __init__(self, found: dict[str, Any], folder: Path) -> None:
        self.base_url, self.stripe_url, self.folder = found["base_url"], found["stripe_url"], folder
        headers = {"Authorization": f"Bearer {found['api_key']}"}
        self._api = httpx.Client(base_url=self.base_url, headers=headers, timeout=20, trust_env=False)
        self._webhooks = httpx.Client(timeout=20, trust_env=False)

    def close(self) -> None:
        self._api.close()
        self._webhooks.close()

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Any answer of the API, a refusal too."""
        return self._api.request(method, path, json=body, headers={"Idempotency-Key": str(uuid4())})

    def get(self, path: str) -> Any:
        return self.ask("GET", path).raise_for_status().json()

    def make(self, path: str, body: Any, method: str = "POST") -> Any:
        """What was made or changed."""
        answer = self.ask(method, path, body)
        assert answer.is_success, answer.text
        return answer.json()

    def link_for(self, email: str, account: str) -> str:
        """The platform has signed this person in: the one-time address that lets them into the dashboard."""
        kind = "workspace" if account.startswith("ws_") else "sub_account"
        return str(self.make("/v1/dashboard-sessions", {"email": email, kind: account})["url"])

    def new_stripe_account(self, name: str) -> str:
        """One more account at the pretend Stripe that can be connected; its name."""
        made = self._webhooks.post(f"{self.stripe_url}/_control/add_account", json={"name": name}).raise_for_status()
        return str(made.json()["result"]["settings"]["dashboard"]["display_name"])

    def gate(self, sub_account: str) -> httpx.Response:
        """May this client's next call start?"""
        return self.ask("GET", f"/v1/sub-accounts/{sub_account}/access")

    def balance(self, owner: str) -> str:
        kind = "workspaces" if owner.startswith("ws_") else "sub-accounts"
        return str(self.get(f"/v1/{kind}/{owner}/wallet")["balance"])

    def calls_arrive(self, endpoint: dict[str, str], *agent_ids: str) -> None:
        """A call of four minutes of each agent, signed as the voice platform signs it; posted when this returns."""
        events = [self._reported(endpoint, agent_id) for agent_id in agent_ids]
        paths = [f"/v1/usage-events/{event['source']}/{event['id']}" for event in events]
        assert eventually(lambda: all(self.get(path)["status"] == "posted" for path in paths))

    def _reported(self, endpoint: dict[str, str], agent_id: str) -> Any:
        # A call is billed as agreed when it was answered, and here that was a moment ago. The platform's clock may run
        # five minutes ahead of ours: so four minutes can be over by now.
        answered_at_ms = time.time_ns() // 1_000_000
        call = Call(agent_id, 60 * MINUTES, ended_at_ms=answered_at_ms + 60_000 * MINUTES)
        platform = PLATFORMS[VOICE_PLATFORM]
        body = platform.deliveries(call)[1]
        headers = {"Content-Type": platform.CONTENT_TYPE}
        headers |= platform.sign(body, endpoint["secret"], endpoint["url"])
        answer = self._webhooks.post(endpoint["url"], content=body, headers=headers).raise_for_status()
        (event,) = answer.json()["data"]
        return event


@contextmanager
def running(folder: Path) -> Iterator[Product]:
    """The product, from when it answers until nobody needs it any more."""
    environment = {**os.environ, "PORT": "0", "DEMO": "0", "REBILL_HOME": str(folder)}
    with (folder / "out").open("wb") as out:
        command = [sys.executable, "-m", "tests.browser.quick_clock"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    product = None
    try:
        run_file, deadline = folder / ".run.json", time.monotonic() + SECONDS_TO_START
        while not run_file.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert run_file.exists(), (folder / "out").read_text()
        product = Product(json.loads(run_file.read_text()), folder)
        yield product
    finally:
        if product:
            product.close()
        process.terminate()
        process.wait(15)
