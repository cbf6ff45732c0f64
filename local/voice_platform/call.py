"""A pretended call, and what every pretended platform can do with one."""

import hashlib
import hmac
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


def hex_id(length: int = 32) -> str:
    """A random id in hex digits."""
    return f"{random.getrandbits(4 * length):0{length}x}"


def phone_number() -> str:
    """A number that nobody has: 555-01xx is kept for fiction."""
    return f"+1{random.randint(201, 989)}555{random.randint(100, 199):04d}"


def hex_hmac(secret: str, message: bytes) -> str:
    """HMAC-SHA256 in hex, as three of the platforms sign."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Call:
    """One call to or from an agent, by its own clock. `answered_at_ms` is None where nobody picked up."""

    agent_id: str
    talk_seconds: int | None
    id: str = field(default_factory=hex_id)
    caller: str = field(default_factory=phone_number)
    ended_at_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    @property
    def answered_at_ms(self) -> int | None:
        """When somebody picked up."""
        return None if self.talk_seconds is None else self.ended_at_ms - 1000 * self.talk_seconds


class Platform(Protocol):
    """One platform: its payloads' real shapes, and how it signs them."""

    CONTENT_TYPE: str

    def new_secret(self) -> str | None:
        """The secret that the platform gives the workspace; None where Rebill makes one."""

    def new_agent_id(self) -> str:
        """How this platform calls an agent."""

    def deliveries(self, call: Call) -> Sequence[bytes]:
        """The bodies of all webhooks about one call, in their order. They say the same however often they are made."""

    def sign(self, body: bytes, secret: str, url: str) -> dict[str, str]:
        """The headers that prove where the body comes from, made now."""
