"""A wallet that runs low refills itself from its owner's card: once per shortage, loudly where it cannot."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.clock import now_ms
from local.pretend_stripe.state import PLATFORM
from tests.refills.refilling import ASKS_FOR_ITS_HOLDER, DECLINES, GOOD, Refilling

HOUR, DAY = 3_600, 86_400


def later(time_machine: Any, seconds: float) -> None:
    """Time passes, for us and for Stripe."""
    time_machine.move_to((now_ms() / 1000) + seconds)


def test_a_wallet_that_calls_drain_is_refilled_without_a_hand(refilling: Refilling) -> None:
    client = refilling.client(balance="12.00")
    assert (refilling.tick(), refilling.state(client)) == (0, "ok")

    refilling.use(client, 300)
    assert refilling.balance(client) == "9.000000"
    refilling.tick()

    assert refilling.balance(client) == "50.000000"
    assert refilling.taken(owner=client) == [4100]
    assert refilling.paying.amounts(client)[-1] == ("refill", "41.000000")
    assert refilling.state(client) == "ok"


def test_the_client_of_an_agency_pays_on_the_agencys_account_and_the_agency_on_the_platforms(
    refilling: Refilling,
) -> None:
    client = refilling.client(balance="5.00", confirm_charge_now=True)
    refilling.save_card(refilling.workspace)
    refilling.set_rule(refilling.workspace, threshold="1000", target_balance="2000", confirm_charge_now=True)
    refilling.tick()
    assert refilling.balance(client) == "50.000000"
    assert refilling.balance(refilling.workspace) == "2000.000000"
    assert refilling.taken() == [4500]
    assert refilling.taken(PLATFORM) == [100_000]


def test_what_stripe_tells_afterwards_changes_nothing(refilling: Refilling) -> None:
    client = refilling.client()
    refilling.use(client, 700)
    refilling.tick()
    before = refilling.paying.amounts(client)
    refilling.pretend.control.redeliver()
    refilling.paying.deliver()
    refilling.tick()
    assert refilling.paying.amounts(client) == before
    assert refilling.taken(owner=client) == [4500]


def test_a_deep_shortfall_is_closed_by_one_payment(refilling: Refilling) -> None:
    client = refilling.client()
    for _ in range(5):
        refilling.use(client, 2500)
    assert refilling.balance(client) == "-113.000000"
    refilling.tick()
    assert refilling.taken(owner=client) == [16_300]
    assert refilling.balance(client) == "50.000000"


def test_a_fixed_amount_is_taken_as_often_as_clears_the_threshold_in_one_payment(refilling: Refilling) -> None:
    client = refilling.client(mode="fixed", amount="20")
    refilling.use(client, 2500)
    assert refilling.balance(client) == "-13.000000"
    refilling.tick()
    assert refilling.taken(owner=client) == [4000]
    assert refilling.balance(client) == "27.000000"


def test_a_rule_that_is_off_takes_nothing(refilling: Refilling) -> None:
    client = refilling.client(enabled=False)
    refilling.use(client, 700)
    assert refilling.tick() == 0
    assert (refilling.state(client), refilling.asked()) == ("off", 0)


def test_the_next_refill_waits_for_the_cooldown_and_then_comes(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(cooldown_seconds=120)
    refilling.use(client, 700)
    refilling.tick()
    refilling.use(client, 2500)
    refilling.use(client, 2000)
    refilling.tick()
    assert refilling.taken(owner=client) == [4500]
    later(time_machine, 121)
    refilling.tick()
    assert refilling.taken(owner=client) == [4500, 4500]


# Declines


def test_a_declined_card_shows_why_and_when_it_is_tried_again_and_the_third_time_suspends(
    refilling: Refilling, time_machine: Any
) -> None:
    client = refilling.client(DECLINES)
    refilling.use(client, 700)
    refilling.tick()
    first = refilling.refill(client)
    assert (first["state"], first["cause"]) == ("retrying", "declined")
    assert first["detail"].startswith("The card was declined: ")
    assert first["retry_at"] is not None
    refilling.tick()
    assert refilling.asked() == 1

    later(time_machine, HOUR + 1)
    refilling.tick()
    assert (refilling.asked(), refilling.state(client)) == (2, "retrying")
    later(time_machine, 6 * HOUR + 1)
    refilling.tick()
    last = refilling.refill(client)
    assert (refilling.asked(), last["state"], last["cause"]) == (3, "suspended", "declined_too_often")
    assert last["retry_at"] is None
    for _ in range(3):
        later(time_machine, DAY)
        refilling.tick()
    assert refilling.asked() == 3
    assert refilling.taken() == []


def test_a_new_card_revives_a_suspended_rule(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(DECLINES)
    refilling.use(client, 700)
    for wait in (0, HOUR + 1, 6 * HOUR + 1):
        later(time_machine, wait)
        refilling.tick()
    assert refilling.state(client) == "suspended"
    refilling.save_card(client, GOOD)
    refilling.tick()
    assert (refilling.state(client), refilling.balance(client)) == ("ok", "50.000000")


def test_a_payment_by_hand_revives_a_suspended_rule(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(DECLINES)
    refilling.use(client, 700)
    for wait in (0, HOUR + 1, 6 * HOUR + 1):
        later(time_machine, wait)
        refilling.tick()
    refilling.paying.pay(refilling.paying.top_up(client, "20.00"))
    refilling.paying.deliver()
    refilling.tick()
    assert (refilling.state(client), refilling.balance(client)) == ("ok", "25.000000")


def test_try_again_asks_the_card_once_more(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(DECLINES)
    refilling.use(client, 700)
    refilling.tick()
    assert refilling.try_again(client).status == 200
    refilling.tick()
    assert (refilling.asked(), refilling.state(client)) == (2, "retrying")


def test_try_again_does_no_harm_where_nothing_has_stopped(refilling: Refilling) -> None:
    client = refilling.client()
    assert refilling.try_again(client).json["refill"]["state"] == "ok"
    assert refilling.tick() == 0


def test_a_backup_card_pays_where_the_first_is_declined(refilling: Refilling) -> None:
    client = refilling.client(DECLINES)
    refilling.save_card(client, GOOD, backup=True)
    refilling.use(client, 700)
    refilling.tick()
    refilling.tick()
    assert (refilling.state(client), refilling.balance(client)) == ("ok", "50.000000")
    assert refilling.asked() == 2


def test_without_a_card_the_page_says_so_and_a_card_makes_it_go_on(
    refilling: Refilling, alarms: Callable[[], list[str]]
) -> None:
    client = refilling.client(card=None)
    refilling.use(client, 700)
    refilling.tick()
    assert refilling.refill(client)["cause"] == "no_card"
    refilling.save_card(client)
    refilling.tick()
    assert refilling.balance(client) == "50.000000"
    assert alarms() == []


def test_a_bank_that_wants_the_cardholder_leaves_a_link_on_which_the_gap_is_paid_once(refilling: Refilling) -> None:
    client = refilling.client(ASKS_FOR_ITS_HOLDER)
    refilling.use(client, 700)
    refilling.tick()
    stopped = refilling.refill(client)
    assert (stopped["state"], stopped["cause"]) == ("action_required", "authentication_required")
    path = stopped["action_url"].removeprefix("https://rebill.example")

    page = refilling.world.call("GET", path, key=None)
    assert page.status == 303
    again = refilling.world.call("GET", path, key=None)
    assert again.headers["location"] == page.headers["location"]
    session = page.headers["location"].rpartition("/")[2].partition("#")[0]
    paid = refilling.pretend.control.pay(session, GOOD)
    assert paid["error"] is None
    refilling.paying.deliver()

    assert refilling.balance(client) == "50.000000"
    assert refilling.state(client) == "ok"
    closed = refilling.world.call("GET", path, key=None)
    assert (closed.status, "does not wait for you" in closed.text) == (409, True)


def test_a_link_that_nobody_uses_for_a_day_becomes_a_stop_that_says_so(refilling: Refilling, time_machine: Any) -> None:
    client = refilling.client(ASKS_FOR_ITS_HOLDER)
    refilling.use(client, 700)
    refilling.tick()
    path = refilling.refill(client)["action_url"].removeprefix("https://rebill.example")
    later(time_machine, DAY + 60)
    refilling.tick()
    assert refilling.refill(client)["cause"] == "authentication_ignored"
    assert refilling.world.call("GET", path, key=None).status == 409


# The rule


@pytest.mark.parametrize(
    ("rule", "param"),
    [
        ({"threshold": "0.99"}, "threshold"),
        ({"threshold": "1000.01"}, "threshold"),
        ({"threshold": "-5"}, "threshold"),
        ({"target_balance": "14.99"}, "target_balance"),
        ({"target_balance": "50.001"}, "target_balance"),
        ({"target_balance": "10000.01"}, "target_balance"),
        ({"mode": "sometimes"}, "mode"),
        ({"mode": "fixed", "amount": "4.99"}, "amount"),
        ({"daily_limit": "39.99"}, "daily_limit"),
        ({"monthly_limit": "39.99"}, "monthly_limit"),
        ({"daily_count_limit": 0}, "daily_count_limit"),
        ({"cooldown_seconds": 86_401}, "cooldown_seconds"),
        ({"cooldown_seconds": True}, "cooldown_seconds"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_by_the_fields_name(
    refilling: Refilling, rule: dict[str, Any], param: str
) -> None:
    client = refilling.client(enabled=False)
    refused = refilling.set_rule(client, 422, **rule)
    assert refused["param"] == param
    assert refilling.state(client) == "off"


def test_saving_a_rule_that_takes_money_now_says_how_much_and_asks(refilling: Refilling) -> None:
    client = refilling.client(balance="8.00", enabled=False)
    asked = refilling.set_rule(client, 409)
    assert asked["code"] == "confirm_charge_now"
    assert "42.00" in asked["detail"]
    assert refilling.tick() == 0
    refilling.set_rule(client, confirm_charge_now=True)
    refilling.tick()
    assert refilling.taken(owner=client) == [4200]


def test_a_rule_reads_back_as_it_was_set_with_what_it_has_spent(refilling: Refilling) -> None:
    client = refilling.client(mode="fixed", amount="25", daily_limit="100", monthly_limit="500", cooldown_seconds=0)
    refilling.use(client, 700)
    refilling.tick()
    rule = refilling.world.get(f"/v1/sub-accounts/{client}/wallet/refill-rule")
    assert {
        name: rule[name] for name in ("enabled", "threshold", "mode", "amount", "daily_limit", "monthly_limit")
    } == {
        "enabled": True,
        "threshold": "10.00",
        "mode": "fixed",
        "amount": "25.00",
        "daily_limit": "100.00",
        "monthly_limit": "500.00",
    }
    assert (rule["spent_today"], rule["spent_this_month"], rule["refills_today"]) == ("25.00", "25.00", 1)
