"""The way in: who comes, which page or form it is, and what is shown where that does not work out."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import Forbidden, Invalid, NotFound, RebillError, Unauthenticated, Unavailable
from chalicelib.flows import sessions
from chalicelib.storage.items import reading_once
from chalicelib.web.callers import SESSION_COOKIE, check_csrf, session_cookie
from chalicelib.web.dashboard import accounts, billing, charge, rebilling, settings, waiting
from chalicelib.web.dashboard.forms import Action, Done, Onward
from chalicelib.web.dashboard.plain import expired, going_to, not_allowed, nothing_here
from chalicelib.web.dashboard.visits import Visit, visit_of
from chalicelib.web.doors import Call

Page = Callable[[Visit], Response]

PAGES: dict[str, Page] = {
    "rebilling": rebilling.show,
    "accounts": accounts.show,
    "account": accounts.show_account,
    "snapshot": accounts.show_snapshot,
    "billing": billing.show,
    "charge": charge.show,
    "settings": settings.show,
    "waiting": waiting.show,
}
ACTIONS: dict[str, Action] = {
    **rebilling.ACTIONS,
    **accounts.ACTIONS,
    **billing.ACTIONS,
    **settings.ACTIONS,
    **waiting.ACTIONS,
}


def show(call: Call[Any]) -> Response:
    """A page, or the reason why not."""
    with reading_once():
        try:
            visit = _visit(call)
        except Unauthenticated as refused:
            return expired(call.base_url, refused.detail)
        page = call.query.get("page") or _first(visit)
        return _shown(visit, PAGES.get(page, _no_page))


def send(call: Call[Any], action: str, form: Mapping[str, str]) -> Response:
    """Do what a form asks for, once its session is known to be ours."""
    try:
        visit = replace(_visit(call), form=form)
        check_csrf(visit.person, form.get("csrf", ""))
    except (Unauthenticated, Forbidden) as refused:
        return expired(call.base_url, refused.detail)
    if action == "sign-out":
        return _sign_out(visit)
    asked = ACTIONS.get(action)
    if asked is None:
        return nothing_here(call.base_url, visit.at(_first(visit)))
    try:
        done = asked.do(visit)
    except Unavailable:
        raise
    except RebillError as refused:
        return _shown(replace(visit, refused=refused), asked.page)
    return going_to(visit, done.url) if isinstance(done, Onward) else _see(visit, done)


def _visit(call: Call[Any]) -> Visit:
    token = session_cookie(call.headers)
    if not token:
        raise Unauthenticated("session_missing", "Open the dashboard from your platform: it lets you in here.")
    visit = visit_of(call, sessions.read_session(token))
    if visit.rights.none:
        raise Unauthenticated("access_removed", "You have no access here any more. Ask an owner of the workspace.")
    return replace(visit, call=replace(call, caller=visit.person))


def _first(visit: Visit) -> str:
    return "billing" if visit.rights.role is None else "rebilling"


def _no_page(visit: Visit) -> Response:
    raise NotFound("not_found", "There is no such page.")


def _shown(visit: Visit, page: Page) -> Response:
    try:
        with reading_once():
            return page(visit)
    except Forbidden as refused:
        sub_account_id = visit.query.get("sub_account") or visit.form.get("sub_account", "")
        add_me_to = sub_account_id if refused.code == "not_an_authorized_user" else ""
        return not_allowed(visit, refused.detail, add_me_to)
    except (NotFound, Invalid):  # an address that somebody has typed, or has been sent
        return nothing_here(visit.call.base_url, visit.at(_first(visit)))


def _see(visit: Visit, done: Done) -> Response:
    """After a form, a page to look at: loading it again sends nothing twice."""
    query = {**done.query, "done": done.said, "seal": visit.seal(done.said)}
    headers: dict[str, str | list[str]] = {
        "Location": visit.at(done.page, **query),
        "Content-Type": "text/html",
    }
    return Response("", headers, HTTPStatus.SEE_OTHER.value)


def _sign_out(visit: Visit) -> Response:
    sessions.end(visit.person)
    answer = expired(visit.call.base_url, "You are signed out.")
    answer.status_code = HTTPStatus.OK.value
    answer.headers["Set-Cookie"] = f"{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
    return answer
