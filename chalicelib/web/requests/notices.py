"""What callers send about notices: when a balance is low, and where to send what happens."""

from typing import Annotated

from pydantic import (
    Field,
    StringConstraints,
    field_validator,
)

from chalicelib.domain.money import MICROS_PER_UNIT
from chalicelib.domain.notices import MOST_LEVELS, NoticeType
from chalicelib.gateways.outgoing import LONGEST_URL
from chalicelib.web.fields import (
    money,
)
from chalicelib.web.models import RequestModel

NoticeLevel = money(0, 1_000_000 * MICROS_PER_UNIT, "A balance; 0 means empty.")


class NoticeLevels(RequestModel):
    """At which balances a wallet's owner is told. An empty list means: at none."""

    levels: list[NoticeLevel] = Field(max_length=MOST_LEVELS)  # type: ignore[valid-type]  # made by a call

    @field_validator("levels")
    @classmethod
    def _check_distinct(cls, levels: list[int]) -> list[int]:
        if len(set(levels)) < len(levels):
            raise ValueError("Each level can be there once")
        return levels


class NewWebhookEndpoint(RequestModel):
    """Where to send notices, and of which types; leave `types` out to hear of all."""

    url: Annotated[
        str,
        StringConstraints(pattern=r"^https?://[\x21-\x7e]+$", max_length=LONGEST_URL),
        Field(examples=["https://example.com/webhooks"]),
    ]
    types: list[Annotated[NoticeType, Field(strict=False)]] | None = Field(
        None, min_length=1, max_length=len(NoticeType)
    )
