"""What callers get of a statement."""

from typing import Literal

from pydantic import Field

from chalicelib.domain.wallet import CreditKind, EntryKind
from chalicelib.web.answers import ShownUsage
from chalicelib.web.models import AnswerModel


class ShownEntry(AnswerModel):
    """One signed movement of one wallet. `by`, who moved it by hand, is for the workspace's people and the platform."""

    object: Literal["entry"] = "entry"
    id: str
    kind: EntryKind
    amount: str = Field(examples=["-0.105000"])
    currency: str
    occurred_at: str
    posted_at: str
    note: str | None
    credit_kind: CreditKind | None
    by: str | None
    sub_account: str | None
    usage: ShownUsage | None
