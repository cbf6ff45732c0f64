"""API keys: what the platform's programs come with. Only a key's SHA-256 is kept."""

import hashlib
import secrets
import time

from chalicelib.clock import now_ms
from chalicelib.domain.errors import NotFound, Unauthenticated
from chalicelib.domain.people import ALL_SCOPES, Key, Scope
from chalicelib.storage import api_keys
from chalicelib.storage.api_keys import KnownKey

KEY_PREFIX = "rbk_"
KEY_BYTES = 32
TRUSTED_SECONDS = 30.0  # a revoked key is refused everywhere after this long at the latest

_trusted: dict[str, tuple[float, Key]] = {}


def issue_api_key(name: str, scopes: frozenset[Scope] = ALL_SCOPES) -> str:
    """Make a key of the platform. It is told this once: only its hash is kept."""
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    api_keys.add_api_key(KnownKey(_hash(key), name, scopes, now_ms()))
    return key


def list_api_keys() -> list[KnownKey]:
    """All keys that were ever made, revoked ones included, the oldest first."""
    return sorted(api_keys.list_api_keys(), key=lambda known: known.created_at_ms)


def revoke_api_key(key_id: str) -> KnownKey:
    """Refuse a key from now on; `key_id` are the first letters of its hash, as the list shows them.

    Raises:
        NotFound: no key, or more than one, has this id.
    """
    found = [known for known in api_keys.list_api_keys() if known.id == key_id]
    if len(found) != 1:
        raise NotFound("not_found", f"There is no API key {key_id}.")
    return api_keys.revoke_api_key(found[0])


def authenticate_key(key: str) -> Key:
    """Whose key this is. One that was good stays trusted for a moment, so that the gate needs one read only.

    Raises:
        Unauthenticated: no key, an unknown one, or a revoked one. Unavailable: the store did not answer.
    """
    if not key.startswith(KEY_PREFIX):
        raise Unauthenticated("api_key_missing", "Send your API key: Authorization: Bearer rbk_...", "Authorization")
    key_hash = _hash(key)
    trusted_until, known = _trusted.get(key_hash, (0.0, None))
    if known is not None and trusted_until > time.monotonic():
        return known
    found = api_keys.find_api_key(key_hash)
    if found is None or found.revoked:
        raise Unauthenticated("api_key_invalid", "This API key is unknown or was revoked.", "Authorization")
    known = Key(found.name, found.scopes)
    _trusted[key_hash] = (time.monotonic() + TRUSTED_SECONDS, known)
    return known


def forget_trusted_keys() -> None:
    """Ask the store again about every key."""
    _trusted.clear()


def _hash(key: str) -> str:
    """Keys have 256 random bits: a plain hash cannot be guessed back, and looking it up tells nothing by its time."""
    return hashlib.sha256(key.encode()).hexdigest()
