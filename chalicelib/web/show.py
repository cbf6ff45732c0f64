"""How the domain's objects become answers."""

from collections.abc import Sequence

from chalicelib.clock import now_ms, rfc3339
from chalicelib.domain.access import minutes_left_tenths, wallet_status
from chalicelib.domain.accounts import StatusChange, SubAccount, VoiceEndpoint, Workspace
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.notices import Notice, WatchedWallet, WebhookEndpoint
from chalicelib.domain.payments import Card, Connection, TopUp, TopUpLimits, TopUpState
from chalicelib.domain.rating import VOICE, Charge, Price, PriceType, RateCard, card_in_force
from chalicelib.domain.standing import Cause, RefillState, Standing, Stop
from chalicelib.domain.usage import Status, UsageEvent
from chalicelib.domain.wallet import Entry, Leg, Wallet
from chalicelib.storage import connections, customers, refills, top_ups
from chalicelib.storage.refill_switch import EVERYBODY, Switch, get_switch
from chalicelib.storage.usage_events import KeptEvent
from chalicelib.web.answers import (
    ShownCard,
    ShownCharge,
    ShownCharges,
    ShownConnection,
    ShownGate,
    ShownNewVoiceEndpoint,
    ShownNewWebhookEndpoint,
    ShownNotice,
    ShownNoticeLevels,
    ShownPaymentMethod,
    ShownPrice,
    ShownRefill,
    ShownRefillRule,
    ShownRefillSwitch,
    ShownStatusChange,
    ShownSubAccount,
    ShownTopUp,
    ShownTopUpLimits,
    ShownTopUpRange,
    ShownUsage,
    ShownUsageEvent,
    ShownVoiceEndpoint,
    ShownWallet,
    ShownWebhookEndpoint,
    ShownWorkspace,
)
from chalicelib.web.entry_answers import ShownEntry


def show_price(price: Price, meter: str) -> ShownPrice:
    """A price as it was set."""
    shown = ShownPrice(price_type=price.price_type)
    if price.price_type is PriceType.MARKUP:
        whole, hundredths = divmod(price.markup_basis_points, 100)
        shown.markup_percent = f"{whole}.{hundredths:02d}"
    if meter != VOICE:
        shown.price_per_unit = (
            format_price(price.price_per_unit_micros) if price.price_type is PriceType.FIXED else None
        )
        return shown
    if price.price_type is PriceType.FIXED:
        shown.price_per_minute = format_price(price.price_per_unit_micros)
    shown.initial_increment_seconds = price.initial_increment_seconds
    shown.increment_seconds = price.increment_seconds
    shown.minimum_seconds = price.minimum_seconds
    shown.connect_fee = format_price(price.connect_fee_micros)
    return shown


def show_card(card: RateCard | None) -> ShownCard | None:
    """A rate card with all its prices."""
    if card is None:
        return None
    prices = {meter: price and show_price(price, meter) for meter, price in card.prices.items()}
    return ShownCard(effective_at=rfc3339(card.effective_at_ms), enabled=card.enabled, prices=prices)


def _show_cards(cards: Sequence[RateCard]) -> list[ShownCard]:
    newest_first = sorted(cards, key=lambda card: card.effective_at_ms, reverse=True)
    return [shown for card in newest_first if (shown := show_card(card))]


def show_workspace(workspace: Workspace) -> ShownWorkspace:
    """A workspace as its owner sees it."""
    return ShownWorkspace(
        id=workspace.id,
        name=workspace.name,
        currency=workspace.currency,
        owner_email=workspace.owner_email,
        status=workspace.status,
        status_change=_show_status_change(workspace.status_change),
        gate=ShownGate(
            min_start_seconds=workspace.gate.min_start_seconds, max_call_seconds=workspace.gate.max_call_seconds
        ),
        top_up_limits=ShownTopUpLimits(
            workspace=_show_limits(workspace.workspace_limits), sub_accounts=_show_limits(workspace.sub_account_limits)
        ),
        cost=show_card(card_in_force(workspace.cost_cards, now_ms())),
        cost_cards=_show_cards(workspace.cost_cards),
        created_at=rfc3339(workspace.created_at_ms),
    )


def _show_limits(limits: TopUpLimits) -> ShownTopUpRange:
    return ShownTopUpRange(minimum=format_price(limits.minimum_micros), maximum=format_price(limits.maximum_micros))


def show_sub_account(sub_account: SubAccount) -> ShownSubAccount:
    """A sub-account as its agency sees it."""
    return ShownSubAccount(
        id=sub_account.id,
        workspace=sub_account.workspace_id,
        name=sub_account.name,
        status=sub_account.status,
        status_change=_show_status_change(sub_account.status_change),
        rebilling=show_card(card_in_force(sub_account.rebilling_cards, now_ms())),
        rebilling_cards=_show_cards(sub_account.rebilling_cards),
        created_at=rfc3339(sub_account.created_at_ms),
    )


def _show_status_change(change: StatusChange | None) -> ShownStatusChange | None:
    return ShownStatusChange(at=rfc3339(change.at_ms), by=change.by, note=change.note) if change else None


def show_endpoint(endpoint: VoiceEndpoint, url: str) -> ShownVoiceEndpoint:
    """A voice endpoint, without what is secret of it."""
    return ShownVoiceEndpoint(
        id=endpoint.id,
        workspace=endpoint.workspace_id,
        provider=endpoint.provider,
        url=url,
        has_api_key=endpoint.api_key is not None,
        created_at=rfc3339(endpoint.created_at_ms),
    )


def show_new_endpoint(endpoint: VoiceEndpoint, url: str) -> ShownNewVoiceEndpoint:
    """A voice endpoint with its secret."""
    return ShownNewVoiceEndpoint(**dict(show_endpoint(endpoint, url)), secret=endpoint.secret)


def show_wallet(wallet: Wallet, workspace: Workspace, sub_account: SubAccount | None, base_url: str) -> ShownWallet:
    """A wallet with what it still pays for. `sub_account` is None for the workspace's own."""
    now = now_ms()
    tenths = minutes_left_tenths(wallet, workspace, sub_account, now)
    linked = connections.get_connection(workspace.id) if sub_account else None
    card = customers.card_of(wallet.owner_id, linked.version if linked else 0)
    pending = top_ups.pending_top_up(wallet.owner_id)
    return ShownWallet(
        owner=wallet.owner_id,
        balance=format_amount(wallet.balance_micros),
        currency=wallet.currency,
        status=wallet_status(wallet, workspace, sub_account, now),
        credit_limit=format_price(wallet.credit_limit_micros),
        minutes_left=None if tenths is None else f"{tenths // 10}.{tenths % 10}",
        refill=show_refill(refills.get_standing(wallet.owner_id), base_url),
        pending_top_up=show_top_up(pending) if pending else None,
        card=show_card_on_file(card) if card else None,
    )


def show_refill(standing: Standing, base_url: str) -> ShownRefill:
    """How a wallet's refills stand, with what has stopped them."""
    stop, state = standing.stop, standing.state()
    if state is RefillState.OK and (switch := get_switch(EVERYBODY)).stopped:  # no wallet has been looked at since
        stop, state = Stop(Cause.SWITCHED_OFF, switch.at_ms), RefillState.HELD
    if stop is None or state in (RefillState.OFF, RefillState.CHARGING):
        return ShownRefill(state=state)
    return ShownRefill(
        state=state,
        cause=stop.cause,
        detail=stop.detail,
        since=rfc3339(stop.since_ms),
        retry_at=None if stop.until_ms is None else rfc3339(stop.until_ms),
        action_url=stop.url and f"{base_url}{stop.url}",
    )


def show_refill_rule(standing: Standing, currency: str, base_url: str) -> ShownRefillRule:
    """A refill rule as its owner sees it."""
    rule, spent = standing.rule, standing.spent.on(now_ms())
    return ShownRefillRule(
        owner=standing.owner_id,
        currency=currency,
        enabled=rule.enabled,
        threshold=format_price(rule.threshold_micros),
        mode=rule.mode,
        target_balance=format_price(rule.target_balance_micros),
        amount=format_price(rule.amount_micros),
        daily_limit=_price_or_none(rule.daily_limit_micros),
        monthly_limit=_price_or_none(rule.monthly_limit_micros),
        daily_count_limit=rule.daily_count_limit,
        cooldown_seconds=rule.cooldown_seconds,
        spent_today=format_price(spent.day_micros),
        spent_this_month=format_price(spent.month_micros),
        refills_today=spent.day_count,
        refill=show_refill(standing, base_url),
    )


def _price_or_none(micros: int | None) -> str | None:
    return None if micros is None else format_price(micros)


def show_refill_switch(switch: Switch) -> ShownRefillSwitch:
    """The switch, whether or not it was ever touched."""
    at = rfc3339(switch.at_ms) if switch.at_ms else None
    return ShownRefillSwitch(scope=switch.scope, stopped=switch.stopped, reason=switch.reason, by=switch.by, at=at)


def show_top_up(top_up: TopUp) -> ShownTopUp:
    """A top-up, with its page while that can be paid on."""
    return ShownTopUp(
        id=top_up.id,
        owner=top_up.owner_id,
        state=top_up.state,
        amount=format_price(top_up.amount_micros),
        currency=top_up.currency,
        url=top_up.url if top_up.state is TopUpState.OPEN else None,
        created_at=rfc3339(top_up.created_at_ms),
    )


def show_card_on_file(card: Card) -> ShownPaymentMethod:
    """A saved card, as far as anybody needs to know it."""
    return ShownPaymentMethod(brand=card.brand, last4=card.last4, expires=f"{card.exp_month:02d}/{card.exp_year}")


def show_connection(found: Connection) -> ShownConnection:
    """A workspace's link to its Stripe account."""
    return ShownConnection(
        workspace=found.workspace_id,
        state=found.state,
        account=found.account_id,
        account_name=found.account_name,
        mode="live" if found.livemode else "test",
        charges_enabled=found.charges_enabled,
        connected_at=rfc3339(found.connected_at_ms),
    )


def _show_usage(usage: UsageEvent, charge: Charge | None = None) -> ShownUsage:
    is_voice = usage.meter == VOICE
    return ShownUsage(
        source=usage.source,
        id=usage.event_id,
        meter=usage.meter,
        agent_id=usage.agent_id,
        answered_at=None if usage.answered_at_ms is None else rfc3339(usage.answered_at_ms),
        ended_at=None if usage.ended_at_ms is None else rfc3339(usage.ended_at_ms),
        outcome=usage.outcome,
        quantity=None if is_voice else usage.quantity,
        talk_seconds=_seconds(usage.quantity) if is_voice else None,
        **(_show_price(usage.meter, charge) if charge else {}),
    )


def _show_price(meter: str, charge: Charge) -> dict[str, str | None]:
    per_minute, per_unit = _per(meter, charge)
    fee_micros = charge.price.connect_fee_micros
    return {
        "rate_card_effective_at": rfc3339(charge.card_effective_at_ms),
        "billed_seconds": _seconds(charge.billed_ms),
        "price_per_minute": per_minute,
        "price_per_unit": per_unit,
        "connect_fee": format_price(fee_micros) if fee_micros else None,
    }


def _per(meter: str, charge: Charge) -> tuple[str | None, str | None]:
    return (charge.price_per_unit, None) if meter == VOICE else (None, charge.price_per_unit)


def _seconds(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{abs(milliseconds) // 1000}.{abs(milliseconds) % 1000:03d}"


def show_entry(entry: Entry, owner_id: str, shows_by: bool = False) -> ShownEntry:
    """An entry as one of its wallets saw it: the other wallet's leg is not in it, nor, usually, who moved it."""
    leg = next(leg for leg in entry.legs if leg.owner_id == owner_id)
    return ShownEntry(
        id=entry.id,
        kind=entry.kind,
        amount=format_amount(leg.amount_micros),
        currency=entry.currency,
        occurred_at=rfc3339(entry.occurred_at_ms),
        posted_at=rfc3339(entry.posted_at_ms),
        note=entry.note,
        credit_kind=entry.credit_kind,
        by=entry.by if shows_by else None,
        sub_account=entry.sub_account_id or (owner_id if owner_id.startswith("sa_") else None),
        usage=None if entry.usage is None else _show_usage(entry.usage, leg.charge),
    )


def show_usage_event(kept: KeptEvent) -> ShownUsageEvent:
    """What became of a usage event, with both charges where it was posted."""
    entry = kept.entry
    return ShownUsageEvent(
        id=kept.event_id,
        source=kept.source,
        status=kept.status,
        reason=kept.reason,
        note=kept.note,
        workspace=kept.workspace_id,
        sub_account=kept.usage.sub_account_id if kept.usage else None,
        entry=entry.id if entry else None,
        received_at=rfc3339(kept.received_at_ms),
        posted_at=rfc3339(entry.posted_at_ms) if entry else None,
        usage=_show_usage(kept.usage) if kept.usage else None,
        remarks=list(kept.usage.remarks) if kept.usage else [],
        charges=_show_charges(entry) if entry else None,
        conflicts=[_show_usage(usage) for usage in kept.contradictions],
    )


def show_queued(event: UsageEvent) -> ShownUsageEvent:
    """An event that was accepted a moment ago."""
    return ShownUsageEvent(
        id=event.event_id,
        source=event.source,
        status=Status.QUEUED,
        workspace=event.workspace_id,
        sub_account=event.sub_account_id,
        received_at=rfc3339(event.received_at_ms),
    )


def _show_charges(entry: Entry) -> ShownCharges:
    return ShownCharges(
        workspace=_show_charge(entry, entry.workspace_leg), sub_account=_show_charge(entry, entry.sub_account_leg)
    )


def _show_charge(entry: Entry, leg: Leg | None) -> ShownCharge | None:
    if leg is None or leg.charge is None or entry.usage is None:
        return None
    meter, charge = entry.usage.meter, leg.charge
    per_minute, per_unit = _per(meter, charge)
    return ShownCharge(
        wallet=leg.owner_id,
        amount=format_amount(-leg.amount_micros),
        currency=entry.currency,
        billed_seconds=None if charge.billed_ms is None else _seconds(charge.billed_ms),
        price_per_minute=per_minute,
        price_per_unit=per_unit,
        price=show_price(charge.price, meter),
        rate_card_effective_at=rfc3339(charge.card_effective_at_ms),
    )


def show_notice(notice: Notice) -> ShownNotice:
    """A notice as its owner sees it."""
    return ShownNotice(
        id=notice.id,
        type=notice.type,
        owner=notice.owner_id,
        occurred_at=rfc3339(notice.occurred_at_ms),
        data=dict(notice.data),
    )


def show_notice_levels(wallet: WatchedWallet) -> ShownNoticeLevels:
    """At which balances a wallet's owner is told."""
    levels = [format_price(level) for level in wallet.levels_micros]
    return ShownNoticeLevels(owner=wallet.owner_id, levels=levels, currency=wallet.currency)


def show_webhook_endpoint(endpoint: WebhookEndpoint) -> ShownWebhookEndpoint:
    """An endpoint without its secret."""
    return ShownWebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        types=list(endpoint.types) or None,
        state=endpoint.state,
        reason=endpoint.reason,
        disabled_at=None if endpoint.disabled_at_ms is None else rfc3339(endpoint.disabled_at_ms),
        last_success_at=None if endpoint.last_success_at_ms is None else rfc3339(endpoint.last_success_at_ms),
        created_at=rfc3339(endpoint.created_at_ms),
    )


def show_new_webhook_endpoint(endpoint: WebhookEndpoint) -> ShownNewWebhookEndpoint:
    """An endpoint with its secret."""
    return ShownNewWebhookEndpoint(**show_webhook_endpoint(endpoint).model_dump(), secret=endpoint.secret)
