"""How Stripe refuses: a status, a body, and whether the answer is kept under the request's idempotency key."""

from typing import Any


class Refused(Exception):
    """An answer that is not 200. `kept` is False where Stripe saves no result: nothing has begun to run yet."""

    def __init__(self, status: int, body: dict[str, Any], *, kept: bool = True) -> None:
        super().__init__(body)
        self.status = status
        self.body = body
        self.kept = kept


def refusal(
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    status: int = 400,
    kept: bool = True,
    **more: Any,
) -> Refused:
    """An `invalid_request_error`."""
    error: dict[str, Any] = {"message": message, "type": "invalid_request_error", **more}
    if param is not None:
        error["param"] = param
    return Refused(status, {"error": _with_code(error, code)}, kept=kept)


def missing(param: str) -> Refused:
    """A parameter that the call cannot do without."""
    return refusal(f"Missing required param: {param}.", param=param, code="parameter_missing", kept=False)


def unknown(names: list[str]) -> Refused:
    """Parameters that the call does not have."""
    plural = "s" if len(names) > 1 else ""
    text = f"Received unknown parameter{plural}: {', '.join(names)}"
    return refusal(text, param=names[0], code="parameter_unknown", kept=False)


def no_such(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Refused:
    """An object that this account does not have, in this mode."""
    said = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}.get(kind, kind)
    return refusal(f"No such {said}: '{object_id}'", param=param, code="resource_missing", status=status)


def card_error(error: dict[str, Any]) -> Refused:
    """A decline: 402 with everything that Stripe tells about it."""
    return Refused(402, {"error": _with_code({**error, "type": "card_error"}, error.get("code"))})


def oauth_error(error: str, description: str, status: int = 400) -> Refused:
    """Connect's OAuth routes answer with a word and a sentence instead of an object."""
    return Refused(status, {"error": error, "error_description": description}, kept=False)


def wrong_key(key: str) -> Refused:
    """No key, or one that nobody has."""
    shown = f"{key[:8]}{'*' * max(len(key) - 12, 3)}{key[-4:]}" if len(key) > 12 else "***"
    if not key:
        text = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        return refusal(text, status=401, kept=False)
    return refusal(f"Invalid API Key provided: {shown}", status=401, kept=False)


def no_access(key: str, account_id: str) -> Refused:
    """The key exists, but the account has not let this platform in, or no longer does."""
    text = (
        f"The provided key '{key[:8]}***{key[-4:]}' does not have access to account '{account_id}' "
        "(or that account does not exist). Application access may have been revoked."
    )
    return refusal(text, code="account_invalid", status=403, kept=False)


def _with_code(error: dict[str, Any], code: str | None) -> dict[str, Any]:
    if code is None:
        return error
    return {**error, "code": code, "doc_url": f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"}
