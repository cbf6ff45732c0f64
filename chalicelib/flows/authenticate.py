"""API keys: the platform's key opens every door of the API. Only a key's SHA-256 is kept."""

import hashlib
import secrets
import time

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Unauthenticated
from chalicelib.storage import accounts

KEY_PREFIX = "rbk_"
KEY_BYTES = 32
TRUSTED_SECONDS = 30.0  # a revoked key is refused everywhere after this long at the latest

_trusted_until: dict[str, float] = {}


def issue_api_key(name: str) -> str:
    """Make a key of the platform. It is told this once: only its hash is kept."""
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    accounts.add_api_key(_hash(key), name, now_ms())
    return key


def authenticate_platform(key: str) -> None:
    """Check a platform key. A key that was good stays trusted for a moment, so that the gate needs one read only.

    Raises:
        Unauthenticated: no key, an unknown one, or a revoked one. Unavailable: the store did not answer.
    """
    if not key.startswith(KEY_PREFIX):
        raise Unauthenticated("api_key_missing", "Send your API key: Authorization: Bearer rbk_...", "Authorization")
    key_hash = _hash(key)
    if _trusted_until.get(key_hash, 0.0) > time.monotonic():
        return
    if not accounts.api_key_is_valid(key_hash):
        raise Unauthenticated("api_key_invalid", "This API key is unknown or was revoked.", "Authorization")
    _trusted_until[key_hash] = time.monotonic() + TRUSTED_SECONDS


def forget_trusted_keys() -> None:
    """Ask the store again about every key."""
    _trusted_until.clear()


def _hash(key: str) -> str:
    """Keys have 256 random bits: a plain hash cannot be guessed back, and looking it up tells nothing by its time."""
    return hashlib.sha256(key.encode()).hexdigest()
