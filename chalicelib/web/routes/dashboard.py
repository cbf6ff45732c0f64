"""The dashboard's doors: a page to look at, a form that was sent, and the files that pages need."""

from http import HTTPStatus
from importlib.resources import files
from urllib.parse import parse_qsl

from chalice.app import Response

from chalicelib.domain.errors import NotFound
from chalicelib.web.doors import Call, door

MOST_FORM_BYTES = 20_000
_STATIC = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


@door("GET", "/dashboard", summary="A page of the dashboard", answers="text/html", needs_key=False)
def show_page(call: Call[None]) -> Response:
    """`page` says which: rebilling, accounts, billing, charge, settings. Without one: the first that is yours."""
    from chalicelib.web.dashboard import entrance  # a style sheet needs none of it

    return entrance.show(call)


@door(
    "POST",
    "/dashboard/{action}",
    summary="A form of the dashboard",
    body="A form, with the session's csrf token",
    answers="text/html",
    also=(HTTPStatus.SEE_OTHER,),
    needs_key=False,
    problems=(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
    most_body_bytes=MOST_FORM_BYTES,
)
def send_form(call: Call[None], action: str) -> Response:
    """Does what the form asks for, and shows what came of it; or shows the form again, with what is wrong."""
    from chalicelib.web.dashboard import entrance

    form = dict(parse_qsl(call.raw_body.decode("utf-8", "replace"), keep_blank_values=True))
    return entrance.send(call, action, form)


@door(
    "GET",
    "/static/{name}",
    summary="A file of the dashboard's pages",
    answers="text/css, text/javascript",
    needs_key=False,
)
def read_static(call: Call[None], name: str) -> Response:
    """Styles and scripts; their addresses change with their contents."""
    found = files("chalicelib.web").joinpath("static", name)
    kind = _STATIC.get(f".{name.rpartition('.')[2]}")
    if kind is None or "/" in name or ".." in name or not found.is_file():
        raise NotFound("not_found", "There is nothing at this address.")
    headers: dict[str, str | list[str]] = {"Content-Type": kind, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.read_text("utf-8"), headers)
