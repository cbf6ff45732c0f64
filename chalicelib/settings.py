"""The environment, read in one place. Only addresses and names live here; nothing knows whether it runs at home."""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from chalicelib.domain.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

VERSION = "0.1.0"

STRIPE_API, STRIPE_CONNECT = "https://api.stripe.com", "https://connect.stripe.com"
VOICE_APIS = {"vapi": "https://api.vapi.ai", "retell": "https://api.retellai.com"}
STRIPE_PARAMETERS = ("secret-key", "client-id", "webhook-secret", "connect-webhook-secret")
# How long a changed key may go unnoticed, and how long a silent parameter store may hold up a request.
PARAMETERS_SECONDS, PARAMETERS_TIMEOUT_SECONDS = 300, 2
SHORTEST_SECRET = 32


@dataclass(frozen=True)
class Settings:
    """What one stage of Rebill is told from outside.

    `base_url` is the public address, without a slash at its end: webhook URLs are made from it, and signatures that
    cover the URL (Twilio's) are checked against it. Empty means: the address that the request came in on.

    `email_from` is the sender of our e-mails, an address that SES has verified. Empty means: the platform writes them.

    `handler` is the name under which Lambda calls this function, such as `app.tick`; empty anywhere else.
    """

    stage: str
    base_url: str
    email_from: str = ""
    handler: str = ""

    def table_name(self, table: str) -> str:
        """The stage's name of one of our tables."""
        return f"rebill-{self.stage}-{table}"

    @property
    def usage_queue(self) -> str:
        """The name of the queue from which usage is posted."""
        return f"rebill-{self.stage}-usage"

    @property
    def payments_queue(self) -> str:
        """The name of the queue from which Stripe's events are followed."""
        return f"rebill-{self.stage}-payments"


@dataclass(frozen=True)
class StripeSettings:
    """Stripe's keys and addresses. The keys are read from the parameter store when they are first needed."""

    secret_key: str = field(repr=False)
    client_id: str
    webhook_secret: str = field(repr=False)
    connect_webhook_secret: str = field(repr=False)
    api_address: str
    connect_address: str

    @property
    def livemode(self) -> bool:
        """Whether this stage takes real money."""
        return "_live_" in self.secret_key


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings(
        stage=os.environ.get("REBILL_STAGE", "dev"),
        base_url=os.environ.get("REBILL_BASE_URL", "").rstrip("/"),
        email_from=os.environ.get("REBILL_EMAIL_FROM", "").strip(),
        handler=os.environ.get("_HANDLER", ""),
    )


def voice_api_address(provider: str) -> str:
    """Where a voice platform lists its calls, without a slash at its end."""
    return os.environ.get(f"REBILL_{provider.upper()}_API_ADDRESS", "").rstrip("/") or VOICE_APIS[provider]


def stripe_settings() -> StripeSettings:
    """Stripe's keys, at most 300 seconds old, and its addresses.

    Raises:
        Conflict: `stripe_not_configured`, a parameter is missing; says which.
        Unavailable: the parameter store does not answer.
    """
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    path, store = f"/rebill/{settings().stage}/stripe", _parameter_store()
    try:
        found = store.get_multiple(path, decrypt=True, max_age=PARAMETERS_SECONDS)
    except GetParameterError:
        raise Unavailable("The parameter store") from None
    keys = [str(found.get(name, "")).strip() for name in STRIPE_PARAMETERS]
    if not all(keys):
        store.clear_cache()  # type: ignore[no-untyped-call]  # what is missing now may be there in a moment
        missing = ", ".join(f"{path}/{name}" for name, key in zip(STRIPE_PARAMETERS, keys, strict=True) if not key)
        raise Conflict("stripe_not_configured", f"Stripe is not set up on this stage: {missing} is missing.")
    api = os.environ.get("REBILL_STRIPE_API_ADDRESS", "").rstrip("/") or STRIPE_API
    connect = os.environ.get("REBILL_STRIPE_CONNECT_ADDRESS", "").rstrip("/") or STRIPE_CONNECT
    secret_key, client_id, webhook_secret, connect_webhook_secret = keys
    return StripeSettings(secret_key, client_id, webhook_secret, connect_webhook_secret, api, connect)


def session_secret() -> str:
    """What dashboard sessions are signed with, at most 300 seconds old.

    Raises:
        Conflict: `sessions_not_configured`, nobody has set it. Unavailable: the parameter store does not answer.
    """
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    path, store = f"/rebill/{settings().stage}/dashboard", _parameter_store()
    try:
        found = store.get_multiple(path, decrypt=True, max_age=PARAMETERS_SECONDS)
    except GetParameterError:
        raise Unavailable("The parameter store") from None
    secret = str(found.get("session-secret", "")).strip()
    if len(secret) < SHORTEST_SECRET:
        store.clear_cache()  # type: ignore[no-untyped-call]  # what is missing now may be there in a moment
        detail = (
            f"Sessions are not set up on this stage: {path}/session-secret needs {SHORTEST_SECRET} characters or more."
        )
        raise Conflict("sessions_not_configured", detail)
    return secret


@cache
def _parameter_store() -> "SSMProvider":
    from aws_lambda_powertools.utilities.parameters import SSMProvider
    from botocore.config import Config

    seconds = PARAMETERS_TIMEOUT_SECONDS
    return SSMProvider(
        boto_config=Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 2})
    )
