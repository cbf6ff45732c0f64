"""The HTTP of the pretend Stripe: one thread a connection, on the loopback interface and nowhere else."""

import inspect
import json
import re
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Condition, Event
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from local.pretend_stripe import account_pages, checkout_page
from local.pretend_stripe.api import Answer, Api, Lost, Request
from local.pretend_stripe.bank_control import Control
from local.pretend_stripe.core import Core
from local.pretend_stripe.errors import Refused
from local.pretend_stripe.pages import Page, View, Visit, error, not_found, page

HOST = "127.0.0.1"
MOST_BODY_BYTES = 1_000_000
SILENCE_SECONDS = 60
LINGER_SECONDS = 5.0
NO_ROUTES = ("take",)
PAGES: tuple[tuple[str, View], ...] = (
    (r"/", account_pages.start),
    (r"/oauth/authorize", account_pages.authorize),
    (r"/dashboard/([^/]+)", account_pages.dashboard),
    (r"/c/pay/([^/]+)", checkout_page.pay),
    (r"/c/return/([^/]+)", checkout_page.come_back),
    (r"/authenticate/([^/]+)", checkout_page.authenticate),
    (r"/p/session/([^/]+)", checkout_page.portal),
    (r"/receipts/([^/]+)", checkout_page.receipt),
)


class Site:
    """What stands behind the HTTP: the API, the pages and the controls."""

    def __init__(self, core: Core, control: Control, stopping: Event) -> None:
        self.core = core
        self.control = control
        self.api = Api(core, stopping)

    def answer(self, request: Request) -> Answer:
        """The answer to any request.

        Raises:
            Lost: a planned fault takes the answer away.
        """
        if request.path.startswith("/v1/") or request.path in ("/oauth/token", "/oauth/deauthorize"):
            return self.api.answer(request)
        if request.path == "/_control" or request.path.startswith("/_control/"):
            return self._control(request)
        return _html(self._page(request))

    def _page(self, request: Request) -> Page:
        if request.method not in ("GET", "POST"):
            return page("Not allowed", "<p>Pages are read, and forms are sent.</p>", status=405)
        self.core.tick()
        for pattern, view in PAGES:
            found = re.fullmatch(pattern, request.path)
            if found:
                query, form = dict(_pairs(request.query)), dict(_pairs(request.body))
                with self.core.lock:
                    if request.method == "POST":
                        self.core.changed()
                    return _seen(view, Visit(self.core, found.groups(), query, form, request.method == "POST"))
        return not_found()

    def _control(self, request: Request) -> Answer:
        name = request.path.removeprefix("/_control").strip("/")
        if not name:
            return _json(200, {name: _described(method) for name, method in self._methods().items()})
        method = self._methods().get(name)
        if method is None:
            return _json(404, {"error": f"There is no control {name!r}; GET /_control names them."})
        if request.method == "POST" and not request.headers.get("content-type", "").startswith("application/json"):
            # A page of somebody else's, open in the same browser, can send forms here, but not JSON.
            return _json(415, {"error": "Send JSON, and say so: Content-Type: application/json."})
        try:
            body = json.loads(request.body) if request.method == "POST" and request.body else {}
            inspect.signature(method).bind(**body)
            return _json(200, {"result": method(**body)})
        except Refused as refused:
            return _json(refused.status, refused.body)
        except (TypeError, ValueError, KeyError, re.error) as wrong:
            return _json(400, {"error": str(wrong)})

    def _methods(self) -> dict[str, Callable[..., Any]]:
        members = inspect.getmembers(self.control, inspect.ismethod)
        return {name: method for name, method in members if not name.startswith("_") and name not in NO_ROUTES}


def read_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A request as the rest of us sees it."""
    parts = urlsplit(target)
    lowered = {name.lower(): value for name, value in headers.items()}
    return Request(method, unquote(parts.path), parts.query, lowered, body.decode("utf-8", "replace"))


def _seen(view: View, visit: Visit) -> Page:
    try:
        return view(visit)
    except Refused as refused:
        return page("That does not work", error(str(refused.body["error"]["message"])), status=refused.status)


def _described(method: Callable[..., Any]) -> str:
    return f"{inspect.signature(method)}: {inspect.getdoc(method)}"


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _json(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body, indent=2, default=str), {"Content-Type": "application/json"})


def _html(shown: Page) -> Answer:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    if shown.location:
        return Answer(303, "", {**headers, "Location": shown.location})
    return Answer(shown.status, shown.html, headers)


class HttpServer(ThreadingHTTPServer):
    """A server that closes what is still open when it ends."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, site: Site) -> None:
        self.site = site
        self._open: set[socket.socket] = set()
        self._changed = Condition()
        super().__init__((HOST, port), Handler)

    def server_bind(self) -> None:
        """Without the look-up of its own name, which can take seconds where there is no network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that has gone is nobody's business; a mistake of ours is."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc(file=sys.stderr)

    def hang_up(self) -> None:
        """End the connections that wait for another request, and those whose request is still answered."""
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, LINGER_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """Reads a request and writes its answer."""

    protocol_version = "HTTP/1.1"
    server_version = "PretendStripe"
    sys_version = ""
    timeout = SILENCE_SECONDS
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        """Reads."""
        self._respond()

    def do_POST(self) -> None:
        """Writes."""
        self._respond()

    def do_DELETE(self) -> None:
        """Deletes."""
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what is asked here may hold keys."""

    def _respond(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isascii() or not length.isdigit() or int(length) > MOST_BODY_BYTES:
            self.close_connection = True
            self._write(Answer(413, "{}", {"Content-Type": "application/json"}))
            return
        request = read_request(self.command, self.path, self.headers, self.rfile.read(int(length)))
        try:
            self._write(self.server.site.answer(request))
        except Lost:
            self.close_connection = True

    def _write(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
