"""Structured logs and metrics, the same for every door. Never a secret, a phone number or a whole payload."""

from aws_lambda_powertools import Logger

logger = Logger(service="rebill")


def alarm(name: str, **facts: object) -> None:
    """Say loudly that a person must look: an error line whose `alarm` field the stage's alarms count.

    `facts` are ids and codes only.
    """
    logger.error(name, extra={"alarm": name, **facts})
