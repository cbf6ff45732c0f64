"""Who calls a deployed stage from outside: the voice platform's server with its key, and a person with a browser."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from local.stage import Stage
from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call
from tests.dashboard.visiting import Form, Page
from tests.world import Answer

BRIGHT = "acct_1PretendBrightVoice"
GOOD_CARD = "4242424242424242"
TALK_SECONDS = 60
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.2


def eventually(look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """What it sees as soon as that is something; what it saw last when time is up."""
    deadline = time.monotonic() + seconds
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return seen


class Loopback(httpx.HTTPTransport):
    """Finds `<id>.execute-api.localhost`, as curl and browsers do; most programs ask DNS, which does not know it."""

    def __init__(self) -> None:
        # Nothing is left open when a test ends, and nobody here has a certificate that would have to be looked at.
        super().__init__(limits=httpx.Limits(max_keepalive_connections=0), verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        here = request.url.copy_with(host="127.0.0.1") if request.url.host.endswith(".localhost") else request.url
        # Another request: cookies are kept by the address that was asked for.
        sent = httpx.Request(request.method, here, headers=request.headers, stream=request.stream)
        sent.extensions = request.extensions
        return super().handle_request(sent)


class Platform:
    """The voice platform's server, and its agencies."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.pretend = stage, stage.pretend
        self._http = httpx.Client(base_url=stage.deployed.base_url, transport=Loopback(), timeout=PATIENCE_SECONDS)
        self._key = {"Authorization": f"Bearer {stage.api_key}"}

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """Call the API, with an Idempotency-Key of its own unless one is given; any answer."""
        headers = self._key | {"Idempotency-Key": key or str(uuid4())} if method == "POST" else self._key
        return self._http.request(method, path, json=body, headers=headers)

    def get(self, path: str) -> Any:
        return self._done(self.ask("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._done(self.ask("POST", path, body))

    def put(self, path: str, body: Any = None) -> Any:
        return self._done(self.ask("PUT", path, body))

    def delete(self, path: str) -> Any:
        return self._done(self.ask("DELETE", path))

    def knock(self, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Deliver something without a key, as those do who sign."""
        return self._http.post(url, content=body, headers=headers)

    @staticmethod
    def _done(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def workspace(self) -> str:
        """An agency with 1000 in its wallet."""
        made = self.post("/v1/workspaces", {"name": "Acme", "currency": "usd", "owner_email": "owner@acme.example"})
        self.credit(made["id"], "1000.00")
        return str(made["id"])

    def client(self, workspace: str, price: str = "0.15", balance: str = "20.00") -> str:
        """A client of it, re-billed at this price a minute."""
        made = self.post(f"/v1/workspaces/{workspace}/sub-accounts", {"name": "Bright Dental"})
        self.rebill(made["id"], price)
        self.credit(made["id"], balance)
        return str(made["id"])

    def rebill(self, client: str, price: str) -> None:
        voice = {"enabled": True, "price_type": "fixed", "price_per_minute": price}
        self.put(f"/v1/sub-accounts/{client}/rebilling", {"enabled": True, "voice": voice})

    def credit(self, owner: str, amount: str) -> Any:
        return self.post(f"{path_of(owner)}/wallet/credits", {"amount": amount, "note": "paid by bank transfer"})

    def balance(self, owner: str) -> str:
        return str(self.get(f"{path_of(owner)}/wallet")["balance"])

    def entries(self, owner: str) -> list[tuple[str, str]]:
        """Kind and amount of every entry, the newest first."""
        found = self.get(f"{path_of(owner)}/wallet/entries?limit=100")["data"]
        return [(entry["kind"], entry["amount"]) for entry in found]

    def report(self, client: str, seconds: int = TALK_SECONDS, event_id: str = "") -> str:
        """Tell of a call that begins now, as a CloudEvent; answers its id."""
        now = time.time()
        data = {"answered_at": _rfc3339(now), "ended_at": _rfc3339(now + seconds)}
        event = {"specversion": "1.0", "id": event_id or f"call_{uuid4().hex}", "source": "my-platform",
                 "type": "rebill.usage", "subject": client, "data": data}  # fmt: skip
        self.post("/v1/usage-events", event)
        return str(event["id"])

    def line(self, workspace: str, client: str, provider: str) -> SimpleNamespace:
        """A voice endpoint of the agency's, and an agent of the client's there."""
        voice = PLATFORMS[provider]
        given = voice.new_secret()
        body = {"provider": provider} | ({"secret": given} if given else {})
        endpoint = self.post(f"/v1/workspaces/{workspace}/voice-endpoints", body)
        agent = voice.new_agent_id()
        self.put(f"/v1/sub-accounts/{client}/voice-agents/{provider}/{agent.replace('+', '%2B')}")
        return SimpleNamespace(voice=voice, url=endpoint["url"], secret=endpoint["secret"], agent=agent)

    def ring(
        self, line: SimpleNamespace, seconds: int = TALK_SECONDS, call_id: str = "", secret: str = ""
    ) -> list[int]:
        """A call at this agent has ended: the statuses of all that the voice platform sends about it."""
        ended_at_ms = round(time.time() * 1000) + 1000 * seconds
        about = Call(line.agent, seconds, id=call_id or uuid4().hex, ended_at_ms=ended_at_ms)
        return [
            self.knock(
                line.url,
                body,
                {"Content-Type": line.voice.CONTENT_TYPE, **line.voice.sign(body, secret or line.secret, line.url)},
            ).status_code
            for body in line.voice.deliveries(about)
        ]

    def connect(self, workspace: str, account: str = BRIGHT) -> Page:
        """A person links the agency to its Stripe account, in one browser; the page on which it ends."""
        link = self.post(f"/v1/workspaces/{workspace}/stripe/connect", {"user": "owner@acme.example"})["url"]
        person = Browser(self.stage)
        consent = person.get(link)
        back = person.http.post(consent.url, data={**consent.url.params, "account": account, "answer": "continue"})
        return person.open(back.headers["location"])

    def pay(self, page: str, card: str = GOOD_CARD) -> None:
        """Type a card into one of Stripe's pages."""
        session = page.rpartition("/")[2].partition("#")[0].partition("?")[0]
        paid = self.pretend.control.pay(session, card, authenticates=True)
        assert paid["error"] is None, paid["error"]

    def save_card(self, owner: str) -> None:
        """The owner saves a card, and we have heard of it."""
        self.pay(self.post(f"{path_of(owner)}/wallet/payment-method")["url"])
        assert eventually(lambda: self.get(f"{path_of(owner)}/wallet")["card"]), "the card was never seen"


class Browser:
    """A person's browser: it keeps cookies by their rules and follows where it is sent."""

    def __init__(self, stage: Stage) -> None:
        self.base_url = stage.deployed.base_url
        self.http = httpx.Client(transport=Loopback(), timeout=PATIENCE_SECONDS)

    def get(self, address: str) -> httpx.Response:
        """Whatever is at this address, and where that leads."""
        return self.http.get(address, follow_redirects=True)

    def open(self, address: str) -> Page:
        """A page of ours."""
        return _page(self.get(address))

    def send(self, form: Form, **typed: str) -> Page:
        """Fill in a form and send it; the page on which it ends."""
        return _page(self.http.post(form.action, data={**form.fields, **typed}, follow_redirects=True))


def _page(answer: httpx.Response) -> Page:
    return Page(Answer(answer.status_code, dict(answer.headers), answer.text))


def path_of(owner: str) -> str:
    return f"/v1/{'workspaces' if owner.startswith('ws_') else 'sub-accounts'}/{owner}"


def host_of(url: str) -> str:
    return urlsplit(url).netloc


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{round(seconds % 1 * 1000) % 1000:03d}Z"
