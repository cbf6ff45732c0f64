"""MiniStack inside the test's own process: the same code that answers over HTTP at home, without the HTTP.

The SDK's requests for tables, queues and parameters are answered where it would send them. A call then takes a sixth
of the time, as nothing is signed, sent or parsed by a server. A second process (`ops`, a Lambda) does not see what is
here: a test that has one starts a `Stack` of its own.
"""

import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from botocore.useragent import UserAgentString

# MiniStack starts its reaper of expired items when it is imported: here it would see the clock that a test has moved.
with patch.object(threading.Thread, "start"):
    from ministack.services import dynamodb, sqs, ssm

SERVICES = {"DynamoDB_20120810": dynamodb, "AmazonSQS": sqs, "AmazonSSM": ssm}
RECEIVE = "AmazonSQS.ReceiveMessage"
LOOK_AGAIN_SECONDS = 0.02

Answer = tuple[int, dict[str, str], bytes]
_ask_one_at_a_time = threading.Lock()  # MiniStack serves one request after the other, and so do we


def install(endpoint_url: str) -> None:
    """From now on this process answers what is sent to the address. Nobody checks signatures, so none are made."""
    send_on: Callable[[URLLib3Session, AWSPreparedRequest], AWSResponse] = URLLib3Session.send
    sign: Callable[[SigV4Auth, AWSRequest], None] = SigV4Auth.add_auth

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if not request.url.startswith(endpoint_url) or not knows(request.headers):
            return send_on(session, request)
        status, headers, body = ask(request.headers, request.body)
        return AWSResponse(request.url, status, headers, _Whole(body))

    def add_auth(signer: SigV4Auth, request: AWSRequest) -> None:
        if not request.url.startswith(endpoint_url):  # a stack of a test's own may check signatures
            sign(signer, request)

    URLLib3Session.send = send
    SigV4Auth.add_auth = add_auth
    UserAgentString.to_string = lambda agent: "rebill-tests"  # the SDK writes it anew for every request: 0.5 ms


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
