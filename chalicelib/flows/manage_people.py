"""Who is let in: people of a workspace, authorized users of a sub-account."""

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.people import Role
from chalicelib.storage import accounts, people


def set_person(workspace_id: str, email: str, role: Role) -> None:
    """Give somebody a role in a workspace, or another one.

    Raises:
        NotFound: no such workspace. Conflict: it would be left without an owner.
    """
    accounts.get_workspace(workspace_id)
    people.change_people(workspace_id, lambda known: _with_an_owner({**known, email: role}))


def remove_person(workspace_id: str, email: str) -> None:
    """Take somebody out of a workspace; what they see as an authorized user they still see.

    Raises:
        NotFound: no such workspace, or nobody of this address in it. Conflict: it would be left without an owner.
    """
    accounts.get_workspace(workspace_id)

    def without(known: dict[str, Role]) -> dict[str, Role]:
        if email not in known:
            raise NotFound("not_found", f"{email} is not among the people of this workspace.", "email")
        return _with_an_owner({other: role for other, role in known.items() if other != email})

    people.change_people(workspace_id, without)


def _with_an_owner(known: dict[str, Role]) -> dict[str, Role]:
    if Role.OWNER not in known.values():
        raise Conflict("last_owner", "A workspace has at least one owner. Make somebody else an owner first.")
    return known


def authorize(sub_account: SubAccount, email: str) -> None:
    """Let somebody see a sub-account's billing. Saying it twice does no harm."""
    people.set_user(sub_account.workspace_id, sub_account.id, email, True, now_ms())


def remove_user(sub_account: SubAccount, email: str) -> None:
    """Let somebody see a sub-account's billing no more.

    Raises:
        NotFound: nobody of this address was authorized.
    """
    if email not in people.users_of(sub_account.workspace_id, sub_account.id):
        raise NotFound("not_found", f"{email} is not an authorized user of this sub-account.", "email")
    people.set_user(sub_account.workspace_id, sub_account.id, email, False, now_ms())
