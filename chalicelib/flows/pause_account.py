"""Accounts are paused and resumed: no calls start and no card is asked, while what already runs is still paid."""

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import AccountStatus, StatusChange, SubAccount, Workspace, refuse_if_closed
from chalicelib.storage import accounts
from chalicelib.telemetry import logger


def set_paused(account: Workspace | SubAccount, paused: bool, by: str, note: str | None) -> Workspace | SubAccount:
    """Pause an account or resume it; repeats do no harm. `by` is a key's name or an e-mail.

    Raises:
        Conflict: it is closed. Unavailable: say it again.
    """
    if isinstance(account, SubAccount):
        refuse_if_closed(account)
    status = AccountStatus.PAUSED if paused else AccountStatus.ACTIVE
    if account.status is status:
        return account
    accounts.set_status(account, status, StatusChange(now_ms(), by, note))
    logger.info("account_status", extra={"account_id": account.id, "status": status.value, "by": by})
    if isinstance(account, Workspace):
        return accounts.get_workspace(account.id)
    return accounts.get_sub_account(account.id)
