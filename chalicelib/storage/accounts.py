"""Workspaces, sub-accounts, voice agents and endpoints."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.accounts import (
    AccountStatus,
    GatePolicy,
    Provider,
    StatusChange,
    SubAccount,
    VoiceEndpoint,
    Workspace,
    owning_workspace,
)
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.payments import SUB_ACCOUNT_LIMITS, WORKSPACE_LIMITS, TopUpLimits
from chalicelib.domain.rating import RateCard
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.cards import card_from_json, card_to_json
from chalicelib.storage.people import first_owner
from chalicelib.storage.tables import AccountItem, PaymentItem, WalletItem, connection, store_trouble_is_ours

WORKSPACE = "workspace"
ENDPOINT_PREFIX = "whe_"
MOST_CARDS = 500
CARD_ATTEMPTS = 5


class WorkspaceItem(AccountItem):
    """A workspace's own item, with what nobody else's has: limits as [minimum_micros, maximum_micros]."""

    workspace_limits = JSONAttribute(null=True)
    sub_account_limits = JSONAttribute(null=True)


class EndpointItem(AccountItem):
    """A voice endpoint's item, with the key that its platform's list of calls is read with."""

    api_key = UnicodeAttribute(null=True)


def create_workspace(workspace: Workspace, wallet: Wallet) -> None:
    """Write a workspace together with its empty wallet and its first owner."""
    item = AccountItem(
        workspace.id,
        WORKSPACE,
        created_at_ms=workspace.created_at_ms,
        name=workspace.name,
        status=workspace.status.value,
        currency=workspace.currency,
        owner_email=workspace.owner_email,
        gate=[workspace.gate.min_start_seconds, workspace.gate.max_call_seconds],
        cards=[card_to_json(card) for card in workspace.cost_cards],
        cards_version=1,
    )
    _create_with_wallet(item, wallet, first_owner(workspace.id, workspace.owner_email))


def create_sub_account(
    sub_account: SubAccount,
    wallet: Wallet,
    notice_levels: Sequence[int] | None = None,
    suggestion: PaymentItem | None = None,
) -> None:
    """Write a sub-account together with its empty wallet, and what the workspace's snapshot says of both.

    `notice_levels` are micros, None the usual ones; `suggestion` is a refill rule that is off.
    """
    item = AccountItem(
        sub_account.workspace_id,
        sub_account.id,
        created_at_ms=sub_account.created_at_ms,
        name=sub_account.name,
        status=sub_account.status.value,
        cards=[card_to_json(card) for card in sub_account.rebilling_cards],
        cards_version=1,
    )
    _create_with_wallet(item, wallet, *([suggestion] if suggestion else []), notice_levels=notice_levels)


def _create_with_wallet(
    item: AccountItem, wallet: Wallet, *others: AccountItem | PaymentItem, notice_levels: Sequence[int] | None = None
) -> None:
    wallet_item = WalletItem(
        wallet.owner_id,
        currency=wallet.currency,
        balance_micros=wallet.balance_micros,
        headroom_micros=wallet.balance_micros,
        credit_limit_micros=wallet.credit_limit_micros,
        notice_levels=None if notice_levels is None else list(notice_levels),
    )
    with store_trouble_is_ours(), TransactWrite(connection=connection()) as transaction:
        transaction.save(item, condition=AccountItem.pk.does_not_exist())
        transaction.save(wallet_item, condition=WalletItem.owner_id.does_not_exist())
        for other in others:
            transaction.save(other, condition=type(other).pk.does_not_exist())


def get_workspace(workspace_id: str) -> Workspace:
    """Read a workspace as it is now.

    Raises:
        NotFound: there is none with this id.
    """
    return workspace_from_item(_get(workspace_id, WORKSPACE, "workspace", WorkspaceItem))


def get_sub_account(sub_account_id: str) -> SubAccount:
    """Read a sub-account as it is now.

    Raises:
        NotFound: there is none with this id.
    """
    return sub_account_from_item(_get(_workspace_of(sub_account_id, "sa_"), sub_account_id, "sub-account"))


def list_sub_accounts(workspace_id: str, limit: int, after: str | None = None) -> tuple[list[SubAccount], bool]:
    """Up to `limit` sub-accounts of a workspace in the order of their ids, and whether there are more."""
    start = {"pk": {"S": workspace_id}, "sk": {"S": after}} if after else None
    with store_trouble_is_ours():
        found = AccountItem.query(
            workspace_id, AccountItem.sk.startswith("sa_"), limit=limit + 1, last_evaluated_key=start
        )
        rows = [sub_account_from_item(item) for item in found]
    return rows[:limit], len(rows) > limit


def sub_accounts_by_id(sub_account_ids: Iterable[str]) -> dict[str, SubAccount]:
    """The sub-accounts that exist among these ids, as they are now."""
    keys = {(workspace_id, each) for each in sub_account_ids if (workspace_id := _workspace_of(each, "sa_"))}
    return {item.sk: sub_account_from_item(item) for item in _get_many(keys)}


def add_cost_card(workspace_id: str, card: RateCard) -> None:
    """Add a dated cost to a workspace.

    Raises:
        NotFound: no such workspace. Conflict: too many changes.
    """
    _add_card(workspace_id, WORKSPACE, "workspace", card)


def add_rebilling_card(sub_account: SubAccount, card: RateCard) -> None:
    """Add a dated rate card to a sub-account.

    Raises:
        NotFound: no such sub-account. Conflict: too many changes.
    """
    _add_card(sub_account.workspace_id, sub_account.id, "sub-account", card)


def set_top_up_limits(workspace_id: str, own: TopUpLimits | None, sub_accounts: TopUpLimits | None) -> None:
    """Set the limits of payments into a workspace's own wallet and its sub-accounts'. None leaves them as they are.

    Raises:
        NotFound: no such workspace.
    """
    named = ((WorkspaceItem.workspace_limits, own), (WorkspaceItem.sub_account_limits, sub_accounts))
    actions: list[Action] = [
        attribute.set([limits.minimum_micros, limits.maximum_micros]) for attribute, limits in named if limits
    ]
    item = _get(workspace_id, WORKSPACE, "workspace", WorkspaceItem)
    if actions:
        with store_trouble_is_ours():
            item.update(actions)


def set_status(account: Workspace | SubAccount, status: AccountStatus, change: StatusChange) -> None:
    """Pause or resume an account, if it is as we saw it.

    Raises:
        Unavailable: it has changed meanwhile, or the store did not answer; say it again.
    """
    key = (account.id, WORKSPACE) if isinstance(account, Workspace) else (account.workspace_id, account.id)
    actions: list[Action] = [AccountItem.status.set(status.value), AccountItem.status_change.set(asdict(change))]
    with store_trouble_is_ours():
        AccountItem(*key).update(actions, condition=AccountItem.status == account.status.value)


def _add_card(pk: str, sk: str, what: str, card: RateCard) -> None:
    for _ in range(CARD_ATTEMPTS):  # another change may slip in between the read and the write
        item = _get(pk, sk, what)
        if len(item.cards) >= MOST_CARDS:
            raise Conflict("too_many_price_changes", f"This {what} has had {MOST_CARDS} price changes.")
        actions: list[Action] = [
            AccountItem.cards.set([*item.cards, card_to_json(card)]),
            AccountItem.cards_version.set(item.cards_version + 1),
        ]
        try:
            item.update(actions, condition=AccountItem.cards_version == item.cards_version)
            return
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise Unavailable("The wallet store") from error
    raise Unavailable("The wallet store")


def assign_agent(provider: Provider, agent_id: str, sub_account: SubAccount, now_ms: int) -> None:
    """Say whose calls a voice agent's are, from now on."""
    item = AccountItem(
        sub_account.workspace_id,
        agent_key(provider, agent_id),
        created_at_ms=now_ms,
        provider=provider.value,
        sub_account_id=sub_account.id,
    )
    with store_trouble_is_ours():
        item.save()


def unassign_agent(provider: Provider, agent_id: str, sub_account: SubAccount) -> None:
    """A voice agent's calls are this sub-account's no longer; those that come wait until somebody says whose they are.

    Raises:
        NotFound: it is not this sub-account's, or has become another's meanwhile; names agent_id.
    """
    key = agent_key(provider, agent_id)
    if sub_accounts_of_agents(sub_account.workspace_id, [key]).get(key) != sub_account.id:
        raise _not_its_agent()
    # Gone already is well, too: where the answer to the first try was lost, the store is asked again by its client.
    still_its: Condition = AccountItem.pk.does_not_exist() | (AccountItem.sub_account_id == sub_account.id)
    with store_trouble_is_ours():
        try:
            AccountItem(sub_account.workspace_id, key).delete(condition=still_its)
        except DeleteError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            raise _not_its_agent() from None


def _not_its_agent() -> NotFound:
    return NotFound("not_found", "This sub-account has no such voice agent.", "agent_id")


def agent_key(provider: str, agent_id: str) -> str:
    """Where a workspace keeps whose calls an agent's are."""
    return f"agent#{provider}#{agent_id}"


def sub_accounts_of_agents(workspace_id: str, agent_keys: Iterable[str]) -> dict[str, str]:
    """Agent key -> sub-account id, for those that are assigned."""
    items = _get_many({(workspace_id, key) for key in agent_keys})
    return {item.sk: item.sub_account_id for item in items if item.sub_account_id}


def create_endpoint(endpoint: VoiceEndpoint) -> None:
    """Keep a voice endpoint with its secret."""
    item = EndpointItem(
        endpoint.workspace_id,
        endpoint.id,
        created_at_ms=endpoint.created_at_ms,
        provider=endpoint.provider.value,
        secret=endpoint.secret,
        api_key=endpoint.api_key,
    )
    with store_trouble_is_ours():
        item.save()


def get_endpoint(endpoint_id: str) -> VoiceEndpoint:
    """Read a voice endpoint.

    Raises:
        NotFound: there is none with this id.
    """
    return endpoint_from_item(_get(_workspace_of(endpoint_id, ENDPOINT_PREFIX), endpoint_id, "voice endpoint"))


def endpoint_of(workspace_id: str, endpoint_id: str) -> VoiceEndpoint:
    """Read a voice endpoint of a workspace, with its API key.

    Raises:
        NotFound: this workspace has none with this id; names endpoint_id.
    """
    if _workspace_of(endpoint_id, ENDPOINT_PREFIX) == workspace_id:
        with store_trouble_is_ours():
            for item in EndpointItem.query(workspace_id, EndpointItem.sk == endpoint_id, consistent_read=True):
                return endpoint_from_item(item)
    detail = "There is no such voice endpoint in this workspace. It may have been deleted before."
    raise NotFound("not_found", detail, "endpoint_id")


def endpoints_of(workspace_id: str) -> list[VoiceEndpoint]:
    """The voice endpoints of a workspace with their API keys, in the order of their ids."""
    with store_trouble_is_ours():
        found = EndpointItem.query(workspace_id, EndpointItem.sk.startswith(ENDPOINT_PREFIX), consistent_read=True)
        return [endpoint_from_item(item) for item in found]


def delete_endpoint(endpoint: VoiceEndpoint) -> None:
    """Forget a voice endpoint with its secrets. One that is gone already stays gone."""
    with store_trouble_is_ours():
        EndpointItem(endpoint.workspace_id, endpoint.id).delete()


def endpoint_from_item(item: AccountItem) -> VoiceEndpoint:
    """The voice endpoint that an item holds. Only an `EndpointItem` knows its API key; webhooks do not ask for it."""
    api_key = getattr(item, "api_key", None)
    return VoiceEndpoint(item.sk, item.pk, Provider(item.provider), item.secret or "", int(item.created_at_ms), api_key)


def _workspace_of(thing_id: str, prefix: str) -> str:
    """The workspace inside an id; empty for an id of another kind of thing, which is then not found."""
    return owning_workspace(thing_id) or "" if thing_id.startswith(prefix) else ""


def _get(pk: str, sk: str, what: str, kind: type[AccountItem] = AccountItem) -> AccountItem:
    if not pk:
        raise NotFound("not_found", f"There is no such {what}.")
    with store_trouble_is_ours():
        try:
            return kind.get(pk, sk, consistent_read=True)
        except DoesNotExist:
            pass
    raise NotFound("not_found", f"There is no such {what}.")


def _get_many(keys: set[tuple[str, str]]) -> Sequence[AccountItem]:
    if not keys:
        return []
    with store_trouble_is_ours():
        return list(AccountItem.batch_get(sorted(keys), consistent_read=True))


def workspace_from_item(item: AccountItem) -> Workspace:
    """The workspace that an item holds. Only a `WorkspaceItem` knows its limits; the gate does not ask for them."""
    return Workspace(
        id=item.pk,
        name=item.name or "",
        currency=item.currency or "",
        owner_email=item.owner_email or "",
        created_at_ms=int(item.created_at_ms),
        cost_cards=_cards(item),
        gate=GatePolicy(*(item.gate or ())),
        status=AccountStatus(item.status),
        workspace_limits=_limits(item, "workspace_limits") or WORKSPACE_LIMITS,
        sub_account_limits=_limits(item, "sub_account_limits") or SUB_ACCOUNT_LIMITS,
        status_change=_status_change(item),
    )


def _limits(item: AccountItem, name: str) -> TopUpLimits | None:
    kept: list[int] | None = getattr(item, name, None)
    return TopUpLimits(*kept) if kept else None


def sub_account_from_item(item: AccountItem) -> SubAccount:
    """The sub-account that an item holds."""
    return SubAccount(
        id=item.sk,
        workspace_id=item.pk,
        name=item.name or "",
        created_at_ms=int(item.created_at_ms),
        rebilling_cards=_cards(item),
        status=AccountStatus(item.status),
        status_change=_status_change(item),
    )


def _status_change(item: AccountItem) -> StatusChange | None:
    return StatusChange(**item.status_change) if item.status_change else None


def _cards(item: AccountItem) -> tuple[RateCard, ...]:
    stored: list[dict[str, Any]] = item.cards or []
    return tuple(card_from_json(card) for card in stored)
