"""Pages that say one thing: the way in is closed, this is not for you, there is nothing here, on to Stripe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from chalice.app import Response

from chalicelib.domain.people import Role
from chalicelib.storage import people
from chalicelib.web.dashboard.visits import Visit, page_of


@dataclass(frozen=True)
class Button:
    """A form that is one button."""

    action: str
    label: str
    fields: Mapping[str, str]


def plain(
    root: str,
    title: str,
    text: str,
    status: HTTPStatus = HTTPStatus.OK,
    helpers: Sequence[str] = (),
    helpers_are: str = "",
    form: Button | None = None,
    link: tuple[str, str] | None = None,
    onward: str = "",
) -> Response:
    """One sentence, who can help, and the one way on."""
    facts = {"title": title, "text": text, "helpers": helpers, "helpers_are": helpers_are}
    return page_of("plain.html", status, root=root, form=form, link=link, onward=onward, **facts)


def expired(root: str, detail: str) -> Response:
    """Nobody that we know: sessions begin on the platform."""
    return plain(root, "Please come in again", detail, HTTPStatus.UNAUTHORIZED)


def nothing_here(root: str, home: str) -> Response:
    """No such page, or somebody else's: the two look alike."""
    text = "This page is not here, or not yours to see."
    return plain(root, "Nothing here", text, HTTPStatus.NOT_FOUND, link=("To your first page", home))


def not_allowed(visit: Visit, detail: str, add_me_to: str = "") -> Response:
    """Not with these rights; names the people who can change that, and lets those who may add themselves."""
    owners = sorted(
        email for email, role in people.people_of(visit.workspace.id).items() if role is Role.OWNER or add_me_to
    )
    may_add = bool(add_me_to) and visit.rights.role is not None
    fields = {"csrf": visit.person.csrf, "sub_account": add_me_to, "email": visit.person.email}
    form = Button(visit.sends_to("add-me"), "Add me as an authorized user", fields) if may_add else None
    root = visit.call.base_url
    who = "These people can let you in:"
    return plain(root, "You cannot open this page", detail, HTTPStatus.FORBIDDEN, owners, who, form)


def going_to(visit: Visit, url: str) -> Response:
    """On to a page of Stripe's. A page between, because a form may only send to ourselves."""
    return plain(visit.call.base_url, "On to Stripe ...", "One moment.", link=("Continue to Stripe", url), onward=url)
