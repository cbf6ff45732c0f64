"""`make run`: the whole product at home, in one go, with no account and no Docker.

PORT (0: any), DEMO=0, CALLS_PER_MINUTE and REBILL_HOME (the folder of `.state/` and `.run.json`) change what it does.
"""

import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType

from local.options import HomeError, read_options

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody asked this process to end."""


def main() -> int:
    """Run until Ctrl-C; 0 if it was ended, 1 if it could not go on."""
    out, err = sys.stdout, sys.stderr
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="replace")
    for number in ENDING:
        signal.signal(number, _end)
    try:
        options = read_options(os.environ)
        from local.start import start  # takes a moment, in which Ctrl-C already has to end it quietly

        start(options, out)
    except (Ended, BrokenPipeError):
        with suppress(OSError):
            print("Ended. State is kept in .state/: the next `make run` goes on from here.", file=out, flush=True)
    except HomeError as trouble:
        print(f"make run: {trouble}", file=err, flush=True)
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    # Ending takes a moment, because the state is saved: a second Ctrl-C must not cut that short.
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Ended


if __name__ == "__main__":
    code = main()
    # Everything is saved and said. Python would take most of a second to take itself apart, and would complain about
    # a pipe that nobody reads any longer.
    os._exit(code)
