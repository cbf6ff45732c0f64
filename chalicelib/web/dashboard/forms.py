"""What a form does, and what is shown afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chalice.app import Response

from chalicelib.web.dashboard.visits import Visit


@dataclass(frozen=True)
class Done:
    """It is done: the page to show next, and a sentence that says what was done."""

    said: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Onward:
    """The person goes on to a page of Stripe's."""

    url: str


@dataclass(frozen=True)
class Action:
    """`do` asks the API; where it refuses, `page` is drawn again with what was typed and what is wrong."""

    do: Callable[[Visit], Done | Onward]
    page: Callable[[Visit], Response]
