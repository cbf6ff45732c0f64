"""The audit trail: a change of settings, once made, is written down with who made it and what it was before."""

import json
from collections.abc import Mapping
from typing import Any

from ulid import ULID

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.people import Caller, Person
from chalicelib.storage.audit import PLATFORM, Change, add_change
from chalicelib.telemetry import alarm

NEVER_KEPT = ("secret",)
MOST_LETTERS = 100_000  # an item of the store has 400 KB
Shown = dict[str, Any] | None


def record(caller: Caller, action: str, path_values: Mapping[str, str], old: Shown, new: Shown) -> None:
    """Keep what differs between a setting before and after, both as the API shows it. No difference, no record.

    What has been done stays done: where it cannot be written down, a person is called and the caller is not troubled.
    """
    was, now = _short(_less(old, new)), _short(_less(new, old))
    if was == now:
        return
    on = path_values.get("sub_account_id") or path_values.get("workspace_id") or str((new or old or {}).get("id", ""))
    on = on or PLATFORM
    workspace_id = on if on.startswith("ws_") else owning_workspace(on) or PLATFORM
    if "endpoint_id" in path_values:
        on, workspace_id = path_values["endpoint_id"], path_values.get("workspace_id", PLATFORM)
    kind, name = ("person", caller.email) if isinstance(caller, Person) else ("api_key", caller.name)
    at_ms = now_ms()
    change_id = f"aud_{ULID.from_timestamp(at_ms / 1000)}"
    try:
        add_change(Change(change_id, workspace_id, at_ms, kind, name, action, on, was, now))
    except Exception as error:  # noqa: BLE001 - whatever it is: the change is made, and the caller has succeeded
        alarm("audit_failed", action=action, on=on, by_kind=kind, error=type(error).__name__)


def _short(shown: Shown) -> Shown:
    """What is too long to be kept twice has a record of its own, under its id."""
    return shown if shown is None or len(json.dumps(shown)) <= MOST_LETTERS else {"id": shown.get("id")}


def _less(one: Shown, other: Shown) -> Shown:
    """The members of one that the other does not have, or has otherwise; of lists, the elements that it lacks.

    Of five hundred rate cards, a change shows the one that came.
    """
    if one is None:
        return None
    found: dict[str, Any] = {}
    for name, value in one.items():
        others = (other or {}).get(name)
        if name in NEVER_KEPT or value == others:
            continue
        if isinstance(value, list) and isinstance(others, list):
            value = [each for each in value if each not in others]
        found[name] = value
    return found
