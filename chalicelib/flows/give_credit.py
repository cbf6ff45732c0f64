"""Balance given without a payment, once per idempotency key, for ever."""

import hashlib
import json
import time

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace, refuse_if_closed
from chalicelib.domain.errors import Invalid, NotFound, Unavailable
from chalicelib.domain.wallet import CreditKind, Entry, EntryKind, Leg
from chalicelib.flows.watch_balances import watch
from chalicelib.storage import accounts, ledger, wallets
from chalicelib.storage.ledger import Outcome
from chalicelib.storage.statements import find_entry

SECONDS_TO_TRY = 8.0


def give_credit(
    owner_id: str,
    amount_micros: int,
    note: str,
    idempotency_key: str,
    kind: CreditKind = CreditKind.GOODWILL,
    by: str | None = None,
) -> Entry:
    """Add balance to a wallet; `by` is who gives it. The same key and contents answer the first entry again.

    Raises:
        NotFound: no such wallet. Conflict: its owner is closed. Invalid: the key was used for another credit.
        Unavailable: ask again with the key.
    """
    wallet = wallets.get_wallet(owner_id)
    if owner_id.startswith("sa_"):
        refuse_if_closed(accounts.get_sub_account(owner_id))
    said = [owner_id, amount_micros, note, *([] if kind is CreditKind.GOODWILL else [kind.value])]
    contents = json.dumps(said)  # who repeats it does not matter; a credit without a kind is what it always was
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
        credit_kind=kind,
        by=by,
    )
    outcome = ledger.post([entry], time.monotonic() + SECONDS_TO_TRY)[entry.id]
    if outcome in (Outcome.POSTED, Outcome.REPEAT):
        watch([owner_id])
        return entry if outcome is Outcome.POSTED else find_entry(entry)
    if outcome is Outcome.CONTRADICTION:
        raise Invalid("Idempotency-Key", "This Idempotency-Key was used for another credit.", "idempotency_key_reused")
    if outcome is Outcome.NO_WALLET:
        raise NotFound("not_found", "There is no such wallet.")
    raise Unavailable("The wallet store")
