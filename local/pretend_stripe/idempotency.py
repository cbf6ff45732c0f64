"""Idempotency keys, as Stripe documents them: per account, for a day, whatever the first answer was."""

from urllib.parse import parse_qsl

from local.pretend_stripe.errors import Refused, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj

KEPT_SECONDS = 86_400
LONGEST_KEY = 255


def begin(space: Space, key: str, path: str, body: str) -> Obj | None:
    """Start a request under a key; the answer of the first one, if it is known already.

    Raises:
        Refused: the key is running, or was used for something else.
    """
    if len(key) > LONGEST_KEY:
        raise refusal(f"Idempotency keys can be at most {LONGEST_KEY} characters long.", kept=False)
    answers = space.core.state["answers"]
    for old in [name for name, known in answers.items() if known["at"] <= space.now() - KEPT_SECONDS]:
        del answers[old]
    name = f"{space.key} {key}"
    asked = [list(pair) for pair in sorted(parse_qsl(body, keep_blank_values=True))]
    known: Obj | None = answers.get(name)
    if known is None:
        answers[name] = {"path": path, "asked": asked, "at": space.now(), "status": None}
        return None
    if known["path"] != path:
        raise _mismatch(f"for the same endpoint they were first used for ('{path}' vs '{known['path']}')", key)
    if known["asked"] != asked:
        raise _mismatch("with the same parameters they were first used with", key)
    if known["status"] is None:
        text = (
            "There is currently another in-progress request using this Idempotent Key (that probably means you "
            "submitted twice, and the other request is still going through). Please try again later."
        )
        raise refusal(text, code="idempotency_key_in_use", status=409, kept=False)
    return known


def keep(space: Space, key: str, status: int, body: str, request_id: str) -> None:
    """Remember the answer."""
    known = space.core.state["answers"].get(f"{space.key} {key}")
    if known is not None:
        known.update(status=status, body=body, request_id=request_id)


def forget(space: Space, key: str) -> None:
    """Nothing has run: the key is free again."""
    space.core.state["answers"].pop(f"{space.key} {key}", None)


def forget_running(answers: dict[str, Obj]) -> None:
    """After a restart nothing is running any more."""
    for name in [name for name, known in answers.items() if known["status"] is None]:
        del answers[name]


def _mismatch(rule: str, key: str) -> Refused:
    text = (
        f"Keys for idempotent requests can only be used {rule}. Try using a key other than '{key}' if you meant to "
        "execute a different request."
    )
    return Refused(400, {"error": {"message": text, "type": "idempotency_error"}}, kept=False)
