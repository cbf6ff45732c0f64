"""An agency connects its own Stripe account (OAuth), and ends the connection again.

The state is random, kept as a hash, good for ten minutes, tied to user, workspace and browser, and used up before the
code is exchanged. A code is exchanged once: what became of a lost exchange is not guessed, the agency starts again.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from chalicelib.clock import now_ms
from chalicelib.domain.errors import AccessLost, Conflict, NotFound, Unavailable
from chalicelib.domain.payments import STATE_MINUTES, STATE_MS, Connection, ConnectionState, connection_version
from chalicelib.gateways import stripe
from chalicelib.settings import stripe_settings
from chalicelib.storage import accounts, connections, refills, top_ups
from chalicelib.storage.connections import OAuthState
from chalicelib.telemetry import alarm, logger

SECRET_BYTES = 32
ATTEMPTS = 5
START_PATH = "/oauth/stripe/start"
CALLBACK_PATH = "/oauth/stripe/callback"
_ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9]{1,64}", re.ASCII)


def begin(workspace_id: str, user: str, base_url: str) -> str:
    """The address to which the browser of this person goes to connect.

    Raises:
        NotFound: no such workspace. Conflict: Stripe is not set up on this stage.
    """
    accounts.get_workspace(workspace_id)
    stripe_settings()
    state = secrets.token_urlsafe(SECRET_BYTES)
    connections.keep_state(_hash(state), OAuthState(workspace_id, user, now_ms()))
    return f"{base_url}{START_PATH}?state={state}"


def go(state: str, base_url: str) -> tuple[str, str]:
    """Tie the state to the browser that came: Stripe's address to go on to, and the secret that the browser keeps.

    Raises:
        Conflict: the link is unknown, too old, or was opened before.
    """
    browser = secrets.token_urlsafe(SECRET_BYTES)
    _check_age(connections.bind_browser(_hash(state), _hash(browser)))
    return stripe.authorize_url(state, base_url + CALLBACK_PATH), browser


def finish(query: Mapping[str, str], browser: str) -> tuple[Connection, str]:
    """Take what Stripe sends back with the browser, and link the account; answers also who asked for it.

    Raises:
        Conflict: whatever is not as it should be, each with a code and a sentence of its own; nothing is linked.
        OutcomeUnknown: Stripe gave no answer to the exchange: start again. Unavailable: so did the store.
    """
    asked = _consume(query.get("state", ""), browser, denied="error" in query)
    if "error" in query:
        raise Conflict("oauth_denied", "You chose not to connect a Stripe account. Nothing was changed.")
    if asked is None or not query.get("code"):
        raise Conflict("oauth_state_missing", "Stripe's answer was incomplete. Start again from your workspace.")
    if not connections.use_code(_hash(query["code"]), now_ms()):
        raise Conflict(
            "oauth_code_reused",
            "This answer of Stripe's was used before. Start again from your workspace.",
        )
    exchange = stripe.exchange_code(query["code"])
    if not _ACCOUNT_ID.fullmatch(exchange.account_id) or exchange.scope != "read_write":
        stripe.deauthorize(exchange.account_id)
        raise Conflict("oauth_scope", "Stripe did not grant the access that payments need. Start again.")
    if exchange.livemode != stripe_settings().livemode:
        stripe.deauthorize(exchange.account_id)
        detail = "This is an account of Stripe's other mode (test or live). Choose one of the mode that is used here."
        raise Conflict("stripe_mode_mismatch", detail)
    return _link(asked.workspace_id, exchange.account_id, exchange.livemode), asked.user


def _consume(state: str, browser: str, denied: bool) -> OAuthState | None:
    """Use the state up, whatever else comes; Stripe has been seen to leave it out where the person refused."""
    if not state:
        if denied:
            return None
        raise Conflict("oauth_state_missing", "Stripe's answer was incomplete. Start again from your workspace.")
    asked = connections.consume_state(_hash(state))
    _check_age(asked)
    if asked.browser_hash is None or not secrets.compare_digest(asked.browser_hash, _hash(browser)):
        alarm("oauth_other_browser", workspace_id=asked.workspace_id)
        detail = "This link was opened in another browser. Start again from your workspace, in one browser."
        raise Conflict("oauth_other_browser", detail)
    return asked


def _check_age(asked: OAuthState) -> None:
    if now_ms() - asked.created_at_ms > STATE_MS:
        raise Conflict("oauth_state_expired", f"This link was good for {STATE_MINUTES} minutes. Start again.")


def _link(workspace_id: str, account_id: str, livemode: bool) -> Connection:
    facts = stripe.read_account(account_id)
    for _ in range(ATTEMPTS):  # somebody else may link or disconnect this workspace at the same moment
        before = connections.get_connection(workspace_id)
        made = Connection(
            workspace_id=workspace_id,
            version=connection_version(before, account_id, livemode),
            account_id=account_id,
            account_name=facts.name,
            livemode=livemode,
            charges_enabled=facts.charges_enabled,
            state=ConnectionState.CONNECTED,
            connected_at_ms=now_ms(),
        )
        if connections.link(before, made):
            top_ups.ask_after_again(account_id)  # where this fails, the person starts again, and so does this
            refills.unpark(account_id)
            logger.info("stripe_connected", extra={"workspace_id": workspace_id, "version": made.version})
            return made
    raise Unavailable("The wallet store")


def disconnect(workspace_id: str) -> Connection:
    """End a connection: payments stop first, then Stripe is told. Ending it twice does no harm.

    Raises:
        NotFound: there is no connection. OutcomeUnknown: payments have stopped; say it again to tell Stripe.
    """
    current = get(workspace_id)
    if current.state in (ConnectionState.CONNECTED, ConnectionState.DISCONNECTING):
        leaving = replace(current, state=ConnectionState.DISCONNECTING)
        if connections.update_connection(current, leaving):
            stripe.deauthorize(current.account_id)
            connections.update_connection(leaving, replace(current, state=ConnectionState.DISCONNECTED))
    return get(workspace_id)


def get(workspace_id: str) -> Connection:
    """A workspace's connection.

    Raises:
        NotFound: it has never had one.
    """
    found = connections.get_connection(workspace_id)
    if found is None:
        raise NotFound("not_found", "This workspace has not connected a Stripe account.")
    return found


def account_changed(account_id: str) -> None:
    """Look at a linked account: its name, whether it takes payments, and whether it still lets us in.

    What an event says of it may be old: it is asked for, as it is now.
    """
    workspace_id = connections.workspace_of_account(account_id)
    current = connections.get_connection(workspace_id) if workspace_id else None
    if current is None or current.account_id != account_id:
        return
    if current.state is not ConnectionState.CONNECTED:
        return
    try:
        facts = stripe.read_account(account_id)
    except AccessLost:
        if connections.update_connection(current, replace(current, state=ConnectionState.DEAUTHORIZED)):
            alarm("stripe_deauthorized", workspace_id=current.workspace_id)
        return
    fresh = replace(current, account_name=facts.name, charges_enabled=facts.charges_enabled)
    if fresh != current:
        connections.update_connection(current, fresh)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
