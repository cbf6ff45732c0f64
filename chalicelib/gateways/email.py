"""E-mail through SES: plain text, one recipient. Which address we write from is a setting; empty switches it off."""

from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.domain.errors import Unavailable
from chalicelib.settings import settings


@cache
def _client() -> Any:
    config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})  # a later try is the flow's
    return botocore.session.get_session().create_client("sesv2", config=config)


def send_email(recipient: str, subject: str, text: str) -> None:
    """Hand one message to SES.

    Raises:
        Unavailable: it did not take it.
    """
    content = {"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}}}
    try:
        _client().send_email(
            FromEmailAddress=settings().email_from, Destination={"ToAddresses": [recipient]}, Content=content
        )
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("The e-mail service") from error
