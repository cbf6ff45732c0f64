"""Saved cards are followed, and a wallet says what is known of its payments."""

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.storage import customers
from tests.payments.conftest import BRIGHT, Paying

# What the clock's rule sends.
SCHEDULED = {
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
    "resources": [],
    "version": "0",
} | {"id": "1", "account": "1", "region": "us-east-1", "time": "2026-11-22T20:00:00Z"}


def test_a_card_that_the_bank_replaces_is_known_by_its_new_date(paying: Paying) -> None:
    _, client, card = _client_with_a_card(paying)

    paying.pretend.control.set_card(card.payment_method_id, exp_month=1, exp_year=2044)
    paying.deliver()

    assert paying.world.wallet(client)["card"] == {"brand": "visa", "last4": "4242", "expires": "01/2044"}


def test_a_card_that_was_removed_at_stripe_is_not_shown_any_more_and_somebody_is_told(
    paying: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    _, client, card = _client_with_a_card(paying)

    paying.pretend.control.detach_card(card.payment_method_id)
    paying.deliver()

    assert paying.world.wallet(client)["card"] is None
    assert "saved_card_gone" in [getattr(line, "alarm", None) for line in caplog.records]


def test_a_strangers_card_on_the_same_account_changes_nothing(paying: Paying) -> None:
    _, client, card = _client_with_a_card(paying)
    shown = paying.world.wallet(client)["card"]

    for kind in ("payment_method.updated", "payment_method.detached"):
        paying.pretend.control.send_event(kind, {"id": "pm_stranger", "object": "payment_method"}, account=BRIGHT)
    paying.deliver()

    assert paying.world.wallet(client)["card"] == shown
    assert customers.card_of(client, 1) == card


def test_a_payment_under_way_stands_beside_the_balance_with_its_page(paying: Paying) -> None:
    _, client = paying.agency()
    top_up = paying.top_up(client, "50.00")

    before = paying.world.wallet(client)
    paying.pay(top_up)
    paying.deliver()
    after = paying.world.wallet(client)

    assert before["balance"] == "0.000000"
    assert (before["pending_top_up"]["id"], before["pending_top_up"]["url"]) == (top_up["id"], top_up["url"])
    assert after["balance"] == "50.000000"
    assert after["pending_top_up"] is None


def test_cards_and_receipts_are_looked_after_on_stripes_own_page(paying: Paying) -> None:
    workspace, client, _ = _client_with_a_card(paying)

    own = paying.world.post(f"/v1/sub-accounts/{client}/wallet/portal", None)
    agencys = paying.world.post(f"/v1/workspaces/{workspace}/wallet/portal", None)

    assert own["url"].startswith(paying.pretend.url)
    assert agencys["url"].startswith(paying.pretend.url)
    assert own["url"] != agencys["url"]


def test_the_clock_settles_what_nobody_told_us_of(paying: Paying) -> None:
    from app import tick

    _, client = paying.agency()
    paying.pay(paying.top_up(client, "50.00"))

    tick(SCHEDULED, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000))

    assert paying.world.balance(client) == "50.000000"


def _client_with_a_card(paying: Paying) -> tuple[str, str, Any]:
    workspace, client = paying.agency()
    paying.pay(paying.top_up(client))
    paying.deliver()
    return workspace, client, customers.card_of(client, 1)
