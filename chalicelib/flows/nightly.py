"""Work that is done once a night, one workspace after the other: where a run is out of time, the next one goes on."""

import time
from collections.abc import Callable, Iterable

from chalicelib.clock import now_ms, utc_day
from chalicelib.storage.nightly import THE_END, note_reached, reached
from chalicelib.telemetry import alarm, bug

Check = Callable[[], None]


class OutOfTime(Exception):
    """This run is over in the middle of a workspace."""


class Night:
    """One run of this day's `work`, which may take so many seconds; UTC decides what day it is."""

    def __init__(self, work: str, seconds: float) -> None:
        self._work, self._day = work, utc_day(now_ms())
        self._give_up_at = time.monotonic() + seconds
        self._reached = reached(work, self._day)
        self.is_over = self._reached == THE_END

    def check(self) -> None:
        """Raise `OutOfTime` where this run's time is over."""
        if time.monotonic() > self._give_up_at:
            raise OutOfTime

    def each(self, ids: Iterable[str], do: Callable[[str], object]) -> bool:
        """Let `do` see to all workspaces among `ids` that are left, in their order; False if another run has to go on.

        A workspace that fails keeps no other from its turn, nor does one for which a whole run is too short: that one
        is passed over, and a person is told.
        """
        left = sorted(each for each in ids if each > self._reached)
        for place, workspace_id in enumerate(left):
            try:
                self.check()
                do(workspace_id)
            except OutOfTime:
                if place:
                    return False
                alarm("nightly_work_too_long", work=self._work, workspace_id=workspace_id)
            except Exception as error:  # noqa: BLE001 - the other workspaces do not depend on it
                bug("nightly_work_failed", error, work=self._work, workspace_id=workspace_id)
            note_reached(self._work, self._day, workspace_id)
        note_reached(self._work, self._day, THE_END)
        return True
