"""Trouble that is planned: for the next calls that match, an answer is lost, late, or another one."""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Kind = Literal["lost_before", "lost_after", "error_500", "error_500_after", "conflict_409", "rate_limit_429", "latency"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass
class Fault:
    """What shall happen to the next `times` calls whose method and path match.

    `lost_before`: the connection is closed before anything has happened; `lost_after`: after all of it has happened.
    `error_500` and `error_500_after`: the same with an answer of 500, which is kept under the idempotency key.
    `conflict_409` and `rate_limit_429`: nothing happens and nothing is kept. `latency`: `seconds` before the effect.
    """

    kind: str
    times: int = 1
    method: str = "POST"
    path: str = ".*"
    account: str | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; it is {self.kind!r}.")
        re.compile(self.path)

    def matches(self, method: str, path: str, account: str) -> bool:
        """Whether it is this call's turn."""
        return (
            self.times > 0
            and self.method in ("*", method)
            and re.fullmatch(self.path, path) is not None
            and self.account in (None, account)
        )


class Faults:
    """The plan, oldest first. Each call takes at most one of them."""

    def __init__(self) -> None:
        self._plan: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        """Add one."""
        self._plan.append(fault)

    def clear(self) -> None:
        """Forget all that has not happened yet."""
        self._plan.clear()

    def planned(self) -> list[dict[str, Any]]:
        """What has not happened yet."""
        return [asdict(fault) for fault in self._plan]

    def take(self, method: str, path: str, account: str) -> Fault | None:
        """The first one that matches, once less from now on."""
        for fault in self._plan:
            if fault.matches(method, path, account):
                fault.times -= 1
                self._plan = [left for left in self._plan if left.times > 0]
                return fault
        return None
