"""An agency connects its own Stripe account, or is told in one sentence why not."""

from dataclasses import replace

import httpx
import pytest

from chalicelib.gateways import stripe
from tests.payments.conftest import BRIGHT, LIVE, NORTH, Paying
from tests.payments.connecting import (
    START_AGAIN,
    UNKNOWN_STATE,
    account_of,
    alarms,
    connection,
    disconnect,
    granted,
    later,
    no_way_on,
    not_connected,
    path_of,
    refused,
    start_link,
)


def test_an_agency_connects_and_reads_the_name_of_its_account_and_what_it_can_do(paying: Paying) -> None:
    workspace = paying.world.workspace()

    page = paying.connect(workspace, BRIGHT)

    assert page.status == 200
    for word in ("Stripe is connected", "Bright Voice Agency", "test", "enabled"):
        assert word in page.text
    shown = connection(paying, workspace)
    assert (shown["state"], shown["account"], shown["mode"]) == ("connected", BRIGHT, "test")
    assert (shown["account_name"], shown["charges_enabled"]) == ("Bright Voice Agency", True)


def test_stripe_is_asked_for_the_right_to_take_payments_and_told_where_to_come_back_to(paying: Paying) -> None:
    _, location = paying.start(paying.world.workspace())

    asked = dict(httpx.URL(location).params)

    assert asked["scope"] == "read_write"
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == "https://rebill.example/oauth/stripe/callback"


def test_an_answer_without_a_state_links_nothing(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    page = paying.come_back({"code": came["code"]}, cookie)

    refused(page, "Stripe's answer was incomplete. Start again from your workspace.")
    assert not_connected(paying, workspace)


def test_a_state_that_was_never_given_out_links_nothing(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    page = paying.come_back({**came, "state": UNKNOWN_STATE}, cookie)

    refused(page, "This link was used before, or is not known here. Start again from your workspace.")
    assert not_connected(paying, workspace)


def test_an_answer_that_comes_later_than_ten_minutes_links_nothing(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    with later(minutes=10, seconds=1):
        page = paying.come_back(came, cookie)

    refused(page, "This link was good for 10 minutes. Start again.")
    assert not_connected(paying, workspace)


def test_an_answer_that_comes_within_ten_minutes_is_taken(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)

    with later(minutes=9, seconds=50):
        page = paying.come_back(paying.choose(location, BRIGHT), cookie)

    assert page.status == 200
    assert connection(paying, workspace)["state"] == "connected"


def test_an_answer_that_was_taken_is_not_taken_again_and_the_connection_stays(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)
    paying.come_back(came, cookie)

    page = paying.come_back(came, cookie)
    paying.deliver()

    refused(page, "This link was used before, or is not known here. Start again from your workspace.")
    assert connection(paying, workspace)["state"] == "connected"
    assert granted(paying, BRIGHT)


@pytest.mark.parametrize(
    "cookie", ["", "rebill_connect=", "rebill_connect=somebody_elses", "other=1", "rebill_connect=é"]
)
def test_an_answer_that_another_browser_brings_links_nothing_and_is_an_alarm(
    paying: Paying, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = paying.world.workspace()
    own_cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    page = paying.come_back(came, cookie)
    after = paying.come_back(came, own_cookie)

    refused(page, "This link was opened in another browser. Start again from your workspace, in one browser.")
    refused(after, "This link was used before, or is not known here. Start again from your workspace.")
    assert not_connected(paying, workspace)
    assert alarms(caplog) == ["oauth_other_browser"]


def test_the_cookie_of_another_start_in_the_same_browser_links_nothing(paying: Paying) -> None:
    workspace, other = paying.world.workspace(), paying.world.workspace()
    _, location = paying.start(workspace)
    other_cookie, _ = paying.start(other)

    page = paying.come_back(paying.choose(location, BRIGHT), other_cookie)

    refused(page, "This link was opened in another browser. Start again from your workspace, in one browser.")
    assert not_connected(paying, workspace)
    assert not_connected(paying, other)


@pytest.mark.parametrize("with_state", [True, False])
def test_who_refuses_on_stripes_page_is_told_that_nothing_was_changed(paying: Paying, with_state: bool) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT, refuse=True)
    came = came if with_state else {name: value for name, value in came.items() if name != "state"}

    page = paying.come_back(came, cookie)

    refused(page, "You chose not to connect a Stripe account. Nothing was changed.")
    assert not_connected(paying, workspace)


def test_a_refusal_leaves_an_earlier_connection_as_it_was(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    before = connection(paying, workspace)
    cookie, location = paying.start(workspace)

    paying.come_back(paying.choose(location, NORTH, refuse=True), cookie)

    assert connection(paying, workspace) == before
    assert paying.top_up(client)["state"] == "open"


def test_an_answer_without_a_code_links_nothing(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    page = paying.come_back({"state": came["state"]}, cookie)

    refused(page, "Stripe's answer was incomplete. Start again from your workspace.")
    assert not_connected(paying, workspace)


def test_a_code_that_was_used_before_links_nothing(paying: Paying) -> None:
    first, second = paying.world.workspace(), paying.world.workspace()
    cookie, location = paying.start(first)
    used = paying.choose(location, BRIGHT)
    paying.come_back(used, cookie)
    cookie, location = paying.start(second)
    fresh = paying.choose(location, NORTH)

    page = paying.come_back({**fresh, "code": used["code"]}, cookie)

    refused(page, "This answer of Stripe's was used before. Start again from your workspace.")
    assert not_connected(paying, second)


def test_a_code_is_not_shown_to_stripe_twice_as_that_would_end_the_connection_that_it_made(paying: Paying) -> None:
    first, second = paying.world.workspace(), paying.world.workspace()
    cookie, location = paying.start(first)
    used = paying.choose(location, BRIGHT)
    paying.come_back(used, cookie)
    cookie, location = paying.start(second)
    fresh = paying.choose(location, NORTH)

    paying.come_back({**fresh, "code": used["code"]}, cookie)
    paying.deliver()

    assert connection(paying, first)["state"] == "connected"
    assert granted(paying, BRIGHT)


def test_a_code_that_has_expired_links_nothing(paying: Paying) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)

    paying.pretend.control.advance(301)
    page = paying.come_back(came, cookie)

    refused(page, "it has expired, or was used before", whole=False)
    assert not_connected(paying, workspace)


def test_an_account_of_stripes_other_mode_is_not_linked_and_the_page_says_that_it_is_about_the_mode(
    paying: Paying,
) -> None:
    workspace = paying.world.workspace()

    page = paying.connect(workspace, LIVE)

    refused(page, "mode (test or live)", whole=False)
    assert not_connected(paying, workspace)
    assert not granted(paying, LIVE)


def test_where_stripe_has_let_us_into_an_account_of_the_other_mode_we_leave_it_again(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = stripe.exchange_code
    monkeypatch.setattr(stripe, "exchange_code", lambda code: replace(exchange(code), livemode=True))
    workspace = paying.world.workspace()

    page = paying.connect(workspace, BRIGHT)

    detail = "This is an account of Stripe's other mode (test or live). Choose one of the mode that is used here."
    refused(page, detail)
    assert not_connected(paying, workspace)
    assert not granted(paying, BRIGHT)


def test_where_stripe_has_granted_less_than_payments_need_nothing_is_linked_and_the_grant_is_given_back(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = stripe.exchange_code
    monkeypatch.setattr(stripe, "exchange_code", lambda code: replace(exchange(code), scope="read_only"))
    workspace = paying.world.workspace()

    page = paying.connect(workspace, BRIGHT)

    refused(page, "Stripe did not grant the access that payments need. Start again.")
    assert not_connected(paying, workspace)
    assert not granted(paying, BRIGHT)


def test_an_account_that_is_linked_to_another_workspace_is_refused_without_a_word_about_whose_it_is(
    paying: Paying,
) -> None:
    first = paying.world.workspace(name="Zebra Telephony")
    client = paying.world.sub_account(first, "0.15")
    paying.connect(first, BRIGHT)
    second = paying.world.workspace(name="Acme Voice")

    page = paying.connect(second, BRIGHT)

    refused(page, "This Stripe account is linked to another workspace already. Choose another account.")
    assert first not in page.text
    assert first.removeprefix("ws_") not in page.text
    assert "Zebra" not in page.text
    assert not_connected(paying, second)
    assert granted(paying, BRIGHT), "the first workspace's connection must not suffer"
    assert paying.top_up(client)["state"] == "open"


def test_another_account_on_connecting_again_takes_the_new_payments_and_the_old_top_up_settles_on_the_old_account(
    paying: Paying,
) -> None:
    workspace, client = paying.agency(BRIGHT)
    old = paying.top_up(client, "50.00", key="old")
    paying.pay(old)

    paying.connect(workspace, NORTH)
    page = paying.return_to(old)
    new_intent = paying.pay(paying.top_up(client, "20.00", key="new"))
    paying.deliver()

    assert "Payment received" in page.text
    assert paying.amounts(client) == [("top_up", "50.000000"), ("top_up", "20.000000")]
    assert account_of(paying, new_intent) == NORTH
    assert connection(paying, workspace)["account"] == NORTH


def test_an_old_top_up_that_is_paid_after_another_account_was_connected_is_credited_by_stripes_event(
    paying: Paying,
) -> None:
    workspace, client = paying.agency(BRIGHT)
    old = paying.top_up(client, "50.00")
    paying.connect(workspace, NORTH)
    paying.deliver()

    intent = paying.pay(old)
    paying.deliver()

    assert account_of(paying, intent) == BRIGHT
    assert paying.amounts(client) == [("top_up", "50.000000")]


def test_money_that_goes_back_from_the_account_of_before_leaves_the_wallet_too(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    intent = paying.pay(paying.top_up(client, "50.00"))
    paying.deliver()
    paying.connect(workspace, NORTH)

    paying.pretend.control.refund(intent, 1_000)
    paying.deliver()

    assert paying.world.balance(client) == "40.000000"


def test_the_account_of_before_can_be_linked_to_another_workspace_and_is_not_taken_from_it_again(
    paying: Paying,
) -> None:
    first, _ = paying.agency(BRIGHT)
    disconnect(paying, first)
    paying.deliver()
    second, client = paying.agency(BRIGHT)
    paying.connect(first, NORTH)

    third = paying.world.workspace()
    page = paying.connect(third, BRIGHT)
    top_up = paying.top_up(client)
    paying.pay(top_up)
    paying.deliver()

    refused(page, "This Stripe account is linked to another workspace already. Choose another account.")
    assert paying.world.balance(client) == "50.000000"
    assert connection(paying, second)["state"] == "connected"


def test_a_start_link_works_once(paying: Paying) -> None:
    link = start_link(paying, paying.world.workspace())
    paying.open(link)

    page = paying.world.call("GET", path_of(link), key=None)

    no_way_on(page, "This link was used before, or is not known here. Start again from your workspace.")


def test_who_opened_the_start_link_first_goes_on_although_somebody_opened_it_again(paying: Paying) -> None:
    workspace = paying.world.workspace()
    link = start_link(paying, workspace)
    cookie, location = paying.open(link)
    paying.world.call("GET", path_of(link), key=None)

    page = paying.come_back(paying.choose(location, BRIGHT), cookie)

    assert page.status == 200
    assert connection(paying, workspace)["state"] == "connected"


def test_a_start_link_works_for_ten_minutes(paying: Paying) -> None:
    link = start_link(paying, paying.world.workspace())

    with later(minutes=10, seconds=1):
        page = paying.world.call("GET", path_of(link), key=None)

    no_way_on(page, "This link was good for 10 minutes. Start again.")


@pytest.mark.parametrize("query", ["", "?state=", f"?state={UNKNOWN_STATE}", "?state=%00", "?state=%3Cscript%3E"])
def test_a_start_link_that_was_never_given_out_goes_nowhere(paying: Paying, query: str) -> None:
    page = paying.world.call("GET", f"/oauth/stripe/start{query}", key=None)

    no_way_on(page, "This link was used before, or is not known here. Start again from your workspace.")


@pytest.mark.parametrize("kind", ["lost_before", "lost_after", "error_500_after"])
def test_where_stripes_answer_to_the_exchange_is_lost_the_page_says_start_again_and_a_fresh_start_works(
    paying: Paying, kind: str
) -> None:
    workspace = paying.world.workspace()
    paying.pretend.control.plan_fault(kind, path="/oauth/token")

    page = paying.connect(workspace, BRIGHT)
    was_connected = not not_connected(paying, workspace)
    again = paying.connect(workspace, BRIGHT)

    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html"), page.text
    assert START_AGAIN in page.text
    assert not was_connected
    assert "Stripe is connected" in again.text
    assert connection(paying, workspace)["state"] == "connected"


def test_where_the_account_cannot_be_read_after_the_exchange_nothing_is_linked_and_a_fresh_start_works(
    paying: Paying,
) -> None:
    workspace = paying.world.workspace()
    paying.pretend.control.plan_fault("error_500", times=2, method="GET", path="/v1/accounts/.*")

    page = paying.connect(workspace, BRIGHT)
    was_connected = not not_connected(paying, workspace)
    paying.pretend.control.clear_faults()
    again = paying.connect(workspace, BRIGHT)

    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html"), page.text
    assert START_AGAIN in page.text
    assert not was_connected
    assert "Stripe is connected" in again.text
