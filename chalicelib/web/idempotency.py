"""The same request again gets the very same answer again: whatever moves money is asked with an Idempotency-Key.

An answer is kept for two days, so that a retry after a lost answer costs nothing and changes nothing. Beneath it the
flows have keys of their own, which are kept for ever: what is forgotten here is still not done twice.
"""

import re
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from chalice.app import Response
from pydantic import BaseModel

from chalicelib.domain.errors import Conflict, Invalid, Malformed, Unavailable
from chalicelib.domain.people import Person
from chalicelib.settings import settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

    from chalicelib.web.doors import Call

IDEMPOTENCY_HEADER = {"Idempotency-Key": "Any 1 to 128 printable characters of your own; the same key pays once."}
KEPT_SECONDS = 2 * 86_400
LONGEST_REQUEST_MS = 30_000  # by then the Lambda is dead (29 s): a request that never answered may be made again
PATIENCE_SECONDS, LOOK_SECONDS = 5.0, 0.1
_IDEMPOTENCY_KEY = re.compile(r"[\x21\x22\x24-\x7e]{1,128}", re.ASCII)  # printable, without our separator '#'

Answered = dict[str, Any]


def idempotency_key(call: "Call[Any]") -> str:
    """The caller's own key for what moves money.

    Raises:
        Malformed: there is none, or it cannot be one.
    """
    key = call.headers.get("idempotency-key", "")
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        detail = "Send an Idempotency-Key of 1 to 128 printable characters (no spaces, no #): it makes a retry safe."
        raise Malformed("idempotency_key_missing", detail, "Idempotency-Key")
    return key


def once(call: "Call[Any]", address: str, answer: Callable[[], Response]) -> Response:
    """Answer a request to `address` (method and path, ids filled in), or give the answer that was given before.

    Only successes are kept. A twin that is still under way is waited for, for a moment.

    Raises:
        Malformed: no key. Invalid: the key was used with another body. Conflict: its twin is still under way.
        Unavailable: nobody knows. And whatever `answer` raises.
    """
    who = call.caller.email if isinstance(call.caller, Person) else "platform"
    asked = {"key": [who, address, idempotency_key(call)], "body": _contents(call)}
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _answer_once(asked, answer)
        except Conflict as in_use:
            if in_use.code != "idempotency_key_in_use" or time.monotonic() > give_up_at:
                raise
        time.sleep(LOOK_SECONDS)


class _NotKeptError(Exception):
    """Carries an answer that is no success past the place where answers are kept."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class _TimeLeft:
    """As much of a Lambda's context as is asked for. One object for all: a request at home has no such time."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return LONGEST_REQUEST_MS


def _answer_once(asked: dict[str, Any], answer: Callable[[], Response]) -> Response:
    from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, exceptions
    from aws_lambda_powertools.utilities.idempotency.base import IdempotencyHandler

    done: list[Response] = []

    def do() -> Answered:
        made = answer()
        if not 200 <= made.status_code < 300:
            raise _NotKeptError(made)
        done.append(made)
        return {"status": made.status_code, "body": made.body, "type": made.headers["Content-Type"]}

    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="body",
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=_TimeLeft(),  # type: ignore[arg-type]  # all that is asked of it
    )
    handler = IdempotencyHandler(do, asked, config, _kept_answers(), key_prefix="answer", function_args=(),
                                 function_kwargs={})  # fmt: skip
    try:
        kept: Answered = handler.handle()
    except _NotKeptError as not_kept:
        return not_kept.answer
    except exceptions.IdempotencyValidationError as error:
        detail = "This Idempotency-Key was used with another body. Use a new one for a new request."
        raise Invalid("Idempotency-Key", detail, "idempotency_key_reused") from error
    except exceptions.IdempotencyAlreadyInProgressError as error:
        detail = "A request with this Idempotency-Key is still under way. Send it again in a few seconds."
        raise Conflict("idempotency_key_in_use", detail, "Idempotency-Key") from error
    except (exceptions.IdempotencyPersistenceLayerError, exceptions.IdempotencyInconsistentStateError) as error:
        if done:  # it is done and only not remembered here: beneath, it still cannot be done twice
            return done[0]
        raise Unavailable("The request store") from error
    return Response(kept["body"], {"Content-Type": kept["type"]}, kept["status"])


def _contents(call: "Call[Any]") -> str:
    """What was asked for: the same values in another order are the same."""
    return call.body.model_dump_json() if isinstance(call.body, BaseModel) else call.raw_body.decode("utf-8", "replace")


@cache
def _kept_answers() -> "DynamoDBPersistenceLayer":
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 3})
    return DynamoDBPersistenceLayer(settings().table_name("requests"), boto_config=config)
