"""What the gate saw when it decided. A decision moves nothing and is not stored: its id tells when it was made, and
balances, prices and pauses of that moment are found again from what is stored.
"""

from dataclasses import replace
from typing import TypeVar

from ulid import ULID

from chalicelib.clock import rfc3339
from chalicelib.domain.access import Allowed, decide
from chalicelib.domain.accounts import AccountStatus, SubAccount, Workspace, owning_workspace
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import format_amount
from chalicelib.domain.wallet import Wallet
from chalicelib.storage import accounts, wallets
from ops.stories import NEAR_MS, Story, balance_after, tell_consequences

Account = TypeVar("Account", Workspace, SubAccount)

IN_THE_LOG = "What it really answered stands in the log of the gate, for as long as that is kept: "
OTHER = {AccountStatus.ACTIVE: AccountStatus.PAUSED, AccountStatus.PAUSED: AccountStatus.ACTIVE}


def gate_story(decision_id: str, sub_account_id: str) -> Story:
    """What the gate must have answered a sub-account at the moment of a decision.

    Raises:
        NotFound: no such sub-account. ValueError: no id of a decision.
    """
    at_ms = int(ULID.from_str(decision_id.removeprefix("gte_")).timestamp * 1000)
    client = accounts.get_sub_account(sub_account_id)
    workspace = accounts.get_workspace(owning_workspace(sub_account_id) or "")
    held = {owner_id: _held_at(owner_id, at_ms) for owner_id in (workspace.id, client.id)}
    story = Story(decision_id, "gate_decision", "")
    story.facts = {"workspace": workspace.id, "sub_account": client.id, "at": rfc3339(at_ms)}
    story.legs = [
        {
            "wallet": owner_id,
            "balance_then": "-" if wallet is None else format_amount(wallet.balance_micros),
            "credit_limit": "-" if wallet is None else format_amount(wallet.credit_limit_micros),
        }
        for owner_id, wallet in held.items()
    ]
    story.says = _answer(story, workspace, client, held, at_ms)
    story.facts["log"] = f'{IN_THE_LOG}look for decision_id = "{decision_id}" (only a no is logged)'
    for owner_id in held:
        tell_consequences(story, owner_id, at_ms - NEAR_MS)
    story.happened(at_ms, "the gate was asked")
    return story


def _answer(story: Story, workspace: Workspace, client: SubAccount, held: dict[str, Wallet | None], at_ms: int) -> str:
    own, clients = held[workspace.id], held[client.id]
    if client.created_at_ms > at_ms:
        return "The sub-account did not exist yet: was the decision about another one?"
    if own is None or clients is None:
        return "Too much has moved since then to count the balances back."
    answer = decide(_as_then(workspace, at_ms), own, _as_then(client, at_ms), clients, at_ms)
    if isinstance(answer, Allowed):
        story.facts |= {"answer": "200 allowed", "max_seconds": str(answer.max_seconds)}
        return f"By what is stored, the call could start, for up to {answer.max_seconds} seconds."
    story.facts |= {"answer": f"403 {answer.code}", "scope": answer.scope}
    return f"By what is stored, no call could start. {answer.detail}"


def _as_then(account: Account, at_ms: int) -> Account:
    """The account as it was: paused or not. Only the last change is kept with it; before that it was the other."""
    change = account.status_change
    if change is None or change.at_ms <= at_ms:
        return account
    return replace(account, status=OTHER.get(account.status, AccountStatus.ACTIVE))


def _held_at(owner_id: str, at_ms: int) -> Wallet | None:
    """A wallet with the balance of a moment; None where too much has moved since."""
    try:
        wallet = wallets.get_wallet(owner_id)
    except NotFound:
        return None
    after = balance_after(owner_id, f"ent_{ULID.from_int((at_ms + 1) << 80)}")
    return None if after is None else replace(wallet, balance_micros=after)
