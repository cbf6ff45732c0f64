"""Where our books do not agree: with themselves, and with Stripe. Pure.

Each difference has one cause. What only follows from a cause (a balance that is off by an entry that is gone) is not
told again. Amounts are micros.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.domain.payment_facts import PaymentFacts
from chalicelib.domain.payments import PLATFORM, Payment, reversal_target_micros
from chalicelib.domain.reconcile import (
    NOTHING,
    Books,
    Cause,
    Difference,
    Movement,
    PaymentKey,
    Purchase,
    Seen,
    Totals,
    WalletFacts,
)
from chalicelib.domain.wallet import Entry, EntryKind

HOUR_MS = 3_600_000
GRACE_MS = HOUR_MS // 2  # what happened so lately may still be on its way
OPEN_TOO_LONG_MS = 25 * HOUR_MS  # a page to pay on lives for a day, and the clock needs a moment


def key_of(entry: Entry) -> PaymentKey:
    """The payment that an entry of a top-up or a refill stands for, or that an entry of a reversal goes back on."""
    account = None if entry.source == PLATFORM else entry.source
    return account, entry.event_id.partition(":")[0]


def compare(books: Books, seen: Seen, now_ms: int) -> list[Difference]:
    """All differences of one workspace."""
    return _Comparison(books, seen, now_ms).differences()


class _Comparison:
    def __init__(self, books: Books, seen: Seen, now_ms: int) -> None:
        self._books, self._seen, self._now_ms = books, seen, now_ms
        self._credits: dict[PaymentKey, list[Entry]] = defaultdict(list)
        for entry in books.credits:
            self._credits[key_of(entry)].append(entry)
        # How far a wallet's balance may be off because of what was found already; None: by any amount.
        self._explained: dict[str, int | None] = defaultdict(int)
        self._told: set[str] = set()  # ids of entries and payments whose cause is known

    def differences(self) -> list[Difference]:
        found = [*self._credited(), *self._edited(), *self._entries_gone(), *self._wallets()]
        return [*found, *self._stripe(), *self._left_open()]

    def _different(self, cause: Cause, ids: Sequence[str], **facts: object) -> Difference:
        self._told.update(ids)
        return Difference(cause, tuple(ids), self._books.workspace_id, **facts)  # type: ignore[arg-type]  # its fields

    def _explains(self, owner_id: str, micros: int | None) -> None:
        known = self._explained[owner_id]
        self._explained[owner_id] = None if micros is None or known is None else known + micros

    # Our entries against our records of payments

    def _credited(self) -> Iterator[Difference]:
        for key, entries in self._credits.items():
            payment = self._books.payments.get(key)
            for entry in entries:
                leg = entry.legs[0]
                about = {"owner_id": leg.owner_id, "account_id": key[0], "currency": entry.currency}
                if payment is not None and payment.owner_id != leg.owner_id:
                    self._explains(leg.owner_id, -leg.amount_micros)
                    self._explains(payment.owner_id, leg.amount_micros)
                    ids = (entry.id, key[1], payment.owner_id)
                    yield self._different(Cause.WRONG_WALLET, ids, **about, ours_micros=leg.amount_micros)
                elif not self._may_stand_on(key[0], leg.owner_id):
                    yield self._different(
                        Cause.WRONG_ACCOUNT, (entry.id, key[1]), **about, ours_micros=leg.amount_micros
                    )
                elif payment is None:
                    self._explains(leg.owner_id, -leg.amount_micros)
                    yield self._different(
                        Cause.ENTRY_WITHOUT_PAYMENT, (entry.id, key[1]), **about, ours_micros=leg.amount_micros
                    )
            yield from self._twice(key, [entry for entry in entries if entry.id not in self._told])

    def _may_stand_on(self, account_id: str | None, owner_id: str) -> bool:
        """A workspace pays on the platform's account, a client on one that its workspace is or was linked to."""
        if owner_id == self._books.workspace_id:
            return account_id is None
        return account_id in self._books.accounts

    def _twice(self, key: PaymentKey, entries: Sequence[Entry]) -> Iterator[Difference]:
        if len(entries) > 1:
            owner_id = entries[0].legs[0].owner_id
            sums = sum(entry.legs[0].amount_micros for entry in entries)
            once = self._books.payments[key].amount_micros
            self._explains(owner_id, once - sums)
            yield self._different(
                Cause.CREDITED_TWICE,
                (*(entry.id for entry in entries), key[1]),
                owner_id=owner_id,
                account_id=key[0],
                currency=entries[0].currency,
                ours_micros=sums,
                theirs_micros=once,
            )

    def _edited(self) -> Iterator[Difference]:
        for broken in self._books.broken:
            entry = broken.entry
            if entry.id in self._told:
                continue
            known = broken.amounts_micros
            payment = self._books.payments.get(key_of(entry))
            if entry.kind in (EntryKind.TOP_UP, EntryKind.REFILL) and payment is not None:
                known = {payment.owner_id: payment.amount_micros}
            for leg in entry.legs:
                right = None if known is None else known.get(leg.owner_id)
                self._explains(leg.owner_id, None if right is None else right - leg.amount_micros)
            leg = entry.legs[-1]
            yield self._different(
                Cause.ENTRY_EDITED,
                (entry.id, f"{entry.source}/{entry.event_id}"),
                owner_id=leg.owner_id,
                currency=entry.currency,
                ours_micros=leg.amount_micros,
                theirs_micros=None if known is None else known.get(leg.owner_id),
            )

    def _entries_gone(self) -> Iterator[Difference]:
        """What our records say was posted, and no entry does."""
        for purchase in self._books.purchases:
            key = purchase.account_id, purchase.payment_intent_id or ""
            if purchase.succeeded and key not in self._credits and key[1] not in self._told:
                self._explains(purchase.owner_id, purchase.amount_micros)
                yield self._gone(key, purchase.owner_id, purchase.amount_micros, purchase.currency, purchase.id)
        edited = {key_of(each.entry) for each in self._books.broken}
        for key, payment in self._books.payments.items():
            missing_micros = -payment.reversed_micros - self._books.reversals.get(key, 0)
            if missing_micros and key not in edited:
                self._explains(payment.owner_id, missing_micros)
                yield self._gone(key, payment.owner_id, missing_micros, payment.currency, payment.purchase_id)

    def _gone(self, key: PaymentKey, owner_id: str, micros: int, currency: str, purchase_id: str) -> Difference:
        about = {"owner_id": owner_id, "account_id": key[0], "currency": currency}
        return self._different(Cause.ENTRY_MISSING, (purchase_id, key[1]), **about, ours_micros=0, theirs_micros=micros)

    # Balances and days against the entries

    def _wallets(self) -> Iterator[Difference]:
        off = {wallet.owner_id: self._unexplained(wallet) for wallet in self._books.wallets}
        days = {wallet.owner_id: dict(self._unexplained_days(wallet)) for wallet in self._books.wallets}
        yield from self._usage_gone(off, days)
        for wallet in self._books.wallets:
            about = {"owner_id": wallet.owner_id, "currency": wallet.currency}
            if off[wallet.owner_id]:
                yield self._different(
                    Cause.BALANCE_EDITED,
                    (wallet.owner_id,),
                    **about,
                    ours_micros=wallet.balance_micros,
                    theirs_micros=wallet.balance_micros - off[wallet.owner_id],
                )
            elif wallet.headroom_off_micros:
                yield self._different(
                    Cause.HEADROOM_EDITED, (wallet.owner_id,), **about, ours_micros=wallet.headroom_off_micros
                )
            for day in sorted(days[wallet.owner_id]):
                ours, theirs = wallet.days.get(day, NOTHING), wallet.entries_days.get(day, NOTHING)
                money = [
                    (t.cost_micros if ours.cost_micros != theirs.cost_micros else t.revenue_micros)
                    for t in (ours, theirs)
                ]
                yield self._different(
                    Cause.DAY_TOTAL_EDITED,
                    (f"{wallet.owner_id} {day}",),
                    **about,
                    day=day,
                    ours_micros=money[0],
                    theirs_micros=money[1],
                )

    def _unexplained(self, wallet: WalletFacts) -> int:
        explained = self._explained[wallet.owner_id]
        return 0 if explained is None or wallet.off_micros == explained else wallet.off_micros

    def _unexplained_days(self, wallet: WalletFacts) -> Iterator[tuple[str, Totals]]:
        explained: dict[str, Totals] = {}
        for broken in self._books.broken:
            if broken.entry.usage is not None and wallet.owner_id in broken.day_owners:
                if broken.day_effect is None:
                    return
                day, effect = broken.day_effect
                explained[day] = explained.get(day, NOTHING) + Totals(*effect)
        yield from ((day, off) for day, off in wallet.off_days.items() if off != explained.get(day))

    def _usage_gone(self, off: dict[str, int], days: dict[str, dict[str, Totals]]) -> Iterator[Difference]:
        """A usage entry that is gone is missing in both balances and in both owners' days by the same amounts; one
        that somebody has put there is too much in all of them. What is found here is taken out of `off` and `days`.
        """
        mine = self._books.workspace_id
        clients = [owner_id for owner_id in days if owner_id != mine]
        lost = {
            day: totals
            for day, totals in days.get(mine, {}).items()
            if totals == sum((days[owner_id].get(day, NOTHING) for owner_id in clients), NOTHING)
        }
        involved = [owner_id for owner_id in clients if days[owner_id].keys() & lost.keys()]
        moved = {mine: sum(totals.cost_micros for totals in lost.values())}
        moved |= {
            owner_id: sum(days[owner_id].get(day, NOTHING).revenue_micros for day in lost) for owner_id in involved
        }
        if not lost or any(off.get(owner_id, 0) != -micros for owner_id, micros in moved.items()):
            return
        for day, totals in sorted(lost.items()):
            whose = [owner_id for owner_id in involved if day in days[owner_id]]
            gone = totals.calls > 0 or totals.cost_micros > 0
            yield self._different(
                Cause.ENTRY_MISSING if gone else Cause.ENTRY_NOT_COUNTED,
                (*whose, f"{abs(totals.calls)} call{'s' * (abs(totals.calls) != 1)} of {day}"),
                owner_id=mine,
                ours_micros=0 if gone else totals.cost_micros,
                theirs_micros=-totals.cost_micros if gone else 0,
                currency=next((wallet.currency for wallet in self._books.wallets), None),
                day=day,
            )
        for owner_id in (mine, *involved):
            off[owner_id] = 0
            for day in lost:
                days[owner_id].pop(day, None)

    # Stripe

    def _stripe(self) -> Iterator[Difference]:
        shown = {movement.key for movement in self._seen.movements if not movement.is_back}
        for movement in self._seen.movements:
            if not movement.is_back and not self._told.intersection(self._ids_of(movement.key)):
                yield from self._paid(movement)
        for key, facts in self._seen.looked_up.items():
            payment = self._books.payments.get(key)
            if payment is None or self._told.intersection(self._ids_of(key)):
                continue
            if key not in shown:
                yield from self._looked_up(key, payment, facts)
            if facts is not None:
                yield from self._gone_back(key, payment, facts)

    def _ids_of(self, key: PaymentKey) -> set[str]:
        return {key[1], *(entry.id for entry in self._credits.get(key, ()))}

    def _paid(self, movement: Movement) -> Iterator[Difference]:
        """A payment that came in, against what we have of it."""
        key, entries = movement.key, self._credits.get(movement.key)
        about: dict[str, Any] = {
            "account_id": key[0],
            "currency": movement.currency,
            "theirs_micros": movement.amount_micros,
        }
        if entries:
            leg = entries[0].legs[0]
            if (leg.amount_micros, entries[0].currency) != (movement.amount_micros, movement.currency):
                ids = (entries[0].id, key[1])
                about |= {"owner_id": leg.owner_id, "ours_micros": leg.amount_micros}
                yield self._different(Cause.AMOUNT_DIFFERS, ids, **about)
            return
        if movement.refunded_micros >= movement.amount_micros or movement.at_ms > self._now_ms - GRACE_MS:
            return
        purchase = self._purchase_of(movement)
        if purchase is None:
            if movement.mark is not None or movement.customer_id in self._seen.customers:
                claims = () if movement.mark is None else (movement.mark,)
                yield self._different(Cause.FOREIGN_PAYMENT, (key[1], *claims), **about)
            return
        about |= {"owner_id": purchase.owner_id, "ours_micros": 0}
        cause = Cause.PAYMENT_REFUSED if purchase.refused else Cause.CREDIT_MISSING
        if purchase.account_id != key[0]:
            cause = Cause.WRONG_ACCOUNT
        yield self._different(cause, (purchase.id, key[1]), **about)

    def _purchase_of(self, movement: Movement) -> Purchase | None:
        """What of ours a payment is for: by our own record of it, else by what it claims, which is only looked up."""
        named = [each for each in self._books.purchases if each.payment_intent_id == movement.payment_intent_id]
        unpaid = [each for each in self._books.purchases if each.id == movement.mark and each.payment_intent_id is None]
        return next(iter([*named, *unpaid]), None)

    def _looked_up(self, key: PaymentKey, payment: Payment, facts: PaymentFacts | None) -> Iterator[Difference]:
        """An entry whose payment Stripe does not list in these days, and what was found where it should be."""
        entries = self._credits.get(key, [])
        if not entries:
            return
        about: dict[str, Any] = {"owner_id": payment.owner_id, "account_id": key[0], "currency": payment.currency}
        about["ours_micros"] = entries[0].legs[0].amount_micros
        ids = (entries[0].id, key[1])
        if facts is None or facts.status != "succeeded":
            yield self._different(Cause.ENTRY_WITHOUT_PAYMENT, ids, **about, theirs_micros=0)
        elif (facts.received_micros, facts.currency) != (about["ours_micros"], payment.currency):
            yield self._different(Cause.AMOUNT_DIFFERS, ids, **about, theirs_micros=facts.received_micros)

    def _gone_back(self, key: PaymentKey, payment: Payment, facts: PaymentFacts) -> Iterator[Difference]:
        lately = max((each.at_ms for each in self._seen.movements if each.is_back and each.key == key), default=0)
        target = reversal_target_micros(
            payment.amount_micros, facts.refunded_micros, facts.withdrawn_micros, facts.reinstated_micros
        )
        if target == payment.reversed_micros or lately > self._now_ms - GRACE_MS:
            return
        disputed = facts.withdrawn_micros - facts.reinstated_micros != payment.disputed_micros
        yield self._different(
            Cause.DISPUTE_UNSEEN if disputed else Cause.REFUND_UNSEEN,
            (payment.purchase_id, key[1]),
            owner_id=payment.owner_id,
            account_id=key[0],
            currency=payment.currency,
            ours_micros=-payment.reversed_micros,
            theirs_micros=-target,
        )

    def _left_open(self) -> Iterator[Difference]:
        for purchase in self._books.purchases:
            since_ms = self._now_ms - purchase.opened_at_ms
            if purchase.is_open and since_ms > OPEN_TOO_LONG_MS and purchase.id not in self._told:
                about = {"owner_id": purchase.owner_id, "account_id": purchase.account_id}
                yield self._different(
                    Cause.LEFT_OPEN,
                    (purchase.id,),
                    **about,
                    ours_micros=purchase.amount_micros,
                    currency=purchase.currency,
                )
        for closing_id in self._books.left_open:
            yield self._different(Cause.LEFT_OPEN, (closing_id,))
