"""The environment, read in one place. Only addresses and names live here; nothing knows whether it runs at home."""

import os
from dataclasses import dataclass
from functools import cache

VERSION = "0.1.0"


@dataclass(frozen=True)
class Settings:
    """What one stage of Rebill is told from outside.

    `base_url` is the public address, without a slash at its end: webhook URLs are made from it, and signatures that
    cover the URL (Twilio's) are checked against it. Empty means: the address that the request came in on.
    """

    stage: str
    base_url: str

    def table_name(self, table: str) -> str:
        """The stage's name of one of our tables."""
        return f"rebill-{self.stage}-{table}"

    @property
    def usage_queue(self) -> str:
        """The name of the queue from which usage is posted."""
        return f"rebill-{self.stage}-usage"


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings(
        stage=os.environ.get("REBILL_STAGE", "dev"),
        base_url=os.environ.get("REBILL_BASE_URL", "").rstrip("/"),
    )
