"""What is known of the demo's wallets at this moment: written by its threads, read by the table."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from threading import Lock

from local.demo import Agency

MOST_LINES = 1_000


@dataclass
class Row:
    """One wallet. `stopped` is what the gate said last; `last` is what happened last."""

    owner_id: str
    name: str
    price: str
    is_agency: bool = False
    pays: bool = True
    balance: Decimal | None = None
    minutes_left: str | None = None
    status: str = ""
    calls_today: int = 0
    stopped: bool = False
    last: str = ""

    @property
    def state(self) -> str:
        """Empty too is who has a few cents that the gate would not let a call start with."""
        if not self.pays:
            return "unused"
        return "empty" if self.stopped else self.status


@dataclass
class Counts:
    """What happened since the start; `waiting` is what waits at this moment."""

    reported: int = 0
    posted: int = 0
    repeats: int = 0
    not_answered: int = 0
    stopped: int = 0
    waiting: int = 0
    troubles: int = 0

    def __str__(self) -> str:
        text = (
            f"calls reported {self.reported}, posted {self.posted}, reported twice {self.repeats}, "
            f"never answered {self.not_answered}, stopped at the gate {self.stopped}, "
            f"waiting for a person {self.waiting}"
        )
        return text + (f", TROUBLE {self.troubles} (see the log)" if self.troubles else "")


@dataclass(frozen=True)
class Line:
    """Something that a reader of plain lines should be told."""

    row: Row
    moved: Decimal | None
    text: str


@dataclass
class Board:
    """All rows, in the order in which they are shown."""

    rows: dict[str, Row] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    _lines: deque[Line] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, agencies: Sequence[Agency]) -> "Board":
        """An empty board for these agencies."""
        board = cls()
        for agency in agencies:
            board.rows[agency.id] = Row(agency.id, agency.name, "cost 0.07", is_agency=True)
            board.rows |= {each.id: Row(each.id, each.name, each.price, pays=each.pays) for each in agency.clients}
        return board

    def count(self, **more: int) -> None:
        """Add to the counts."""
        with self._lock:
            for name, number in more.items():
                setattr(self.counts, name, getattr(self.counts, name) + number)

    def happened(self, owner_id: str, text: str, *, stopped: bool = False, aloud: bool = False) -> None:
        """Something happened to a wallet's owner; `aloud` if no balance will move that tells of it."""
        with self._lock:
            row = self.rows[owner_id]
            row.last, row.stopped = text, stopped
            if aloud:
                self._lines.append(Line(replace(row), None, text))

    def seen(self, owner_id: str, balance: Decimal, status: str, minutes_left: str | None) -> None:
        """A wallet was read."""
        with self._lock:
            row = self.rows[owner_id]
            before, row.balance, row.status, row.minutes_left = row.balance, balance, status, minutes_left
            if before is None or before == balance:
                return
            if balance > before:
                row.stopped = False
            if not row.is_agency:
                self._lines.append(Line(replace(row), balance - before, row.last))

    def snapshot(self) -> tuple[list[Row], Counts]:
        """Copies, so that a reader sees nothing half changed."""
        with self._lock:
            return [replace(row) for row in self.rows.values()], replace(self.counts)

    def take_lines(self) -> list[Line]:
        """What has not been told yet."""
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            return lines
