"""The gate: asked before a call starts, answered from one read; only a no reads how refills stand as well."""

from contextlib import suppress
from dataclasses import dataclass

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.access import Allowed, Denied, decide, wallet_status
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.standing import RefillState
from chalicelib.domain.wallet import WalletStatus
from chalicelib.storage.gate import read_for_gate
from chalicelib.storage.refills import get_standing
from chalicelib.telemetry import logger


@dataclass(frozen=True)
class GateDecision:
    """One answer of the gate, with what it saw."""

    id: str
    answer: Allowed | Denied
    workspace_wallet: WalletStatus
    sub_account_wallet: WalletStatus
    refill_state: RefillState | None = None  # of the wallet that is empty, if that is why


def check_access(sub_account_id: str) -> GateDecision:
    """Whether a sub-account's next call may start.

    Raises:
        NotFound: no such sub-account. Unavailable: nobody knows; that is never a no.
    """
    workspace, workspace_wallet, sub_account, sub_account_wallet = read_for_gate(sub_account_id)
    now = now_ms()
    answer = decide(workspace, workspace_wallet, sub_account, sub_account_wallet, now)
    decision = GateDecision(
        id=f"gte_{ULID()}",
        answer=answer,
        workspace_wallet=wallet_status(workspace_wallet, workspace, None, now),
        sub_account_wallet=wallet_status(sub_account_wallet, workspace, sub_account, now),
        refill_state=_refill_state(answer, workspace.id, sub_account.id),
    )
    if isinstance(answer, Denied):
        balances = {
            "workspace_micros": workspace_wallet.balance_micros,
            "own_micros": sub_account_wallet.balance_micros,
        }
        asked = {"decision_id": decision.id, "sub_account_id": sub_account.id, "code": answer.code}
        logger.info("gate_denied", extra={**asked, **balances})
    return decision


def _refill_state(answer: Allowed | Denied, workspace_id: str, sub_account_id: str) -> RefillState | None:
    """Whether help is on its way. Where that cannot be read, the no stands without it."""
    if isinstance(answer, Allowed):
        return None
    with suppress(Unavailable):
        return get_standing(workspace_id if answer.scope == "workspace" else sub_account_id).state()
    return None
