"""The strings behind the stage, which no real Stripe has. Each method is also `POST /_control/{name}`."""

import random
from dataclasses import asdict
from typing import Any

from local.pretend_stripe import checkout_flow, payments
from local.pretend_stripe.account_objects import new_account, new_application
from local.pretend_stripe.core import Core
from local.pretend_stripe.deliveries import Delivery, check_endpoint_url
from local.pretend_stripe.faults import Fault
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import APPLICATION_NAME, Obj, fresh_state, new_id


class Control:
    """Time, trouble, banks and account owners."""

    def __init__(self, core: Core) -> None:
        self._core = core

    # Time and state

    def clock(self) -> int:
        """The pretend clock, in seconds."""
        return self._core.now()

    def advance(self, seconds: int) -> int:
        """Move the clock forward and do what becomes due."""
        with self._core.lock:
            self._core.state["clock_offset"] += seconds
            self._core.tick()
            self._core.changed()
            return self._core.now()

    def state(self) -> Obj:
        """Everything that it remembers."""
        return self._core.dump()

    def reset(self) -> None:
        """Begin anew; the webhook endpoints stay."""
        with self._core.lock:
            endpoints = self._core.state["endpoints"]
            self._core.state.update(fresh_state(self._core.now()), endpoints=endpoints)
            self._core.faults.clear()
            self._core.payments_to_hold = 0
            self._core.changed()

    # Trouble

    def plan_fault(
        self,
        kind: str,
        times: int = 1,
        method: str = "POST",
        path: str = ".*",
        account: str | None = None,
        seconds: float = 0.0,
    ) -> list[Obj]:
        """Let something go wrong in the next calls that match; `path` is a regular expression for the whole path."""
        with self._core.lock:
            self._core.faults.plan(Fault(kind, times, method, path, account, seconds))
            return self._core.faults.planned()

    def clear_faults(self) -> None:
        """Let all go well again."""
        with self._core.lock:
            self._core.faults.clear()

    def hold_payments(self, times: int = 1) -> None:
        """Let the next payments stay in `processing` until `finish_payment`."""
        self._core.payments_to_hold = times

    def finish_payment(self, payment_intent: str, succeeds: bool = True) -> Obj:
        """End a payment that is processing."""
        with self._core.lock:
            space, intent = self._find("payment_intent", payment_intent)
            payments.finish(space, intent, succeeds=succeeds)
            checkout_flow.settle_later(space, intent)
            return intent

    def authentication_code(self, code: str = "authentication_required") -> None:
        """Which `code` stands beside decline_code=authentication_required: Stripe has used card_declined as well."""
        self._core.authentication_code = code

    # Webhooks

    def set_endpoint(self, kind: str, secret: str, url: str | None = None) -> None:
        """Send events to `url`: of the platform's own account (`platform`) or of the connected ones (`connect`).

        Without a url they wait until `take` hands them over.
        """
        if kind not in ("platform", "connect"):
            raise ValueError(f"kind must be platform or connect; it is {kind!r}.")
        if url is not None:
            check_endpoint_url(url)
        with self._core.lock:
            self._core.state["endpoints"][kind] = {"url": url, "secret": secret}
            self._core.changed()

    def remove_endpoint(self, kind: str) -> None:
        """Send no more of these."""
        with self._core.lock:
            self._core.state["endpoints"].pop(kind, None)
            self._core.changed()

    def deliveries(
        self,
        paused: bool | None = None,
        shuffle: bool | None = None,
        repeat: float | None = None,
        seed: int | None = None,
    ) -> Obj:
        """How events are sent: not by themselves, in any order, some of them twice; `seed` makes chance repeatable."""
        queue = self._core.deliveries
        with self._core.lock:
            queue.paused = queue.paused if paused is None else paused
            queue.shuffle = queue.shuffle if shuffle is None else shuffle
            queue.repeat = queue.repeat if repeat is None else repeat
            if seed is not None:
                queue.chance = random.Random(seed)
            waiting = len(self._core.state["pending"])
            return {"paused": queue.paused, "shuffle": queue.shuffle, "repeat": queue.repeat, "waiting": waiting}

    def flush(self) -> list[Obj]:
        """Send all that waits, now, each once."""
        return [_told(delivery) for delivery in self._core.deliveries.flush()]

    def take(self) -> list[Delivery]:
        """All that waits, signed, for a test that hands it over itself."""
        return self._core.deliveries.take()

    def sent(self) -> list[Obj]:
        """What was sent, and how it was answered."""
        return [_told(delivery) for delivery in self._core.deliveries.results]

    def redeliver(self, event: str | None = None) -> int:
        """Send one event, or all that there are, once more; says how many."""
        with self._core.lock:
            count = 0
            for key, kinds in self._core.state["spaces"].items():
                for known in kinds.get("event", {}).values():
                    kind = "connect" if "account" in known else "platform"
                    if event in (None, known["id"]) and kind in self._core.state["endpoints"]:
                        self._core.deliveries.add(known, kind, key, repeats=False)
                        count += 1
            return count

    def wait_for_deliveries(self, timeout_seconds: float = 10.0) -> bool:
        """Whether all that waits was delivered in time."""
        return self._core.deliveries.wait_until_idle(timeout_seconds)

    def send_event(
        self, event_type: str, obj: Obj, account: str | None = None, livemode: bool = False, listed: bool = False
    ) -> Obj:
        """Send an event that nothing has caused, rightly signed: for what a hostile account could bring about."""
        with self._core.lock:
            space = self._core.space(account, livemode) if account else self._core.platform(livemode)
            before = set(self._core.state["spaces"].get(space.key, {}).get("event", {}))
            event = space.emit(event_type, obj)
            if not listed and event["id"] not in before:
                del self._core.state["spaces"][space.key]["event"][event["id"]]
            return event

    # Accounts and their owners

    def accounts(self) -> list[Obj]:
        """All accounts."""
        return list(self._core.state["accounts"].values())

    def add_account(self, name: str, country: str = "US", currency: str = "usd", livemode: bool = False) -> Obj:
        """One more account that can be connected."""
        with self._core.lock:
            account = new_account(new_id("acct_1", 15), name, country, currency, self._core.now())
            self._core.state["accounts"][account["id"]] = account
            self._core.state["modes"][account["id"]] = livemode
            self._core.changed()
            return account

    def set_account(self, account: str, livemode: bool | None = None, name: str | None = None, **flags: Any) -> Obj:
        """Set its mode, its name, or fields such as charges_enabled; connected platforms hear of it."""
        with self._core.lock:
            known = self._core.state["accounts"][account]
            strangers = flags.keys() - known.keys()
            if strangers:
                raise ValueError(f"An account has no {', '.join(sorted(strangers))}.")
            if livemode is not None:
                self._core.state["modes"][account] = livemode
            if name is not None:
                dashboard = {**known["settings"]["dashboard"], "display_name": name}
                flags["settings"] = {**known["settings"], "dashboard": dashboard}
                flags["business_profile"] = {**known["business_profile"], "name": name}
            self._core.space(account, self._core.state["modes"][account]).change(known, "account.updated", **flags)
            self._core.changed()
            return dict(known)

    def connect(self, account: str) -> str:
        """Let the platform in without the pages; answers the access token."""
        with self._core.lock:
            livemode = self._core.state["modes"][account]
            mode = "live" if livemode else "test"
            grant = {"account": account, "livemode": livemode, "token": new_id(f"sk_{mode}_", 32), "live": True}
            self._core.state["grants"][new_id("ac_", 32)] = grant
            application = new_application(self._core.client_id, APPLICATION_NAME)
            self._core.space(account, livemode).emit("account.application.authorized", application)
            self._core.changed()
            return str(grant["token"])

    def deauthorize(self, account: str) -> bool:
        """The owner revokes access in its own dashboard; says whether there was any."""
        with self._core.lock:
            self._core.changed()
            return self._core.revoke(account, self._core.state["modes"][account])

    def set_redirect_uris(self, uris: list[str]) -> None:
        """Where OAuth may send people back to; with none set, anywhere."""
        self._core.state["redirect_uris"] = list(uris)

    def _find(self, kind: str, object_id: str) -> tuple[Space, Obj]:
        found = self._core.find_anywhere(kind, object_id)
        if found is None:
            raise ValueError(f"There is no {kind} {object_id!r}.")
        self._core.changed()
        return found


def _told(delivery: Delivery) -> Obj:
    return {**asdict(delivery), "body": delivery.body.decode()}
