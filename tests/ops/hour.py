"""One hour of the demo at home, minute by minute: its agencies and clients, their calls from every platform, and what
people, cards and banks do meanwhile.
"""

import random
from collections.abc import Iterator
from typing import Any

from time_machine import travel

from chalicelib.clock import now_ms
from local import demo
from local.voice_platform import PLATFORMS
from local.voice_platform.call import Call
from tests.calls import call, changed
from tests.refills.refilling import DECLINES, Refilling

MINUTES, CALLS_A_MINUTE = 60, 2


def an_hour(refilling: Refilling) -> None:
    """Let it pass."""
    chance = random.Random(7)
    agencies = demo.seed()
    stage = _people(refilling)
    started_at = now_ms() / 1000
    for minute in range(MINUTES):
        with travel(started_at + 60 * minute):
            for _ in range(CALLS_A_MINUTE):
                agency = chance.choice(agencies)
                _call(refilling, agency, chance.choice(agency.clients), chance)
            next(stage, None)
            refilling.world.drain()
            refilling.tick()
            refilling.paying.deliver()


def _call(refilling: Refilling, agency: demo.Agency, client: demo.Client, chance: random.Random) -> None:
    """A finished call, signed as its platform signs; some come twice, some nobody answered, some are a stranger's."""
    platform = chance.choice(list(PLATFORMS))
    pretend, endpoint = PLATFORMS[platform], agency.endpoints[platform]
    agent = pretend.new_agent_id() if chance.random() < 0.05 else client.agents[platform]
    finished = Call(agent, None if chance.random() < 0.08 else chance.randint(20, 300))
    path = f"/webhooks/voice/{platform}/{endpoint['id']}"
    for body in pretend.deliveries(finished) * chance.choice((1, 1, 2)):
        signed = pretend.sign(body, endpoint["secret"], f"https://rebill.example{path}")
        headers = {"content-type": pretend.CONTENT_TYPE, **signed}
        assert refilling.world.call("POST", path, raw=body, headers=headers, key=None).status < 300
    if agent != client.agents[platform] and chance.random() < 0.7:
        refilling.world.put(f"/v1/sub-accounts/{client.id}/voice-agents/{platform}/{agent}")


def _people(refilling: Refilling) -> Iterator[None]:
    """One thing that somebody does each minute: cards are saved, declined, disputed, balances bought and given."""
    world, paying = refilling.world, refilling.paying
    good, poor = refilling.client(balance="12.00"), refilling.client(card=DECLINES, balance="12.00")
    for owner in (good, poor, good):
        refilling.use(owner, 700)
        yield
    payer = world.sub_account(refilling.workspace, "0.20")
    intent = paying.pay(paying.top_up(payer))
    yield
    paying.pretend.control.refund(intent, 1000)
    yield
    dispute: Any = paying.pretend.control.open_dispute(intent, amount=2000)
    yield
    paying.pretend.control.close_dispute(dispute["id"], "won")
    yield
    world.report(call(payer, "said-twice", seconds=60))
    yield
    world.report(changed(call(payer, "said-twice", seconds=60), ended_at=call(payer, seconds=90)["data"]["ended_at"]))
    yield
    other = world.sub_account(refilling.workspace, None)
    close = {"settle": "transfer", "transfer_to": other, "note": "they have left"}
    world.post(f"/v1/sub-accounts/{payer}/close", close, 200, headers={"Idempotency-Key": "close"})
    yield
