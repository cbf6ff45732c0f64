"""Liveness, the OpenAPI description, and the page that reads it."""

from importlib.resources import files

from chalice.app import Response

from chalicelib.domain.errors import NotFound
from chalicelib.settings import VERSION
from chalicelib.web.answers import Health
from chalicelib.web.doors import Call, as_json, door

# Swagger UI as the Powertools wheel carries it: read as files, because importing its package would cost a cold start.
_SWAGGER = "event_handler/openapi/swagger_ui"
_ASSETS = {"swagger-ui-bundle.min.js": "text/javascript", "swagger-ui.min.css": "text/css"}
_START_SCRIPT = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#api", deepLinking: true});'
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rebill API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs/swagger-ui.min.css"></head>
<body><div id="api">Reading the description ...</div>
<script src="docs/swagger-ui-bundle.min.js"></script><script src="docs/start.js"></script></body></html>"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)


@door("GET", "/healthz", summary="Is it alive?", answers=Health, needs_key=False)
def read_health(call: Call[None]) -> Health:
    """Alive, and which version. Says nothing of the store: the gate's 503 does."""
    return Health(version=VERSION)


@door("GET", "/openapi.json", summary="This description", answers="application/json", needs_key=False)
def read_description(call: Call[None]) -> Response:
    """OpenAPI 3.1, made from the routes that are served."""
    from chalicelib.web.openapi import describe  # it loads every door, this one too

    return as_json(describe(call.base_url))


@door("GET", "/docs", summary="This description, to read", answers="text/html", needs_key=False)
def read_docs(call: Call[None]) -> Response:
    """Swagger UI over `/openapi.json`."""
    return Response(_PAGE, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY})


@door("GET", "/docs/{asset}", summary="A part of the page", answers="text/javascript, text/css", needs_key=False)
def read_docs_asset(call: Call[None], asset: str) -> Response:
    """Swagger UI's own files."""
    if asset == "start.js":
        return Response(_START_SCRIPT, {"Content-Type": "text/javascript"})
    if asset not in _ASSETS:
        raise NotFound("not_found", "There is nothing at this address.")
    text = files("aws_lambda_powertools").joinpath(_SWAGGER, asset).read_text("utf-8")
    return Response(text, {"Content-Type": _ASSETS[asset], "Cache-Control": "public, max-age=86400"})
