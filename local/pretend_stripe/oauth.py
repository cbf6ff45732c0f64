"""Connect's OAuth: how an account lets the platform in, and out again."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from local.pretend_stripe.account_objects import new_application
from local.pretend_stripe.checkout import check_url
from local.pretend_stripe.core import Core
from local.pretend_stripe.errors import oauth_error, refusal
from local.pretend_stripe.state import APPLICATION_NAME, LIVE_KEY, PLATFORM, TEST_KEY, Obj, new_id

CODE_SECONDS = 300
_MODES = {True: "live", False: "test"}


def check_request(core: Core, query: Obj) -> None:
    """Let authorize requests through that Stripe would show its page for.

    Raises:
        Refused: it would show an error instead, and send nobody back.
    """
    if query.get("client_id") != core.client_id:
        raise refusal(f"No application matches the supplied client identifier: {query.get('client_id')}")
    if query.get("response_type") != "code":
        raise refusal("Only the response_type `code` is supported.")
    if query.get("scope", "read_only") not in ("read_only", "read_write"):
        raise refusal(f"Invalid scope: {query['scope']}")
    uri = query.get("redirect_uri", "")
    allowed = core.state["redirect_uris"]
    if allowed and not uri:
        return
    check_url(uri, "redirect_uri")
    if allowed and uri not in allowed:
        raise refusal(f"Invalid redirect URI '{uri}'. Ensure this uri exactly matches one of the configured uris.")


def back(core: Core, query: Obj, **values: str) -> str:
    """The address that the browser is sent back to."""
    target = query.get("redirect_uri") or core.state["redirect_uris"][0]
    parts = urlsplit(target)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *values.items()]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def grant(core: Core, query: Obj, account_id: str) -> str:
    """The owner has chosen an account and goes on: a code, good for five minutes and for one use."""
    if account_id not in core.state["accounts"] or account_id == PLATFORM:
        raise refusal("Choose one of the accounts.")
    code = new_id("ac_", 32)
    core.state["codes"][code] = {
        "account": account_id,
        "livemode": core.state["modes"][account_id],
        "scope": query.get("scope", "read_only"),
        "expires_at": core.now() + CODE_SECONDS,
        "used": False,
    }
    state = {"state": query["state"]} if "state" in query else {}
    return back(core, query, scope=query.get("scope", "read_only"), code=code, **state)


def refuse(core: Core, query: Obj, *, without_state: bool) -> str:
    """The owner does not want to; Stripe has been seen to forget the state then."""
    state = {"state": query["state"]} if "state" in query and not without_state else {}
    values = {"error": "access_denied", "error_description": "The user denied your request"}
    return back(core, query, **values, **state)


def token(core: Core, key: str, form: Obj) -> Obj:
    """POST /oauth/token.

    Raises:
        Refused: the key or the code is no good.
    """
    livemode = _livemode(form.get("client_secret") or key)
    kind = form.get("grant_type")
    if kind is None:
        raise oauth_error("invalid_request", "No grant type specified")
    if kind != "authorization_code":
        raise oauth_error("unsupported_grant_type", f"The grant type {kind} is not supported here")
    code = form.get("code")
    if not code:
        raise oauth_error("invalid_request", "No authorization code provided")
    return _exchange(core, str(code), livemode)


def _exchange(core: Core, code: str, livemode: bool) -> Obj:
    known = core.state["codes"].get(code)
    if known is None:
        raise oauth_error("invalid_grant", f"Authorization code does not exist: {code}")
    if known["used"]:
        core.revoke(known["account"], known["livemode"], code)
        text = "This authorization code has already been used. All tokens issued with this code have been revoked."
        raise oauth_error("invalid_grant", text)
    if known["expires_at"] <= core.now():
        raise oauth_error("invalid_grant", f"Authorization code expired: {code}")
    if known["livemode"] != livemode:
        text = f"This authorization code was issued in {_MODES[known['livemode']]} mode, but the API key is of "
        raise oauth_error("invalid_grant", f"{text}{_MODES[livemode]} mode.")
    known["used"] = True
    mode, account_id = _MODES[livemode], known["account"]
    secret = new_id(f"sk_{mode}_", 32)
    core.state["grants"][code] = {"account": account_id, "livemode": livemode, "token": secret, "live": True}
    application = new_application(core.client_id, APPLICATION_NAME)
    core.space(account_id, livemode).emit("account.application.authorized", application)
    return {
        "access_token": secret,
        "livemode": livemode,
        "refresh_token": new_id("rt_", 48),
        "token_type": "bearer",
        "stripe_publishable_key": new_id(f"pk_{mode}_", 32),
        "stripe_user_id": account_id,
        "scope": known["scope"],
    }


def deauthorize(core: Core, key: str, form: Obj) -> Obj:
    """POST /oauth/deauthorize.

    Raises:
        Refused: nothing is connected.
    """
    livemode = _livemode(form.get("client_secret") or key)
    account_id = form.get("stripe_user_id", "")
    if form.get("client_id") != core.client_id:
        raise oauth_error("invalid_client", f"No such application: '{form.get('client_id', '')}'", 401)
    if not core.is_connected(account_id, livemode):
        text = f"This application is not connected to stripe account {account_id}, or that account does not exist."
        raise oauth_error("invalid_client", text, 401)
    core.revoke(account_id, livemode)
    return {"stripe_user_id": account_id}


def _livemode(key: str) -> bool:
    if key not in (TEST_KEY, LIVE_KEY):
        raise oauth_error("invalid_client", "No such API key", 401)
    return key == LIVE_KEY
