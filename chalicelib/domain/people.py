"""Who is calling, and whether they may: the platform's keys, and the people of workspaces and sub-accounts. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import Forbidden, Invalid, NotFound

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,}", re.ASCII)


class Role(StrEnum):
    """What a person is in a workspace."""

    OWNER = "owner"  # everything, and who else is let in
    ADMIN = "admin"  # everything but people and the workspace's own limits


class Scope(StrEnum):
    """What an API key of the platform may be used for."""

    USAGE = "usage"  # report calls, and see what became of them
    GATE = "gate"  # ask before each call
    ACCOUNTS = "accounts"  # workspaces, sub-accounts, prices, voice platforms
    MONEY = "money"  # wallets, credits, payments, refills
    PEOPLE = "people"  # who may see and do what, and dashboard sessions
    OPERATE = "operate"  # the switch of all refills, webhook endpoints


ALL_SCOPES = frozenset(Scope)
OWNERS, PEOPLE = frozenset({Role.OWNER}), frozenset(Role)


@dataclass(frozen=True)
class Key:
    """An API key of the platform, by the name it was given when it was made."""

    name: str
    scopes: frozenset[Scope] = ALL_SCOPES


@dataclass(frozen=True)
class Person:
    """Somebody who came by a dashboard session, into one workspace. `csrf` is what forms of the session must carry."""

    email: str
    workspace_id: str
    session_id: str
    csrf: str = ""


Caller = Key | Person


def named(caller: Caller) -> str:
    """Who a caller is, in a word: the key's name, or the person's e-mail address."""
    return caller.email if isinstance(caller, Person) else caller.name


NOBODY = Key("nobody", frozenset())  # who comes through a door that asks nobody


@dataclass(frozen=True)
class Rights:
    """What a person is, as it stands now: a role in the workspace, and the sub-accounts whose billing they may see."""

    role: Role | None = None
    sub_account_ids: frozenset[str] = frozenset()

    @property
    def none(self) -> bool:
        """Whether nothing is left."""
        return self.role is None and not self.sub_account_ids


@dataclass(frozen=True)
class Permit:
    """Who may pass a door: keys with the scope, people of the workspace with one of the roles, and, where `users`,
    the authorized users of the sub-account that the door is about."""

    scope: Scope
    roles: frozenset[Role] = frozenset()
    users: bool = False


def email_of(text: str, param: str = "email") -> str:
    """An e-mail address as it is compared: in small letters.

    Raises:
        Invalid: it cannot be one.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise Invalid(param, f"{param} must be an e-mail address such as owner@agency.example.")
    return email


def check_key(key: Key, permit: Permit) -> None:
    """Raise `Forbidden` where a key was not made for this."""
    if permit.scope not in key.scopes:
        raise Forbidden("scope_missing", f"This API key has no scope '{permit.scope.value}'. Make another one with it.")


def check_person(
    person: Person, rights: Rights, permit: Permit, workspace_id: str | None, sub_account_id: str | None
) -> None:
    """Decide whether a person may pass a door that is about a workspace, or about one of its sub-accounts.

    What is not theirs, they are not even told of.

    Raises:
        Forbidden: not with the rights that they have; says who can help. NotFound: it is somebody else's.
    """
    if workspace_id is not None and workspace_id != person.workspace_id:
        raise NotFound("not_found", "There is nothing at this address.")
    if rights.none:
        raise Forbidden("access_removed", "You have no access any more. Ask an owner of the workspace.")
    is_user = sub_account_id in rights.sub_account_ids
    if rights.role is None and not is_user and sub_account_id is not None:
        raise NotFound("not_found", "There is nothing at this address.")
    if rights.role in permit.roles or (permit.users and is_user):
        return
    if permit.users and rights.role is not None:
        detail = "Only authorized users of this sub-account may do this. An owner or admin can add you as one."
        raise Forbidden("not_an_authorized_user", detail)
    if permit.roles:
        needed = " or ".join(sorted(role.value for role in permit.roles))
        raise Forbidden("role_missing", f"Only an {needed} of the workspace may do this. Ask one of them.")
    raise Forbidden("platform_only", "Only the platform may do this.")
