"""The platforms' own lists of calls, pretended: Vapi's `GET /call` and Retell's `POST /v3/list-calls`, over HTTP.

They list whatever call was made, whether or not its webhook arrived anywhere, to whoever has the account's API key.
"""

import json
from collections import defaultdict, deque
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from local.voice_platform import retell, vapi
from local.voice_platform.call import Call

HOST = "127.0.0.1"
MOST_REMEMBERED = 5_000
USUAL_VAPI, MOST_VAPI = 100, 1_000
USUAL_RETELL, MOST_RETELL = 50, 1_000

Account = tuple[str, str]  # a platform and an API key of it


@dataclass(frozen=True)
class Listed:
    """A call as its platform knows it; one that is running has no end yet."""

    call: Call
    running: bool = False


class CallLists:
    """All accounts at both platforms, from the moment it is entered on. `url` is without a platform's name."""

    def __init__(self) -> None:
        self._calls: dict[Account, deque[Listed]] = defaultdict(lambda: deque(maxlen=MOST_REMEMBERED))
        self._http = ThreadingHTTPServer((HOST, 0), _Handler)
        self._http.daemon_threads = True
        self._http.lists = self  # type: ignore[attr-defined]  # how the handler finds it
        self.url = f"http://{HOST}:{self._http.server_address[1]}"
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def addresses(self) -> dict[str, str]:
        """What the product finds them by."""
        return {f"REBILL_{name.upper()}_API_ADDRESS": f"{self.url}/{name}" for name in ("vapi", "retell")}

    def open_account(self, platform: str, api_key: str) -> None:
        """Let an API key in."""
        self._calls[platform, api_key].extend(())

    def remember(self, platform: str, api_key: str, call: Call, running: bool = False) -> None:
        """A call was made on an account, or is being made."""
        self._calls[platform, api_key].append(Listed(call, running))

    def answer(self, platform: str, api_key: str, request: str, body: Any) -> tuple[HTTPStatus, Any]:
        """What a platform answers to one request."""
        parts = urlsplit(request)
        self.asked.append(request)
        if (platform, api_key) not in self._calls:
            return HTTPStatus.UNAUTHORIZED, {"message": "Invalid Key", "error": "Unauthorized", "statusCode": 401}
        known = list(self._calls[platform, api_key])
        if (platform, parts.path) == ("vapi", "/call"):
            return HTTPStatus.OK, _vapi_page(
                known, {name: values[-1] for name, values in parse_qs(parts.query).items()}
            )
        if (platform, parts.path) == ("retell", "/v3/list-calls"):
            return HTTPStatus.OK, _retell_page(known, body or {})
        return HTTPStatus.NOT_FOUND, {"message": f"Cannot find {parts.path}"}


def _vapi_page(known: list[Listed], asked: dict[str, str]) -> list[Any]:
    """The newest first, between two moments, both included."""
    calls = [vapi.listed(each.call, each.running) for each in known]
    after, before = asked.get("createdAtGe", ""), asked.get("createdAtLe", "~")
    calls = [call for call in calls if after <= call["createdAt"] <= before]
    limit = min(int(asked.get("limit", USUAL_VAPI)), MOST_VAPI)
    return sorted(calls, key=lambda call: str(call["createdAt"]), reverse=True)[:limit]


def _retell_page(known: list[Listed], asked: Any) -> Any:
    """By their beginning; one that nobody answered has none, and a filter on it finds it not."""
    wanted = asked.get("filter_criteria", {}).get("start_timestamp")
    calls = [retell.listed(each.call, each.running) for each in known]
    if wanted is not None:
        calls = [call for call in calls if call.get("start_timestamp", -1) >= wanted["value"]]
    newest_first = asked.get("sort_order", "descending") == "descending"
    calls.sort(key=lambda call: (call.get("start_timestamp", 0), call["call_id"]), reverse=newest_first)
    limit, start = min(asked.get("limit", USUAL_RETELL), MOST_RETELL), int(asked.get("pagination_key", "0"))
    rest = calls[start + limit :]
    return {
        "items": calls[start : start + limit],
        "has_more": bool(rest),
        "pagination_key": str(start + limit) if rest else None,
    }


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        lists: CallLists = self.server.lists  # type: ignore[attr-defined]  # `CallLists` has put itself there
        sent = self.rfile.read(int(self.headers.get("content-length", "0")))
        _, platform, path = self.path.split("/", 2)
        api_key = self.headers.get("authorization", "").removeprefix("Bearer ")
        status, found = lists.answer(platform, api_key, f"/{path}", json.loads(sent) if sent else None)
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: Any) -> None:
        """Who asks writes its own log."""
