"""What needs a person's attention: empty wallets, stopped refills, prices below cost, calls that wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.clock import now_ms
from chalicelib.domain.access import voice_prices, wallet_status
from chalicelib.domain.accounts import AccountStatus, SubAccount, Workspace
from chalicelib.domain.errors import PriceMissing
from chalicelib.domain.notices import EndpointState
from chalicelib.domain.rating import PriceType, card_in_force
from chalicelib.domain.standing import RefillState
from chalicelib.domain.usage import Status
from chalicelib.domain.wallet import WalletStatus
from chalicelib.storage import activity, usage_events
from chalicelib.storage.account_pages import read_rows
from chalicelib.storage.items import together
from chalicelib.storage.overview import Client
from chalicelib.web.dashboard.visits import Visit

MOST_NAMES = 5
MOST_COUNTED = 100
STOPPED = (RefillState.RETRYING, RefillState.ACTION_REQUIRED, RefillState.SUSPENDED, RefillState.HELD)
WAITING = {  # of one call, of several, and what it means
    Status.UNMATCHED: (
        "1 call waits for a client",
        "{count} calls wait for a client",
        "Nobody has said yet whose voice agent that is. Nothing is lost, and nothing is billed.",
    ),
    Status.NEEDS_REVIEW: (
        "1 call cannot be billed as it is",
        "{count} calls cannot be billed as they are",
        "Something is missing, a price say. It is billed as soon as that is set.",
    ),
    Status.CONFLICT: (
        "1 report contradicts what was billed",
        "{count} reports contradict what was billed",
        "What was billed first stands; what was told later is kept for you to see.",
    ),
}


@dataclass(frozen=True)
class Matter:
    """One thing that needs attention: a headline, what it means, and where to go (words, address, remark)."""

    headline: str
    text: str
    links: Sequence[tuple[str, str, str]] = ()
    more: int = 0


def is_rebilled(sub_account: SubAccount, at_ms: int) -> bool:
    """Whether re-billing is on for a client."""
    card = card_in_force(sub_account.rebilling_cards, at_ms)
    return card is not None and card.enabled


def of_clients(visit: Visit, clients: Sequence[Client]) -> list[Matter]:
    """What needs attention about clients now, the most pressing first."""
    at_ms = now_ms()
    active = [
        each
        for each in clients
        if each.sub_account.status is AccountStatus.ACTIVE and is_rebilled(each.sub_account, at_ms)
    ]
    empty = [
        each.sub_account
        for each in active
        if wallet_status(each.wallet, visit.workspace, each.sub_account, at_ms) is WalletStatus.EMPTY
    ]
    below = [each.sub_account for each in active if is_below_cost(visit.workspace, each.sub_account, at_ms)]
    known = [
        _of_clients(visit, empty, "an empty wallet", "Their calls do not start until it is filled."),
        _refills(visit, clients),
        _of_clients(visit, below, "a price below cost", "Every minute they talk costs you more."),
    ]
    return [matter for matter in known if matter is not None]


def of_calls(visit: Visit) -> list[Matter]:
    """Calls that wait for a person, and webhooks that are not sent any more."""
    with together() as reads:
        begun = [reads.begin(_waiting, visit, status) for status in WAITING]
        begun.append(reads.begin(_endpoints))
    return [matter for read in begun if (matter := read.result()) is not None]


def is_below_cost(workspace: Workspace, sub_account: SubAccount, at_ms: int) -> bool:
    """Whether a client pays less for a minute than the workspace. One that is to pay nothing is no news."""
    try:
        cost, price = voice_prices(workspace, sub_account, at_ms)
    except PriceMissing:
        return False
    is_fixed = price is not None and price.price_type is PriceType.FIXED
    return bool(is_fixed and price and price.price_per_unit_micros < cost.price_per_unit_micros)


def _of_clients(visit: Visit, found: Sequence[SubAccount], what: str, text: str) -> Matter | None:
    if not found:
        return None
    headline = f"1 client has {what}" if len(found) == 1 else f"{len(found):,} clients have {what}"
    links = [(each.name, visit.at("account", sub_account=each.id), "") for each in found[:MOST_NAMES]]
    return Matter(headline, text, links, len(found) - len(links))


def _refills(visit: Visit, clients: Sequence[Client]) -> Matter | None:
    resting = [each.sub_account.id for each in clients if each.refills_rest][:MOST_COUNTED]
    rows = read_rows(visit.workspace.id, resting, ())
    stopped = [
        (row.sub_account, row.standing.stop) for row in rows if row.standing.stop and row.standing.state() in STOPPED
    ]
    if not stopped:
        return None
    is_one = len(stopped) == 1
    headline = (
        "Automatic refills of 1 client have stopped" if is_one else f"Refills of {len(stopped)} clients have stopped"
    )
    links = [
        (account.name, visit.at("account", sub_account=account.id), stop.detail)
        for account, stop in stopped[:MOST_NAMES]
    ]
    return Matter(headline, "Their wallets run empty unless somebody helps.", links, len(stopped) - len(links))


def _waiting(visit: Visit, status: Status) -> Matter | None:
    found, has_more = usage_events.waiting_events(visit.workspace.id, status, MOST_COUNTED)
    if not found:
        return None
    one, several, text = WAITING[status]
    count = f"{len(found)} or more" if has_more else str(len(found))
    headline = one if len(found) == 1 else several.format(count=count)
    return Matter(headline, text, [("Look", visit.at("waiting", status=status.value), "")])


def _endpoints() -> Matter | None:
    """The platform's own: their addresses are not for its agencies' eyes."""
    off = [each for each in activity.webhook_endpoints() if each.state is EndpointState.DISABLED]
    if not off:
        return None
    text = "Your platform does not hear of low balances and refills there. It can switch it on again."
    return Matter("A webhook of your platform was switched off", text)
