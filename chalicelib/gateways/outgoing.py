"""Webhooks that we send: signed as Standard Webhooks, to public addresses only, and not waited for longer than seconds.

https://www.standardwebhooks.com. Python's own HTTP client, because here we choose the address that is connected to:
a receiver's name must not lead into our own network, and must not lead elsewhere a moment after it was looked at.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import SplitResult, urlsplit

from standardwebhooks.webhooks import Webhook

from chalicelib.domain.errors import Invalid
from chalicelib.settings import VERSION

CONNECT_SECONDS, READ_SECONDS = 3.0, 5.0
LONGEST_URL = 500
GONE = "gone"  # the reason where a receiver wants nothing more, ever
PORTS = {"http": 80, "https": 443}
_TEXT = re.compile(r"[\x21-\x7e]+", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62}\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Reply:
    """What became of one try: the HTTP status, or 0 and what went wrong instead.

    `trouble` is one of `timeout`, `tls`, `no_answer` and `address_not_public`.
    """

    status: int
    trouble: str = ""

    @property
    def received(self) -> bool:
        """Any 2xx says so."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why it was not received, in a word."""
        return GONE if self.status == http.client.GONE else self.trouble or f"http_{self.status}"


class _NotPublic(OSError):
    pass


def check_url(url: str) -> None:
    """Refuse an address that webhooks cannot be sent to.

    Raises:
        Invalid: `url`: not https, with a user in it, too long, or at no public address. (http is for loopback only.)
    """
    if len(url) > LONGEST_URL or not _TEXT.fullmatch(url):
        raise Invalid("url", f"url must be of 1 to {LONGEST_URL} characters of plain text, without spaces.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise Invalid("url", "url must be a web address, such as https://example.com/webhooks.") from None
    literal = _literal(host)
    if parts.scheme not in PORTS or (parts.scheme == "http" and not (literal and literal.is_loopback)):
        raise Invalid("url", "url must begin with https://")
    if "@" in parts.netloc:
        raise Invalid("url", "url must not hold a user name or a password: what we send is signed.")
    if port == 0 or "#" in url or (literal is None and not _NAME.fullmatch(host)):
        raise Invalid("url", "url must be a web address, such as https://example.com/webhooks.")
    if literal is not None and not _allowed(literal, literal):
        raise Invalid("url", "url must be an address that can be reached from the internet.")


def send(url: str, secret: str, notice_id: str, body: str, now_ms: int) -> Reply:
    """Send a notice once. The id is the same at every try; the signature is of this moment.

    Redirects are not followed, and of the answer only the status is read. Takes at most 3 seconds to connect and 5 for
    the rest, beside what looking the name up takes.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": f"Rebill/{VERSION}",
        "webhook-id": notice_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": Webhook(secret).sign(notice_id, datetime.fromtimestamp(now_ms // 1000, UTC), body),
    }
    try:
        sock = _connect(host, port, secure=parts.scheme == "https")
        return _exchange(sock, parts, body.encode(), headers)
    except _NotPublic:
        return Reply(0, "address_not_public")
    except TimeoutError:
        return Reply(0, "timeout")
    except ssl.SSLError:
        return Reply(0, "tls")
    except (OSError, http.client.HTTPException, ValueError):  # ValueError: a name that no name server takes
        return Reply(0, "no_answer")


def _exchange(sock: socket.socket, parts: SplitResult, body: bytes, headers: dict[str, str]) -> Reply:
    """Say it and read the status. A socket's own timeout is for each read: a receiver may drip for ever."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with suppress(OSError):  # it was over at this very moment
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    connection = http.client.HTTPConnection(parts.netloc)
    connection.sock = sock
    timer = threading.Timer(READ_SECONDS, hang_up)
    timer.daemon = True
    timer.start()
    try:
        target = parts.path or "/"
        connection.request("POST", f"{target}?{parts.query}" if parts.query else target, body, headers)
        with connection.getresponse() as response:
            return Reply(response.status)
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        connection.close()


def _connect(host: str, port: int, secure: bool) -> socket.socket:
    give_up_at = time.monotonic() + CONNECT_SECONDS
    trouble: OSError = _NotPublic()
    for address in _addresses(host, port):
        left = give_up_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            sock = socket.create_connection((str(address), port), timeout=left)
            break
        except OSError as error:
            trouble = error
    else:
        raise trouble
    try:
        sock.settimeout(max(give_up_at - time.monotonic(), 0.1))
        made = _tls().wrap_socket(sock, server_hostname=host) if secure else sock
        made.settimeout(READ_SECONDS)
        return made
    except BaseException:
        sock.close()
        raise


def _addresses(host: str, port: int) -> list[Address]:
    """Where a name leads, IPv4 first: not every network has the other. One address inside ours refuses them all."""
    literal = _literal(host)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = sorted({ipaddress.ip_address(each[4][0]) for each in found}, key=lambda each: (each.version, int(each)))
    if not all(_allowed(address, literal) for address in addresses):
        raise _NotPublic
    return addresses


def _allowed(address: Address, literal: Address | None) -> bool:
    """Public, or loopback where the URL itself says so: a receiver on the same machine is for trying things out."""
    return (address.is_loopback and address == literal) or (address.is_global and not address.is_multicast)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
