"""Three weeks of the demo in a minute: a child of `make pictures`, because a picture needs a past.

The product runs as ever, only by a clock that begins three weeks ago and leaps ahead while calls come in: cards are
saved and rules are set on the first day, and refills come on theirs. At the end the clock is right, and the product
stays until it is ended.
"""

import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import httpx
import time_machine

from local import kept, run
from local.api import Api
from local.clock import Clock
from local.options import read_options
from local.voice_platform import retell
from local.voice_platform.call import Call

DAYS, HOURS = 21, (8, 11, 15, 18)
MOST_CALLS, MOST_SECONDS, MOST_SECONDS_TO_POST = 3, 600, 10.0
SOURCE = "parlor"
SATURDAY = 5
CARD = {"number": "4242424242424242", "expiry": "12 / 34", "cvc": "123"}
RULE = {"enabled": True, "threshold": "10", "target_balance": "50", "confirm_charge_now": True}
PAY_BY_CARD = ("Orchid Spa", "Bright Dental", "Maple Veterinary")
DONE = "time-lapse.json"  # beside .run.json, once it is over


def user_of(client: str) -> str:
    """Who may see this client's billing."""
    return f"pat@{client.lower().replace(' ', '-')}.example"


class Once(Event):
    """Lets the clock strike once, and then end."""

    def wait(self, timeout: float | None = None) -> bool:
        """The first wait is over at once; the second is told that it was the last."""
        before = self.is_set()
        self.set()
        return before


def main() -> int:
    """Run the product until it is ended, as `make run` does."""
    run_file = read_options(os.environ).run_file
    begin = (datetime.now(UTC) - timedelta(days=DAYS)).replace(hour=6, minute=0, second=0)
    with time_machine.travel(begin, tick=True) as traveller:
        Thread(target=_lapse, args=(run_file, traveller), daemon=True).start()
        return run.main()


def _right_time() -> datetime:
    now: datetime = time_machine.escape_hatch.datetime.datetime.now(UTC)
    return now


def _lapse(run_file: Path, traveller: time_machine.Traveller) -> None:
    while not run_file.exists():
        time.sleep(0.1)
    from app import app  # only now: it reads the environment that the product has set

    found, dice, clock = kept.read_json(run_file), random.Random(6), Clock(app.event_sources)
    with Api(found["base_url"], found["api_key"]) as api:
        for number, workspace in enumerate(found["workspaces"]):
            _begin(api, workspace, number)
        for at in _moments():
            traveller.shift((at - datetime.now(UTC)).total_seconds())
            _calls(api, found["workspaces"], dice, at)
            clock.run(Once())  # refills that are due
        traveller.shift((_right_time() - datetime.now(UTC)).total_seconds())
        _call_of_a_stranger(api, found["voice_endpoints"]["retell"])
        clock.run(Once())
    kept.write_json(run_file.with_name(DONE), {"days": DAYS})


def _moments() -> Iterator[datetime]:
    """When calls come in, until now."""
    now = _right_time()
    for day in range(DAYS, -1, -1):
        for hour in HOURS:
            at = (now - timedelta(days=day)).replace(hour=hour, minute=5 * (day % 9), second=0)
            if datetime.now(UTC) < at < now:
                yield at


def _begin(api: Api, workspace: dict[str, Any], number: int) -> None:
    """Stripe is connected; the agency and some clients save a card and switch refills on."""
    path = f"/v1/workspaces/{workspace['id']}"
    with httpx.Client(follow_redirects=True, trust_env=False) as browser:
        asked = browser.get(api.post(f"{path}/stripe/connect", {"user": f"owner@{number}.example"}).body["url"])
        accounts = ("acct_1PretendBrightVoice", "acct_1PretendNorthCalls")
        answer = {**dict(asked.url.params), "account": accounts[number], "answer": "continue"}
        browser.post(asked.url.copy_with(query=None), data=answer).raise_for_status()
        clients = [each for each in workspace["sub_accounts"] if each["name"] in PAY_BY_CARD]
        for wallet in (path, *(f"/v1/sub-accounts/{each['id']}" for each in clients)):
            saved = api.post(f"{wallet}/wallet/payment-method", None, {"Idempotency-Key": str(uuid4())})
            browser.post(saved.body["url"], data=CARD).raise_for_status()
            api.change(f"{wallet}/wallet/refill-rule", RULE)
    for each in clients:
        api.put(f"/v1/sub-accounts/{each['id']}/authorized-users/{user_of(each['name'])}")


def _calls(api: Api, workspaces: list[dict[str, Any]], dice: random.Random, at: datetime) -> None:
    """Each client's calls that ended just now; few at weekends."""
    events = []
    for workspace in workspaces:
        for client in workspace["sub_accounts"]:
            for _ in range(dice.randint(0, 1 if at.weekday() >= SATURDAY else MOST_CALLS)):
                ended = at - timedelta(seconds=dice.randint(1, 900))
                answered = ended - timedelta(seconds=dice.randint(20, MOST_SECONDS))
                if api.ask(f"/v1/sub-accounts/{client['id']}/access").status == httpx.codes.OK:
                    events.append(_event(client["id"], answered, ended))
    if not events:
        return
    api.post("/v1/usage-events", events, {"Content-Type": "application/cloudevents-batch+json"})
    last, deadline = f"/v1/usage-events/{SOURCE}/{events[-1]['id']}", time.monotonic() + MOST_SECONDS_TO_POST
    while api.get(last)["status"] == "queued" and time.monotonic() < deadline:
        time.sleep(0.05)


def _event(subject: str, answered: datetime, ended: datetime) -> dict[str, Any]:
    data = {"answered_at": answered.isoformat(), "ended_at": ended.isoformat()}
    about = {"specversion": "1.0", "id": f"call_{uuid4().hex}", "source": SOURCE, "type": "rebill.usage"}
    return {**about, "subject": subject, "data": data}


def _call_of_a_stranger(api: Api, endpoint: dict[str, str]) -> None:
    """Of an agent that nobody has assigned."""
    body = retell.deliveries(Call(retell.new_agent_id(), talk_seconds=95))[1]
    signature = retell.sign(body, endpoint["secret"], endpoint["url"])
    api.deliver(endpoint["url"], body, {"Content-Type": retell.CONTENT_TYPE, **signature})


if __name__ == "__main__":
    os._exit(main())  # as `make run` ends
