"""Connect: the authorize page, tokens, revocation, and accounts that do not see each other."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from stripe import PermissionError as NoAccess
from stripe import StripeClient, oauth_error

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.conftest import make_client
from tests.pretend_stripe.people import BRIGHT, INACTIVE, LIVE, NORTH, Shop

BACK = "http://127.0.0.1:1/oauth/stripe/callback"


def asked(platform: StripeClient, **more: Any) -> dict[str, str]:
    """The query of the authorize link, as the page's form sends it back."""
    url = platform.oauth.authorize_url({"redirect_uri": BACK, "scope": "read_write", "state": "s 1&=", **more})
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def sent_back(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(BACK + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def authorize(browser: httpx.Client, platform: StripeClient, account: str = BRIGHT) -> dict[str, str]:
    form = {**asked(platform), "account": account, "answer": "continue"}
    return sent_back(browser.post("/oauth/authorize", data=form))


def exchange(client: StripeClient, code: str) -> Any:
    return client.oauth.token({"grant_type": "authorization_code", "code": code})


def test_choose_an_account_and_continue(browser: httpx.Client, platform: StripeClient) -> None:
    shown = browser.get("/oauth/authorize", params=asked(platform))
    assert all(text in shown.text for text in ("SIMULATION", "Bright Voice Agency", "North Calls GmbH", "Continue"))

    back = authorize(browser, platform, NORTH)
    token = exchange(platform, back["code"])

    assert (back["state"], back["scope"]) == ("s 1&=", "read_write")
    assert (token.stripe_user_id, token.livemode, token.scope, token.token_type) == (
        NORTH,
        False,
        "read_write",
        "bearer",
    )
    account = platform.v1.accounts.retrieve(NORTH)
    assert (account.settings.dashboard.display_name, account.charges_enabled) == ("North Calls GmbH", True)
    assert account.default_currency == "eur"


def test_the_access_token_is_a_key_of_the_account(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient
) -> None:
    token = exchange(platform, authorize(browser, platform)["code"])

    client = make_client(pretend, api_key=token.access_token)

    assert client.v1.accounts.retrieve_current().id == BRIGHT


@pytest.mark.parametrize("omit_state", [False, True])
def test_refuse(browser: httpx.Client, platform: StripeClient, omit_state: bool) -> None:
    form = {**asked(platform), "answer": "refuse", **({"omit_state": "yes"} if omit_state else {})}

    back = sent_back(browser.post("/oauth/authorize", data=form))

    assert (back["error"], back.get("state")) == ("access_denied", None if omit_state else "s 1&=")
    assert "code" not in back


@pytest.mark.parametrize(
    "wrong", [{"client_id": "ca_other"}, {"response_type": "token"}, {"scope": "all"}, {"redirect_uri": "nowhere"}]
)
def test_links_that_do_not_work_send_nobody_back(
    browser: httpx.Client, platform: StripeClient, wrong: dict[str, str]
) -> None:
    query = {**asked(platform), **wrong}

    for answer in (browser.get("/oauth/authorize", params=query), browser.post("/oauth/authorize", data=query)):
        assert (answer.status_code, "location" in answer.headers) == (400, False)


def test_only_known_addresses_are_sent_back_to(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient
) -> None:
    pretend.control.set_redirect_uris([BACK])

    assert browser.get("/oauth/authorize", params=asked(platform)).status_code == 200
    assert browser.get("/oauth/authorize", params=asked(platform, redirect_uri=BACK + "2")).status_code == 400


def test_what_the_link_says_is_shown_escaped(browser: httpx.Client, platform: StripeClient) -> None:
    shown = browser.get("/oauth/authorize", params=asked(platform, state='"><script>alert(1)</script>'))
    assert "<script>" not in shown.text


def test_a_code_works_once_and_its_second_use_revokes_what_the_first_has_given(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient
) -> None:
    code = authorize(browser, platform)["code"]
    token = exchange(platform, code)
    agency = make_client(pretend, stripe_account=BRIGHT)
    agency.v1.customers.list()

    with pytest.raises(oauth_error.InvalidGrantError, match="already been used"):
        exchange(platform, code)

    with pytest.raises(NoAccess):
        agency.v1.customers.list()
    with pytest.raises(Exception, match="Invalid API Key"):
        make_client(pretend, api_key=token.access_token).v1.accounts.retrieve_current()


def test_the_second_use_of_one_code_leaves_what_another_has_given(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient
) -> None:
    old, new = authorize(browser, platform)["code"], authorize(browser, platform)["code"]
    exchange(platform, old), exchange(platform, new)

    with pytest.raises(oauth_error.InvalidGrantError):
        exchange(platform, old)

    make_client(pretend, stripe_account=BRIGHT).v1.customers.list()


@pytest.mark.parametrize(("seconds", "good"), [(290, True), (310, False)])
def test_a_code_expires_after_five_minutes(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient, seconds: int, good: bool
) -> None:
    code = authorize(browser, platform)["code"]
    pretend.control.advance(seconds)

    if good:
        assert exchange(platform, code).stripe_user_id == BRIGHT
        return
    with pytest.raises(oauth_error.InvalidGrantError, match="expired"):
        exchange(platform, code)


def test_test_keys_and_live_codes_do_not_go_together(
    pretend: PretendStripe, browser: httpx.Client, platform: StripeClient
) -> None:
    code = authorize(browser, platform, LIVE)["code"]

    with pytest.raises(oauth_error.InvalidGrantError, match="live mode"):
        exchange(platform, code)

    live = make_client(pretend, api_key=pretend.live_key)
    assert exchange(live, code).livemode is True
    assert make_client(pretend, api_key=pretend.live_key, stripe_account=LIVE).v1.customers.create().livemode is True
    with pytest.raises(NoAccess):
        make_client(pretend, stripe_account=LIVE).v1.customers.list()


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"grant_type": "authorization_code", "code": "ac_never"}, oauth_error.InvalidGrantError),
        ({"grant_type": "authorization_code"}, oauth_error.InvalidRequestError),
        ({"grant_type": "refresh_token", "refresh_token": "rt_1"}, oauth_error.UnsupportedGrantTypeError),
        ({}, oauth_error.InvalidRequestError),
    ],
)
def test_tokens_are_refused(platform: StripeClient, params: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        platform.oauth.token(params)


def test_a_wrong_key_gets_no_token(pretend: PretendStripe) -> None:
    with pytest.raises(oauth_error.InvalidClientError):
        exchange(make_client(pretend, api_key="sk_test_other"), "ac_1")


# The end of a connection


def test_the_platform_disconnects(pretend: PretendStripe, platform: StripeClient, agency: StripeClient) -> None:
    assert platform.oauth.deauthorize({"stripe_user_id": BRIGHT}).stripe_user_id == BRIGHT

    with pytest.raises(NoAccess) as caught:
        agency.v1.customers.list()
    assert (caught.value.http_status, caught.value.error.code) == (403, "account_invalid")
    with pytest.raises(oauth_error.InvalidClientError, match="not connected"):
        platform.oauth.deauthorize({"stripe_user_id": BRIGHT})


def test_the_owner_revokes_access_in_its_own_dashboard(
    pretend: PretendStripe, browser: httpx.Client, agency: StripeClient
) -> None:
    pretend.control.set_endpoint("connect", "whsec_connect")
    page = browser.get(f"/dashboard/{BRIGHT}")
    assert "Revoke access" in page.text and "SIMULATION" in page.text

    browser.post(f"/dashboard/{BRIGHT}", data={"do": "revoke"})

    (sent,) = pretend.control.take()
    assert (sent.event_type, sent.endpoint) == ("account.application.deauthorized", "connect")
    assert f'"account": "{BRIGHT}"' in sent.body.decode()
    assert '"object": "application"' in sent.body.decode()
    with pytest.raises(NoAccess):
        agency.v1.customers.list()
    assert "Revoke access" not in browser.get(f"/dashboard/{BRIGHT}").text


def test_objects_come_back_with_the_same_account(pretend: PretendStripe, agency: StripeClient) -> None:
    customer = agency.v1.customers.create().id
    pretend.control.deauthorize(BRIGHT)

    pretend.control.connect(BRIGHT)

    assert agency.v1.customers.retrieve(customer).id == customer


# Isolation


def test_accounts_do_not_see_each_other(pretend: PretendStripe, platform: StripeClient, agency: StripeClient) -> None:
    pretend.control.connect(NORTH)
    north = make_client(pretend, stripe_account=NORTH)
    mine = Shop(pretend, agency)
    card, paid = mine.card(), mine.paid()

    for other in (platform, north):
        assert other.v1.customers.list().data == other.v1.payment_intents.list().data == []
        assert "payment_intent.succeeded" not in [event.type for event in other.v1.events.list().data]
        for kind, object_id in (
            ("payment_intents", paid.id),
            ("customers", card.customer),
            ("payment_methods", card.id),
        ):
            with pytest.raises(Exception, match="No such"):
                other.raw_request("get", f"/v1/{kind}/{object_id}")
        with pytest.raises(Exception, match="No such"):
            Shop(pretend, other).intent(customer=card.customer)
    assert (paid.livemode, paid.application) == (False, pretend.client_id)


@pytest.mark.parametrize("account", [NORTH, INACTIVE, "acct_nobody"])
def test_without_a_connection_there_is_no_access(pretend: PretendStripe, account: str) -> None:
    client = make_client(pretend, stripe_account=account)

    with pytest.raises(NoAccess) as caught:
        client.v1.payment_intents.create({"amount": 5000, "currency": "usd"})

    assert caught.value.error.code == "account_invalid"
    with pytest.raises(NoAccess):
        make_client(pretend).v1.accounts.retrieve(account)


def test_the_connected_accounts_are_listed(
    pretend: PretendStripe, platform: StripeClient, agency: StripeClient
) -> None:
    assert [account.id for account in platform.v1.accounts.list().data] == [BRIGHT]
    assert agency.v1.accounts.retrieve_current().id == BRIGHT


def test_changes_of_an_account_are_told(pretend: PretendStripe, agency: StripeClient) -> None:
    pretend.control.set_endpoint("connect", "whsec_connect")

    pretend.control.set_account(BRIGHT, charges_enabled=False, name="Bright & Co")
    pretend.control.set_account(BRIGHT, charges_enabled=False)

    (sent,) = pretend.control.take()
    account = agency.v1.accounts.retrieve_current()
    assert sent.event_type == "account.updated"
    assert (account.charges_enabled, account.business_profile.name) == (False, "Bright & Co")


def test_one_more_account(pretend: PretendStripe, platform: StripeClient, browser: httpx.Client) -> None:
    account = pretend.control.add_account("Third <Voice>", "GB", "gbp")["id"]

    assert "Third &lt;Voice&gt;" in browser.get("/oauth/authorize", params=asked(platform)).text
    assert exchange(platform, authorize(browser, platform, account)["code"]).stripe_user_id == account
