"""The pretend Stripe as a whole: a server, a delivery thread, and its strings."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Self

from local.pretend_stripe import checkout, idempotency, refunds
from local.pretend_stripe.api import Answer, Lost
from local.pretend_stripe.bank_control import Control
from local.pretend_stripe.core import Core, Task
from local.pretend_stripe.server import HOST, HttpServer, Site, read_request
from local.pretend_stripe.state import CLIENT_ID, LIVE_KEY, PLATFORM, TEST_KEY

SAVE_SECONDS = 0.5
TASKS: dict[str, Task] = {"finish_refund": refunds.finish, "fail_refund": refunds.fail, "expire_session": checkout.end}


class PretendStripe:
    """Use it as `with PretendStripe() as stripe`, and point the SDK at it: `StripeClient(stripe.platform_key,
    base_addresses=stripe.base_addresses, client_id=stripe.client_id)`.

    With a `state_file` it goes on from where the run before ended.
    """

    platform_key = TEST_KEY
    live_key = LIVE_KEY
    client_id = CLIENT_ID
    platform_account = PLATFORM

    def __init__(self, state_file: Path | None = None, port: int = 0) -> None:
        self._core = Core(state_file, TASKS)
        idempotency.forget_running(self._core.state["answers"])
        self.control = Control(self._core)
        self._port = port
        self._stopping = Event()
        self._threads: list[Thread] = []
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it is, once it has been started."""
        return self._core.url

    @property
    def base_addresses(self) -> dict[str, str]:
        """For `StripeClient`: all of Stripe's hosts are this one."""
        return dict.fromkeys(("api", "connect", "files", "meter_events"), self.url)

    def start(self) -> None:
        """Listen, deliver, save."""
        self._stopping.clear()
        self._server = HttpServer(self._port, Site(self._core, self.control, self._stopping))
        self._core.url = f"http://{HOST}:{self._server.server_address[1]}"
        runs = (
            ("pretend-stripe-http", self._serve),
            ("pretend-stripe-events", lambda: self._core.deliveries.run(self._stopping)),
            ("pretend-stripe-state", self._keep),
        )
        self._threads = [Thread(target=run, name=name, daemon=True) for name, run in runs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hang up, and save what there is."""
        self._stopping.set()
        self._core.deliveries.wake()
        if self._server is not None:
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None
        for thread in self._threads:
            thread.join(timeout=5)
        self._core.save()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """What it answers over HTTP to the same request, without the HTTP.

        Raises:
            Lost: a planned fault takes the answer away, or it does not listen.
        """
        if self._server is None:
            raise Lost
        return self._server.site.answer(read_request(method, target, headers, body))

    def remember(self) -> bytes:
        """All that it remembers now, for `go_back`."""
        with self._core.lock:
            return pickle.dumps(self._core.state)

    def go_back(self, remembered: bytes) -> None:
        """Everything is as it was then, and no trouble is planned."""
        with self._core.lock:
            self.control.reset()
            self._core.state.update(pickle.loads(remembered))

    def _serve(self) -> None:
        if self._server is not None:
            self._server.serve_forever(poll_interval=0.02)

    def _keep(self) -> None:
        """Save now and then, and let happen what is due."""
        while not self._stopping.wait(SAVE_SECONDS):
            self._core.tick()
            self._core.save()
