"""The HTTP server at home answers what API Gateway would answer, whatever it is sent, and goes on."""

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app import app
from local.options import HomeError
from local.server import HOST, MOST_BODY_BYTES, Server

POST = b"POST /v1/workspaces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(0) as server, server.serving(app):
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection((HOST, int(server.base_url.rpartition(":")[2])), timeout=5)


def send(server: Server, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer to these very bytes, after which the sender has nothing more to say."""
    with connect(server) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /nowhere HTTP/1.1\r\nAuthorization: \xff\r\nConnection: close\r\n\r\n", 404),
        (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"DELETE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (b"GET /v1/workspaces/\xff\xfe HTTP/1.1\r\nConnection: close\r\n\r\n", 401),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"CONJURE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (GET + b"X-Y: 1\r\n" * 200 + b"\r\n", 431),
        (POST + b"Content-Length: -1\r\n\r\n{}", 400),
        (POST + b"Content-Length: two\r\n\r\n{}", 400),
        (POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (POST + b"Content-Length: 50\r\n\r\n{}", 400),
        (POST + b"Content-Length: 99999999999\r\n\r\n{}", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
        (POST + b'Content-Length: 3\r\n\r\n"\xff"', 401),
    ],
)
def test_hostile_requests_get_a_problem(server: Server, request_bytes: bytes, status: int) -> None:
    found, headers, body = send(server, request_bytes)

    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status
    assert headers["x-request-id"] == json.loads(body)["request_id"]


def test_a_sender_of_too_much_still_reads_the_answer(server: Server) -> None:
    answer = httpx.post(
        f"{server.base_url}/v1/workspaces", content=b"x" * (MOST_BODY_BYTES + 1), trust_env=False, verify=False
    )

    assert answer.status_code == 413


def test_a_head_request_has_no_body(server: Server) -> None:
    _, headers, body = send(server, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert headers["x-request-id"]
    assert body == b""


def test_clients_that_hang_up_do_no_harm(server: Server) -> None:
    for request in (GET + b"\r\n", POST + b"Content-Length: 50\r\n\r\n{", b"GE"):
        with connect(server) as connection:
            connection.sendall(request)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert send(server, GET + b"\r\n")[0] == 200


def test_callers_at_the_same_time_are_not_mixed(server: Server) -> None:
    def ask(number: int) -> bool:
        path = f"/v1/workspaces/{number}" if number % 2 else "/healthz"
        answer = httpx.get(f"{server.base_url}{path}", trust_env=False, verify=False)
        return answer.status_code == (401 if number % 2 else 200)

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(ask, range(80)))


def test_a_port_that_is_taken_is_said_so_with_a_way_out(server: Server) -> None:
    port = int(server.base_url.rpartition(":")[2])

    with pytest.raises(HomeError, match=f"Port {port} .* PORT=0 make run"):
        Server(port)
