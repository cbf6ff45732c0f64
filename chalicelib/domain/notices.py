"""Notices: what the platform and the pages hear of, to whom it is sent and how often; and when a balance is low."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.domain.money import MICROS_PER_UNIT

PLATFORM_OWNER = "platform"  # whose notices belong to no workspace
EMAIL = "email"  # stands for the endpoint where a delivery is an e-mail

MINUTE_MS = 60_000
# When a delivery is tried, in minutes after it was queued. What fails at the last of them is given up.
TRIES_AT_MINUTES = (0, 1, 5, 30, 2 * 60, 5 * 60, 10 * 60, 14 * 60, 19 * 60, 24 * 60)

DEFAULT_LEVELS_MICROS = (20 * MICROS_PER_UNIT, 5 * MICROS_PER_UNIT, 0)
MOST_LEVELS = 5
ABOVE_ALL_MICROS = 10**15  # the level of a balance that has reached none: above any that can be set

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as ULIDs are written


class NoticeType(StrEnum):
    """What happened."""

    WALLET_LOW = "wallet.low"
    WALLET_RECOVERED = "wallet.recovered"
    REFILL_SUCCEEDED = "refill.succeeded"
    REFILL_DECLINED = "refill.declined"
    REFILL_SUSPENDED = "refill.suspended"
    REFILL_ACTION_REQUIRED = "refill.action_required"
    REFILL_HELD = "refill.held"
    REFILL_RESUMED = "refill.resumed"
    PAYMENT_REVERSED = "payment.reversed"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"


# What an e-mail says to the owner of the workspace whose wallet it is. Other types are not mailed.
MAILED = {
    NoticeType.WALLET_LOW: ("Your balance is low", "Your balance has fallen to {balance} {currency}."),
    NoticeType.REFILL_DECLINED: ("Your card was declined", "Your card was declined, so your balance was not refilled."),
    NoticeType.REFILL_SUSPENDED: (
        "Automatic refills have stopped",
        "Automatic refills of your balance have stopped, because your card was declined repeatedly.",
    ),
    NoticeType.REFILL_ACTION_REQUIRED: (
        "Your bank asks you to confirm a refill",
        "Your bank asks you to confirm a payment before your balance can be refilled.",
    ),
}


@dataclass(frozen=True)
class Notice:
    """Something that happened to `owner_id` (a wallet's owner, or `platform`).

    `key` is a text of the teller's own, up to 200 characters: of one owner, each key is told once, whenever it is told
    again. `data` holds texts and whole numbers, money as decimal strings beside a currency; in a sub-account's notice
    never a cost, and in none a secret. `workspace_id` is None for the platform's own.
    """

    type: NoticeType
    owner_id: str
    workspace_id: str | None
    occurred_at_ms: int
    key: str
    data: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """`evt_` and a ULID made of the moment and the key: ids sort by time, and the same notice has the same one."""
        digest = hashlib.sha256(f"{self.owner_id}#{self.key}".encode()).digest()
        number = self.occurred_at_ms << 80 | int.from_bytes(digest[:10], "big")
        return "evt_" + "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))


class EndpointState(StrEnum):
    """Whether an endpoint is sent to."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # switched off by us; a person switches it on again
    DELETED = "deleted"


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where the platform wants to hear of notices. `types` says of which; none means all.

    `slot` is the one of the few places for endpoints that it stands in, from 1 on. `reason` says in a word why it was
    switched off: `gone`, `http_500`, `timeout`, `tls`, `no_answer`, `address_not_public`.
    """

    id: str
    slot: int
    url: str = field(repr=False)  # many receivers are told apart by a secret in their address
    secret: str = field(repr=False)
    types: tuple[NoticeType, ...]
    state: EndpointState
    created_at_ms: int
    enabled_at_ms: int
    disabled_at_ms: int | None = None
    reason: str | None = None
    last_success_at_ms: int | None = None

    @property
    def shard(self) -> str:
        """Where its deliveries wait. Switched on again it has another: what waited before is not sent any more."""
        return f"{self.id}#{self.enabled_at_ms}"

    def hears(self, notice_type: NoticeType) -> bool:
        """Whether notices of this type are sent there."""
        return self.state is EndpointState.ENABLED and (not self.types or notice_type in self.types)


@dataclass(frozen=True)
class Delivery:
    """One notice on its way to one endpoint, or to one e-mail address.

    `body` is what is sent: the same text at every try. `due_at_ms` is when it is tried next.
    """

    endpoint_id: str
    notice_id: str
    shard: str
    queued_at_ms: int
    due_at_ms: int
    body: str = ""
    recipient: str | None = None


def next_try_ms(queued_at_ms: int, now_ms: int) -> int | None:
    """When a delivery that fails now is tried again; None where a day of tries is over."""
    tries = (queued_at_ms + minutes * MINUTE_MS for minutes in TRIES_AT_MINUTES)
    return next((at_ms for at_ms in tries if at_ms > now_ms), None)


@dataclass(frozen=True)
class WatchedWallet:
    """A wallet as far as its notices go, all amounts in micros of its currency.

    `levels_micros` are the balances at which its owner is told. `notified_level_micros` is the lowest level that it is
    known to have reached; None for a wallet that was never looked at.
    """

    owner_id: str
    currency: str
    balance_micros: int
    levels_micros: tuple[int, ...]
    notified_level_micros: int | None


@dataclass(frozen=True)
class Crossing:
    """What has newly become known of a wallet: the level it is at now, and what is told of it, if anything."""

    level_micros: int
    tells: NoticeType | None


def level_reached(levels_micros: Sequence[int], balance_micros: int) -> int:
    """The lowest level that a balance has reached (it is at the level, or below); `ABOVE_ALL_MICROS` if none."""
    return min((level for level in levels_micros if balance_micros <= level), default=ABOVE_ALL_MICROS)


def crossing(levels_micros: Sequence[int], notified_micros: int | None, balance_micros: int) -> Crossing | None:
    """What a balance newly says, given the level that was known; None where nothing has changed.

    Each level is told once on the way down, of several at once the lowest. Rising above a level arms it again, silently
    until the highest is left behind. A wallet begins empty, which is no fall: the first look tells nothing.
    """
    level = level_reached(levels_micros, balance_micros)
    if level == notified_micros:
        return None
    if notified_micros is None:
        return Crossing(level, None)
    if level < notified_micros:
        return Crossing(level, NoticeType.WALLET_LOW)
    return Crossing(level, NoticeType.WALLET_RECOVERED if level == ABOVE_ALL_MICROS else None)
