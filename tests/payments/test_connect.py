"""An agency connects its own Stripe account, or is told in one sentence why not; and how a connection ends."""

import json
import logging
import re
from dataclasses import replace
from typing import Any

import boto3
import httpx
import pytest
import time_machine

from chalicelib.clock import now_ms
from chalicelib.gateways import stripe
from chalicelib.settings import settings
from tests.payments.conftest import BRIGHT, INACTIVE, LIVE, NORTH, Paying
from tests.world import Answer

START_AGAIN = "Start again"
UNKNOWN_STATE = "x" * 43


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


def test_after_disconnecting_stripe_knows_it_and_no_client_can_pay(paying: Paying) -> None:
    workspace, client = paying.agency()

    shown = disconnect(paying, workspace)

    assert shown["state"] == "disconnected"
    assert not granted(paying, BRIGHT)
    assert paying.top_up(client, expect=409)["code"] == "stripe_not_connected"
    assert save_card(paying, client).json["code"] == "stripe_not_connected"


def test_after_disconnecting_the_balance_stays_and_stays_usable(paying: Paying) -> None:
    workspace, client = paying.agency()
    paying.world.credit(workspace, "10.00")
    paying.pay(paying.top_up(client))
    paying.deliver()

    disconnect(paying, workspace)

    assert paying.world.balance(client) == "50.000000"
    assert paying.world.get(f"/v1/sub-accounts/{client}/access")["allowed"] is True


def test_disconnecting_twice_does_no_harm(paying: Paying) -> None:
    workspace, _ = paying.agency()

    first, second = disconnect(paying, workspace), disconnect(paying, workspace)

    assert first == second
    assert second["state"] == "disconnected"


def test_what_was_never_connected_cannot_be_disconnected(paying: Paying) -> None:
    workspace = paying.world.workspace()

    answer = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")

    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("faults", [("lost_before", "lost_before"), ("lost_after", "lost_before")], ids=" ".join)
def test_where_stripes_answers_to_disconnecting_are_lost_payments_have_stopped_and_saying_it_again_ends_it(
    paying: Paying, faults: tuple[str, str]
) -> None:
    workspace, client = paying.agency()
    for kind in faults:  # the second meets the SDK's own repeat
        paying.pretend.control.plan_fault(kind, path="/oauth/deauthorize")

    lost = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    meanwhile = connection(paying, workspace)["state"]
    told = paying.top_up(client, expect=409)["code"]
    shown = disconnect(paying, workspace)

    assert lost.status == 503
    assert (meanwhile, told) == ("disconnecting", "stripe_not_connected")
    assert shown["state"] == "disconnected"
    assert not granted(paying, BRIGHT)


@pytest.mark.parametrize("kind", ["lost_before", "lost_after", "error_500_after"])
def test_one_lost_answer_to_disconnecting_is_not_even_noticed(paying: Paying, kind: str) -> None:
    workspace, _ = paying.agency()
    paying.pretend.control.plan_fault(kind, path="/oauth/deauthorize")

    shown = disconnect(paying, workspace)

    assert shown["state"] == "disconnected"
    assert not granted(paying, BRIGHT)


def test_disconnecting_what_the_owner_has_ended_at_stripe_already_succeeds(paying: Paying) -> None:
    workspace, _ = paying.agency()
    paying.pretend.control.deauthorize(BRIGHT)

    shown = disconnect(paying, workspace)

    assert shown["state"] == "disconnected"


def test_our_own_disconnecting_is_no_alarm_when_stripe_tells_us_of_it(
    paying: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    workspace, _ = paying.agency()
    disconnect(paying, workspace)

    paying.deliver()

    assert connection(paying, workspace)["state"] == "disconnected"
    assert alarms(caplog) == []


def test_when_the_owner_ends_it_in_stripes_dashboard_payments_are_refused_and_a_person_is_told(
    paying: Paying, caplog: pytest.LogCaptureFixture
) -> None:
    workspace, client = paying.agency()
    paying.deliver()
    paying.pretend.control.deauthorize(BRIGHT)

    seen = paying.deliver()

    assert seen == [200]
    assert connection(paying, workspace)["state"] == "deauthorized"
    assert paying.top_up(client, expect=409)["code"] == "stripe_not_connected"
    assert alarms(caplog) == ["stripe_deauthorized"]


def test_an_account_whose_owner_ended_it_can_be_linked_to_another_workspace(paying: Paying) -> None:
    first, _ = paying.agency()
    paying.pretend.control.deauthorize(BRIGHT)
    paying.deliver()

    second, client = paying.agency(BRIGHT)

    assert connection(paying, first)["state"] == "deauthorized"
    assert connection(paying, second)["state"] == "connected"
    assert paying.top_up(client)["state"] == "open"


def test_before_stripes_event_arrives_a_payment_on_an_ended_connection_is_refused_and_not_a_mistake_of_ours(
    paying: Paying,
) -> None:
    _, client = paying.agency()
    paying.pretend.control.deauthorize(BRIGHT)

    told = paying.top_up(client, expect=409)

    assert told["code"] == "stripe_access_lost"


def test_an_old_event_of_an_end_does_not_end_the_connection_that_was_made_since(paying: Paying) -> None:
    workspace, client = paying.agency(BRIGHT)
    paying.deliver()
    paying.pretend.control.deauthorize(BRIGHT)
    ended = paying.pretend.control.take()
    paying.deliver(ended)
    paying.connect(workspace, BRIGHT)

    paying.deliver(ended)

    assert connection(paying, workspace)["state"] == "connected"
    assert paying.top_up(client)["state"] == "open"


def test_a_late_event_of_one_workspaces_end_does_not_end_the_connection_of_the_next_one(paying: Paying) -> None:
    first, _ = paying.agency(BRIGHT)
    disconnect(paying, first)
    second, client = paying.agency(BRIGHT)

    paying.deliver()

    assert connection(paying, second)["state"] == "connected"
    assert paying.top_up(client)["state"] == "open"


def test_events_of_the_end_of_a_connection_can_come_any_number_of_times(paying: Paying) -> None:
    workspace, _ = paying.agency()
    paying.deliver()
    paying.pretend.control.deauthorize(BRIGHT)
    ended = paying.pretend.control.take()

    seen = [status for _ in range(3) for status in paying.deliver(ended)]

    assert seen == [200] * 3
    assert connection(paying, workspace)["state"] == "deauthorized"


def test_another_accounts_event_changes_nothing_here(paying: Paying) -> None:
    workspace, _ = paying.agency(BRIGHT)
    neighbour, _ = paying.agency(NORTH)

    paying.pretend.control.deauthorize(NORTH)
    paying.deliver()

    assert connection(paying, workspace)["state"] == "connected"
    assert connection(paying, neighbour)["state"] == "deauthorized"


def test_the_name_and_the_right_to_take_payments_follow_the_account(paying: Paying) -> None:
    workspace, client = paying.agency()

    paying.pretend.control.set_account(BRIGHT, name="Brighter Voices", charges_enabled=False)
    paying.deliver()
    shown = connection(paying, workspace)
    refusal = paying.top_up(client, expect=409)
    paying.pretend.control.set_account(BRIGHT, charges_enabled=True)
    paying.deliver()

    assert (shown["account_name"], shown["charges_enabled"]) == ("Brighter Voices", False)
    assert refusal["code"] == "stripe_payments_disabled"
    assert refusal["detail"] == "Stripe does not let this agency's account take payments yet."
    assert paying.top_up(client)["state"] == "open"


def test_news_of_an_account_that_is_being_disconnected_does_not_connect_it_again(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client = paying.agency()
    paying.deliver()
    read = stripe.read_account

    def disconnected_meanwhile(account_id: str) -> stripe.AccountFacts:
        facts = read(account_id)
        disconnect(paying, workspace)
        return facts

    monkeypatch.setattr(stripe, "read_account", disconnected_meanwhile)
    paying.pretend.control.set_account(BRIGHT, name="Brighter Voices")
    paying.deliver()

    assert connection(paying, workspace)["state"] == "disconnected"
    assert paying.top_up(client, expect=409)["code"] == "stripe_not_connected"


def test_who_disconnects_twice_at_once_does_not_free_the_account_of_the_workspace_that_has_it_next(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = paying.agency(BRIGHT)
    second, third = paying.world.workspace(), paying.world.workspace()
    deauthorize = stripe.deauthorize

    def overtaken(account_id: str) -> None:
        monkeypatch.setattr(stripe, "deauthorize", deauthorize)
        disconnect(paying, first)
        paying.connect(second, BRIGHT)

    monkeypatch.setattr(stripe, "deauthorize", overtaken)
    disconnect(paying, first)
    page = paying.connect(third, BRIGHT)

    assert connection(paying, second)["state"] == "connected"
    refused(page, "This Stripe account is linked to another workspace already. Choose another account.")


def test_what_an_account_is_now_counts_and_not_the_order_in_which_events_arrive(paying: Paying) -> None:
    workspace, _ = paying.agency()
    paying.deliver()
    for name in ("First Name", "Second Name", "Third Name"):
        paying.pretend.control.set_account(BRIGHT, name=name)

    paying.deliver(paying.pretend.control.take()[::-1])

    assert connection(paying, workspace)["account_name"] == "Third Name"


def test_an_account_that_cannot_take_payments_yet_is_linked_and_the_page_says_so(paying: Paying) -> None:
    workspace, client = paying.agency(account=None)

    page = paying.connect(workspace, INACTIVE)

    assert page.status == 200
    assert "not enabled by Stripe yet" in page.text
    assert paying.top_up(client, expect=409)["code"] == "stripe_payments_disabled"


@pytest.mark.parametrize(
    ("name", "on_the_page"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('"><img src=x onerror=alert(1)>', "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("Müller & Söhne", "Müller &amp; Söhne"),
    ],
)
def test_whatever_an_account_is_called_its_name_is_only_text_on_the_page(
    paying: Paying, name: str, on_the_page: str
) -> None:
    account = paying.pretend.control.add_account(name)["id"]
    workspace = paying.world.workspace()

    page = paying.connect(workspace, account)

    assert f"<dd>{on_the_page}</dd>" in page.text
    assert connection(paying, workspace)["account_name"] == name


@pytest.mark.parametrize("accepted", [True, False])
def test_the_pages_run_nothing_load_nothing_and_tell_nobody_where_one_came_from(paying: Paying, accepted: bool) -> None:
    workspace = paying.world.workspace()
    cookie, location = paying.start(workspace)

    page = paying.come_back(paying.choose(location, BRIGHT, refuse=not accepted), cookie)

    policy = dict(rule.strip().partition(" ")[::2] for rule in page.headers["content-security-policy"].split(";"))
    nonce = policy.pop("style-src")
    assert policy == {"default-src": "'none'", "frame-ancestors": "'none'", "base-uri": "'none'"}
    assert f'<style {nonce.strip(chr(39)).replace("nonce-", "nonce=" + chr(34))}">' in page.text
    for word in ("<script", "src=", "style=", "onload", "http:", "https:"):
        assert word not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
def test_the_browsers_cookie_is_for_this_one_trip_only(paying: Paying, scheme: str, secure: bool) -> None:
    link = start_link(paying, paying.world.workspace())

    answer = paying.world.call("GET", path_of(link), headers={"x-forwarded-proto": scheme}, key=None)

    (name, value), *flags = [part.strip().partition("=")[::2] for part in answer.headers["set-cookie"].split(";")]
    assert name == "rebill_connect"
    assert len(value) >= 43
    wanted = {"Path": "/oauth/stripe", "Max-Age": "600", "HttpOnly": "", "SameSite": "Lax"}
    assert dict(flags) == wanted | ({"Secure": ""} if secure else {})
    assert value not in answer.headers["location"]


def test_no_token_no_code_and_no_secret_of_the_way_is_kept_or_written_to_the_log(
    paying: Paying, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    workspace, client = paying.agency()
    cookie, location = paying.start(workspace)
    came = paying.choose(location, BRIGHT)
    paying.come_back(came, cookie)
    paying.pay(paying.top_up(client))
    paying.deliver()
    disconnect(paying, workspace)

    kept = everything_kept()
    said = capfd.readouterr()
    tokens = [grant["token"] for grant in paying.pretend.control.state()["grants"].values()]

    assert workspace in kept
    for place in (kept, said.out, said.err, caplog.text):
        for secret in (*tokens, came["code"], came["state"], cookie.partition("=")[2], paying.pretend.platform_key):
            assert secret not in place
        for prefix in ("sk_test_", "sk_live_", "rt_", "ac_", "whsec_"):
            assert not re.search(rf"\b{prefix}", place)


@pytest.mark.parametrize("missing", ["secret-key", "client-id", "webhook-secret", "connect-webhook-secret"])
def test_on_a_stage_without_stripes_keys_connecting_is_refused_before_anybody_is_sent_away(
    paying: Paying, missing: str
) -> None:
    from chalicelib.settings import _parameter_store

    workspace = paying.world.workspace()
    boto3.client("ssm").delete_parameter(Name=f"/rebill/{settings().stage}/stripe/{missing}")
    _parameter_store().clear_cache()

    answer = paying.world.call("POST", f"/v1/workspaces/{workspace}/stripe/connect", {"user": "owner@acme.example"})

    assert (answer.status, answer.json["code"]) == (409, "stripe_not_configured")
    assert missing in answer.json["detail"]


def test_a_workspace_that_does_not_exist_cannot_connect(paying: Paying) -> None:
    answer = paying.world.call("POST", "/v1/workspaces/ws_unknown/stripe/connect", {"user": "owner@acme.example"})

    assert (answer.status, answer.json["code"]) == (404, "not_found")


def start_link(paying: Paying, workspace: str) -> str:
    path = f"/v1/workspaces/{workspace}/stripe/connect"
    link: str = paying.world.post(path, {"user": "owner@acme.example"})["url"]
    return link


def path_of(link: str) -> str:
    return link.removeprefix("https://rebill.example")


def later(**by: int) -> Any:
    """The product's clock, moved on; Stripe's goes on as it was."""
    seconds = by.get("minutes", 0) * 60 + by.get("seconds", 0)
    return time_machine.travel(now_ms() / 1000 + seconds, tick=True)


def refused(page: Answer, sentence: str, whole: bool = True) -> None:
    """A page for people that says just this, and that Stripe is not connected."""
    assert page.status == 400, page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Stripe is not connected</h1>" in page.text
    said = page.text.partition("<p>")[2].partition("</p>")[0].replace("&#39;", "'")
    assert (said == sentence) if whole else (sentence in said), said


def no_way_on(page: Answer, sentence: str) -> None:
    """A page for people that sends them nowhere, and gives them nothing to go on with."""
    assert page.status == 400, page.text
    assert sentence in page.text
    assert "location" not in page.headers
    assert "set-cookie" not in page.headers


def connection(paying: Paying, workspace: str) -> Any:
    return paying.world.get(f"/v1/workspaces/{workspace}/stripe")


def not_connected(paying: Paying, workspace: str) -> bool:
    return paying.world.call("GET", f"/v1/workspaces/{workspace}/stripe").status == 404


def disconnect(paying: Paying, workspace: str) -> Any:
    answer = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    assert answer.status == 200, answer.text
    return answer.json


def save_card(paying: Paying, client: str) -> Answer:
    path = f"/v1/sub-accounts/{client}/wallet/payment-method"
    return paying.world.call("POST", path, headers={"Idempotency-Key": "card"})


def granted(paying: Paying, account: str) -> bool:
    """Whether Stripe lets us into this account."""
    grants = paying.pretend.control.state()["grants"].values()
    return any(grant["live"] for grant in grants if grant["account"] == account)


def account_of(paying: Paying, intent: str) -> str:
    """The account on which a payment sits."""
    spaces = paying.pretend.control.state()["spaces"]
    (key,) = [key for key, kinds in spaces.items() if intent in kinds.get("payment_intent", {})]
    return str(key.rpartition(":")[0])


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a person was told of."""
    return [str(getattr(line, "alarm", "")) for line in caplog.records if line.levelno >= logging.ERROR]


def everything_kept() -> str:
    """All items of all tables, and all messages that wait, as one text."""
    dynamodb = boto3.client("dynamodb")
    pages = [
        page
        for table in dynamodb.list_tables()["TableNames"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table)
    ]
    return json.dumps([page["Items"] for page in pages])
