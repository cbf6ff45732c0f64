"""Where webhooks are sent, and where never: only to public addresses, and only to whom a certificate vouches for."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.clock import now_ms
from chalicelib.gateways import outgoing
from tests.receiver import ENDPOINTS, Platform, Receiver
from tests.world import World


@pytest.fixture
def platform(world: World, time_machine: Any) -> Platform:
    return Platform(world, time_machine)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hooks",
        "ftp://example.com",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com\\@evil.example/",
        "https://",
        "https:///hooks",
        "https://example",
        "https://exa mple.com",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://example.com/#part",
        "https://[::1",
        "https://-example.com.",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://example.com/" + "x" * 481,
    ],
)
def test_an_address_that_nothing_should_be_sent_to_is_refused_by_its_name(world: World, url: str) -> None:
    answer = world.call("POST", ENDPOINTS, {"url": url})

    assert answer.status == 422
    assert answer.json["param"] == "url"
    assert world.get(ENDPOINTS)["data"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://hooks.example.co.uk:8443/a/b?c=d",
        "https://93.184.216.34/",
        "http://127.0.0.9:1/",
    ],
)
def test_an_address_that_may_be_is_taken_as_it_is(world: World, url: str) -> None:
    assert world.post(ENDPOINTS, {"url": url})["url"] == url


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["127.0.0.1"],
        ["93.184.216.34", "192.168.0.1"],
        ["fd00::1"],
        ["::1"],
        ["224.0.0.1"],
    ],
)
def test_a_public_name_that_leads_into_our_own_network_is_not_connected_to(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, addresses: list[str]
) -> None:
    platform.listen("https://hooks.example.com/")
    platform.something_happens()
    connected: list[Any] = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    with monkeypatch.context() as network:
        resolve = socket.getaddrinfo
        network.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: found if "example" in host else resolve(host, *a, **k)
        )
        network.setattr(outgoing.socket, "create_connection", lambda *a, **_: connected.append(a))
        platform.at(now_ms() + 1000)

    assert connected == []
    assert [getattr(line, "reason", None) for line in caplog.records][-1] == "address_not_public"


def test_a_name_is_connected_to_at_the_very_address_that_was_looked_at(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.listen("https://hooks.example.com/")
    platform.something_happens()
    asked: list[Any] = []
    answers = iter((["2606:2800:220::1", "93.184.216.34"], ["10.0.0.1"]))  # another a moment later

    def resolve(host: str, port: Any, *more: Any, **others: Any) -> Any:
        if "example" not in host:
            return real(host, port, *more, **others)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in next(answers)]

    def refuse(address: Any, **_: Any) -> Any:
        asked.append(address)
        raise ConnectionRefusedError

    with monkeypatch.context() as network:
        real = socket.getaddrinfo
        network.setattr(socket, "getaddrinfo", resolve)
        network.setattr(outgoing.socket, "create_connection", refuse)
        platform.at(now_ms() + 1000)

    assert asked == [("93.184.216.34", 443), ("2606:2800:220::1", 443)]


def test_an_address_of_the_newer_kind_is_written_as_it_has_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    monkeypatch.setattr(outgoing.socket, "create_connection", lambda *_, **__: ours)

    reply = outgoing.send("http://[::1]:8000/a?b=c", "whsec_c2VjcmV0", "evt_1", "{}", now_ms())
    said = theirs.recv(2000).decode()
    theirs.close()

    assert reply.received
    assert said.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert "\r\nHost: [::1]:8000\r\n" in said


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    platform: Platform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(certificate=_certificate(tmp_path)) as impostor:
        platform.listen(impostor.url)
        platform.something_happens()

        platform.at(now_ms() + 1000)

        assert impostor.received == []
    assert [getattr(line, "reason", None) for line in caplog.records][-1] == "tls"


def test_a_certificate_that_is_vouched_for_is(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _certificate(tmp_path)
    monkeypatch.setattr(outgoing, "_tls", lambda: ssl.create_default_context(cafile=str(certificate)))
    with Receiver(certificate=certificate) as trusted:
        platform.listen(trusted.url)
        notice_id = platform.something_happens()

        platform.at(now_ms() + 1000)

        assert trusted.ids == [notice_id]


def _certificate(folder: Path) -> Path:
    """A key and a certificate for the loopback address, signed by nobody but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "receiver.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path
