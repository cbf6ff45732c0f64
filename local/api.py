"""Rebill's API as the voice platform calls it: over HTTP, with the API key."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

TIMEOUT_SECONDS = 5.0
PAYMENT_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: Any


class Api:
    """A caller of its own: it keeps its connection, and never goes through a proxy."""

    def __init__(self, base_url: str, api_key: str = "") -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)
        self._keyless = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._keyless.close()

    def get(self, path: str) -> Any:
        """The answer's JSON; anything but a success raises."""
        return self._client.get(path).raise_for_status().json()

    def ask(self, path: str) -> Reply:
        """Any answer, a refusal too."""
        answer = self._client.get(path)
        return Reply(answer.status_code, answer.json())

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        """Any answer to something new, a refusal too."""
        answer = self._client.post(path, json=body, headers=headers, timeout=PAYMENT_TIMEOUT_SECONDS)
        return Reply(answer.status_code, answer.json())

    def put(self, path: str) -> None:
        """A change without a body; anything but a success raises."""
        self._client.put(path).raise_for_status()

    def change(self, path: str, body: Any) -> Reply:
        """Any answer to a change, a refusal too."""
        answer = self._client.put(path, json=body, timeout=PAYMENT_TIMEOUT_SECONDS)
        return Reply(answer.status_code, answer.json())

    def credit(self, owner_id: str, amount: str, note: str) -> None:
        """Add balance to a wallet."""
        kind = "workspaces" if owner_id.startswith("ws_") else "sub-accounts"
        headers = {"Idempotency-Key": str(uuid4())}
        body = {"amount": amount, "note": note}
        path = f"/v1/{kind}/{owner_id}/wallet/credits"
        self._client.post(path, json=body, headers=headers).raise_for_status()

    def deliver(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Send a webhook, as a voice platform does: without the key, signed in its headers."""
        self._keyless.post(url, content=body, headers=headers).raise_for_status()
