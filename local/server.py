"""The app over HTTP on the loopback interface, through Chalice's own stand-in for API Gateway.

Chalice's development server would do for a browser; this one also answers hostile requests as API Gateway does, and
keeps callers apart: `LocalChalice` gives each thread its own request.
"""

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import Thread
from typing import Any, NamedTuple, Protocol, Self
from uuid import uuid4

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import LocalChalice, LocalGateway, RouteMatcher

from local.options import HomeError
from local.template import RESOURCES_FILE

HOST = "127.0.0.1"
MOST_BODY_BYTES = 10_485_760  # API Gateway's own limit
LAMBDA_SECONDS = 29
SILENCE_SECONDS = 60  # of a client in the middle of a request, or between two
LINGER_SECONDS = 2.0
POLL_SECONDS = 0.1
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)

logger = logging.getLogger("rebill.home")


class Answer(NamedTuple):
    """What goes back over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Front(Protocol):
    """Pages that are not the app's."""

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | None:
        """The answer, or None for what is the app's."""


class Refused(Exception):
    """A request that never reaches the app; its connection is closed."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        self.answer = _problem(status, code, detail)


class Gateway:
    """API Gateway: finds the route, calls the app, and answers for itself what the app does not know."""

    def __init__(self, app: Chalice, resources_file: Path = RESOURCES_FILE, front: Front | None = None) -> None:
        self._front = front
        app.__class__ = LocalChalice
        self._app = app
        self._gateway = LocalGateway(app, Config(config_from_disk={"lambda_timeout": LAMBDA_SECONDS}))
        self._routes = RouteMatcher(list(app.routes))
        responses = json.loads(resources_file.read_text())["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
        self._unknown = responses["MISSING_AUTHENTICATION_TOKEN"]

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to one request."""
        shown = self._front.handle(method, path, headers, body) if self._front else None
        if shown is not None:
            return shown
        if not self._knows(method, path):
            return self._answer_to_unknown()
        found = self._gateway.handle_request(method, path, headers, body)
        sent = [*found["headers"].items()]
        sent += [(name, value) for name, values in found["multiValueHeaders"].items() for value in values]
        text = found["body"] or ""
        return Answer(found["statusCode"], sent, text if isinstance(text, bytes) else text.encode())

    def _knows(self, method: str, path: str) -> bool:
        try:
            return method in self._app.routes[self._routes.match_route(path).route]
        except ValueError:
            return False

    def _answer_to_unknown(self) -> Answer:
        """What the template makes of "Missing Authentication Token", read from the template itself."""
        request_id = str(uuid4())
        text = self._unknown["ResponseTemplates"]["application/json"].replace("$context.requestId", request_id)
        headers = self._unknown["ResponseParameters"]["Headers"].items()
        sent = [(name, value.strip("'")) for name, value in headers]
        return Answer(int(self._unknown["StatusCode"]), [*sent, ("X-Request-Id", request_id)], text.encode())


def _problem(status: HTTPStatus, code: str, detail: str) -> Answer:
    request_id = str(uuid4())
    body = {
        "type": f"urn:rebill:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        "param": None,
        "request_id": request_id,
    }
    headers = [("Content-Type", "application/problem+json"), ("X-Request-Id", request_id)]
    return Answer(status.value, headers, json.dumps(body).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_SECONDS
    wbufsize = 65_536  # headers and body leave together: two packets would wait for each other
    disable_nagle_algorithm = True
    server: "_Http"

    def _handle(self) -> None:
        try:
            body = self._read_body()
            answer = self.server.gateway.handle(self.command, self.path, dict(self.headers), body)
        except Refused as refused:
            self._send_and_close(refused.answer)
        except ConnectionError:
            self.close_connection = True
        except Exception:
            logger.exception("request")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self._send_and_close(_problem(status, "internal_error", "Something went wrong on our side."))
        else:
            self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _handle  # noqa: N815 - the names that http.server calls
    do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _handle  # noqa: N815 - the same

    def _read_body(self) -> bytes:
        """The body, byte for byte.

        Raises:
            Refused: nobody can tell how long it is, or it is too long, or it ended early.
        """
        if "transfer-encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "length_required", "Send a Content-Length, not chunks.")
        lengths = {length.strip() for length in self.headers.get_all("content-length", ["0"])}
        length = lengths.pop()
        if lengths or not _LENGTH.fullmatch(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed_request", "Content-Length must be one whole number.")
        if int(length) > MOST_BODY_BYTES:
            detail = f"The body may have at most {MOST_BODY_BYTES} bytes."
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed_request", "The body is shorter than its Content-Length.")
        return body

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if "x-request-id" not in {name.lower() for name, _ in answer.headers}:
            self.send_header("X-Request-Id", str(uuid4()))
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _send_and_close(self, answer: Answer) -> None:
        """Answer, then take what the sender still sends, for a moment: closing with unread bytes resets the
        connection, and the sender would never see the answer.
        """
        self.close_connection = True
        deadline = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self._send(answer)
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_SECONDS)
            while time.monotonic() < deadline and self.connection.recv(65_536):
                pass

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses itself (a request line that is none, too many headers), as a problem."""
        self.request_version = "HTTP/1.1"  # unknown so far, and taken for 0.9, whose answers have no headers
        self._send_and_close(_problem(HTTPStatus(code), "malformed_request", message or HTTPStatus(code).phrase))

    def handle_expect_100(self) -> bool:
        """The client waits for this line before it sends its body, so it must not wait in our buffer."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def version_string(self) -> str:
        """The Server header."""
        return "Rebill"

    def log_message(self, format: str, *args: Any) -> None:
        """The app writes its own log."""


class _Http(ThreadingHTTPServer):
    gateway: Gateway
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def server_bind(self) -> None:
        """Without asking DNS for the machine's own name, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no trouble of ours."""
        logger.debug("connection", exc_info=True)


class Server:
    """HTTP on loopback. The port is ours from the start; who connects waits until there is an app to serve."""

    def __init__(self, port: int) -> None:
        try:
            self._http = _Http((HOST, port), _Handler)
        except OSError as error:
            raise HomeError(
                f"Port {port} on {HOST} is taken ({error.strerror}). Take another one, or any: PORT=0 make run"
            ) from error
        self.base_url = f"http://{HOST}:{self._http.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.server_close()

    @contextmanager
    def serving(self, app: Chalice, front: Front | None = None) -> Iterator[None]:
        """Answer requests, each connection in a thread of its own; `front` first, the app what that leaves."""
        self._http.gateway = Gateway(app, front=front)
        Thread(target=self._http.serve_forever, args=(POLL_SECONDS,), daemon=True, name="http").start()
        try:
            yield
        finally:
            self._http.shutdown()
