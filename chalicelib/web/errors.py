"""The one table from refusals to HTTP: every error leaves as RFC 9457 problem+json."""

import json
from http import HTTPStatus
from typing import Any

from chalice.app import Response

from chalicelib.domain import errors
from chalicelib.domain.access import Denied
from chalicelib.telemetry import bug, logger

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = "2"
OUR_FAULT = "Something went wrong on our side. Quote the request_id when you report it."

STATUS_OF: dict[type[errors.RebillError], HTTPStatus] = {
    errors.Malformed: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PriceMissing: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AccessLost: HTTPStatus.CONFLICT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutcomeUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem(
    status: HTTPStatus, code: str, detail: str, request_id: str, param: str | None = None, **more: Any
) -> Response:
    """A problem+json answer; `more` stands beside the standard members."""
    body = {
        "type": f"urn:rebill:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        "param": param,
        "request_id": request_id,
        **more,
    }
    headers: dict[str, str | list[str]] = {
        "Content-Type": PROBLEM,
        "Cache-Control": "no-store",
        "X-Request-Id": request_id,
    }
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(json.dumps(body), status_code=status.value, headers=headers)


def refusal(error: errors.RebillError, request_id: str) -> Response:
    """The answer to one of our own refusals."""
    status = STATUS_OF[type(error)]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        code = getattr(error.__cause__, "cause_response_code", None)
        logger.error(
            "unavailable", extra={"detail": error.detail, "cause": type(error.__cause__).__name__, "code": code}
        )
    return problem(status, error.code, error.detail, request_id, error.param)


def denial(denied: Denied, request_id: str, **more: Any) -> Response:
    """The gate's no: a 403 that always means a wallet or an account, never permission and never our trouble."""
    return problem(HTTPStatus.FORBIDDEN, denied.code, denied.detail, request_id, scope=denied.scope, **more)


def our_fault(error: Exception, request_id: str) -> Response:
    """A mistake of ours: logged with its place, told without it."""
    bug("internal_error", error, request_id=request_id)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", OUR_FAULT, request_id)
