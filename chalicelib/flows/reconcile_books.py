"""Reads all that we have written down about a workspace, adds it up anew, and lets nothing be a difference that only
comes from reading while calls are posted.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ulid import ULID

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.differences import OPEN_TOO_LONG_MS, key_of
from chalicelib.domain.rating import VOICE
from chalicelib.domain.reconcile import NOTHING, Books, PaymentKey, Totals, WalletFacts
from chalicelib.domain.seals import Broken, broken
from chalicelib.domain.wallet import Entry, EntryKind, Wallet
from chalicelib.flows.nightly import Check
from chalicelib.storage import reconciling
from chalicelib.storage.entries import ENTRY_ID_PREFIX
from chalicelib.storage.overview import sub_accounts_of

LATELY_MS = 600_000  # entries that are younger may still be on their way into an index, or out of order
LOOKS, PAUSE_SECONDS = 4, 1.0
CREDITS = (EntryKind.TOP_UP, EntryKind.REFILL)
REVERSALS = (EntryKind.REFUND, EntryKind.DISPUTE)


@dataclass
class Tally:
    """What entries come to: by wallet, and by owner and day."""

    micros: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    days: dict[str, dict[str, Totals]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        for leg in entry.legs:
            self.micros[leg.owner_id] += leg.amount_micros
        if entry.kind is not EntryKind.USAGE:
            return
        is_call = entry.usage is not None and entry.usage.meter == VOICE
        totals = Totals(
            calls=int(is_call),
            talk_ms=(entry.usage.quantity or 0) if entry.usage is not None and is_call else 0,
            cost_micros=-entry.workspace_leg.amount_micros if entry.workspace_leg else 0,
            revenue_micros=-entry.sub_account_leg.amount_micros if entry.sub_account_leg else 0,
        )
        day = utc_day(entry.occurred_at_ms)
        for owner_id in (entry.workspace_id, entry.sub_account_id):
            if owner_id:
                self.days[owner_id][day] = self.days[owner_id].get(day, NOTHING) + totals

    def with_wallet(self, wallet: Wallet, headroom_micros: int, later: "Tally") -> WalletFacts:
        """A wallet and its owner's days beside what this and what came later come to."""
        days = dict(self.days.get(wallet.owner_id, {}))
        for day, totals in later.days.get(wallet.owner_id, {}).items():
            days[day] = days.get(day, NOTHING) + totals
        micros = self.micros.get(wallet.owner_id, 0) + later.micros.get(wallet.owner_id, 0)
        stored = reconciling.days_of(wallet.owner_id)
        headroom_off = headroom_micros - wallet.balance_micros + (wallet.refill_threshold_micros or 0)
        return WalletFacts(wallet.owner_id, wallet.currency, wallet.balance_micros, micros, stored, days, headroom_off)


@dataclass
class Reading:
    """A workspace's books, how many entries were read, and the wallets that never stood still for long enough."""

    books: Books
    entries: int
    unsettled: list[str]


def read_books(workspace_id: str, at_ms: int, check: Check) -> Reading:
    """Read everything of one workspace, as of a moment; `check` is called all the time and may raise to end it."""
    owners = [workspace_id, *(client.id for client in sub_accounts_of(workspace_id))]
    since = str(ULID.from_timestamp((now_ms() - LATELY_MS) / 1000))[:10]
    before, lately, statement = Tally(), Tally(), _Statement()
    for owner_id in owners:
        for entry in reconciling.entries_of(owner_id):
            check()
            (lately if entry.id.removeprefix(ENTRY_ID_PREFIX) >= since else before).add(entry)
            statement.note(entry)
    wallets, suspects = [], []
    for wallet, headroom_micros in reconciling.wallets_of(owners):
        check()
        facts = before.with_wallet(wallet, headroom_micros, lately)
        wallets.append(facts)
        if not facts.agrees:
            suspects.append(facts.owner_id)
    settled, unsettled = _look_again(workspace_id, suspects, before, since)
    purchases = [purchase for owner_id in owners for purchase in reconciling.purchases_of(owner_id)]
    keys = {key_of(entry) for entry in statement.credits}
    keys |= {(each.account_id, each.payment_intent_id) for each in purchases if each.payment_intent_id}
    books = Books(
        workspace_id=workspace_id,
        wallets=[*(each for each in wallets if each.agrees), *settled],
        broken=statement.broken,
        credits=statement.credits,
        reversals=statement.reversals,
        purchases=purchases,
        payments=reconciling.payments_by_key(keys),
        accounts=reconciling.accounts_of(workspace_id),
        left_open=reconciling.unfinished_closings(workspace_id, at_ms - OPEN_TOO_LONG_MS),
    )
    return Reading(books, statement.entries, unsettled)


class _Statement:
    """What is kept of the entries beside their sums."""

    def __init__(self) -> None:
        self.entries = 0
        self.broken: list[Broken] = []
        self.credits: list[Entry] = []
        self.reversals: dict[PaymentKey, int] = defaultdict(int)

    def note(self, entry: Entry) -> None:
        self.entries += 1
        found = broken(entry)
        if found is not None:
            self.broken.append(found)
        if entry.kind in CREDITS:
            self.credits.append(entry)
        if entry.kind in REVERSALS:
            self.reversals[key_of(entry)] += sum(leg.amount_micros for leg in entry.legs)


def _look_again(
    workspace_id: str, suspects: Sequence[str], before: Tally, since: str
) -> tuple[list[WalletFacts], list[str]]:
    """Wallets that did not agree at once, as they are when they stand still; and those that never do.

    A difference counts when two looks in a row, each with the balance the same at its beginning and end, find it.
    """
    settled: dict[str, WalletFacts] = {}
    pending, last = set(suspects), dict[str, WalletFacts]()
    for look in range(LOOKS):
        if not pending:
            break
        if look:
            time.sleep(PAUSE_SECONDS)
        found = _look(workspace_id, pending, before, since)
        settled |= {each.owner_id: each for each in found.values() if each.agrees or each == last.get(each.owner_id)}
        pending -= settled.keys()
        last = found
    return list(settled.values()), sorted(pending)


def _look(workspace_id: str, owner_ids: Collection[str], before: Tally, since: str) -> dict[str, WalletFacts]:
    """The wallets among these that did not move while their latest entries were read."""
    balances = _balances(owner_ids)
    lately = Tally()
    for owner_id in {workspace_id, *owner_ids}:
        for entry in reconciling.entries_of(owner_id, since):
            lately.add(entry)
    facts = [before.with_wallet(*each, lately) for each in reconciling.wallets_of(owner_ids)]
    still = _balances(owner_ids)
    return {each.owner_id: each for each in facts if balances[each.owner_id] == still[each.owner_id]}


def _balances(owner_ids: Iterable[str]) -> dict[str, int]:
    return {wallet.owner_id: wallet.balance_micros for wallet, _ in reconciling.wallets_of(list(owner_ids))}
