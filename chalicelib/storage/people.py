"""Who is let in: the people of a workspace, the authorized users of its sub-accounts, and the links they come by.

A workspace's people are one item, so are the authorized users of a sub-account, and so is what one e-mail address
reaches: what a person may do is known after one trip, and at least one owner is left without counting.
"""

from collections.abc import Callable
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite

from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.domain.people import Rights, Role
from chalicelib.storage.tables import AccountItem, connection, store_trouble_is_ours

PEOPLE, LINK, SIGNED_OUT = "people", "link", "signed_out"
ATTEMPTS = 5
MOST_PEOPLE, MOST_USERS, MOST_REACHED = 200, 200, 5_000

Facts = dict[str, Any]


def first_owner(workspace_id: str, email: str) -> AccountItem:
    """The people of a new workspace."""
    return AccountItem(workspace_id, PEOPLE, facts={email: Role.OWNER.value}, version=1, created_at_ms=0)


def rights_of(workspace_id: str, email: str) -> Rights:
    """What a person is in a workspace, now."""
    keys = [(workspace_id, PEOPLE), (workspace_id, reach_key(email))]
    with store_trouble_is_ours():
        found = {item.sk: item.facts or {} for item in AccountItem.batch_get(keys, consistent_read=True)}
    role = found.get(PEOPLE, {}).get(email)
    return Rights(Role(role) if role else None, frozenset(found.get(reach_key(email), {})))


def people_of(workspace_id: str) -> dict[str, Role]:
    """E-mail address -> role, for everybody in a workspace."""
    return {email: Role(role) for email, role in _read(workspace_id, PEOPLE)[1].items()}


def change_people(workspace_id: str, change: Callable[[dict[str, Role]], dict[str, Role]]) -> None:
    """Keep what `change` makes of a workspace's people; it may be asked again, and may refuse by raising.

    Raises:
        Conflict: more people than there may be. Unavailable: say it again.
    """

    def changed(facts: Facts) -> Facts:
        return {email: role.value for email, role in change({e: Role(r) for e, r in facts.items()}).items()}

    _change(workspace_id, {PEOPLE: (changed, MOST_PEOPLE)})


def users_of(workspace_id: str, sub_account_id: str) -> list[str]:
    """The e-mail addresses that may see a sub-account's billing."""
    return sorted(_read(workspace_id, _users(sub_account_id))[1])


def set_user(workspace_id: str, sub_account_id: str, email: str, authorized: bool, now_ms: int) -> None:
    """Let somebody see a sub-account's billing, or no more. Saying it twice does no harm.

    Raises:
        Conflict: more than there may be. Unavailable: say it again.
    """

    def among(name: str) -> Callable[[Facts], Facts]:
        def changed(facts: Facts) -> Facts:
            others = {known: since for known, since in facts.items() if known != name}
            return {**others, name: facts.get(name, now_ms)} if authorized else others

        return changed

    _change(
        workspace_id,
        {_users(sub_account_id): (among(email), MOST_USERS), reach_key(email): (among(sub_account_id), MOST_REACHED)},
    )


def keep_link(link_hash: str, facts: Facts, expires_at: int, now_ms: int) -> None:
    """Remember a one-time link by its hash."""
    with store_trouble_is_ours():
        AccountItem(f"{LINK}#{link_hash}", LINK, facts=facts, expires_at=expires_at, created_at_ms=now_ms).save()


def use_link(link_hash: str, now: int) -> Facts | None:
    """Use a link up: what it is for, or None where it is unknown, too old (`now` in seconds) or used."""
    unused = AccountItem.pk.exists() & AccountItem.status.does_not_exist() & (AccountItem.expires_at > now)
    item = AccountItem(f"{LINK}#{link_hash}", LINK)
    try:
        item.update([AccountItem.status.set("used")], condition=unused)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The account store") from error
        return None
    return item.facts or {}


def sign_out(session_id: str, expires_at: int, now_ms: int) -> None:
    """Remember, as long as it would last, that a session is over."""
    with store_trouble_is_ours():
        AccountItem(*signed_out_key(session_id), expires_at=expires_at, created_at_ms=now_ms).save()


def is_signed_out(session_id: str) -> bool:
    """Whether a session is over."""
    with store_trouble_is_ours():
        try:
            AccountItem.get(*signed_out_key(session_id), consistent_read=True)
        except DoesNotExist:
            return False
    return True


def signed_out_key(session_id: str) -> tuple[str, str]:
    """Where it stands that a session is over."""
    return f"{SIGNED_OUT}#{session_id}", SIGNED_OUT


def _users(sub_account_id: str) -> str:
    return f"users#{sub_account_id}"


def reach_key(email: str) -> str:
    """Where a workspace keeps what somebody reaches."""
    return f"reach#{email}"


def _read(workspace_id: str, sk: str) -> tuple[int, Facts]:
    with store_trouble_is_ours():
        try:
            item = AccountItem.get(workspace_id, sk, consistent_read=True)
        except DoesNotExist:
            return 0, {}
    return int(item.version or 0), item.facts or {}


def _change(workspace_id: str, changes: dict[str, tuple[Callable[[Facts], Facts], int]]) -> None:
    """Change some of a workspace's lists together, if nobody else has meanwhile."""
    for _ in range(ATTEMPTS):
        try:
            with TransactWrite(connection=connection()) as transaction:
                for sk, (change, most) in changes.items():
                    version, facts = _read(workspace_id, sk)
                    changed = change(facts)
                    if len(changed) > max(most, len(facts)):
                        raise Conflict("too_many_people", f"There may be at most {most} here. Remove somebody first.")
                    item = AccountItem(workspace_id, sk, facts=changed, version=version + 1, created_at_ms=0)
                    same = AccountItem.pk.does_not_exist() if version == 0 else AccountItem.version == version
                    transaction.save(item, condition=same)
            return
        except TransactWriteError as error:
            reasons = [reason.code for reason in error.cancellation_reasons if reason is not None]
            if "ConditionalCheckFailed" not in reasons and "TransactionConflict" not in reasons:
                raise Unavailable("The account store") from error
    raise Unavailable("The account store")
