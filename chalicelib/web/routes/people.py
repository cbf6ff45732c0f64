"""Who is let in: people of workspaces, authorized users of sub-accounts, and dashboard sessions."""

from http import HTTPStatus

from chalice.app import Response

from chalicelib.clock import rfc3339
from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.people import Person, email_of
from chalicelib.flows import manage_people
from chalicelib.storage import accounts, people
from chalicelib.web import requests
from chalicelib.web.answers import ListOf, ShownLink, ShownPerson, ShownSession, ShownUser
from chalicelib.web.callers import SESSION_COOKIE, caller_of
from chalicelib.web.doors import Call, door
from chalicelib.web.pages import message_page

_PEOPLE = "/v1/workspaces/{workspace_id}/people"
_USERS = "/v1/sub-accounts/{sub_account_id}/authorized-users"


@door("GET", _PEOPLE, summary="List a workspace's people", answers=ListOf[ShownPerson])
def list_people(call: Call[None], workspace_id: str) -> ListOf[ShownPerson]:
    """Everybody with a role in the workspace, by e-mail address."""
    return _people(workspace_id)


@door(
    "PUT",
    f"{_PEOPLE}/{{email}}",
    summary="Give a person a role in a workspace",
    body=requests.PersonRole,
    answers=ShownPerson,
)
def set_person(call: Call[requests.PersonRole], workspace_id: str, email: str) -> ShownPerson:
    """`owner` may everything, `admin` everything but people and limits. There is always an owner."""
    email = email_of(email)
    manage_people.set_person(workspace_id, email, call.body.role)
    return ShownPerson(email=email, role=call.body.role)


@door("DELETE", f"{_PEOPLE}/{{email}}", summary="Take a person out of a workspace", answers=ListOf[ShownPerson])
def remove_person(call: Call[None], workspace_id: str, email: str) -> ListOf[ShownPerson]:
    """From the next request on. Answers who is left. The last owner stays."""
    manage_people.remove_person(workspace_id, email_of(email))
    return _people(workspace_id)


@door("GET", _USERS, summary="List a sub-account's authorized users", answers=ListOf[ShownUser])
def list_users(call: Call[None], sub_account_id: str) -> ListOf[ShownUser]:
    """Who sees the sub-account's Billing tab."""
    return _users(sub_account_id)


@door("PUT", f"{_USERS}/{{email}}", summary="Authorize a user of a sub-account", answers=ShownUser)
def authorize_user(call: Call[None], sub_account_id: str, email: str) -> ShownUser:
    """They see the Billing tab, add balance, save a card and set refills. Saying it twice does no harm."""
    email = email_of(email)
    manage_people.authorize(accounts.get_sub_account(sub_account_id), email)
    return ShownUser(email=email)


@door("DELETE", f"{_USERS}/{{email}}", summary="Remove an authorized user", answers=ListOf[ShownUser])
def remove_user(call: Call[None], sub_account_id: str, email: str) -> ListOf[ShownUser]:
    """From the next request on. Answers who is left."""
    manage_people.remove_user(accounts.get_sub_account(sub_account_id), email_of(email))
    return _users(sub_account_id)


@door(
    "POST",
    "/v1/dashboard-sessions",
    summary="Let a person into the dashboard",
    body=requests.NewDashboardSession,
    answers=ShownLink,
    status=HTTPStatus.CREATED,
    problems=(HTTPStatus.NOT_FOUND,),
)
def open_dashboard(call: Call[requests.NewDashboardSession]) -> ShownLink:
    """Send the person's browser, or an iframe, to `url` within five minutes; it works once. You have signed them in."""
    from chalicelib.flows import sessions

    account_id = call.body.workspace or call.body.sub_account or ""
    return ShownLink(url=sessions.open_link(email_of(call.body.email), account_id, call.base_url))


@door(
    "POST",
    "/v1/dashboard-sessions/redeem",
    summary="Turn a dashboard link's token into a session",
    body=requests.LinkToken,
    answers=ShownSession,
    status=HTTPStatus.CREATED,
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED,),
)
def redeem_link(call: Call[requests.LinkToken]) -> ShownSession:
    """For programs that act for a person: the `token` goes into the Authorization header as a bearer token."""
    from chalicelib.flows import sessions

    token, account_id, ends_at = sessions.enter(call.body.token)
    person = sessions.read_session(token)
    return _show_session(person, token=token, account=account_id, expires_at=rfc3339(ends_at * 1000))


@door(
    "GET",
    "/v1/session",
    summary="Who am I?",
    answers=ShownSession,
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED,),
)
def read_session(call: Call[None]) -> ShownSession:
    """The person of this session, and what they may open now."""
    return _show_session(_person(call, "GET"))


@door(
    "DELETE",
    "/v1/session",
    summary="Sign out",
    answers=ShownSession,
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
)
def sign_out(call: Call[None]) -> ShownSession:
    """The session is over, wherever else it is used."""
    from chalicelib.flows import sessions

    person = _person(call, "DELETE")
    sessions.end(person)
    return _show_session(person)


@door(
    "GET",
    "/dashboard/enter",
    summary="Come in by a one-time link",
    query=requests.LinkToken,
    answers="text/html",
    status=HTTPStatus.SEE_OTHER,
    needs_key=False,
)
def enter_dashboard(call: Call[None]) -> Response:
    """Turns the link into a session, in a cookie that no script can read, and goes on to the page it was made for."""
    from chalicelib.flows import sessions

    try:
        token, account_id, _ = sessions.enter(call.query_as(requests.LinkToken, others_may_be_there=True).token)
    except Unauthenticated as refused:
        return message_page("This link does not work any more", refused.detail, status=HTTPStatus.UNAUTHORIZED)
    page = "page=rebilling" if account_id.startswith("ws_") else f"page=billing&sub_account={account_id}"
    secure = "; Secure" if call.base_url.startswith("https:") else ""
    cookie = f"{SESSION_COOKIE}={token}; Path=/; Max-Age={sessions.SESSION_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    headers: dict[str, str | list[str]] = {
        "Location": f"{call.base_url}/dashboard?{page}",
        "Set-Cookie": cookie,
        "Content-Type": "text/html",
        "Referrer-Policy": "no-referrer",
    }
    return Response("", headers, HTTPStatus.SEE_OTHER.value)


def _people(workspace_id: str) -> ListOf[ShownPerson]:
    accounts.get_workspace(workspace_id)
    known = people.people_of(workspace_id)
    return ListOf[ShownPerson](data=[ShownPerson(email=email, role=known[email]) for email in sorted(known)])


def _users(sub_account_id: str) -> ListOf[ShownUser]:
    sub_account = accounts.get_sub_account(sub_account_id)
    emails = people.users_of(sub_account.workspace_id, sub_account_id)
    return ListOf[ShownUser](data=[ShownUser(email=email) for email in emails])


def _person(call: Call[None], method: str) -> Person:
    caller = caller_of(call.headers, method)
    if not isinstance(caller, Person):
        raise Unauthenticated("session_missing", "This is for people: come with a dashboard session.", "Authorization")
    return caller


def _show_session(person: Person, **more: str) -> ShownSession:
    rights = people.rights_of(person.workspace_id, person.email)
    return ShownSession(
        email=person.email,
        workspace=person.workspace_id,
        role=rights.role,
        sub_accounts=sorted(rights.sub_account_ids),
        csrf_token=person.csrf,
        **more,
    )
