"""What `make run` is told by its environment, and where it keeps things."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
USUAL_PORT = 8000
USUAL_CALLS_PER_MINUTE = 60.0


class HomeError(RuntimeError):
    """The product cannot start, or cannot go on, at home; says in one sentence why, and what to do."""


@dataclass(frozen=True)
class Options:
    """`folder` holds `.state/` and `.run.json`; it is the repository's own unless REBILL_HOME names another."""

    port: int = USUAL_PORT
    demo: bool = True
    calls_per_minute: float = USUAL_CALLS_PER_MINUTE
    folder: Path = ROOT

    @property
    def state_dir(self) -> Path:
        """What survives a restart."""
        return self.folder / ".state"

    @property
    def run_file(self) -> Path:
        """What other programs read to find the running product."""
        return self.folder / ".run.json"


def read_options(environment: Mapping[str, str]) -> Options:
    """The options of this run.

    Raises:
        HomeError: a variable has a value it may not have; names it.
    """
    return Options(
        port=int(_number(environment, "PORT", USUAL_PORT, 65_535, "a port, or 0 for any free one")),
        demo=environment.get("DEMO", "1").strip().lower() not in ("0", "no", "false", "off"),
        calls_per_minute=_number(environment, "CALLS_PER_MINUTE", USUAL_CALLS_PER_MINUTE, 6_000, "a number of calls"),
        folder=Path(environment.get("REBILL_HOME") or ROOT).resolve(),
    )


def _number(environment: Mapping[str, str], name: str, usual: float, most: float, meaning: str) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return usual
    try:
        value = float(text) if name != "PORT" else int(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise HomeError(f"{name} must be {meaning}, at most {most:,.0f}; it is {text!r}.")
    return value
