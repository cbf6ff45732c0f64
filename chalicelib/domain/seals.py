"""Whether an entry still says what was posted. Every entry carries a fingerprint of what it was made of, and a usage
entry also the prices it was rated with: whoever changes one without the other is found. Pure.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.domain.payments import fingerprint_of
from chalicelib.domain.rating import rate
from chalicelib.domain.wallet import CreditKind, Entry, EntryKind, Leg


@dataclass(frozen=True)
class Broken:
    """An entry that does not say what was posted.

    `amounts_micros` is what each wallet's leg should be, None where that cannot be told; `day_effect` is the day, and
    by how much its totals (calls, talk, cost, revenue) exceed the entry's; None where that cannot be told.
    """

    entry: Entry
    amounts_micros: dict[str, int] | None = None
    day_effect: tuple[str, tuple[int, int, int, int]] | None = None

    @property
    def day_owners(self) -> tuple[str | None, ...]:
        """Whose days a usage entry is counted in."""
        return self.entry.workspace_id, self.entry.sub_account_id


def broken(entry: Entry) -> Broken | None:
    """What is wrong with an entry; None for one that is as it was posted."""
    if entry.kind is EntryKind.USAGE:
        return _broken_usage(entry)
    leg = entry.legs[0] if len(entry.legs) == 1 else None
    return None if leg is not None and _fingerprint(entry, leg) == entry.fingerprint else Broken(entry)


def _fingerprint(entry: Entry, leg: Leg) -> str:
    """What each kind of entry is made of; the flows that post them say the same."""
    of, _, step = entry.event_id.partition(":")
    match entry.kind:
        case EntryKind.TOP_UP | EntryKind.REFILL:
            return fingerprint_of(leg.owner_id, entry.event_id, leg.amount_micros)
        case EntryKind.REFUND | EntryKind.DISPUTE:
            return fingerprint_of(of, step, leg.amount_micros)
        case EntryKind.CORRECTION:
            return fingerprint_of(of, step, leg.owner_id, leg.amount_micros)
    kind = entry.credit_kind or CreditKind.GOODWILL
    said = [leg.owner_id, leg.amount_micros, entry.note, *([] if kind is CreditKind.GOODWILL else [kind.value])]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def _broken_usage(entry: Entry) -> Broken | None:
    usage, workspace, client = entry.usage, entry.workspace_leg, entry.sub_account_leg
    if usage is None or usage.fingerprint != entry.fingerprint or usage.quantity is None:
        return Broken(entry)
    if workspace is None or workspace.charge is None or (client is not None and client.charge is None):
        return Broken(entry)
    cost, right = workspace.charge.price, {}
    for leg in entry.legs:
        if leg.charge is not None:
            rated = rate(usage.quantity, usage.meter, leg.charge.price, leg.charge.card_effective_at_ms, cost)
            right[leg.owner_id] = -rated.amount_micros
    if all(right[leg.owner_id] == leg.amount_micros for leg in entry.legs):
        return None
    over = [0 if leg is None else leg.amount_micros - right[leg.owner_id] for leg in (workspace, client)]
    day = f"{datetime.fromtimestamp(entry.occurred_at_ms // 1000, UTC):%Y-%m-%d}"
    return Broken(entry, right, (day, (0, 0, over[0], over[1])))
