"""Two agencies with six clients each: their prices, wallets, voice agents and webhook addresses.

They are written in process, not over HTTP: the demo's calls were answered minutes ago, so its prices have to be in
force since long before, and the API rightly refuses to set a price for the past.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import GatePolicy, Provider, SubAccount
from chalicelib.domain.errors import NotFound
from chalicelib.domain.money import MICROS_PER_UNIT, format_price
from chalicelib.domain.rating import VOICE, Price, PriceType, RateCard
from chalicelib.domain.usage import DAY_MS
from chalicelib.domain.wallet import Wallet
from chalicelib.flows.configure import create_endpoint, create_workspace
from chalicelib.flows.give_credit import give_credit
from chalicelib.flows.ids import new_id_inside
from chalicelib.storage import accounts
from local.voice_platform import PLATFORMS, retell, vapi

PRICES_SINCE_MS = 40 * DAY_MS  # longer ago than any call that may still be reported
NOT_BILLED, ABSORBED = "not billed", "absorbed"
WORKSPACE_CREDIT = "2000"  # about six hours of calls


def _fixed(price: str, initial: int = 1, increment: int = 1) -> Price:
    micros = round(float(price) * MICROS_PER_UNIT)
    return Price(PriceType.FIXED, micros, initial_increment_seconds=initial, increment_seconds=increment)


def _markup(percent: int) -> Price:
    return Price(PriceType.MARKUP, markup_basis_points=100 * percent)


# Client, what it pays (None: it is not re-billed), its first credit, and what somebody adds whenever it is stopped.
Plan = tuple[str, Price | None, str, str]
AGENCIES: dict[str, tuple[Plan, ...]] = {
    "Larkspur Voice": (
        ("Bright Dental", _fixed("0.15"), "400", "50"),
        ("Harbor Plumbing", _fixed("0.18", 60, 60), "250", "50"),
        ("Lumen Optics", _fixed("0.12"), "150", "50"),
        ("Cedar Legal", _markup(80), "180", "50"),
        ("Juniper Hotel", _fixed("0.25"), "0.30", "5"),  # its second call is stopped at the gate
        ("Alder Realty", None, "0", "0"),
    ),
    "Fernhill AI": (
        ("Summit Fitness", _fixed("0.20"), "300", "50"),
        ("Maple Veterinary", _fixed("0.14"), "120", "50"),
        ("Copper Kettle", Price(PriceType.ABSORB), "0", "0"),
        ("Tidewater Marina", _fixed("0.22", 30, 6), "200", "50"),
        ("Atlas Movers", _markup(150), "160", "50"),
        ("Orchid Spa", _fixed("0.16"), "12", "20"),  # low from the start
    ),
}


@dataclass(frozen=True)
class Client:
    """One client: `agents` by platform, `top_up` is what somebody adds by hand once its calls are stopped."""

    id: str
    workspace_id: str
    name: str
    price: str
    top_up: str
    agents: dict[str, str]

    @property
    def pays(self) -> bool:
        """Whether its own wallet pays for its calls."""
        return self.price not in (NOT_BILLED, ABSORBED)


@dataclass(frozen=True)
class Agency:
    """One workspace: `endpoints` has the id and the secret of its webhook address for each platform, and the key that
    the platform's own list of calls is read with."""

    id: str
    name: str
    endpoints: dict[str, dict[str, str]]
    clients: tuple[Client, ...]


def seed() -> list[Agency]:
    """Make the whole demo."""
    return [_agency(name, plans) for name, plans in AGENCIES.items()]


def _agency(name: str, plans: tuple[Plan, ...]) -> Agency:
    email = f"owner@{name.split()[0].lower()}.example"
    workspace_id = create_workspace(name, "usd", email, GatePolicy(), 0).id
    _credit(workspace_id, WORKSPACE_CREDIT)
    endpoints = {}
    for platform, pretend in PLATFORMS.items():
        api_key = vapi.new_api_key() if pretend is vapi else None
        made = create_endpoint(workspace_id, Provider(platform), pretend.new_secret(), api_key)
        endpoints[platform] = {"id": made.id, "secret": made.secret}
        if pretend in (vapi, retell):
            endpoints[platform]["api_key"] = api_key or made.secret
    clients = tuple(_client(workspace_id, *plan) for plan in plans)
    return Agency(workspace_id, name, endpoints, clients)


def _client(workspace_id: str, name: str, price: Price | None, credit: str, top_up: str) -> Client:
    card = RateCard(now_ms() - PRICES_SINCE_MS, enabled=price is not None, prices={VOICE: price})
    made = SubAccount(new_id_inside("sa", workspace_id), workspace_id, name, now_ms(), (card,))
    accounts.create_sub_account(made, Wallet(made.id, "usd", 0))
    _credit(made.id, credit)
    agents = {platform: pretend.new_agent_id() for platform, pretend in PLATFORMS.items()}
    for platform, agent_id in agents.items():
        accounts.assign_agent(Provider(platform), agent_id, made, now_ms())
    return Client(made.id, workspace_id, name, _price_in_words(price), top_up, agents)


def _credit(owner_id: str, amount: str) -> None:
    micros = round(float(amount) * MICROS_PER_UNIT)
    if micros:
        give_credit(owner_id, micros, "Opening balance of the demo", str(uuid4()))


def _price_in_words(price: Price | None) -> str:
    if price is None:
        return NOT_BILLED
    if price.price_type is PriceType.ABSORB:
        return ABSORBED
    if price.price_type is PriceType.MARKUP:
        return f"cost +{price.markup_basis_points // 100}%"
    increments = f"{price.initial_increment_seconds}/{price.increment_seconds}"
    return format_price(price.price_per_unit_micros) + ("" if increments == "1/1" else f" {increments}")


def from_json(kept: Any) -> list[Agency]:
    """The demo as it was kept, if the store still has all of it; otherwise nothing."""
    try:
        agencies = [
            Agency(**{**agency, "clients": tuple(Client(**client) for client in agency["clients"])}) for agency in kept
        ]
        return agencies if all(_is_there(agency) for agency in agencies) else []
    except (TypeError, KeyError):
        return []


def _is_there(agency: Agency) -> bool:
    ids = {client.id for client in agency.clients}
    try:
        accounts.get_workspace(agency.id)
        for endpoint in agency.endpoints.values():
            accounts.get_endpoint(endpoint["id"])
    except NotFound:
        return False
    return set(accounts.sub_accounts_by_id(ids)) == ids


def clients_of(agencies: Sequence[Agency]) -> Iterator[tuple[Agency, Client]]:
    """Every client with its agency."""
    return ((agency, client) for agency in agencies for client in agency.clients)
