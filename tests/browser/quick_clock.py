"""`make run`, only that its clock strikes every second: no test should wait a minute for a refill."""

import os

from local import clock, run
from local.handlers import context_of

TICK_SECONDS, SECONDS_OF_A_HANDLER = 1.0, 60.0

if __name__ == "__main__":
    clock.TICK_SECONDS = TICK_SECONDS
    clock.context_of = lambda source, _: context_of(source, SECONDS_OF_A_HANDLER)
    os._exit(run.main())  # as `make run` ends
