"""How the domain's objects become answers."""

from collections.abc import Sequence

from chalicelib.clock import now_ms, rfc3339
from chalicelib.domain.access import minutes_left_tenths, wallet_status
from chalicelib.domain.accounts import SubAccount, VoiceEndpoint, Workspace
from chalicelib.domain.money import format_amount, format_price
from chalicelib.domain.payments import Card, TopUp, TopUpState
from chalicelib.domain.rating import VOICE, Charge, Price, PriceType, RateCard, card_in_force
from chalicelib.domain.usage import Status, UsageEvent
from chalicelib.domain.wallet import Entry, Leg, Wallet
from chalicelib.storage import connections, payments
from chalicelib.storage.usage_events import KeptEvent
from chalicelib.web.answers import (
    ShownCard,
    ShownCharge,
    ShownCharges,
    ShownEntry,
    ShownGate,
    ShownPaymentMethod,
    ShownPrice,
    ShownSubAccount,
    ShownTopUp,
    ShownUsage,
    ShownUsageEvent,
    ShownVoiceEndpoint,
    ShownWallet,
    ShownWorkspace,
)


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
        gate=ShownGate(
            min_start_seconds=workspace.gate.min_start_seconds, max_call_seconds=workspace.gate.max_call_seconds
        ),
        cost=show_card(card_in_force(workspace.cost_cards, now_ms())),
        cost_cards=_show_cards(workspace.cost_cards),
        created_at=rfc3339(workspace.created_at_ms),
    )


def show_sub_account(sub_account: SubAccount) -> ShownSubAccount:
    """A sub-account as its agency sees it."""
    return ShownSubAccount(
        id=sub_account.id,
        workspace=sub_account.workspace_id,
        name=sub_account.name,
        status=sub_account.status,
        rebilling=show_card(card_in_force(sub_account.rebilling_cards, now_ms())),
        rebilling_cards=_show_cards(sub_account.rebilling_cards),
        created_at=rfc3339(sub_account.created_at_ms),
    )


def show_endpoint(endpoint: VoiceEndpoint, url: str) -> ShownVoiceEndpoint:
    """A voice endpoint with its secret."""
    return ShownVoiceEndpoint(
        id=endpoint.id,
        workspace=endpoint.workspace_id,
        provider=endpoint.provider,
        url=url,
        secret=endpoint.secret,
        created_at=rfc3339(endpoint.created_at_ms),
    )


def show_wallet(wallet: Wallet, workspace: Workspace, sub_account: SubAccount | None) -> ShownWallet:
    """A wallet with what it still pays for. `sub_account` is None for the workspace's own."""
    now = now_ms()
    tenths = minutes_left_tenths(wallet, workspace, sub_account, now)
    linked = connections.get_connection(workspace.id) if sub_account else None
    card = payments.card_of(wallet.owner_id, linked.version if linked else 0)
    pending = payments.pending_top_up(wallet.owner_id)
    return ShownWallet(
        owner=wallet.owner_id,
        balance=format_amount(wallet.balance_micros),
        currency=wallet.currency,
        status=wallet_status(wallet, workspace, sub_account, now),
        credit_limit=format_price(wallet.credit_limit_micros),
        minutes_left=None if tenths is None else f"{tenths // 10}.{tenths % 10}",
        pending_top_up=show_top_up(pending) if pending else None,
        card=show_card_on_file(card) if card else None,
    )


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


def _show_usage(usage: UsageEvent, charge: Charge | None = None) -> ShownUsage:
    shown = ShownUsage(
        source=usage.source,
        id=usage.event_id,
        meter=usage.meter,
        agent_id=usage.agent_id,
        answered_at=None if usage.answered_at_ms is None else rfc3339(usage.answered_at_ms),
        ended_at=None if usage.ended_at_ms is None else rfc3339(usage.ended_at_ms),
        outcome=usage.outcome,
    )
    if usage.meter != VOICE:
        shown.quantity = usage.quantity
    elif usage.quantity is not None:
        shown.talk_seconds = _seconds(usage.quantity)
    if charge is not None:
        shown.rate_card_effective_at = rfc3339(charge.card_effective_at_ms)
        shown.billed_seconds = None if charge.billed_ms is None else _seconds(charge.billed_ms)
        shown.price_per_minute, shown.price_per_unit = _per(usage.meter, charge)
        shown.connect_fee = format_price(charge.price.connect_fee_micros) if charge.price.connect_fee_micros else None
    return shown


def _per(meter: str, charge: Charge) -> tuple[str | None, str | None]:
    return (charge.price_per_unit, None) if meter == VOICE else (None, charge.price_per_unit)


def _seconds(milliseconds: int) -> str:
    sign = "-" if milliseconds < 0 else ""
    return f"{sign}{abs(milliseconds) // 1000}.{abs(milliseconds) % 1000:03d}"


def show_entry(entry: Entry, owner_id: str) -> ShownEntry:
    """An entry as one of its wallets saw it: the other wallet's leg is not in the answer."""
    leg = next(leg for leg in entry.legs if leg.owner_id == owner_id)
    return ShownEntry(
        id=entry.id,
        kind=entry.kind,
        amount=format_amount(leg.amount_micros),
        currency=entry.currency,
        occurred_at=rfc3339(entry.occurred_at_ms),
        posted_at=rfc3339(entry.posted_at_ms),
        note=entry.note,
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
