"""What the verifiers share: reading a header and its timestamp, comparing in constant time, and saying no.

Nothing here raises anything but `Unauthenticated`, whatever a stranger sends.
"""

import hashlib
import hmac
import re

from chalicelib.domain.errors import Unauthenticated
from chalicelib.gateways.voice.delivery import Delivery

TOLERANCE_MS = 300_000
# Far above any real signature header, and far below what would make comparing it work for us.
LONGEST_HEADER = 2_048
# `int()` reads the digits of every script, and as many of them as there are.
_DIGITS = re.compile(r"[0-9]{1,13}")


def refused(detail: str) -> Unauthenticated:
    """The one refusal of every verifier. Its sentence helps whoever sets the webhook up, and gives nothing away."""
    return Unauthenticated("signature_invalid", detail)


def header(delivery: Delivery, name: str) -> str:
    """The header's value.

    Raises:
        Unauthenticated: it is missing, empty, or longer than any signature.
    """
    value = delivery.headers.get(name.lower(), "").strip()
    if not value:
        raise refused(f"The header {name} is missing or empty. Is signing switched on where the webhook is set up?")
    if len(value) > LONGEST_HEADER:
        raise refused(f"The header {name} is too long to be a signature.")
    return value


def key_of(secret: str) -> bytes:
    """The secret as the key of a signature; an empty one would let anybody sign.

    Raises:
        Unauthenticated: this endpoint has no secret.
    """
    if not secret:
        raise refused("This endpoint has no secret to check signatures with. Create the endpoint anew.")
    return secret.encode("utf-8", "backslashreplace")


def hex_hmac_sha256(secret: str, message: bytes) -> str:
    """HMAC-SHA256 of the message, in lower-case hex."""
    return hmac.new(key_of(secret), message, hashlib.sha256).hexdigest()


def matches(expected: str, given: str) -> bool:
    """Compare in constant time, as bytes: `compare_digest` refuses text that is not ASCII with a TypeError."""
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "backslashreplace"))


def timestamp(text: str, where: str) -> int:
    """A timestamp of 1 to 13 ASCII digits.

    Raises:
        Unauthenticated: it is anything else.
    """
    if not _DIGITS.fullmatch(text):
        raise refused(f"The timestamp in {where} is not a whole number of seconds or milliseconds.")
    return int(text)


def check_age(signed_at_ms: int, now_ms: int, past_ms: int = TOLERANCE_MS, future_ms: int = TOLERANCE_MS) -> None:
    """Refuse what was signed too long ago, or later than now.

    Raises:
        Unauthenticated: outside the tolerance.
    """
    age_ms = now_ms - signed_at_ms
    if age_ms > past_ms:
        raise refused(f"The signature is {age_ms // 1000} s old; {past_ms // 1000} s are allowed.")
    if -age_ms > future_ms:
        raise refused(f"The signature is from {-age_ms // 1000} s in the future. Is the sender's clock right?")


def mismatch(name: str, secret_is: str) -> Unauthenticated:
    """The refusal for a signature that is well formed and wrong."""
    return refused(f"{name} does not match: the endpoint's secret is not {secret_is}, or the body was changed.")
