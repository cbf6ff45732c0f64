"""One account in one mode: its objects, and nobody else's."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.pretend_stripe.account_objects import new_event
from local.pretend_stripe.errors import no_such
from local.pretend_stripe.state import PLATFORM, Obj, copied, new_id

if TYPE_CHECKING:
    from local.pretend_stripe.core import Core

# What its ids begin with, and how long they go on.
IDS = {
    "customer": ("cus_", 14),
    "payment_method": ("pm_1", 23),
    "setup_intent": ("seti_1", 23),
    "payment_intent": ("pi_3", 23),
    "charge": ("ch_3", 23),
    "balance_transaction": ("txn_3", 23),
    "refund": ("re_3", 23),
    "dispute": ("du_1", 23),
    "checkout.session": ("cs_test_a1", 56),
    "billing_portal.session": ("bps_1", 23),
    "event": ("evt_1", 23),
    "radar.early_fraud_warning": ("issfr_1", 23),
    "item": ("li_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
}


@dataclass(frozen=True)
class Cause:
    """The request that an event came from, where it came from one."""

    request_id: str | None = None
    idempotency_key: str | None = None


class Space:
    """What a handler works on."""

    def __init__(self, core: "Core", account_id: str, livemode: bool, cause: Cause | None = None) -> None:
        self.core = core
        self.account_id = account_id
        self.livemode = livemode
        self.cause = cause or Cause()

    @property
    def key(self) -> str:
        """Under which the state keeps it."""
        return f"{self.account_id}:{'live' if self.livemode else 'test'}"

    @property
    def account(self) -> Obj:
        """The account itself."""
        account: Obj = self.core.state["accounts"][self.account_id]
        return account

    @property
    def connected(self) -> bool:
        """Whether this is somebody else's account, and not the platform's own."""
        return self.account_id != PLATFORM

    @property
    def application(self) -> str | None:
        """By whom objects here are made."""
        return self.core.client_id if self.connected else None

    def new_id(self, kind: str) -> str:
        """An id for an object of this kind."""
        prefix, length = IDS[kind]
        return new_id(prefix.replace("_test_", "_live_") if self.livemode else prefix, length)

    def put(self, obj: Obj) -> Obj:
        """Keep a new object."""
        self.core.state["spaces"].setdefault(self.key, {}).setdefault(obj["object"], {})[obj["id"]] = obj
        return obj

    def find(self, kind: str, object_id: str) -> Obj | None:
        """The object, if this account has it."""
        found: Obj | None = self.core.state["spaces"].get(self.key, {}).get(kind, {}).get(object_id)
        return found

    def get(self, kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Obj:
        """The object.

        Raises:
            Refused: this account has none such.
        """
        found = self.find(kind, object_id)
        if found is None or (status != 404 and found.get("deleted")):
            raise no_such(kind, object_id, param=param, status=status)
        return found

    def all(self, kind: str) -> Iterator[Obj]:
        """All of a kind, newest first."""
        yield from reversed(list(self.core.state["spaces"].get(self.key, {}).get(kind, {}).values()))

    def hidden(self, object_id: str) -> Obj:
        """What we know about an object and Stripe never tells."""
        known: Obj = self.core.state["hidden"].setdefault(object_id, {})
        return known

    def now(self) -> int:
        """The pretend clock, in seconds."""
        return self.core.now()

    def common(self, kind: str) -> Obj:
        """What nearly every object begins with."""
        return {"id": self.new_id(kind), "object": kind, "created": self.now(), "livemode": self.livemode}

    def emit(self, event_type: str, obj: Obj, previous: Obj | None = None) -> Obj:
        """Say that something happened, to the endpoint whose business it is."""
        data: Obj = {"object": copied(obj)}
        if previous is not None:
            data["previous_attributes"] = copied(previous)
        endpoint = self._endpoint(event_type)
        event = new_event(
            self.new_id("event"),
            event_type,
            data,
            now=self.now(),
            livemode=self.livemode,
            request={"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
            endpoints=int(endpoint is not None),
        )
        if self.connected:
            event["account"] = self.account_id
        self.put(event)
        if endpoint:
            self.core.deliveries.add(event, endpoint, self.key)
        return event

    def change(self, obj: Obj, event_type: str, **values: Any) -> None:
        """Set values and emit an event that says what they were before, if any of them differs."""
        previous = {name: obj.get(name) for name, value in values.items() if obj.get(name) != value}
        obj.update(values)
        if previous:
            self.emit(event_type, obj, previous)

    def _endpoint(self, event_type: str) -> str | None:
        name = "connect" if self.connected else "platform"
        heard = not self.connected or event_type == "account.application.deauthorized"
        heard = heard or self.core.is_connected(self.account_id, self.livemode)
        return name if heard and name in self.core.state["endpoints"] else None
