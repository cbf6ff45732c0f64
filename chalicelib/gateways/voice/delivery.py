"""What every voice platform's adapter has to offer, and what it is handed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.usage import Report


@dataclass(frozen=True)
class Delivery:
    """One webhook request as it came in: header names in lower case, the body byte for byte, the public URL."""

    headers: Mapping[str, str]
    body: bytes
    url: str


class Adapter(Protocol):
    """One voice platform: how it signs, and what its payloads mean.

    `ACCEPTED_STATUS` is the HTTP status that this platform takes for "received". `SECRET_IS_OURS` is true where the
    platform signs with a secret that we may choose, false where the secret comes from the platform.
    """

    ACCEPTED_STATUS: int
    SECRET_IS_OURS: bool

    def verify(self, delivery: Delivery, secret: str, now_ms: int) -> None:
        """Check that the platform sent this.

        Raises:
            Unauthenticated: whatever is wrong with the signature, a verifier's own exception included.
        """

    def read(self, delivery: Delivery) -> Sequence[Report]:
        """The finished calls in a verified delivery; none where it speaks of something else.

        Raises:
            Malformed: the body cannot be read. Invalid: a field has a value it may not have; names it.
        """
