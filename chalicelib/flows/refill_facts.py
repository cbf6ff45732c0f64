"""What decides about a wallet's refill, gathered: its owner, the Stripe account, cards, holds, switches."""

from dataclasses import dataclass

from chalicelib.domain.accounts import AccountStatus, SubAccount, Workspace
from chalicelib.domain.errors import Conflict
from chalicelib.domain.refill import Refill
from chalicelib.domain.standing import Cause, Circumstances, Standing
from chalicelib.domain.wallet import Wallet
from chalicelib.flows.take_top_up import taker_of
from chalicelib.gateways import stripe
from chalicelib.storage import accounts, customers, payments, refill_switch
from chalicelib.storage.refill_switch import EVERYBODY

_CAUSE_OF = {
    "stripe_not_connected": Cause.NOT_CONNECTED,
    "stripe_payments_disabled": Cause.PAYMENTS_DISABLED,
    "stripe_not_configured": Cause.NOT_CONNECTED,
}


@dataclass(frozen=True)
class RefillFacts:
    """On which account, for which customer, and under what circumstances a refill would be paid now."""

    workspace_id: str
    around: Circumstances
    account_id: str | None = None
    connection_version: int = 0
    livemode: bool = False
    customer_id: str | None = None


def facts_of(wallet: Wallet) -> RefillFacts:
    """Gather them, as they are now.

    Raises:
        NotFound: the owner is gone. Unavailable: the store or the parameter store does not answer.
    """
    owner, workspace = owners_of(wallet.owner_id)
    step_micros = stripe.minor_unit_micros(wallet.currency)
    limits = workspace.workspace_limits if owner is workspace else workspace.sub_account_limits
    try:
        account_id, version, livemode = taker_of(owner)
    except Conflict as refused:
        around = Circumstances(wallet.balance_micros, step_micros, limits.maximum_micros, (), _CAUSE_OF[refused.code])
        return RefillFacts(workspace.id, around)
    known = (customers.card_of(owner.id, version), customers.backup_card_of(owner.id, version))
    cards = tuple(card.payment_method_id for card in known if card is not None)
    outside = _forbidden(owner, workspace)
    around = Circumstances(wallet.balance_micros, step_micros, limits.maximum_micros, cards, outside)
    customer_id = customers.customer_of(owner.id, version)
    return RefillFacts(workspace.id, around, account_id, version, livemode, customer_id)


def owners_of(owner_id: str) -> tuple[Workspace | SubAccount, Workspace]:
    """A wallet's owner, and the workspace that it is, or belongs to.

    Raises:
        NotFound: there is no such account.
    """
    if owner_id.startswith("ws_"):
        workspace = accounts.get_workspace(owner_id)
        return workspace, workspace
    sub_account = accounts.get_sub_account(owner_id)
    return sub_account, accounts.get_workspace(sub_account.workspace_id)


def _forbidden(owner: Workspace | SubAccount, workspace: Workspace) -> Cause | None:
    if any(refill_switch.get_switch(scope).stopped for scope in (EVERYBODY, workspace.id)):
        return Cause.SWITCHED_OFF
    if any(each.status is not AccountStatus.ACTIVE for each in (owner, workspace)):
        return Cause.PAUSED
    return Cause.DISPUTED if payments.refills_are_held(owner.id) else None


def still_wanted(refill: Refill, standing: Standing, wallet: Wallet) -> bool:
    """Whether everything that spoke for a refill when it was opened does so still; asked just before the card is."""
    rule, spent = standing.rule, standing.spent
    if standing.open_refill_id != refill.id or not rule.enabled or wallet.balance_micros > rule.threshold_micros:
        return False
    now = facts_of(wallet)
    same_account = (now.account_id, now.connection_version) == (refill.account_id, refill.connection_version)
    if now.around.outside is not None or not same_account or refill.payment_method_id not in now.around.cards:
        return False
    limits = ((rule.daily_limit_micros, spent.day_micros), (rule.monthly_limit_micros, spent.month_micros))
    return all(limit_micros is None or micros <= limit_micros for limit_micros, micros in limits)
