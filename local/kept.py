"""Files of the running product: written whole or not at all, and a folder that only one run uses at a time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.options import HomeError

LARGEST_LOG_BYTES = 5_000_000


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the state folder for this process; the lock goes with the process, however that ends.

    Raises:
        HomeError: another run has it.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "lock").open("a+")
    except OSError as error:
        raise HomeError(f"The state folder {state_dir} cannot be written: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise HomeError(
                f"Another `make run` (process {lock.read().strip() or 'unknown'}) already uses {state_dir}. "
                "End that one first, or give this one a folder of its own: REBILL_HOME=/some/folder make run"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def write_json(path: Path, value: object) -> None:
    """Write a file that only its owner may read, because it holds secrets; readers see the old one or the new one."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    new.replace(path)


def read_json(path: Path) -> Any:
    """What `write_json` wrote; None where there is nothing, or nothing that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def open_log(path: Path) -> Any:
    """A log file to append to, line by line; the one before is kept beside it once it has grown large."""
    if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
