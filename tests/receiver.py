"""A platform that listens: a real receiver on the loopback interface, and the clock that ticks for it."""

import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from chalicelib.clock import now_ms
from chalicelib.domain.notices import Notice, NoticeType
from chalicelib.flows.deliver_notices import deliver_due
from chalicelib.flows.tell import tell
from tests.world import World

ENDPOINTS = "/v1/webhook-endpoints"
Answering = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Delivered:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A platform's receiver: it remembers what comes, and answers as it was told to."""

    status: int = 200
    answering: Answering | None = None
    certificate: Path | None = None
    received: list[Delivered] = field(default_factory=list)

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Delivered(self.path, headers, body))
                if receiver.answering is not None:
                    receiver.answering(self)
                    return
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self._server.server_port}/hooks/7?token=s3cret"

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.received]


@dataclass
class Platform:
    """The platform's engineers, and the clock that ticks for them."""

    world: World
    time_machine: Any
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def listen(self, url: str, *types: str) -> Any:
        return self.world.post(ENDPOINTS, {"url": url} | ({"types": types} if types else {}))

    def endpoint(self, endpoint_id: str) -> Any:
        (found,) = [each for each in self.world.get(ENDPOINTS)["data"] if each["id"] == endpoint_id]
        return found

    def something_happens(self, kind: str = "refill.succeeded") -> str:
        """A notice about a workspace; answers its id."""
        data: dict[str, str | int] = {"amount": "40.00", "currency": "usd"}
        key = f"refill:rfl_{next(self._numbers)}:{kind}"
        notice = Notice(NoticeType(kind), "ws_acme", "ws_acme", now_ms(), key, data)
        tell(notice)
        return notice.id

    def at(self, at_ms: int) -> None:
        """That moment comes, and the clock ticks."""
        self.time_machine.move_to(at_ms / 1000)
        deliver_due(now_ms())
