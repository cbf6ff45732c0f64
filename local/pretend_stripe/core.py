"""The pretend Stripe without its HTTP: state, clock, connections, and what is due later."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any

from local.pretend_stripe.account_objects import new_application
from local.pretend_stripe.deliveries import Deliveries
from local.pretend_stripe.faults import Faults
from local.pretend_stripe.space import Cause, Space
from local.pretend_stripe.state import (
    APPLICATION_NAME,
    CLIENT_ID,
    LIVE_KEY,
    PLATFORM,
    TEST_KEY,
    Obj,
    load_state,
    save_state,
)

Task = Callable[[Space, str], None]  # for one account's object, when the clock gets there


class Core:
    """Everything that the routes, the pages and the controls share. Whoever touches the state holds `lock`."""

    client_id = CLIENT_ID

    def __init__(self, state_file: Path | None, tasks: dict[str, Task]) -> None:
        self.lock = RLock()
        self.url = ""
        self.state_file = state_file
        self.state = load_state(state_file, int(time.time()))
        self.faults = Faults()
        self.deliveries = Deliveries(self.lock, self.state, random.Random(1))
        self.later_seconds = 30
        self.authentication_code = "authentication_required"
        self.payments_to_hold = 0
        self._tasks = tasks
        self._saved = 0
        self._changes = 0

    def now(self) -> int:
        """Whole seconds of its own clock."""
        return int(time.time() + self.state["clock_offset"])

    def space(self, account_id: str, livemode: bool, cause: Cause | None = None) -> Space:
        """One account in one mode."""
        return Space(self, account_id, livemode, cause)

    def space_by_key(self, key: str) -> Space:
        """The same, by the name that the state keeps it under."""
        account_id, _, mode = key.rpartition(":")
        return self.space(account_id, mode == "live")

    def platform(self, livemode: bool = False) -> Space:
        """The platform's own account."""
        return self.space(PLATFORM, livemode)

    def find_anywhere(self, kind: str, object_id: str) -> tuple[Space, Obj] | None:
        """An object whose account is not known."""
        for key, kinds in self.state["spaces"].items():
            if object_id in kinds.get(kind, {}):
                return self.space_by_key(key), kinds[kind][object_id]
        return None

    # Keys and connections

    def who(self, key: str) -> tuple[str, bool] | None:
        """The account and the mode that a secret key stands for."""
        if key in (TEST_KEY, LIVE_KEY):
            return PLATFORM, key == LIVE_KEY
        for grant in self.state["grants"].values():
            if grant["token"] == key and grant["live"]:
                return grant["account"], grant["livemode"]
        return None

    def is_connected(self, account_id: str, livemode: bool) -> bool:
        """Whether the account lets the platform in: a token that has not been revoked is left."""
        return any(
            grant["live"] and grant["account"] == account_id and grant["livemode"] == livemode
            for grant in self.state["grants"].values()
        )

    def revoke(self, account_id: str, livemode: bool, code: str | None = None) -> bool:
        """End the connection, or the tokens of one code only; says whether the connection has ended by that."""
        before = self.is_connected(account_id, livemode)
        for name, grant in self.state["grants"].items():
            if (grant["account"], grant["livemode"]) == (account_id, livemode) and code in (None, name):
                grant["live"] = False
        ended = before and not self.is_connected(account_id, livemode)
        if ended:
            application = new_application(self.client_id, APPLICATION_NAME)
            self.space(account_id, livemode).emit("account.application.deauthorized", application)
        return ended

    # Time

    def later(self, space: Space, name: str, object_id: str, seconds: int | None = None) -> None:
        """Do something when the pretend clock gets there."""
        due = self.now() + (self.later_seconds if seconds is None else seconds)
        self.state["tasks"].append({"due": due, "name": name, "space": space.key, "id": object_id})

    def tick(self) -> None:
        """Do what is due."""
        with self.lock:
            due = [task for task in self.state["tasks"] if task["due"] <= self.now()]
            for task in due:
                self.state["tasks"].remove(task)
                self._tasks[task["name"]](self.space_by_key(task["space"]), task["id"])
            self._changes += len(due)

    def changed(self) -> None:
        """Something may have to be saved."""
        self._changes += 1

    def save(self) -> None:
        """Write the state to its file, if it has one and there is something new."""
        with self.lock:
            if self.state_file and self._saved != self._changes + self.deliveries.changes:
                save_state(self.state_file, self.state)
                self._saved = self._changes + self.deliveries.changes

    def dump(self) -> dict[str, Any]:
        """The whole state, for looking at."""
        with self.lock:
            return {**self.state, "now": self.now(), "faults": self.faults.planned()}
