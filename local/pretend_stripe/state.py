"""What the pretend Stripe remembers: one tree of plain values, so that it can be written to a file as it is."""

import pickle
import secrets
from pathlib import Path
from typing import Any

from local.kept import read_json, write_json
from local.pretend_stripe.account_objects import new_account

State = dict[str, Any]
Obj = dict[str, Any]

PLATFORM = "acct_1PretendPlatform"
APPLICATION_NAME = "Rebill (simulated)"
# Nothing of this opens anything but the pretend Stripe, and it stays the same so that settings can name it.
TEST_KEY = "sk_test_" + "pretendplatform0001"
LIVE_KEY = "sk_live_" + "pretendplatform0001"
CLIENT_ID = "ca_PretendPlatform"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def new_id(prefix: str, length: int = 24) -> str:
    """An id that says what it is, as Stripe's do."""
    return prefix + "".join(_LETTERS[byte % len(_LETTERS)] for byte in secrets.token_bytes(length))


def copied(value: Any) -> Any:
    """A copy of plain values, all the way down; `deepcopy` takes five times as long."""
    return pickle.loads(pickle.dumps(value))


def fresh_state(now: int) -> State:
    """A Stripe on its first day: the platform, and the accounts that people may connect."""
    state: State = {
        "clock_offset": 0,
        "accounts": {},
        "modes": {},
        "grants": {},
        "codes": {},
        "redirect_uris": [],
        "spaces": {},
        "hidden": {},
        "answers": {},
        "endpoints": {},
        "pending": [],
        "tasks": [],
    }
    for account_id, name, country, currency, livemode, enabled in (
        (PLATFORM, "The voice platform", "US", "usd", False, True),
        ("acct_1PretendBrightVoice", "Bright Voice Agency", "US", "usd", False, True),
        ("acct_1PretendNorthCalls", "North Calls GmbH", "DE", "eur", False, True),
        ("acct_1PretendHarbourDesk", "Harbour Desk (not activated)", "US", "usd", False, False),
        ("acct_1PretendQuayStudio", "Quay Studio (live mode)", "GB", "gbp", True, True),
    ):
        account = new_account(account_id, name, country, currency, now)
        account["charges_enabled"] = account["payouts_enabled"] = account["details_submitted"] = enabled
        state["accounts"][account_id] = account
        state["modes"][account_id] = livemode
    return state


def load_state(path: Path | None, now: int) -> State:
    """The state of the run before, or a fresh one."""
    kept = read_json(path) if path else None
    fresh = fresh_state(now)
    return fresh | kept if isinstance(kept, dict) and kept.keys() <= fresh.keys() else fresh


def save_state(path: Path, state: State) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, state)
