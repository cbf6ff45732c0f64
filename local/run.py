"""`make run`: the whole product at home, in one go, with no account and no Docker.

PORT (0: any), DEMO=0, CALLS_PER_MINUTE and REBILL_HOME (the folder of `.state/` and `.run.json`) change what it does.
"""

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from local.kept import only_one, open_log
from local.options import HomeError, Options, read_options
from local.server import HOST, Server
from local.stack import Stack, StackError
from local.template import TemplateError, create_resources

STAGE = "home"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody asked this process to end."""


def main() -> int:
    """Run until Ctrl-C; 0 if it was ended, 1 if it could not go on."""
    out, err = sys.stdout, sys.stderr
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")
    for number in ENDING:
        signal.signal(number, _end)
    try:
        options = read_options(os.environ)
        run(options, out)
    except (Ended, BrokenPipeError):
        with suppress(OSError):
            print("Ended. State is kept in .state/: the next `make run` goes on from here.", file=out, flush=True)
    except (HomeError, StackError, TemplateError) as trouble:
        print(f"make run: {trouble}", file=err, flush=True)
        return 1
    return 0


def run(options: Options, out: TextIO) -> None:
    """Start everything, in the order in which one part needs another, and end it in the other."""
    with ExitStack() as parts:
        parts.enter_context(only_one(options.state_dir))
        parts.enter_context(_output_to(options.state_dir / "app.log"))
        options.run_file.unlink(missing_ok=True)  # of a run that was killed
        server = parts.enter_context(Server(options.port))
        stack = Stack(options.state_dir / "aws")
        set_environment(stack, server.base_url)
        parts.callback(stack.stop)
        with ThreadPoolExecutor(1) as starter:
            started = starter.submit(_start, stack)
            from local import house  # imports the app, which reads the environment that is set above

            started.result()
        house.live(options, server, stack, out)


def _start(stack: Stack) -> None:
    """MiniStack with our tables and queues; it needs a second that the imports need as well."""
    stack.start()
    create_resources(stack.endpoint_url, STAGE)


def set_environment(stack: Stack, base_url: str) -> None:
    """What the app finds instead of the developer's own AWS account, settings and proxies."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REBILL_"))]:
        del os.environ[name]
    os.environ.update(stack.environment(), REBILL_STAGE=STAGE, REBILL_BASE_URL=base_url, NO_PROXY=HOST, no_proxy=HOST)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """The app logs to standard output, as Lambda wants it: at home into a file, beside the table and not across it."""
    shown = sys.stdout, sys.stderr
    with open_log(path) as log:
        sys.stdout = sys.stderr = log
        try:
            yield
        finally:
            sys.stdout, sys.stderr = shown


def _end(number: int, frame: FrameType | None) -> None:
    _no_more_signals()
    raise Ended


def _no_more_signals() -> None:
    """Ending takes a moment, because the state is saved; a second Ctrl-C must not cut that short."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    code = main()
    # Everything is saved and said. Python would take most of a second to take itself apart, and would complain about
    # a pipe that nobody reads any longer.
    os._exit(code)
