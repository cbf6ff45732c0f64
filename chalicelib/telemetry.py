"""Structured logs and metrics, the same for every door. Never a secret, a phone number or a whole payload."""

import traceback

from aws_lambda_powertools import Logger

MOST_FRAMES = 12

logger = Logger(service="rebill")


def alarm(name: str, **facts: object) -> None:
    """Say loudly that a person must look: an error line whose `alarm` field the stage's alarms count.

    `facts` are ids and codes only.
    """
    logger.error(name, extra={"alarm": name, **facts})


def bug(name: str, error: BaseException, **facts: object) -> None:
    """Log a mistake of ours: what kind, and where. Not its words: nobody knows what a library puts into them."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    at = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    logger.error(name, extra={"alarm": name, "error": type(error).__name__, "at": at, **facts})
