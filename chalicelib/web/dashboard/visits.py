"""One person's visit to a page: who they are, what they may, and how a page is drawn for them."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from chalice.app import Response

from chalicelib.domain.accounts import Workspace
from chalicelib.domain.errors import Invalid, RebillError
from chalicelib.domain.people import Person, Rights, Role
from chalicelib.storage import accounts, people
from chalicelib.web.dashboard import money
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.doors import Call
from chalicelib.web.errors import STATUS_OF

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Visit:
    """A request for a page. `form` holds what was typed, `done` what has just been done, `refused` why it was not."""

    call: Call[Any]
    person: Person
    rights: Rights
    workspace: Workspace
    form: Mapping[str, str] = field(default_factory=dict)
    refused: RebillError | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """The address's query."""
        return self.call.query

    def get(self, path: str, values: Mapping[str, str] | None = None, **query: str) -> Any:
        """What the API answers this person; `{workspace_id}` in the path is theirs."""
        known = {"workspace_id": self.workspace.id, **(values or {})}
        named = {name: known[name] for name in known if f"{{{name}}}" in path}
        return ask(self.call, "GET", path, named, query=query, rights=self.rights)

    @property
    def done(self) -> str:
        """What has just been done, if it was us who put it into the address."""
        said = self.query.get("done", "")
        return said if hmac.compare_digest(self.seal(said).encode(), self.query.get("seal", "").encode()) else ""

    def seal(self, said: str) -> str:
        """What shows that a sentence in an address is ours: anybody can make a link, and people believe our pages."""
        return hmac.new(self.person.csrf.encode(), said.encode(), hashlib.sha256).hexdigest()[:16]

    def at(self, page: str, **query: str) -> str:
        """The address of a page."""
        return f"{self.call.base_url}/dashboard?" + urlencode({"page": page, **query})

    def is_at(self, tab: str, address: str) -> bool:
        """Whether a tab leads to the part of the dashboard that this page belongs to."""
        page = self.query.get("page") or ("rebilling" if self.rights.role else "billing")
        part = {"account": "accounts", "snapshot": "accounts", "charge": "billing"}.get(page, page)
        return part == tab and (part != "billing" or self.query.get("sub_account", "") in address)

    def sends_to(self, action: str) -> str:
        """The address that a form sends to."""
        return f"{self.call.base_url}/dashboard/{action}"

    def error(self, name: str) -> str:
        """What is wrong with a field of the form, if it is this one."""
        if isinstance(self.refused, Invalid) and self.refused.param == name:
            return self.refused.detail
        return ""


def visit_of(call: Call[Any], person: Person) -> Visit:
    """Who has come.

    Raises:
        NotFound: their workspace is gone.
    """
    workspace = accounts.get_workspace(person.workspace_id)
    return Visit(call, person, people.rights_of(workspace.id, person.email), workspace)


def tabs_of(visit: Visit) -> Sequence[tuple[str, str, str]]:
    """The pages that this person may open, as (page, label, address)."""
    tabs = []
    if visit.rights.role is not None:
        tabs += [("rebilling", "Re-billing"), ("accounts", "Accounts")]
    if visit.rights.role is Role.OWNER:
        tabs += [("settings", "Settings")]
    found = [(page, label, visit.at(page)) for page, label in tabs]
    if visit.rights.role is None:
        names = accounts.sub_accounts_by_id(visit.rights.sub_account_ids)
        found += [
            ("billing", names[each].name if len(names) > 1 else "Billing", visit.at("billing", sub_account=each))
            for each in sorted(names)
        ]
    return found


def draw(visit: Visit, template: str, title: str, **facts: Any) -> Response:
    """A page for this person."""
    known = {"visit": visit, "title": title, "tabs": tabs_of(visit), "csrf": visit.person.csrf}
    code = HTTPStatus.OK if visit.refused is None else STATUS_OF[type(visit.refused)]
    return page_of(template, code, root=visit.call.base_url, **known, **facts)


def page_of(template: str, code: HTTPStatus, /, **facts: Any) -> Response:
    """A page of the dashboard, whoever looks at it."""
    html = templates().get_template(template).render(**facts)
    headers: dict[str, str | list[str]] = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",
    }
    return Response(html, headers, code.value)


@cache
def templates() -> "Environment":
    """The templates, with what they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # the gate shares this process, and shows no page

    found = Environment(loader=PackageLoader("chalicelib.web"), autoescape=True, undefined=StrictUndefined)
    found.filters.update(money=money.money, aligned=money.aligned, rounded=money.rounded)
    found.filters.update(moment=money.moment, date=money.date)
    found.globals.update(static=static)
    return found


@cache
def static(name: str) -> str:
    """The path of a file of the pages, without the slash in front. It changes with the file's contents."""
    digest = hashlib.sha256(files("chalicelib.web").joinpath("static", name).read_bytes()).hexdigest()[:12]
    return f"static/{name}?v={digest}"
