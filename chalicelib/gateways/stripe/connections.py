"""Connect: how an account lets us in, what it is called, and how that ends."""

from contextlib import suppress

import stripe

from chalicelib.domain.errors import AccessLost, Conflict
from chalicelib.domain.payment_facts import AccountFacts, Exchange
from chalicelib.gateways.stripe.client import client, facts_of, field, ours
from chalicelib.telemetry import logger

CODE_REFUSED = (  # Stripe's own answer does not tell these apart
    "Stripe does not accept this answer: it has expired, or was used before, or is of the other mode (test or live)."
    " Please connect again."
)


def authorize_url(state: str, redirect_uri: str) -> str:
    """Where an account's owner is sent to let us in (https://docs.stripe.com/connect/oauth-reference)."""
    return client().oauth.authorize_url({"scope": "read_write", "state": state, "redirect_uri": redirect_uri})


def exchange_code(code: str) -> Exchange:
    """Turn the code that came back into a connection: once, as a second use would end the connection.

    Raises `Conflict` (`oauth_code_invalid`) where it is expired, used, not ours, or of the other mode.
    """
    with ours():
        try:
            got = client().oauth.token({"grant_type": "authorization_code", "code": code}, {"max_network_retries": 0})
        except (stripe.oauth_error.InvalidGrantError, stripe.oauth_error.InvalidRequestError) as refused:
            logger.warning("stripe_error", extra=facts_of(refused))
            raise Conflict("oauth_code_invalid", CODE_REFUSED) from None
        return Exchange(str(got.stripe_user_id), bool(got.livemode), str(got.scope))


def deauthorize(account_id: str) -> None:
    """End our access to an account. Access that has ended before is success."""
    with suppress(AccessLost), ours():
        try:
            client().oauth.deauthorize({"stripe_user_id": account_id})
        except stripe.oauth_error.InvalidClientError:
            # Stripe's word for "not connected" as well as for "no such client id": whether it lets us read tells.
            client().v1.accounts.retrieve(account_id)
            raise


def read_account(account_id: str) -> AccountFacts:
    """A connected account, and what its owner calls it."""
    with ours():
        account = client().v1.accounts.retrieve(account_id)
        given, shown = field(account, "business_profile", "name"), field(account, "settings", "dashboard")
        name = given or field(shown, "display_name") or field(account, "email") or account.id
        return AccountFacts(account.id, str(name), field(account, "charges_enabled") is True)
