"""Webhooks: signed as Stripe signs them, sent again until somebody answers, and on demand twice or in any order."""

import hashlib
import hmac
import http.client
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, RLock
from urllib.parse import urlsplit

from local.pretend_stripe.state import Obj, State

RETRY_SECONDS = (0.5, 2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
TIMEOUT_SECONDS = 10.0
SPREAD_SECONDS = 0.3
LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEPT_RESULTS = 1000


@dataclass(frozen=True)
class Delivery:
    """One request to an endpoint, ready to be sent; `status` is None until it has been answered."""

    event_id: str
    event_type: str
    endpoint: str
    url: str
    body: bytes
    headers: dict[str, str]
    attempt: int
    status: int | None = None


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The `Stripe-Signature` header over exactly these bytes."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def check_endpoint_url(url: str) -> None:
    """Let only addresses on this machine through: what is pretended here must not reach anybody else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        raise ValueError(f"A webhook endpoint of the pretend Stripe must be http on the loopback interface, not {url}")


class Deliveries:
    """The events that still have to be sent. `paused`: only on demand; `repeat`: how likely each is sent again."""

    def __init__(self, lock: RLock, state: State, chance: random.Random) -> None:
        self._lock = lock
        self._state = state
        self._sending = 0
        self._woken = Event()
        self.chance = chance
        self.paused = False
        self.shuffle = False
        self.repeat = 0.0
        self.changes = 0
        self.results: list[Delivery] = []

    def add(self, event: Obj, endpoint: str, space_key: str, *, repeats: bool = True) -> None:
        """Send an event, and perhaps once more."""
        copies = 1 + (repeats and self.chance.random() < self.repeat)
        for _ in range(copies):
            spread = self.chance.uniform(0, SPREAD_SECONDS) if self.shuffle else 0.0
            item = {"event": event["id"], "type": event["type"], "endpoint": endpoint, "space": space_key}
            item |= {"body": json.dumps(event, indent=2), "attempt": 0, "not_before": time.time() + spread}
            self._state["pending"].append(item)
        self.changes += 1
        self._woken.set()

    def run(self, stop: Event) -> None:
        """Send what is due, until told to stop."""
        while not stop.is_set():
            item = None if self.paused else self._take(self._due)
            if item is None:
                self._woken.wait(0.05)
                self._woken.clear()
            else:
                self._send(item)

    def wake(self) -> None:
        """Look again at once, for instance because the end has come."""
        self._woken.set()

    def flush(self) -> list[Delivery]:
        """Send all that waits, now and in this thread, each once; what fails waits again."""
        with self._lock:
            waiting = sum(map(self._has_url, self._state["pending"]))
        results = []
        for _ in range(waiting):
            item = self._take(self._has_url)
            if item is not None:
                results.append(self._send(item))
        return results

    def take(self) -> list[Delivery]:
        """All that waits, signed and ready, for somebody who hands them over without HTTP."""
        taken = []
        while (item := self._take(lambda item: True)) is not None:
            taken.append(self._signed(item))
            self._done()
        return taken

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Whether everything was delivered in time."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._state["pending"] and not self._sending:
                    return True
            time.sleep(0.005)
        return False

    def _has_url(self, item: Obj) -> bool:
        return bool(self._state["endpoints"].get(item["endpoint"], {}).get("url"))

    def _due(self, item: Obj) -> bool:
        return self._has_url(item) and bool(item["not_before"] <= time.time())

    def _take(self, wanted: Callable[[Obj], bool]) -> Obj | None:
        with self._lock:
            pending = self._state["pending"]
            due = [item for item in pending if wanted(item)]
            if not due:
                return None
            item: Obj = self.chance.choice(due) if self.shuffle else due[0]
            del pending[next(place for place, other in enumerate(pending) if other is item)]
            self._sending += 1
            self.changes += 1
            return item

    def _signed(self, item: Obj) -> Delivery:
        endpoint = self._state["endpoints"].get(item["endpoint"], {"url": "", "secret": ""})
        body = item["body"].encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature(endpoint["secret"], body, int(time.time())),
        }
        values = (item["event"], item["type"], item["endpoint"], endpoint["url"] or "")
        return Delivery(*values, body, headers, item["attempt"] + 1)

    def _send(self, item: Obj) -> Delivery:
        """Post it; anything but 2xx is tried again later."""
        delivery = self._signed(item)
        status = _post(delivery)
        with self._lock:
            self._done()
            if (status is None or not 200 <= status < 300) and item["attempt"] < len(RETRY_SECONDS):
                item["not_before"] = time.time() + RETRY_SECONDS[item["attempt"]]
                item["attempt"] += 1
                self._state["pending"].append(item)
            elif status is not None and 200 <= status < 300:
                self._delivered(item)
            result = replace(delivery, status=status)
            self.results = [*self.results[1 - KEPT_RESULTS :], result]
        return result

    def _done(self) -> None:
        with self._lock:
            self._sending -= 1

    def _delivered(self, item: Obj) -> None:
        event = self._state["spaces"].get(item["space"], {}).get("event", {}).get(item["event"])
        if event is not None:
            event["pending_webhooks"] = 0


def _post(delivery: Delivery) -> int | None:
    if not delivery.url:
        return None
    parts = urlsplit(delivery.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, delivery.body, delivery.headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
