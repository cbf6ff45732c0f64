"""Whatever changes between opening a refill and asking the card is seen: no card is asked that should not be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.clock import now_ms
from chalicelib.gateways import stripe
from chalicelib.storage import payments, refills
from tests.payments.conftest import BRIGHT, NORTH
from tests.payments.connecting import disconnect
from tests.refills.refilling import DECLINES, GOOD, Refilling

Change = Callable[[Refilling, str], object]


def rule_off(refilling: Refilling, client: str) -> None:
    refilling.set_rule(client, enabled=False)


def agency_disconnects(refilling: Refilling, client: str) -> None:
    disconnect(refilling.paying, refilling.workspace)


def payment_is_disputed(refilling: Refilling, client: str) -> None:
    payments.hold_refills(client, "pi_of_an_earlier_payment", True)


def card_is_removed(refilling: Refilling, client: str) -> None:
    """On Stripe's own page, or by the agency in its dashboard; Stripe tells us."""
    refilling.remove_cards()
    refilling.paying.deliver()


def balance_arrives(refilling: Refilling, client: str) -> None:
    refilling.world.credit(client, "100.00", key="meanwhile")


def everybody_is_switched_off(refilling: Refilling, client: str) -> None:
    refilling.world.put("/v1/refill-switch", {"stopped": True, "reason": "something is wrong"})


def workspace_is_switched_off(refilling: Refilling, client: str) -> None:
    path = f"/v1/workspaces/{refilling.workspace}/refill-switch"
    refilling.world.put(path, {"stopped": True, "reason": "something is wrong"})


CHANGES = (
    rule_off,
    agency_disconnects,
    payment_is_disputed,
    card_is_removed,
    balance_arrives,
    everybody_is_switched_off,
    workspace_is_switched_off,
)


@pytest.fixture
def after_creating(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen, once, right after Stripe has made the payment and before the card is asked."""

    def plan(happen: Callable[[], object]) -> None:
        real, planned = stripe.create_payment, [happen]

        def create(*args: Any, **more: Any) -> str:
            made = real(*args, **more)
            if planned:
                planned.pop()()
            return made

        monkeypatch.setattr(stripe, "create_payment", create)

    return plan


def crash() -> None:
    raise MemoryError("the process ends here")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_while_the_payment_is_made_is_seen_before_the_card_is_asked(
    refilling: Refilling, after_creating: Callable[[Callable[[], object]], None], change: Change
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    after_creating(lambda: change(refilling, client))
    nothing_is_taken(refilling, client)
    assert refilling.asked() == 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_after_a_crash_is_seen_before_the_card_is_asked(
    refilling: Refilling, after_creating: Callable[[Callable[[], object]], None], change: Change
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    after_creating(crash)
    refilling.tick()
    assert refilling.state(client) == "charging"
    change(refilling, client)
    nothing_is_taken(refilling, client)


def nothing_is_taken(refilling: Refilling, client: str) -> None:
    for _ in range(3):
        refilling.tick()
    assert refilling.taken() == []
    assert refilling.refills(client) == []
    assert refilling.state(client) != "charging"


def test_without_a_change_the_refill_goes_on_after_a_crash(
    refilling: Refilling, after_creating: Callable[[Callable[[], object]], None]
) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    after_creating(crash)
    for _ in range(2):
        refilling.tick()
    assert refilling.taken(owner=client) == [4500]
    assert (refilling.balance(client), refilling.asked()) == ("50.000000", 1)


# The kill switch


def test_the_switch_stops_refills_and_lets_them_go_on(refilling: Refilling) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    thrown = refilling.world.put("/v1/refill-switch", {"stopped": True, "reason": "double payments reported"})
    assert (thrown["stopped"], thrown["reason"]) == (True, "double payments reported")
    refilling.tick()
    assert refilling.asked() == 0
    assert refilling.refill(client)["cause"] == "switched_off"
    refilling.world.put("/v1/refill-switch", {"stopped": False, "reason": "it was a false alarm"})
    refilling.tick()
    assert refilling.taken(owner=client) == [4500]


def test_the_switch_of_one_workspace_leaves_the_others_alone(refilling: Refilling, time_machine: Any) -> None:
    other = Refilling(refilling.paying, refilling.paying.agency(NORTH)[0])
    refilling.world.credit(other.workspace, "1000.00")
    stopped, goes_on = refilling.client(), other.client()
    everything = f"/v1/workspaces/{refilling.workspace}/refill-switch"
    refilling.world.put(everything, {"stopped": True, "reason": "the client asked for it"})
    for owner in (stopped, goes_on):
        refilling.use(owner, 700)
    refilling.tick()
    assert (refilling.balance(stopped), refilling.balance(goes_on)) == ("5.000000", "50.000000")
    assert refilling.refill(stopped)["cause"] == "switched_off"
    refilling.world.put(everything, {"stopped": False, "reason": "settled"})
    time_machine.move_to(now_ms() / 1000 + 301)
    refilling.tick()
    assert refilling.balance(stopped) == "50.000000"


def test_a_payment_that_is_under_way_when_the_switch_is_thrown_is_still_credited(refilling: Refilling) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.pretend.control.hold_payments()
    refilling.tick()
    assert refilling.state(client) == "charging"
    everybody_is_switched_off(refilling, client)
    space = refilling.pretend.control.state()["spaces"][f"{BRIGHT}:test"]
    (intent,) = [each["id"] for each in space["payment_intent"].values()]
    refilling.pretend.control.finish_payment(intent)
    refilling.tick()
    assert (refilling.balance(client), refilling.taken(owner=client)) == ("50.000000", [4500])


def test_a_fourth_refill_of_one_wallet_within_ten_minutes_waits_and_says_why(
    refilling: Refilling, time_machine: Any
) -> None:
    client = refilling.client(mode="fixed", amount="5", cooldown_seconds=0)
    for _ in range(4):
        refilling.use(client, 500)
        refilling.tick()
    assert refilling.taken(owner=client) == [500, 500, 500]
    held = refilling.refill(client)
    assert (held["state"], held["cause"]) == ("held", "too_often")
    assert refilling.world.get("/v1/refill-switch")["stopped"] is False
    time_machine.move_to(now_ms() / 1000 + 601)
    refilling.tick()
    assert refilling.taken(owner=client) == [500, 500, 500, 500]


def test_a_wallet_that_was_refilled_four_times_within_ten_minutes_all_the_same_stops_everything(
    refilling: Refilling, alarms: Callable[[], list[str]]
) -> None:
    client = refilling.client()
    standing = refills.get_standing(client)
    too_many = replace(standing, version=standing.version + 1, opened_ms=(now_ms(),) * 4)
    assert refills.save_rule(standing, too_many)
    refilling.use(client, 700)
    refilling.tick()
    assert refilling.taken() == []
    assert "refill_breaker" in alarms()
    switch = refilling.world.get("/v1/refill-switch")
    assert (switch["stopped"], switch["by"]) == (True, "breaker")
    assert client in switch["reason"]


# Limits, to the last cent


@pytest.mark.parametrize(("limit", "cause"), [("daily_limit", "daily_limit"), ("monthly_limit", "monthly_limit")])
def test_a_limit_is_kept_to_its_last_cent(refilling: Refilling, limit: str, cause: str) -> None:
    exact, one_cent_less = refilling.client(**{limit: "85.00"}), refilling.client(**{limit: "84.99"})
    for owner in (exact, one_cent_less):
        refilling.set_rule(owner, **{limit: "85.00" if owner == exact else "84.99"}, cooldown_seconds=0)
        refilling.use(owner, 700)
    refilling.tick()
    for owner in (exact, one_cent_less):
        refilling.use(owner, 2000)
        refilling.use(owner, 2000)
    refilling.tick()
    assert refilling.taken(owner=exact) == [4500, 4000]
    assert refilling.taken(owner=one_cent_less) == [4500]
    stopped = refilling.refill(one_cent_less)
    assert (stopped["state"], stopped["cause"]) == ("held", cause)


def test_the_days_count_is_kept_and_begins_again_the_next_day(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(daily_count_limit=1, cooldown_seconds=0)
    refilling.use(client, 700)
    refilling.tick()
    refilling.use(client, 2000)
    refilling.use(client, 2000)
    refilling.tick()
    stopped = refilling.refill(client)
    assert (stopped["state"], stopped["cause"]) == ("held", "daily_count")
    time_machine.move_to(now_ms() / 1000 + 86_400)
    refilling.tick()
    assert refilling.taken(owner=client) == [4500, 4000]


def test_a_declined_payment_does_not_count_against_the_limits(refilling: Refilling) -> None:
    client = refilling.client(DECLINES, daily_limit="45.00", daily_count_limit=1)
    refilling.use(client, 700)
    refilling.tick()
    refilling.save_card(client, GOOD)
    refilling.tick()
    assert refilling.taken(owner=client) == [4500]


# What holds a refill


def test_a_disputed_payment_holds_refills_until_a_person_lifts_the_hold(
    refilling: Refilling, time_machine: Any
) -> None:
    client = refilling.client()
    intent = refilling.paying.pay(refilling.paying.top_up(client, "20.00"))
    refilling.paying.deliver()
    refilling.pretend.control.open_dispute(intent)
    refilling.paying.deliver()
    refilling.use(client, 700)
    refilling.tick()
    held = refilling.refill(client)
    assert (held["state"], held["cause"], refilling.taken()) == ("held", "disputed", [])
    lifted = refilling.world.call("DELETE", f"/v1/sub-accounts/{client}/wallet/refill-hold")
    assert lifted.status == 200, lifted.text
    time_machine.move_to(now_ms() / 1000 + 301)
    refilling.tick()
    assert refilling.balance(client) == "50.000000"


def test_an_agency_that_is_not_connected_takes_nothing_and_its_clients_go_on_once_it_is(
    refilling: Refilling, time_machine: Any
) -> None:
    client = refilling.client()
    disconnect(refilling.paying, refilling.workspace)
    refilling.use(client, 700)
    refilling.tick()
    held = refilling.refill(client)
    assert (held["state"], held["cause"]) == ("held", "not_connected")
    refilling.paying.connect(refilling.workspace)
    time_machine.move_to(now_ms() / 1000 + 301)
    refilling.tick()
    assert refilling.balance(client) == "50.000000"


def test_money_that_is_given_back_is_not_taken_again_by_the_next_tick(refilling: Refilling) -> None:
    client = refilling.client(balance="2.00", confirm_charge_now=True)
    refilling.tick()
    (intent,) = refilling.intents()
    refilling.pretend.control.refund(intent, 4500)
    refilling.paying.deliver()
    for _ in range(2):
        refilling.tick()
    stopped = refilling.refill(client)
    assert (stopped["state"], stopped["cause"]) == ("suspended", "refunded")
    assert (refilling.balance(client), refilling.asked()) == ("5.000000", 1)
    assert refilling.try_again(client).status == 200
    refilling.tick()
    assert refilling.taken(owner=client)[-1] == 4500


def test_a_part_that_is_given_back_and_leaves_enough_stops_nothing(refilling: Refilling) -> None:
    client = refilling.client(balance="2.00", confirm_charge_now=True)
    refilling.tick()
    refilling.pretend.control.refund(refilling.intents()[0], 1000)
    refilling.paying.deliver()
    assert (refilling.state(client), refilling.balance(client)) == ("ok", "40.000000")


def test_a_gap_that_no_day_allows_says_that_the_limit_must_be_raised(refilling: Refilling) -> None:
    client = refilling.client(daily_limit="50.00")
    for _ in range(3):
        refilling.use(client, 2000)
    refilling.tick()
    stopped = refilling.refill(client)
    assert (stopped["state"], stopped["cause"], stopped["retry_at"]) == ("suspended", "limit_too_low", None)
    refilling.set_rule(client, daily_limit="500.00", confirm_charge_now=True)
    refilling.tick()
    assert refilling.balance(client) == "50.000000"
