"""Dashboard sessions: the platform asks for a one-time link for somebody it has signed in; the link becomes a session.

A session is a signed token (RFC 7519) that names the person and the workspace, and nothing that they may do: rights are
looked up at each request, so that whoever is removed is out at the next one.
"""

import hashlib
import hmac
import secrets
from typing import Any

import jwt

from chalicelib.clock import now_ms
from chalicelib.domain.accounts import owning_workspace
from chalicelib.domain.errors import NotFound, Unauthenticated
from chalicelib.domain.people import Person
from chalicelib.settings import session_secret, settings
from chalicelib.storage import accounts, people
from chalicelib.storage.page_reads import read_visitor

LINK_BYTES = 32
LINK_SECONDS = 300
SESSION_SECONDS = 8 * 3_600
ALGORITHM = "HS256"
ENTER_PATH = "/dashboard/enter"
CLAIMS = ["exp", "iat", "aud", "iss", "sub", "sid", "workspace"]


def open_link(email: str, account_id: str, base_url: str) -> str:
    """A link that lets somebody into a workspace, or a sub-account of it, once, within five minutes.

    Raises:
        NotFound: no such account, or the person has no access to it: they are added first.
    """
    workspace_id = account_id if account_id.startswith("ws_") else owning_workspace(account_id) or ""
    if account_id == workspace_id:
        accounts.get_workspace(account_id)
    else:
        accounts.get_sub_account(account_id)
    rights = people.rights_of(workspace_id, email)
    if rights.role is None and account_id not in rights.sub_account_ids:
        raise NotFound("no_access", f"{email} has no access to this account. Add them first.", "email")
    token = secrets.token_urlsafe(LINK_BYTES)
    facts = {"email": email, "workspace": workspace_id, "account": account_id}
    people.keep_link(_hash(token), facts, now_ms() // 1000 + LINK_SECONDS, now_ms())
    return f"{base_url}{ENTER_PATH}?token={token}"


def enter(token: str) -> tuple[str, str, int]:
    """Turn a link's token into a session: the session's token, the account it was asked for, and its end (epoch s).

    Raises:
        Unauthenticated: the link is unknown, too old, or was used.
    """
    now = now_ms() // 1000
    found = people.use_link(_hash(token), now)
    if found is None:
        detail = "This link was used before, or has expired. Open the dashboard again from your platform."
        raise Unauthenticated("link_invalid", detail)
    claims = {
        "iss": _issuer(),
        "aud": _audience(),
        "sub": found["email"],
        "sid": secrets.token_urlsafe(LINK_BYTES),
        "workspace": found["workspace"],
        "iat": now,
        "exp": now + SESSION_SECONDS,
    }
    return jwt.encode(claims, session_secret(), algorithm=ALGORITHM), found["account"], claims["exp"]


def read_session(token: str) -> Person:
    """Who has come with a session's token.

    Raises:
        Unauthenticated: it is not one of ours, has expired, or was signed out. Unavailable: nobody knows.
    """
    claims = _claims(token)
    read_visitor(claims["workspace"], claims["sub"], claims["sid"])  # a page needs all of it, in one trip
    if people.is_signed_out(claims["sid"]):
        raise _no_session("This session was signed out.")
    return Person(claims["sub"], claims["workspace"], claims["sid"], csrf_of(claims["sid"]))


def end(person: Person) -> None:
    """End a session for good, wherever it is used."""
    now = now_ms()
    people.sign_out(person.session_id, now // 1000 + SESSION_SECONDS, now)


def csrf_of(session_id: str) -> str:
    """What a form of this session carries, and no other site can know."""
    return hmac.new(session_secret().encode(), f"csrf {session_id}".encode(), hashlib.sha256).hexdigest()


def _claims(token: str) -> dict[str, Any]:
    try:
        options: Any = {"require": CLAIMS, "verify_exp": False, "verify_iat": False}
        claims: dict[str, Any] = jwt.decode(
            token, session_secret(), [ALGORITHM], options, audience=_audience(), issuer=_issuer()
        )
    except jwt.PyJWTError:
        raise _no_session("This session is not valid.") from None
    texts = all(isinstance(claims[name], str) for name in ("sub", "sid", "workspace"))
    if not texts or not isinstance(claims["exp"], int):
        raise _no_session("This session is not valid.")
    if claims["exp"] <= now_ms() // 1000:  # by the product's own clock, as everything is
        raise _no_session("This session has expired.")
    return claims


def _no_session(detail: str) -> Unauthenticated:
    return Unauthenticated("session_invalid", f"{detail} Open the dashboard again from your platform.")


def _issuer() -> str:
    return f"rebill-{settings().stage}"


def _audience() -> str:
    return f"rebill-{settings().stage}-dashboard"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
