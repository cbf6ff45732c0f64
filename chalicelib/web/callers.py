"""Who stands at a door: a program of the platform's with a key, or a person with a session; and may they pass?"""

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.errors import Forbidden
from chalicelib.domain.people import Caller, Person, Rights, check_key, check_person
from chalicelib.flows.authenticate import authenticate_key
from chalicelib.web.permissions import permit_of

SESSION_COOKIE = "rebill_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def caller_of(headers: Mapping[str, str], method: str) -> Caller:
    """Who is calling; `headers` have their names in small letters.

    A session comes as a bearer token, or in a cookie, which a browser sends wherever it is told to: what changes
    anything then needs the session's own word beside it.

    Raises:
        Unauthenticated: nobody that we know. Forbidden: a cookie without its word. Unavailable: nobody knows.
    """
    scheme, _, value = headers.get("authorization", "").partition(" ")
    token = value.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    cookie = "" if token else session_cookie(headers)
    if not cookie and token.count(".") != 2:
        return authenticate_key(token)
    from chalicelib.flows.sessions import read_session  # the gate shares this process, and knows no sessions

    person = read_session(cookie or token)
    if cookie and method not in SAFE_METHODS:
        check_csrf(person, headers.get(CSRF_HEADER, ""))
    return person


def session_cookie(headers: Mapping[str, str]) -> str:
    """The session's token in a browser's cookie; empty if there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def check_csrf(person: Person, word: str) -> None:
    """Raise `Forbidden` where a request in somebody's name was not made by our own page."""
    if not hmac.compare_digest(word.encode(), person.csrf.encode()):
        raise Forbidden("csrf_token_invalid", "This form is too old, or not ours. Reload the page and try again.")


def admit(caller: Caller, method: str, path: str, path_values: Mapping[str, str], rights: Rights | None = None) -> None:
    """Let a caller through a door, or not. `rights` are a person's, where they have just been read.

    Raises:
        Forbidden: known, but not allowed. NotFound: what the path names is somebody else's.
    """
    permit = permit_of(method, path)
    if not isinstance(caller, Person):
        check_key(caller, permit)
        return
    from chalicelib.storage.people import rights_of

    sub_account_id = path_values.get("sub_account_id")
    workspace_id = path_values.get("workspace_id")
    if sub_account_id is not None:
        workspace_id = owning_workspace(sub_account_id) or ""
    known = rights or rights_of(caller.workspace_id, caller.email)
    check_person(caller, known, permit, workspace_id, sub_account_id)
