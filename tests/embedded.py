"""MiniStack inside the test's own process: the same code that answers over HTTP at home, without the HTTP.

The SDK's requests for tables, queues and parameters are answered where it would send them. A call then takes a tenth
of the time, as nothing is signed, sent or parsed by a server. A second process (`ops`, a Lambda) does not see what is
here: a test that has one starts a `Stack` of its own.
"""

import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.client import BaseClient
from botocore.handlers import generate_idempotent_uuid
from botocore.httpsession import URLLib3Session
from botocore.parsers import create_parser
from botocore.useragent import UserAgentString

# MiniStack starts its reaper of expired items when it is imported: here it would see the clock that a test has moved.
with patch.object(threading.Thread, "start"):
    from ministack.services import dynamodb, sqs, ssm

SERVICES = {"DynamoDB_20120810": dynamodb, "AmazonSQS": sqs, "AmazonSSM": ssm}
NAMES = ("dynamodb", "sqs", "ssm")
# Where the SDK lets others take part in a call; what these do there is nothing to a call that goes well.
MOMENTS = (
    *("provide-client-params", "before-parameter-build", "before-call", "request-created", "before-send"),
    *("before-parse", "response-received", "needs-retry", "after-call-error"),
)
THEIRS = ("botocore.", "pynamodb.", "aws_lambda_powertools.")
RECEIVE = "AmazonSQS.ReceiveMessage"
LOOK_AGAIN_SECONDS = 0.02

# MiniStack reads every expression several times for every item. What it reads in one does not depend on anything else.
for _reader in ("_condition_syntax_error", "_tokenize"):
    setattr(dynamodb, _reader, lru_cache(maxsize=4096)(getattr(dynamodb, _reader)))

Answer = tuple[int, dict[str, str], bytes]
_ask_one_at_a_time = threading.Lock()  # MiniStack serves one request after the other, and so do we


def install(endpoint_url: str) -> None:
    """From now on this process answers what is sent to the address. Nobody checks signatures, so none are made."""
    send_on: Callable[[URLLib3Session, AWSPreparedRequest], AWSResponse] = URLLib3Session.send
    sign: Callable[[SigV4Auth, AWSRequest], None] = SigV4Auth.add_auth
    call: Callable[[BaseClient, str, Any], Any] = BaseClient._make_api_call

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if not request.url.startswith(endpoint_url) or not knows(request.headers):
            return send_on(session, request)
        status, headers, body = _here.take() or ask(request.headers, request.body)
        return AWSResponse(request.url, status, headers, _Whole(body))

    def add_auth(signer: SigV4Auth, request: AWSRequest) -> None:
        if not request.url.startswith(endpoint_url):  # a stack of a test's own may check signatures
            sign(signer, request)

    def make_api_call(client: BaseClient, operation: str, params: Any) -> Any:
        ours = client.meta.service_model.service_name in NAMES and client.meta.endpoint_url.startswith(endpoint_url)
        if not ours or URLLib3Session.send is not send or _is_watched(client, operation):
            return call(client, operation, params)
        return _call_shortly(client, operation, params, call)

    URLLib3Session.send = send
    SigV4Auth.add_auth = add_auth
    BaseClient._make_api_call = make_api_call
    UserAgentString.to_string = lambda agent: "rebill-tests"  # the SDK writes it anew for every request: 0.5 ms


def _call_shortly(client: BaseClient, operation: str, params: Any, call: Callable[..., Any]) -> Any:
    """What the SDK does in a call that goes well: write the request, read the answer. Trouble is left to the SDK."""
    model = client.meta.service_model.operation_model(operation)
    generate_idempotent_uuid(params, model)
    request = client._serializer.serialize_to_request(params, model)
    answer = status, headers, body = ask(request["headers"], request["body"])
    if status >= 300:
        with _here.given(answer):
            return call(client, operation, params)
    parser = _parser(client.meta.service_model.resolved_protocol)
    parsed = parser.parse({"status_code": status, "headers": headers, "body": body}, model.output_shape)
    parsed["ResponseMetadata"]["RetryAttempts"] = 0
    # The SDK's own that listen: one counts successes, to know how often it may try again.
    http, service = AWSResponse(client.meta.endpoint_url, status, headers, None), model.service_model.service_id
    event = f"after-call.{service.hyphenize()}.{operation}"
    client.meta.events.emit(event, http_response=http, parsed=parsed, model=model, context={})
    return parsed


def _is_watched(client: BaseClient, operation: str) -> bool:
    """Whether somebody else than the SDK listens to such calls of a client: then it does all that it does."""
    emitter = client.meta.events._emitter
    since, known = getattr(emitter, "known_to_tests", (None, {}))
    if since is not emitter._lookup_cache:  # made anew whenever somebody begins or ends to listen
        known = {}
        emitter.known_to_tests = (emitter._lookup_cache, known)
    if operation not in known:
        service = client.meta.service_model.service_id.hyphenize()
        events = [f"{moment}.{service}.{operation}" for moment in MOMENTS]
        listen = [each.__module__ for event in events for each in emitter._handlers.prefix_search(event)]
        known[operation] = not all(name.startswith(THEIRS) for name in listen)
    return bool(known[operation])


class _Here(threading.local):
    """An answer that was got already, for the SDK to make of it what it makes of it."""

    answer: Answer | None = None

    @contextmanager
    def given(self, answer: Answer) -> Iterator[None]:
        self.answer = answer
        yield
        self.answer = None

    def take(self) -> Answer | None:
        answer, self.answer = self.answer, None
        return answer


_here = _Here()
_parser = cache(create_parser)


def reset() -> None:
    """Forget every table, queue and parameter."""
    with _ask_one_at_a_time:
        for service in SERVICES.values():
            service.reset()


def remember() -> bytes:
    """All that is in our tables, queues and parameters now, for `go_back`."""
    with _ask_one_at_a_time:
        return pickle.dumps([service.get_state() for service in SERVICES.values()])


def go_back(remembered: bytes) -> None:
    """Everything is as it was then."""
    reset()
    with _ask_one_at_a_time:
        for service, state in zip(SERVICES.values(), pickle.loads(remembered), strict=True):
            service.load_persisted_state(state)


def knows(headers: Mapping[str, Any]) -> bool:
    """Whether the service that is asked is in this process; e-mails are not."""
    return _text(headers.get("X-Amz-Target", "")).partition(".")[0] in SERVICES


def ask(headers: Mapping[str, Any], body: bytes | str) -> Answer:
    """What MiniStack answers to a request with these headers, if it `knows` the service."""
    plain = {name.lower(): _text(value) for name, value in headers.items()}
    if plain["x-amz-target"] == RECEIVE and "WaitTimeSeconds" in (wanted := json.loads(body)):
        return _wait_for_messages(plain, wanted)
    return _ask_at_once(plain, body)


def _wait_for_messages(headers: dict[str, str], wanted: dict[str, Any]) -> Answer:
    """MiniStack waits on its server's event loop, which is not here: ask again until there is something."""
    deadline = time.monotonic() + wanted.pop("WaitTimeSeconds")
    while True:
        answer = _ask_at_once(headers, json.dumps(wanted))
        if time.monotonic() >= deadline or b'"Messages"' in answer[2]:
            return answer
        time.sleep(LOOK_AGAIN_SECONDS)


def _ask_at_once(headers: dict[str, str], body: bytes | str) -> Answer:
    target = headers["x-amz-target"]
    service = SERVICES[target.partition(".")[0]]
    asked = service.handle_request("POST", "/", headers, body, {})
    with _ask_one_at_a_time:
        try:
            asked.send(None)  # it is written as a coroutine, and has nothing to wait for
        except StopIteration as done:
            status, answer_headers, answer = done.value
            return status, answer_headers, answer.encode() if isinstance(answer, str) else answer
    raise AssertionError(f"{target} waits for something, which needs MiniStack's server")


class _Whole:
    """A body that is all there, where the SDK expects one that is still coming."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
