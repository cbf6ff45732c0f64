"""A person sets when a wallet refills itself, and by how much."""

from dataclasses import replace

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import SubAccount, Workspace, refuse_if_closed
from chalicelib.domain.errors import Conflict, Invalid, Unavailable
from chalicelib.domain.money import format_price
from chalicelib.domain.payments import TopUpLimits
from chalicelib.domain.refill import RefillMode, RefillRule
from chalicelib.domain.standing import Standing
from chalicelib.flows.take_top_up import limits_of
from chalicelib.gateways import stripe
from chalicelib.storage import refills, wallets

ATTEMPTS = 5


def set_rule(owner: Workspace | SubAccount, rule: RefillRule, confirm_charge_now: bool) -> Standing:
    """Keep a wallet's refill rule. Whatever had stopped refills is forgotten: this is a fresh start.

    Raises:
        Invalid: limits that no refill could keep; names the field. Conflict: the wallet is below the threshold already
        and `confirm_charge_now` was not said; says how much would be taken. NotFound: no such wallet.
    """
    wallet, limits = wallets.get_wallet(owner.id), limits_of(owner)
    step_micros = stripe.minor_unit_micros(wallet.currency)
    if rule.enabled:
        if isinstance(owner, SubAccount):
            refuse_if_closed(owner)
        _check(rule, limits, step_micros)
    is_due = rule.enabled and wallet.balance_micros <= rule.threshold_micros
    if is_due and not confirm_charge_now:
        raise _charges_now(rule.payment_micros(wallet.balance_micros, step_micros, limits.maximum_micros))
    for _ in range(ATTEMPTS):
        before, now = refills.get_standing(owner.id), now_ms()
        agreed_ms = before.rule.consented_at_ms if before.rule.enabled else now
        after = before.with_rule(replace(rule, consented_at_ms=agreed_ms if rule.enabled else None), now)
        if refills.save_rule(before, after):
            return after
    raise Unavailable("The wallet store")


def _check(rule: RefillRule, limits: TopUpLimits, step_micros: int) -> None:
    if rule.mode is RefillMode.FIXED:
        one_micros, param = rule.amount_micros, "amount"
        if not limits.minimum_micros <= one_micros <= limits.maximum_micros:
            low, high = format_price(limits.minimum_micros), format_price(limits.maximum_micros)
            raise Invalid(param, f"amount must be between {low} and {high}.", "amount_out_of_range")
    else:
        one_micros, param = rule.target_balance_micros - rule.threshold_micros, "target_balance"
        low_micros = rule.threshold_micros + limits.minimum_micros
        if not low_micros <= rule.target_balance_micros <= limits.maximum_micros:
            between = f"{format_price(low_micros)} and {format_price(limits.maximum_micros)}"
            raise Invalid(param, f"target_balance must be between {between}: one payment must be large enough.")
    if one_micros % step_micros:
        raise Invalid(param, f"{param} must be a multiple of {format_price(step_micros)}: no payment can be finer.")
    for name, limit_micros in (("daily_limit", rule.daily_limit_micros), ("monthly_limit", rule.monthly_limit_micros)):
        if limit_micros is not None and limit_micros < one_micros:
            raise Invalid(name, f"{name} must leave room for one refill of {format_price(one_micros)}.")


def _charges_now(amount_micros: int) -> Conflict:
    detail = f"The balance is at or below this threshold: saving takes {format_price(amount_micros)} from the card now."
    return Conflict("confirm_charge_now", f"{detail} Send confirm_charge_now: true if that is right.")
