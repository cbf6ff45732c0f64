"""Pages for people: a few plain ones so far, for those who come back from Stripe."""

import secrets
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from chalice.app import Response

if TYPE_CHECKING:
    from jinja2 import Environment

NONCE_BYTES = 16


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # the gate shares this process, and shows no page

    return Environment(loader=PackageLoader("chalicelib.web"), autoescape=True, undefined=StrictUndefined)


def message_page(
    title: str,
    text: str,
    facts: Sequence[tuple[str, str]] = (),
    link: tuple[str, str] | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """One sentence, what belongs to it, and the one place to go on to."""
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    page = _templates().get_template("message.html").render(title=title, text=text, facts=facts, link=link, nonce=nonce)
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
    }
    return Response(page, headers, status.value)


def refusal_page(detail: str, status: HTTPStatus) -> Response:
    """A refusal for people: what is not as it should be, in one sentence."""
    title = "Please try again" if status is HTTPStatus.SERVICE_UNAVAILABLE else "This did not work"
    return message_page(title, detail, status=status)
