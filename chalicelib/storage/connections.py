"""Workspaces' links to their Stripe accounts, and the OAuth states on the way there."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from chalicelib.domain.errors import Conflict, Unavailable
from chalicelib.domain.payments import STATE_MS, Connection, ConnectionState
from chalicelib.storage.tables import PaymentItem, connection, store_trouble_is_ours

CONNECTION, CLAIM, STATE = "connection", "claim", "oauth_state"
FREE = "-"
CODE_SECONDS = 86_400
ENDED = (ConnectionState.DISCONNECTED, ConnectionState.DEAUTHORIZED)  # the account is free for another workspace


@dataclass(frozen=True)
class OAuthState:
    """Who asked to connect which workspace, and whose browser went there."""

    workspace_id: str
    user: str
    created_at_ms: int
    browser_hash: str | None = None


def get_connection(workspace_id: str) -> Connection | None:
    """A workspace's link as it is now, ended or not; None if there has never been one."""
    with store_trouble_is_ours():
        try:
            return _from_facts(PaymentItem.get(workspace_id, CONNECTION, consistent_read=True).facts)
        except DoesNotExist:
            return None


def workspace_of_account(account_id: str) -> str | None:
    """The workspace that a Stripe account is linked to."""
    with store_trouble_is_ours():
        try:
            holder = PaymentItem.get(f"acct#{account_id}", CLAIM, consistent_read=True).reference
        except DoesNotExist:
            return None
    return None if holder == FREE else holder


def account_is_known(account_id: str) -> bool:
    """Whether an account is, or once was, linked to one of our workspaces: its money may still come and go back."""
    with store_trouble_is_ours():
        return PaymentItem.count(f"acct#{account_id}") > 0


def link(before: Connection | None, made: Connection) -> bool:
    """Keep a new link in the place of `before`, and claim its account for this workspace.

    Answers False if the workspace's link is not as `before` any more: look again. A version is in the history once,
    with the account that it stands for.

    Raises:
        Conflict: the account is linked to another workspace.
    """
    free = PaymentItem.pk.does_not_exist() | PaymentItem.reference.is_in(FREE, made.workspace_id)
    ours = PaymentItem.reference == made.workspace_id
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(PaymentItem(f"acct#{made.account_id}", CLAIM, reference=made.workspace_id), condition=free)
            transaction.save(_current(made), condition=_is_still(before))
            if before is None or before.version != made.version:
                key = f"{CONNECTION}#{made.version:06d}"
                transaction.save(PaymentItem(made.workspace_id, key, state="history", facts=asdict(made)))
            if before is not None and before.account_id != made.account_id and before.state not in ENDED:
                transaction.save(PaymentItem(f"acct#{before.account_id}", CLAIM, reference=FREE), condition=ours)
        return True
    except TransactWriteError as error:
        reasons = [reason and reason.code for reason in error.cancellation_reasons]
        if "ConditionalCheckFailed" not in reasons:
            raise Unavailable("The wallet store") from error
        if reasons[0] != "ConditionalCheckFailed":
            return False
        detail = "This Stripe account is linked to another workspace already. Choose another account."
        raise Conflict("stripe_account_taken", detail) from error


def update_connection(before: Connection, changed: Connection) -> bool:
    """Keep what is new about a link, if it is still as `before`; an ended one frees its account. False if it is not."""
    ours = PaymentItem.reference == changed.workspace_id
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.save(_current(changed), condition=_is_still(before))
            if changed.state in ENDED:
                transaction.save(PaymentItem(f"acct#{changed.account_id}", CLAIM, reference=FREE), condition=ours)
        return True
    except TransactWriteError as error:
        reasons = [reason.code for reason in error.cancellation_reasons if reason is not None]
        if "ConditionalCheckFailed" not in reasons:
            raise Unavailable("The wallet store") from error
        return False


def keep_state(state_hash: str, state: OAuthState) -> None:
    """Remember a state by its hash for ten minutes."""
    item = PaymentItem(
        f"state#{state_hash}", STATE, facts=asdict(state), expires_at=(state.created_at_ms + STATE_MS) // 1000
    )
    try:
        item.save(condition=PaymentItem.pk.does_not_exist())
    except PutError as error:
        raise Unavailable("The wallet store") from error


def bind_browser(state_hash: str, browser_hash: str) -> OAuthState:
    """Tie a state to the browser that came with it first.

    Raises:
        Conflict: no such state, or another browser came first.
    """
    unbound = PaymentItem.pk.exists() & PaymentItem.browser_hash.does_not_exist()
    return _update_state(state_hash, PaymentItem.browser_hash.set(browser_hash), unbound)


def use_code(code_hash: str, now_ms: int) -> bool:
    """Note that a code is being exchanged; False if it was before: Stripe would end what the first exchange made."""
    try:
        item = PaymentItem(f"code#{code_hash}", STATE, expires_at=now_ms // 1000 + CODE_SECONDS)
        item.save(condition=PaymentItem.pk.does_not_exist())
        return True
    except PutError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        return False


def consume_state(state_hash: str) -> OAuthState:
    """Use a state up, before anything is done with it.

    Raises:
        Conflict: no such state, or it was used before.
    """
    unused = PaymentItem.pk.exists() & PaymentItem.state.does_not_exist()
    return _update_state(state_hash, PaymentItem.state.set("used"), unused)


def _update_state(state_hash: str, action: Any, condition: Any) -> OAuthState:
    item = PaymentItem(f"state#{state_hash}", STATE)
    try:
        item.update([action], condition=condition)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise Unavailable("The wallet store") from error
        detail = "This link was used before, or is not known here. Start again from your workspace."
        raise Conflict("oauth_state_invalid", detail) from error
    return replace(OAuthState(**item.facts), browser_hash=item.browser_hash)


def _current(link: Connection) -> PaymentItem:
    return PaymentItem(
        link.workspace_id, CONNECTION, state=link.state.value, reference=_stamp(link), facts=asdict(link)
    )


def _is_still(before: Connection | None) -> Condition:
    if before is None:
        return PaymentItem.pk.does_not_exist()
    same: Condition = (PaymentItem.state == before.state.value) & (PaymentItem.reference == _stamp(before))
    return same


def _stamp(link: Connection) -> str:
    """Tells one link from the next: the same account again has the same version."""
    return f"{link.version}@{link.connected_at_ms}"


def _from_facts(facts: Any) -> Connection:
    return Connection(**{**facts, "state": ConnectionState(facts["state"])})
