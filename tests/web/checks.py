"""Which doors there are to spoil requests for, and what every refusal is held against."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chalicelib.settings import settings
from chalicelib.web.every_door import DOORS
from tests import embedded
from tests.aws import aws, queue_url
from tests.web.examples import (
    BY_A_BROWSER,
    TOP_UPS,
    USAGE_EVENTS,
    Example,
    Scene,
    body_model,
    page_of,
    problem_of,
)
from tests.web.sweep import TEXTS
from tests.world import Answer

FORMS = [door for door in DOORS if door.path == "/dashboard/{action}"]  # tests/dashboard fills them in
WITH_BODY = [door for door in DOORS if door.body is not None and door not in FORMS]
WITH_MODEL = [door for door in DOORS if isinstance(door.body, type)]
WITH_FIELDS = [door for door in WITH_BODY if body_model(door) is not None]
PAGES = [door for door in DOORS if door.path in BY_A_BROWSER]
WITH_QUERY = [door for door in DOORS if door.query is not None and door not in PAGES]
WITH_HEADERS = [door for door in DOORS if door.headers]
WITH_PATH = [door for door in DOORS if "{" in door.path and door not in FORMS]
TABLES = ("accounts", "wallets", "day-totals", "entries", "payments", "activity", "requests")
READS = ("Get", "BatchGet", "Query", "Scan", "List", "Describe", "Receive")

REBILLING = ("PUT", "/v1/sub-accounts/{sub_account_id}/rebilling")
COST = ("PUT", "/v1/workspaces/{workspace_id}/cost")
CREDIT = ("POST", "/v1/workspaces/{workspace_id}/wallet/credits")
TOP_UP, CLIENTS_TOP_UP = (("POST", path) for path in TOP_UPS)
ENDPOINTS = ("POST", "/v1/workspaces/{workspace_id}/voice-endpoints")
REPORT = ("POST", USAGE_EVENTS)


def is_a_page_that_refuses(answer: Answer) -> bool:
    """A page for people, with a 4xx, that repeats nothing of what was sent."""
    is_page = answer.headers["content-type"].startswith("text/html")
    return is_page and 400 <= answer.status < 500 and "alert(1)" not in page_of(answer)


def wrong_texts(name: str, schema: dict[str, Any]) -> list[str]:
    """Texts that a query parameter may not be. Where a number is meant, only its digits are one."""
    if schema.get("type") == "integer":
        least, most = str(schema["minimum"] - 1), str(schema["maximum"] + 1)
        return [*TEXTS, least, most, "abc", "1.0", "1.5", "1e1", "+10", " 10", "1_0", "0x1"]
    garbage = ["garbage", "ent_", "sa_", "ws_unknown", "zzz", "1"] if name == "starting_after" else []
    garbage += ["queued", "posted", "UNMATCHED"] if name == "status" else []
    return [*TEXTS, *garbage]


def send_all(
    scene: Scene,
    wrong: Iterable[tuple[str, Any, Example]],
    expected: Iterable[int] = (400, 401, 422),
    param_may_miss: bool = False,
) -> list[str]:
    """Send every wrong request; what is to complain about their answers, and about what they left behind."""
    complaints = []
    before = everything_written()
    for param, value, request in wrong:
        answer = request.send(scene.world)
        complaint = complaint_about(answer, param, tuple(expected), param_may_miss)
        if complaint:
            complaints.append(f"{param} = {str(value)[:60]!r} ({type(value).__name__}): {complaint}")
    if everything_written() != before:
        complaints.append("something was written")
    return complaints


def complaint_about(answer: Answer, param: str, expected: tuple[int, ...], param_may_miss: bool) -> str | None:
    if answer.status not in expected:
        return f"{answer.status} {answer.text[:160]}"
    told = problem_of(answer)["param"]
    if answer.status == 401 or (answer.status == 400 and told == "body") or (told is None and param_may_miss):
        return None
    if told != param and not str(told).startswith((f"{param}.", f"{param}[")):
        return f"names {told!r}"
    return None


class Store:
    """What is in the store, for tests that nothing is written: read again only after a request that may have written.

    The sweeps look twice at every door, and hardly anything that they send gets as far as the store.
    """

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._listens = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, every request to AWS is noticed, over whichever client."""
        ask = embedded.ask

        def noticing(headers: Any, body: Any) -> embedded.Answer:
            target = headers.get("X-Amz-Target", b"")
            operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
            if not operation.startswith(READS):
                self._found = {}
            return ask(headers, body)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(embedded, "ask", noticing)
            self._listens = True
            yield
        self._listens = False

    def everything_written(self) -> dict[str, Any]:
        """All items of all tables, and how many messages are on the queues, seen or not."""
        if not self._found or not self._listens:
            self._found = _read_everything()
        return self._found


STORE = Store()
everything_written = STORE.everything_written


def _read_everything() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in TABLES:
        pages = aws("dynamodb").get_paginator("scan").paginate(TableName=settings().table_name(table))
        found[table] = sorted(json.dumps(item, sort_keys=True) for page in pages for item in page["Items"])
    for queue in (settings().usage_queue, settings().payments_queue):
        counts = aws("sqs").get_queue_attributes(QueueUrl=queue_url(queue), AttributeNames=["All"])["Attributes"]
        found[queue] = sum(int(value) for name, value in counts.items() if name.startswith("ApproximateNumber"))
    return found
