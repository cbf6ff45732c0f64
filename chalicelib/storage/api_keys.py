"""API keys by the hex SHA-256 of them: the keys themselves are nowhere."""

from dataclasses import dataclass, replace

from pynamodb.exceptions import DoesNotExist, PutError

from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.domain.people import Scope
from chalicelib.storage.tables import AccountItem, store_trouble_is_ours

API_KEY = "api_key"
ID_LETTERS = 12  # of the hash: enough to name a key by, and nothing of the key itself


@dataclass(frozen=True)
class KnownKey:
    """What is kept of a key."""

    key_hash: str
    name: str
    scopes: frozenset[Scope]
    created_at_ms: int
    revoked: bool = False

    @property
    def id(self) -> str:
        """How people name it."""
        return self.key_hash[:ID_LETTERS]


def add_api_key(known: KnownKey) -> None:
    """Keep a key.

    Raises:
        Conflict: the very same key is there already.
    """
    try:
        _item(known).save(condition=AccountItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise Conflict("api_key_exists", "This key exists already.") from error
        raise Unavailable("The account store") from error


def find_api_key(key_hash: str) -> KnownKey | None:
    """The key with this hash, revoked or not."""
    with store_trouble_is_ours():
        try:
            return _known(AccountItem.get(API_KEY, key_hash, consistent_read=True))
        except DoesNotExist:
            return None


def list_api_keys() -> list[KnownKey]:
    """All of them."""
    with store_trouble_is_ours():
        return [_known(item) for item in AccountItem.query(API_KEY, consistent_read=True)]


def revoke_api_key(known: KnownKey) -> KnownKey:
    """Note that a key is good for nothing any more."""
    revoked = replace(known, revoked=True)
    with store_trouble_is_ours():
        _item(revoked).save()
    return revoked


def _item(known: KnownKey) -> AccountItem:
    return AccountItem(
        API_KEY,
        known.key_hash,
        created_at_ms=known.created_at_ms,
        name=known.name,
        revoked=known.revoked,
        facts={"scopes": sorted(known.scopes)},
    )


def _known(item: AccountItem) -> KnownKey:
    scopes = frozenset(Scope(scope) for scope in (item.facts or {}).get("scopes", []))
    return KnownKey(item.sk, item.name or "", scopes, int(item.created_at_ms), bool(item.revoked))
