"""A small world for stories: the app as its callers reach it, its queue, and a clock that tests may set.

The queue is drained through the very handler that AWS calls, so a story runs from the HTTP door to the wallets.
"""

import json
from dataclasses import dataclass
from typing import Any

from chalice.config import Config
from chalice.local import LocalChalice, LocalGateway

from app import app, post_usage_batch
from chalicelib.flows import authenticate
from chalicelib.settings import _parameter_store, settings
from tests.aws import aws, delete_messages, take_messages

SESSION_SECRET = "what sessions are signed with in tests"

app.__class__ = LocalChalice  # a request belongs to its thread


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def give_session_secret() -> None:
    """Put what sessions are signed with where the product looks for it."""
    path = f"/rebill/{settings().stage}/dashboard/session-secret"
    aws("ssm").put_parameter(Name=path, Value=SESSION_SECRET, Type="SecureString", Overwrite=True)
    _parameter_store().clear_cache()


class World:
    """One platform, with its API key, on an empty store."""

    def __init__(self) -> None:
        authenticate.forget_trusted_keys()
        give_session_secret()
        self.api_key = authenticate.issue_api_key("the platform's")
        self.asked = 0  # how many requests there were
        self._gateway = LocalGateway(app, Config(config_from_disk={"lambda_timeout": 29}))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = "",
    ) -> Answer:
        """Call a route; `key` is the world's own unless another (or None) is given."""
        sent = {"host": "rebill.example", "x-forwarded-proto": "https", "content-type": "application/json"}
        if key is not None:
            sent["authorization"] = f"Bearer {key or self.api_key}"
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        payload = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        self.asked += 1
        answer = self._gateway.handle_request(method, path, sent, payload)
        found = {**answer["headers"], **{name: values[-1] for name, values in answer["multiValueHeaders"].items()}}
        return Answer(answer["statusCode"], {name.lower(): value for name, value in found.items()}, answer["body"])

    def get(self, path: str, expect: int = 200) -> Any:
        return self._expected(self.call("GET", path), expect)

    def post(self, path: str, body: Any, expect: int = 201, **more: Any) -> Any:
        return self._expected(self.call("POST", path, body, **more), expect)

    def put(self, path: str, body: Any = None, expect: int = 200) -> Any:
        return self._expected(self.call("PUT", path, body), expect)

    def _expected(self, answer: Answer, expect: int) -> Any:
        assert answer.status == expect, f"{answer.status}: {answer.text}"
        return answer.json

    def workspace(self, **more: Any) -> str:
        body = {"name": "Acme Voice", "currency": "usd", "owner_email": "owner@acme.example", **more}
        workspace_id: str = self.post("/v1/workspaces", body)["id"]
        return workspace_id

    def sub_account(self, workspace_id: str, price: str | None = None, **more: Any) -> str:
        """A client; re-billed at `price` a minute if there is one."""
        made = self.post(f"/v1/workspaces/{workspace_id}/sub-accounts", {"name": "Bright Dental", **more})
        sub_account_id: str = made["id"]
        if price is not None:
            self.rebill(sub_account_id, price)
        return sub_account_id

    def rebill(self, sub_account_id: str, price: str | None) -> None:
        """Turn re-billing on at a fixed price a minute, or off."""
        voice = {"enabled": True, "price_type": "fixed", "price_per_minute": price}
        body = {"enabled": False} if price is None else {"enabled": True, "voice": voice}
        self.put(f"/v1/sub-accounts/{sub_account_id}/rebilling", body)
        self.drain()  # a new price has the events looked at again that waited for one: none did

    def credit(self, owner_id: str, amount: str, key: str = "first") -> Any:
        kind = "workspaces" if owner_id.startswith("ws_") else "sub-accounts"
        body = {"amount": amount, "note": "paid by bank transfer"}
        return self.post(f"/v1/{kind}/{owner_id}/wallet/credits", body, headers={"Idempotency-Key": key})

    def balance(self, owner_id: str) -> str:
        balance: str = self.wallet(owner_id)["balance"]
        return balance

    def wallet(self, owner_id: str) -> Any:
        kind = "workspaces" if owner_id.startswith("ws_") else "sub-accounts"
        return self.get(f"/v1/{kind}/{owner_id}/wallet")

    def entries(self, owner_id: str) -> list[Any]:
        kind = "workspaces" if owner_id.startswith("ws_") else "sub-accounts"
        found: list[Any] = self.get(f"/v1/{kind}/{owner_id}/wallet/entries?limit=100")["data"]
        return found

    def endpoint(self, workspace_id: str, provider: str, secret: str | None = None) -> Any:
        body = {"provider": provider} | ({"secret": secret} if secret else {})
        return self.post(f"/v1/workspaces/{workspace_id}/voice-endpoints", body)

    def report(self, event: Any, expect: int = 202) -> Any:
        """Report one CloudEvent, or a list of them, over the API."""
        return self.post("/v1/usage-events", event, expect)

    def usage(self, source: str, event_id: str) -> Any:
        return self.get(f"/v1/usage-events/{source}/{event_id}")

    def messages(self, queue: str = "") -> list[dict[str, Any]]:
        """Take up to ten messages from the usage queue (or from the one with this suffix)."""
        return take_messages(settings().usage_queue + queue)

    def drain(self, most_rounds: int = 200) -> list[str]:
        """Hand everything that is on the queue to its handler, as Lambda does; answers the ids that failed."""
        failed: list[str] = []
        for _ in range(most_rounds):
            taken = self.messages()
            if not taken:
                return failed
            failed += self.handle(taken)
        raise AssertionError("the queue never became empty")

    def handle(self, taken: list[dict[str, Any]]) -> list[str]:
        """Hand these messages to the handler; what it does not report as failed is deleted."""
        refused = handle_batch([(message["MessageId"], message["Body"]) for message in taken])
        delete_messages(settings().usage_queue, [each for each in taken if each["MessageId"] not in refused])
        return refused


class Context:
    """As much of a Lambda's context as the handler looks at."""

    aws_request_id = "test"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def handle_batch(messages: list[tuple[str, str]]) -> list[str]:
    """Call the queue's handler with these (id, body) pairs; answers the ids that it wants to see again."""
    records = [{"messageId": message_id, "body": body, "receiptHandle": "-"} for message_id, body in messages]
    answer = post_usage_batch({"Records": records}, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
