"""Balance given without a payment, once per idempotency key, for ever."""

import hashlib
import json
import time

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.errors import Invalid, NotFound, Unavailable
from chalicelib.domain.wallet import Entry, EntryKind, Leg
from chalicelib.storage import ledger, wallets
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.statements import find_entry

SECONDS_TO_TRY = 8.0


def give_credit(owner_id: str, amount_micros: int, note: str, idempotency_key: str) -> Entry:
    """Add balance to a wallet. The same key with the same contents answers the first entry again.

    Raises:
        NotFound: no such wallet. Invalid: the key was used for another credit. Unavailable: ask again with the key.
    """
    wallet = wallets.get_wallet(owner_id)
    contents = json.dumps([owner_id, amount_micros, note])
    leg = Leg(owner_id, amount_micros)
    is_workspace = owner_id.startswith("ws_")
    now = now_ms()
    entry = Entry(
        id=f"ent_{ULID()}",
        kind=EntryKind.CREDIT,
        workspace_id=owner_id if is_workspace else owning_workspace(owner_id) or "",
        source=owner_id,
        event_id=idempotency_key,
        fingerprint=hashlib.sha256(contents.encode()).hexdigest()[:32],
        currency=wallet.currency,
        occurred_at_ms=now,
        posted_at_ms=now,
        workspace_leg=leg if is_workspace else None,
        sub_account_leg=None if is_workspace else leg,
        sub_account_id=None if is_workspace else owner_id,
        note=note,
    )
    outcome = ledger.post([entry], time.monotonic() + SECONDS_TO_TRY)[entry.id]
    if outcome is Outcome.POSTED:
        return entry
    if outcome is Outcome.REPEAT:
        return find_entry(entry)
    if outcome is Outcome.CONTRADICTION:
        raise Invalid("Idempotency-Key", "This Idempotency-Key was used for another credit.", "idempotency_key_reused")
    if outcome is Outcome.NO_WALLET:
        raise NotFound("not_found", "There is no such wallet.")
    raise Unavailable("The wallet store")
