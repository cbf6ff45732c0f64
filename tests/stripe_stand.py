"""The stage on which people pay: a pretend Stripe beside the product, its keys in the parameter store, its events
handed over by the tests.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
import stripe as sdk
from requests.structures import CaseInsensitiveDict
from time_machine import escape_hatch

from chalicelib.flows import redrive_usage
from chalicelib.flows.follow_stripe import follow
from chalicelib.settings import _parameter_store, settings
from local.pretend_stripe import Delivery, Lost, PretendStripe
from local.stack import Stack
from tests import embedded
from tests.aws import aws, begin_anew, delete_messages, take_messages
from tests.conftest import STAGE
from tests.world import Answer, World

BRIGHT, NORTH = "acct_1PretendBrightVoice", "acct_1PretendNorthCalls"
LIVE, INACTIVE = "acct_1PretendQuayStudio", "acct_1PretendHarbourDesk"
SECRETS = {"platform": "whsec_platform_secret_of_tests", "connect": "whsec_connect_secret_of_tests"}
DOORS = {"platform": "/webhooks/stripe", "connect": "/webhooks/stripe/connect"}

# By account, stage and day: the agency and its client, the platform's key, what is in the store and at Stripe.
_agencies: dict[tuple[str | None, str, date], tuple[tuple[str, str], str, bytes, bytes]] = {}


def give_keys(pretend: PretendStripe) -> None:
    """Put the pretend Stripe's keys where the product looks for them."""
    keys = {
        "secret-key": pretend.platform_key,
        "client-id": pretend.client_id,
        "webhook-secret": SECRETS["platform"],
        "connect-webhook-secret": SECRETS["connect"],
    }
    for name, value in keys.items():
        path = f"/rebill/{settings().stage}/stripe/{name}"
        aws("ssm").put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)
    _parameter_store().clear_cache()


@contextmanager
def addressed(pretend: PretendStripe) -> Iterator[None]:
    """While it lasts, the product takes the pretend Stripe for Stripe, and nobody waits between the SDK's tries.

    The SDK asks it without HTTP, which would take three times as long; what goes over the wire is shown by the tests
    of the gateway and of the pretend Stripe.
    """
    over_http = sdk.RequestsClient._request_internal

    def ask(http: Any, method: str, url: str, headers: Any, post_data: Any, is_streaming: bool) -> Any:
        if is_streaming or not url.startswith(f"{pretend.url}/"):
            return over_http(http, method, url, headers, post_data, is_streaming)
        body = post_data.encode() if isinstance(post_data, str) else post_data or b""
        try:
            answer = pretend.ask(method.upper(), url.removeprefix(pretend.url), headers, body)
        except Lost:
            http._handle_request_error(http.requests.ConnectionError("The answer never came."))
        return answer.body.encode(), answer.status, CaseInsensitiveDict(answer.headers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk.RequestsClient, "_request_internal", ask)
        patch.setattr(sdk.HTTPClient, "INITIAL_DELAY", 0)
        patch.setattr(sdk.HTTPClient, "MAX_DELAY", 0)
        patch.setenv("REBILL_STRIPE_API_ADDRESS", pretend.base_addresses["api"])
        patch.setenv("REBILL_STRIPE_CONNECT_ADDRESS", pretend.base_addresses["connect"])
        yield
    _parameter_store().clear_cache()


@contextmanager
def lasting_stage(stack: Stack) -> Iterator["Paying"]:
    """One stage for a whole file, on an empty store."""
    begin_anew(stack, STAGE)
    with pytest.MonkeyPatch.context() as patch, PretendStripe() as pretend:
        patch.setattr(redrive_usage, "DELAY_SECONDS", 0)
        give_keys(pretend)
        with addressed(pretend):
            yield Paying(World(), pretend)


class Paying:
    """A world in which people can pay."""

    def __init__(self, world: World, pretend: PretendStripe) -> None:
        self.world, self.pretend = world, pretend
        for kind, secret in SECRETS.items():
            pretend.control.set_endpoint(kind, secret)

    def remember(self) -> Callable[[], None]:
        """What there is now, at us and at Stripe; calling the answer goes back to it."""
        in_store, at_stripe = embedded.remember(), self.pretend.remember()

        def go_back() -> None:
            embedded.go_back(in_store)
            self.pretend.go_back(at_stripe)

        return go_back

    def agency(self, account: str | None = BRIGHT) -> tuple[str, str]:
        """An agency, connected unless told otherwise, and a client of its.

        Where it is the first that happens in a test, it has happened already: a process makes such an agency once.
        """
        if self.world.asked or escape_hatch.is_travelling() or self.pretend.control.state()["faults"]:
            return self._new_agency(account)
        key = account, settings().stage, datetime.now(UTC).date()
        if key not in _agencies:
            made = self._new_agency(account)
            _agencies[key] = made, self.world.api_key, embedded.remember(), self.pretend.remember()
        made, self.world.api_key, in_store, at_stripe = _agencies[key]
        embedded.go_back(in_store)
        self.pretend.go_back(at_stripe)
        return made

    def _new_agency(self, account: str | None) -> tuple[str, str]:
        workspace = self.world.workspace()
        if account is not None:
            assert "Stripe is connected" in self.connect(workspace, account).text
        return workspace, self.world.sub_account(workspace, "0.15")

    def connect(self, workspace: str, account: str = BRIGHT) -> Answer:
        """A person connects an account in one browser, all the way; the page that they end on."""
        cookie, location = self.start(workspace)
        return self.come_back(self.choose(location, account), cookie)

    def start(self, workspace: str) -> tuple[str, str]:
        """The browser's cookie, and Stripe's address that it is sent to."""
        body = {"user": "owner@acme.example"}
        link = self.world.post(f"/v1/workspaces/{workspace}/stripe/connect", body)["url"]
        return self.open(link)

    def open(self, link: str) -> tuple[str, str]:
        answer = self.world.call("GET", link.removeprefix("https://rebill.example"), key=None)
        assert answer.status == 303, answer.text
        return answer.headers["set-cookie"].partition(";")[0], answer.headers["location"]

    def choose(self, location: str, account: str, refuse: bool = False) -> dict[str, str]:
        """Choose an account on Stripe's page and continue, or refuse: what comes back with the browser."""
        parts = urlsplit(location)
        form = dict(parse_qsl(parts.query)) | {"account": account, "answer": "refuse" if refuse else "continue"}
        answer = self.pretend.ask("POST", f"{parts.path}?{parts.query}", {}, urlencode(form).encode())
        assert answer.status == 303, answer.body
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    def come_back(self, query: dict[str, str], cookie: str) -> Answer:
        """The browser comes back to us."""
        path = f"/oauth/stripe/callback?{httpx.QueryParams(query)}"
        return self.world.call("GET", path, headers={"cookie": cookie}, key=None)

    def top_up(self, owner: str, amount: str = "50.00", key: str = "k1", expect: int = 201) -> Any:
        kind = "workspaces" if owner.startswith("ws_") else "sub-accounts"
        path = f"/v1/{kind}/{owner}/wallet/top-ups"
        return self.world.post(path, {"amount": amount}, expect, headers={"Idempotency-Key": key})

    def pay(self, top_up: Any, number: str = "4242424242424242") -> str:
        """Type a card on the page of a top-up; the PaymentIntent that it made."""
        session = top_up["url"].rpartition("/")[2].partition("#")[0].partition("?")[0]
        paid = self.pretend.control.pay(session, number)
        assert paid["error"] is None, paid["error"]
        return str(paid["session"]["payment_intent"])

    def return_to(self, top_up: Any) -> Answer:
        """The browser comes back from the payment page."""
        return self.world.call("GET", f"/payments/return?owner={top_up['owner']}&top_up={top_up['id']}", key=None)

    def deliver(self, deliveries: list[Delivery] | None = None) -> list[int]:
        """Hand over what Stripe has to say, and follow it; the statuses that Stripe saw."""
        taken = self.pretend.control.take() if deliveries is None else deliveries
        seen = [self.knock(each.endpoint, each.body, each.headers) for each in taken]
        self.follow()
        return seen

    def knock(self, endpoint: str, body: bytes, headers: dict[str, str]) -> int:
        return self.world.call("POST", DOORS[endpoint], raw=body, headers=headers, key=None).status

    def follow(self) -> list[str]:
        """Do what the queued events ask for."""
        failed: list[str] = []
        while taken := self.take_waiting():
            failed += follow(taken)
        return failed

    def take_waiting(self) -> list[tuple[str, str]]:
        """Take up to ten queued events, as (id, body)."""
        taken = take_messages(settings().payments_queue)
        delete_messages(settings().payments_queue, taken)
        return [(message["MessageId"], message["Body"]) for message in taken]

    def amounts(self, owner: str) -> list[tuple[str, str]]:
        """Kind and amount of every entry, the oldest first."""
        return [(entry["kind"], entry["amount"]) for entry in self.world.entries(owner)][::-1]
