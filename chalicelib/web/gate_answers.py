"""What the gate answers, apart from all other answers: it is asked before every call, and waits for none of them."""

from typing import Literal

from chalicelib.domain.wallet import WalletStatus
from chalicelib.web.models import AnswerModel


class ShownGateWallets(AnswerModel):
    """How both wallets stand."""

    workspace: WalletStatus
    sub_account: WalletStatus


class ShownAccess(AnswerModel):
    """The gate's yes."""

    object: Literal["access"] = "access"
    allowed: Literal[True] = True
    max_seconds: int
    wallets: ShownGateWallets
    sub_account_pays: bool
    decision_id: str
