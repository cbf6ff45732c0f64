"""Many workspaces, sub-accounts and entries, through the product's own flows: for looking at pages and for measuring.

The same plan makes the same names, ids and calls. Where it was cut short, the same plan on the same store goes on:
whatever is there already is a repeat. Another plan makes other workspaces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from chalicelib.clock import now_ms, utc_day
from chalicelib.domain.accounts import SubAccount, Workspace
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import MICROS_PER_UNIT
from chalicelib.domain.rating import DEFAULT_COST_PER_MINUTE_MICROS, VOICE, Price, PriceType, RateCard
from chalicelib.domain.usage import DAY_MS, Report, UsageEvent
from chalicelib.domain.wallet import CreditKind, Wallet
from chalicelib.flows.give_credit import give_credit
from chalicelib.flows.post_usage import Message, post_usage
from chalicelib.storage import accounts

SOURCE = "seed"
BATCH = 500
SECONDS_TO_POST = 120.0
LONGEST_DAYS = 30  # older calls would be kept for a person instead of being posted
PRICES_SINCE_MS = 40 * DAY_MS
SHORTEST_TALK_MS, LONGEST_TALK_MS = 5_000, 600_000
WORKSPACE_CREDIT_MICROS = 50_000 * MICROS_PER_UNIT
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"  # those of our ids
FIRST_NAMES = ("Bright", "Harbor", "Lumen", "Cedar", "Juniper", "Summit", "Maple", "Copper", "Atlas", "Orchid")
LAST_NAMES = ("Dental", "Plumbing", "Optics", "Legal", "Hotel", "Fitness", "Veterinary", "Movers", "Spa", "Realty")

Progress = Callable[[int], object]


class SeedError(RuntimeError):
    """The store would not take everything; the same plan again goes on from there."""


@dataclass(frozen=True)
class Seeded:
    """One workspace that was made, and its sub-accounts in the order in which they are busy, the busiest first."""

    workspace_id: str
    sub_account_ids: tuple[str, ...]


@dataclass(frozen=True)
class _Call:
    client: str
    ended_at_ms: int
    talk_ms: int


def steps(workspaces: int, sub_accounts: int, entries: int) -> int:
    """How much `progress` will have been told of in the end."""
    return workspaces + sub_accounts + entries


def seed(
    workspaces: int,
    sub_accounts: int,
    entries: int,
    progress: Progress = lambda done: None,
    number: int = 1,
    days: int = LONGEST_DAYS,
) -> list[Seeded]:
    """Make so many workspaces, so many sub-accounts in all, and so many usage entries in all over the last `days`.

    Each owner gets one credit beside these. `progress` is told how much more of `steps` is done. `number` makes
    another plan of the same size.

    Raises:
        ValueError: a number that cannot be. SeedError: the store did not take everything.
    """
    if not 1 <= workspaces <= max(1, sub_accounts) or entries < 0 or (entries and not sub_accounts):
        raise ValueError("There must be a workspace, a sub-account for each, and a sub-account for the entries.")
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"Calls can be spread over 1 to {LONGEST_DAYS} days.")
    chance = Random(f"{number}/{workspaces}/{sub_accounts}/{entries}/{days}")
    names = [_letters(chance, 12) for _ in range(workspaces)]
    clients = [
        [f"sa_{names[at]}_{_letters(chance, 10)}" for _ in range(at, sub_accounts, workspaces)]
        for at in range(workspaces)
    ]
    made = [Seeded(f"ws_{name}", tuple(ids)) for name, ids in zip(names, clients, strict=True)]
    now = _begun_at_ms(made[0].workspace_id)
    for place, each in enumerate(made, 1):
        _make(each, place, now, chance, progress)
    _post(_calls(made, entries, days, now, chance), now, progress)
    return made


def _letters(chance: Random, count: int) -> str:
    return "".join(chance.choice(LETTERS) for _ in range(count))


def _begun_at_ms(workspace_id: str) -> int:
    """The moment that calls are counted back from: a plan that goes on must say the same of each call."""
    try:
        return accounts.get_workspace(workspace_id).created_at_ms
    except NotFound:
        return now_ms()


def _make(made: Seeded, place: int, now: int, chance: Random, progress: Progress) -> None:
    """One workspace with its sub-accounts, as far as they are not there yet."""
    cost = RateCard(0, prices={VOICE: Price(PriceType.FIXED, DEFAULT_COST_PER_MINUTE_MICROS)})
    name = f"Seeded Voice {place}"
    try:
        accounts.get_workspace(made.workspace_id)
    except NotFound:
        workspace = Workspace(made.workspace_id, name, "usd", f"owner{place}@seed.example", now, (cost,))
        accounts.create_workspace(workspace, Wallet(made.workspace_id, "usd", 0))
    _credit(made.workspace_id, WORKSPACE_CREDIT_MICROS)
    progress(1)
    known = accounts.sub_accounts_by_id(set(made.sub_account_ids))
    for number, sub_account_id in enumerate(made.sub_account_ids, 1):
        card, credit_micros = _card(chance, now), chance.randrange(20, 1_000) * MICROS_PER_UNIT
        client_name = f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)} {number}"
        if sub_account_id not in known:
            client = SubAccount(sub_account_id, made.workspace_id, client_name, now, (card,))
            accounts.create_sub_account(client, Wallet(sub_account_id, "usd", 0))
        _credit(sub_account_id, credit_micros)
        progress(1)


def _card(chance: Random, now: int) -> RateCard:
    """Most pay by the minute, some a markup, a few nothing."""
    fixed = Price(PriceType.FIXED, chance.randrange(8, 40) * 10_000)
    by_six = Price(PriceType.FIXED, 180_000, initial_increment_seconds=30, increment_seconds=6)
    markup = Price(PriceType.MARKUP, markup_basis_points=chance.randrange(20, 200) * 100)
    price = chance.choices((fixed, by_six, markup, Price(PriceType.ABSORB), None), (70, 10, 12, 3, 5))[0]
    return RateCard(now - PRICES_SINCE_MS, enabled=price is not None, prices={VOICE: price})


def _credit(owner_id: str, amount_micros: int) -> None:
    give_credit(owner_id, amount_micros, "Opening balance", "seed", CreditKind.EXTERNAL_PAYMENT)


def _calls(made: Sequence[Seeded], entries: int, days: int, now: int, chance: Random) -> list[_Call]:
    """Calls in the order of their days; within a day a client's stand together, so that its wallet moves once for all.

    The first client of a workspace is twice as busy as the second, three times as busy as the third, and so on.
    """
    clients = [client for each in made for client in each.sub_account_ids]
    busy = list(accumulate(1 / (place + 1) for each in made for place in range(len(each.sub_account_ids))))
    calls = [
        _Call(client, now - chance.randrange(1_000, days * DAY_MS), chance.randrange(SHORTEST_TALK_MS, LONGEST_TALK_MS))
        for client in (chance.choices(clients, cum_weights=busy, k=entries) if entries else ())
    ]
    return sorted(calls, key=lambda call: (utc_day(call.ended_at_ms), call.client, call.ended_at_ms))


def _post(calls: Sequence[_Call], now: int, progress: Progress) -> None:
    for messages in _messages(calls, now):
        left = post_usage(messages, SECONDS_TO_POST)
        if left:
            raise SeedError(f"{len(left)} of {len(messages)} calls were not posted. The same again goes on from there.")
        progress(len(messages))


def _messages(calls: Sequence[_Call], now: int) -> Iterator[list[Message]]:
    for start in range(0, len(calls), BATCH):
        batch = enumerate(calls[start : start + BATCH], start)
        yield [Message(str(number), _event(call, number, now).to_json()) for number, call in batch]


def _event(call: _Call, number: int, now: int) -> UsageEvent:
    report = Report(
        source=SOURCE,
        event_id=f"call-{number:07d}",
        connected=True,
        sub_account_id=call.client,
        answered_at_ms=call.ended_at_ms - call.talk_ms,
        ended_at_ms=call.ended_at_ms,
        outcome="customer-ended-call",
    )
    workspace_id = f"ws_{call.client.split('_')[1]}"
    return UsageEvent.from_report(report, workspace_id, now)
