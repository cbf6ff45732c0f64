"""Workspaces, sub-accounts, voice agents and endpoints, and API keys."""

from collections.abc import Iterable, Sequence
from typing import Any

from pynamodb.exceptions import DoesNotExist, PutError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib.domain.accounts import (
    AccountStatus,
    GatePolicy,
    Provider,
    SubAccount,
    VoiceEndpoint,
    Workspace,
    owning_workspace,
)
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.rating import RateCard
from chalicelib.domain.wallet import Wallet
from chalicelib.storage.cards import card_from_json, card_to_json
from chalicelib.storage.tables import AccountItem, WalletItem, connection, store_trouble_is_ours

WORKSPACE = "workspace"
API_KEY = "api_key"
MOST_CARDS = 500
CARD_ATTEMPTS = 5


def create_workspace(workspace: Workspace, wallet: Wallet) -> None:
    """Write a workspace together with its empty wallet."""
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
    _create_with_wallet(item, wallet)


def create_sub_account(sub_account: SubAccount, wallet: Wallet) -> None:
    """Write a sub-account together with its empty wallet."""
    item = AccountItem(
        sub_account.workspace_id,
        sub_account.id,
        created_at_ms=sub_account.created_at_ms,
        name=sub_account.name,
        status=sub_account.status.value,
        cards=[card_to_json(card) for card in sub_account.rebilling_cards],
        cards_version=1,
    )
    _create_with_wallet(item, wallet)


def _create_with_wallet(item: AccountItem, wallet: Wallet) -> None:
    wallet_item = WalletItem(
        wallet.owner_id,
        currency=wallet.currency,
        balance_micros=wallet.balance_micros,
        headroom_micros=wallet.balance_micros,
        credit_limit_micros=wallet.credit_limit_micros,
    )
    with store_trouble_is_ours(), TransactWrite(connection=connection()) as transaction:
        transaction.save(item, condition=AccountItem.pk.does_not_exist())
        transaction.save(wallet_item, condition=WalletItem.owner_id.does_not_exist())


def get_workspace(workspace_id: str) -> Workspace:
    """Read a workspace as it is now.

    Raises:
        NotFound: there is none with this id.
    """
    return workspace_from_item(_get(workspace_id, WORKSPACE, "workspace"))


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


def agent_key(provider: str, agent_id: str) -> str:
    """Where a workspace keeps whose calls an agent's are."""
    return f"agent#{provider}#{agent_id}"


def sub_accounts_of_agents(workspace_id: str, agent_keys: Iterable[str]) -> dict[str, str]:
    """Agent key -> sub-account id, for those that are assigned."""
    items = _get_many({(workspace_id, key) for key in agent_keys})
    return {item.sk: item.sub_account_id for item in items if item.sub_account_id}


def create_endpoint(endpoint: VoiceEndpoint) -> None:
    """Keep a voice endpoint with its secret."""
    item = AccountItem(
        endpoint.workspace_id,
        endpoint.id,
        created_at_ms=endpoint.created_at_ms,
        provider=endpoint.provider.value,
        secret=endpoint.secret,
    )
    with store_trouble_is_ours():
        item.save()


def get_endpoint(endpoint_id: str) -> VoiceEndpoint:
    """Read a voice endpoint.

    Raises:
        NotFound: there is none with this id.
    """
    item = _get(_workspace_of(endpoint_id, "whe_"), endpoint_id, "voice endpoint")
    return VoiceEndpoint(item.sk, item.pk, Provider(item.provider), item.secret or "", int(item.created_at_ms))


def add_api_key(key_hash: str, name: str, now_ms: int) -> None:
    """Keep an API key by the hex SHA-256 of it: the key itself is nowhere.

    Raises:
        Conflict: the very same key is there already.
    """
    item = AccountItem(API_KEY, key_hash, created_at_ms=now_ms, name=name, revoked=False)
    try:
        item.save(condition=AccountItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise Conflict("api_key_exists", "This key exists already.") from error
        raise Unavailable("The wallet store") from error


def api_key_is_valid(key_hash: str) -> bool:
    """Whether a key with this hash exists and has not been revoked."""
    try:
        return not _get(API_KEY, key_hash, "API key").revoked
    except NotFound:
        return False


def _workspace_of(thing_id: str, prefix: str) -> str:
    """The workspace inside an id; empty for an id of another kind of thing, which is then not found."""
    return owning_workspace(thing_id) or "" if thing_id.startswith(prefix) else ""


def _get(pk: str, sk: str, what: str) -> AccountItem:
    if not pk:
        raise NotFound("not_found", f"There is no such {what}.")
    with store_trouble_is_ours():
        try:
            return AccountItem.get(pk, sk, consistent_read=True)
        except DoesNotExist:
            pass
    raise NotFound("not_found", f"There is no such {what}.")


def _get_many(keys: set[tuple[str, str]]) -> Sequence[AccountItem]:
    if not keys:
        return []
    with store_trouble_is_ours():
        return list(AccountItem.batch_get(sorted(keys), consistent_read=True))


def workspace_from_item(item: AccountItem) -> Workspace:
    """The workspace that an item holds."""
    return Workspace(
        id=item.pk,
        name=item.name or "",
        currency=item.currency or "",
        owner_email=item.owner_email or "",
        created_at_ms=int(item.created_at_ms),
        cost_cards=_cards(item),
        gate=GatePolicy(*(item.gate or ())),
        status=AccountStatus(item.status),
    )


def sub_account_from_item(item: AccountItem) -> SubAccount:
    """The sub-account that an item holds."""
    return SubAccount(
        id=item.sk,
        workspace_id=item.pk,
        name=item.name or "",
        created_at_ms=int(item.created_at_ms),
        rebilling_cards=_cards(item),
        status=AccountStatus(item.status),
    )


def _cards(item: AccountItem) -> tuple[RateCard, ...]:
    stored: list[dict[str, Any]] = item.cards or []
    return tuple(card_from_json(card) for card in stored)
