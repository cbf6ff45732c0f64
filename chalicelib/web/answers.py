"""What callers get, field by field. `web/show.py` fills it in."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from chalicelib.domain.accounts import AccountStatus, Provider
from chalicelib.domain.notices import EndpointState, NoticeType
from chalicelib.domain.payments import ConnectionState, TopUpState
from chalicelib.domain.people import Role
from chalicelib.domain.rating import PriceType
from chalicelib.domain.refill import RefillMode
from chalicelib.domain.standing import Cause, RefillState
from chalicelib.domain.usage import Status
from chalicelib.domain.wallet import WalletStatus
from chalicelib.web.models import AnswerModel

T = TypeVar("T", bound=BaseModel)


class ListOf(AnswerModel, Generic[T]):
    """One page of a list, newest first where things have a time."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool = False


class ShownPrice(AnswerModel):
    """A price as it was set."""

    price_type: PriceType
    price_per_minute: str | None = None
    price_per_unit: str | None = None
    markup_percent: str | None = None
    initial_increment_seconds: int | None = None
    increment_seconds: int | None = None
    minimum_seconds: int | None = None
    connect_fee: str | None = None


class ShownCard(AnswerModel):
    """A dated rate card. A meter with `null` is deliberately not billed."""

    effective_at: str
    enabled: bool
    prices: dict[str, ShownPrice | None]


class ShownGate(AnswerModel):
    """The gate's settings."""

    min_start_seconds: int
    max_call_seconds: int


class ShownTopUpRange(AnswerModel):
    """The smallest and the largest top-up."""

    minimum: str
    maximum: str


class ShownTopUpLimits(AnswerModel):
    """Limits of top-ups of the workspace's own wallet, and of its sub-accounts'."""

    workspace: ShownTopUpRange
    sub_accounts: ShownTopUpRange


class ShownStatusChange(AnswerModel):
    """When an account was paused, resumed or closed the last time, by whom, and why."""

    at: str
    by: str
    note: str | None


class ShownWorkspace(AnswerModel):
    """A workspace; `cost` is the card in force now."""

    object: Literal["workspace"] = "workspace"
    id: str
    name: str
    currency: str
    owner_email: str
    status: AccountStatus
    status_change: ShownStatusChange | None
    gate: ShownGate
    top_up_limits: ShownTopUpLimits
    cost: ShownCard | None
    cost_cards: list[ShownCard]
    created_at: str


class ShownSubAccount(AnswerModel):
    """A sub-account; `rebilling` is the card in force now, null before the first one."""

    object: Literal["sub_account"] = "sub_account"
    id: str
    workspace: str
    name: str
    status: AccountStatus
    status_change: ShownStatusChange | None
    rebilling: ShownCard | None
    rebilling_cards: list[ShownCard]
    created_at: str


class ShownVoiceEndpoint(AnswerModel):
    """A voice endpoint. `has_api_key` says whether one was given to look for calls whose webhook was lost."""

    object: Literal["voice_endpoint"] = "voice_endpoint"
    id: str
    workspace: str
    provider: Provider
    url: str
    has_api_key: bool
    created_at: str


class ShownNewVoiceEndpoint(ShownVoiceEndpoint):
    """A new voice endpoint. The secret is shown this once."""

    secret: str


class ShownVoiceAgent(AnswerModel):
    """Whose calls a voice agent's are."""

    object: Literal["voice_agent"] = "voice_agent"
    provider: Provider
    agent_id: str
    sub_account: str


class ShownRefill(AnswerModel):
    """How a wallet's automatic refills stand. Where something has stopped them, `cause` and `detail` say what;
    `retry_at` is when they go on by themselves, null if only a person helps; `action_url` is where the person helps."""

    state: RefillState = RefillState.OFF
    cause: Cause | None = None
    detail: str | None = None
    since: str | None = None
    retry_at: str | None = None
    action_url: str | None = None


class ShownRefillRule(AnswerModel):
    """A wallet's refill rule, what refills came to, and how they stand."""

    object: Literal["refill_rule"] = "refill_rule"
    owner: str
    currency: str
    enabled: bool
    threshold: str
    mode: RefillMode
    target_balance: str
    amount: str
    daily_limit: str | None
    monthly_limit: str | None
    daily_count_limit: int
    cooldown_seconds: int
    spent_today: str
    spent_this_month: str
    refills_today: int
    refill: ShownRefill


class ShownRefillSwitch(AnswerModel):
    """Whether refills are stopped, for a workspace (`scope` is its id) or for everybody."""

    object: Literal["refill_switch"] = "refill_switch"
    scope: str
    stopped: bool
    reason: str
    by: str
    at: str | None


class ShownTopUp(AnswerModel):
    """Balance that a person buys. `url` is the page to pay on, while it is open."""

    object: Literal["top_up"] = "top_up"
    id: str
    owner: str
    state: TopUpState
    amount: str
    currency: str
    url: str | None
    created_at: str


class ShownPaymentMethod(AnswerModel):
    """A saved card, as far as anybody needs to know it."""

    brand: str
    last4: str
    expires: str = Field(examples=["12/2040"])


class ShownWallet(AnswerModel):
    """A wallet. `minutes_left` is what it pays for at the price of now; null where its owner pays nothing a minute.

    `pending_top_up` is a payment whose end is not known yet; it is not in the balance.
    """

    object: Literal["wallet"] = "wallet"
    owner: str
    balance: str = Field(examples=["12.345678"])
    currency: str
    status: WalletStatus
    credit_limit: str
    minutes_left: str | None
    refill: ShownRefill = ShownRefill()
    pending_top_up: ShownTopUp | None = None
    card: ShownPaymentMethod | None = None


class ShownUsage(AnswerModel):
    """The use behind an entry, and how it was rated: `price_per_minute` for voice, `price_per_unit` otherwise."""

    source: str
    id: str
    meter: str
    agent_id: str | None
    answered_at: str | None
    ended_at: str | None
    talk_seconds: str | None = None
    quantity: int | None = None
    outcome: str | None
    billed_seconds: str | None = None
    price_per_minute: str | None = None
    price_per_unit: str | None = None
    connect_fee: str | None = None
    rate_card_effective_at: str | None = None


class ShownCharge(AnswerModel):
    """What one wallet paid for a usage event, with the whole explanation."""

    wallet: str
    amount: str
    currency: str
    billed_seconds: str | None = None
    price_per_minute: str | None = None
    price_per_unit: str | None = None
    price: ShownPrice
    rate_card_effective_at: str


class ShownCharges(AnswerModel):
    """Both legs; the sub-account's is null while it is not re-billed."""

    workspace: ShownCharge | None
    sub_account: ShownCharge | None


class ShownUsageEvent(AnswerModel):
    """What became of a usage event. `reason` is why it was not billed, `note` what was said by who dismissed it."""

    object: Literal["usage_event"] = "usage_event"
    id: str
    source: str
    status: Status
    reason: str | None = None
    note: str | None = None
    workspace: str
    sub_account: str | None = None
    entry: str | None = None
    received_at: str
    posted_at: str | None = None
    usage: ShownUsage | None = None
    remarks: list[str] = Field(default_factory=list)
    charges: ShownCharges | None = None
    conflicts: list[ShownUsage] = Field(default_factory=list)


class ShownWaitingEvent(ShownUsageEvent):
    """A usage event that waits for a person; `cursor` is what `starting_after` takes."""

    cursor: str


class ShownLink(AnswerModel):
    """Where to send the person's browser."""

    object: Literal["link"] = "link"
    url: str


class ShownConnection(AnswerModel):
    """A workspace's link to its own Stripe account."""

    object: Literal["stripe_connection"] = "stripe_connection"
    workspace: str
    state: ConnectionState
    account: str
    account_name: str
    mode: Literal["live", "test"]
    charges_enabled: bool
    connected_at: str


class Received(AnswerModel):
    """An event is safely here."""

    received: Literal[True] = True


class Health(AnswerModel):
    """Alive, and which version."""

    status: Literal["ok"] = "ok"
    version: str


class ShownPerson(AnswerModel):
    """Somebody with a role in a workspace."""

    object: Literal["person"] = "person"
    email: str
    role: Role


class ShownUser(AnswerModel):
    """Somebody who may see a sub-account's billing."""

    object: Literal["authorized_user"] = "authorized_user"
    email: str


class ShownSession(AnswerModel):
    """A person's session. `token` and `account` are told once, when it begins."""

    object: Literal["session"] = "session"
    email: str
    workspace: str
    role: Role | None
    sub_accounts: list[str]
    csrf_token: str
    token: str | None = None
    account: str | None = None
    expires_at: str | None = None


class ShownNotice(AnswerModel):
    """Something that happened. What stands in `data` depends on the type."""

    object: Literal["notice"] = "notice"
    id: str
    type: NoticeType
    owner: str
    occurred_at: str
    data: dict[str, str | int] = Field(examples=[{"level": "5.00", "balance": "4.895000", "currency": "usd"}])


class ShownNoticeLevels(AnswerModel):
    """At which balances a wallet's owner is told, the highest first."""

    object: Literal["notice_levels"] = "notice_levels"
    owner: str
    levels: list[str] = Field(examples=[["20.00", "5.00", "0.00"]])
    currency: str


class ShownWebhookEndpoint(AnswerModel):
    """Where notices are sent; `types` null means all. `reason` says why it was switched off."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    id: str
    url: str
    types: list[NoticeType] | None
    state: EndpointState
    reason: str | None
    disabled_at: str | None
    last_success_at: str | None
    created_at: str


class ShownNewWebhookEndpoint(ShownWebhookEndpoint):
    """A new endpoint. The secret is shown this once."""

    secret: str
