"""The product at home, once the environment is set: imported only then, because the app reads it while it is imported.

Everything runs in this process but MiniStack, each part in a thread of its own.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from threading import Event, Thread
from typing import Any, TextIO

from chalice.app import SQSEventConfig

from app import app
from chalicelib.domain.errors import Unauthenticated
from chalicelib.flows.authenticate import authenticate_key, issue_api_key
from local import demo, kept
from local.api import Api
from local.board import Board
from local.clock import Clock
from local.demo import Agency
from local.front import Front
from local.options import HomeError, Options
from local.queue_worker import QueueWorker
from local.server import Server
from local.stack import Stack
from local.table import display
from local.template import client
from local.traffic import Traffic
from local.voice_platform.listing import CallLists
from local.watch import Watch

LONGEST_WAIT_FOR_A_PART_SECONDS = 8.0

Part = Callable[[Event], None]


def live(options: Options, server: Server, stack: Stack, stripe_url: str, lists: CallLists, out: TextIO) -> None:
    """Serve, work, and show it, until the process is told to end.

    Raises:
        HomeError: a part that nothing works without is gone.
    """
    api_key, agencies = _remembered(options)
    board = Board.of(agencies)
    with Api(server.base_url, api_key) as api, server.serving(app, Front(api, server.base_url, stripe_url, agencies)):
        api.get("/healthz")
        parts = [*_queue_workers(stack), Clock(app.event_sources).run]
        if agencies:
            parts.append(Watch(api, agencies, board).run)
            parts.append(Traffic(api, server.base_url, agencies, board, options.calls_per_minute, lists).run)
        with _running(parts), _announced(options, server, stack, stripe_url, api_key, agencies):
            _show(out, server, stack, board)


def _remembered(options: Options) -> tuple[str, list[Agency]]:
    """The API key and the demo of the run before, or new ones where the store does not know them."""
    path = options.state_dir / "home.json"
    known: dict[str, Any] = kept.read_json(path) or {}
    api_key = known.get("api_key", "")
    try:
        authenticate_key(api_key)
    except Unauthenticated:
        api_key = issue_api_key("make run")
    agencies = demo.from_json(known.get("demo", []))
    if options.demo and not agencies:
        agencies = demo.seed()
    kept.write_json(path, {"api_key": api_key, "demo": [asdict(agency) for agency in agencies]})
    return api_key, agencies if options.demo else []


def _queue_workers(stack: Stack) -> list[Part]:
    """As many pollers as the app allows Lambda to have."""
    sqs = client(stack.endpoint_url, "sqs")
    sources = [source for source in app.event_sources if isinstance(source, SQSEventConfig)]
    return [QueueWorker(sqs, each).run for each in sources for _ in range(each.maximum_concurrency or 1)]


@contextmanager
def _running(parts: Sequence[Part]) -> Iterator[None]:
    """The parts, each in its thread; at the end they finish what they have begun."""
    stop = Event()
    threads = [Thread(target=part, args=(stop,), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        deadline = time.monotonic() + LONGEST_WAIT_FOR_A_PART_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def _announced(
    options: Options, server: Server, stack: Stack, stripe_url: str, api_key: str, agencies: Sequence[Agency]
) -> Iterator[None]:
    """`.run.json`, for as long as there is something to find."""
    found = {
        "base_url": server.base_url,
        "api_key": api_key,
        "pid": os.getpid(),
        "stripe_url": stripe_url,
        "voice_endpoints": _voice_endpoints(server.base_url, agencies[0]) if agencies else {},
        "workspaces": [_workspace(agency) for agency in agencies],
        # What `python -m ops --home` needs to find the same queues and tables, the same Stripe and the same platforms.
        "environment": {**stack.environment(), **{n: v for n, v in os.environ.items() if n.startswith("REBILL_")}},
    }
    kept.write_json(options.run_file, found)
    try:
        yield
    finally:
        options.run_file.unlink(missing_ok=True)


def _voice_endpoints(base_url: str, agency: Agency) -> dict[str, Any]:
    """The webhook addresses of a workspace, each with an agent of its first client, which is re-billed."""
    return {
        platform: {
            "url": f"{base_url}/webhooks/voice/{platform}/{endpoint['id']}",
            "secret": endpoint["secret"],
            "agent_id": agency.clients[0].agents[platform],
        }
        for platform, endpoint in agency.endpoints.items()
    }


def _workspace(agency: Agency) -> dict[str, Any]:
    sub_accounts = [{"id": each.id, "name": each.name} for each in agency.clients]
    return {"id": agency.id, "name": agency.name, "sub_accounts": sub_accounts}


def _show(out: TextIO, server: Server, stack: Stack, board: Board) -> None:
    picture = display(out, server.base_url, board)
    picture.start()
    try:
        while True:
            picture.show()
            time.sleep(picture.pause_seconds)
            if stack.process is None or stack.process.poll() is not None:
                raise HomeError("MiniStack ended by itself; its state up to a moment ago is kept. Start again.")
    finally:
        with suppress(OSError):
            picture.stop()
