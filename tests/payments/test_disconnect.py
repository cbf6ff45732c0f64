"""How a connection to Stripe ends, what follows the account meanwhile, and what its pages and cookies give away."""

import re

import boto3
import pytest

from chalicelib.gateways import stripe
from chalicelib.settings import settings
from tests.payments.conftest import BRIGHT, INACTIVE, NORTH, Paying
from tests.payments.connecting import (
    alarms,
    connection,
    disconnect,
    everything_kept,
    granted,
    path_of,
    refused,
    save_card,
    start_link,
)


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
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",  # the icon, which stands in the page itself
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert f'<style {nonce.strip(chr(39)).replace("nonce-", "nonce=" + chr(34))}">' in page.text
    # Neither the name of the icon's language nor a link is fetched by itself.
    text = re.sub(r"xmlns='[^']*'|<a href=\"[^\"]*\"", "", page.text)
    for word in ("<script", "src=", "style=", "onload", "http:", "https:"):
        assert word not in text
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
