"""What the tests of connecting do and look at again and again."""

import json
import logging
from typing import Any

import pytest
import time_machine

from chalicelib.clock import now_ms
from tests.aws import aws
from tests.payments.conftest import Paying
from tests.world import Answer

START_AGAIN = "Start again"
UNKNOWN_STATE = "x" * 43


def start_link(paying: Paying, workspace: str) -> str:
    path = f"/v1/workspaces/{workspace}/stripe/connect"
    link: str = paying.world.post(path, {"user": "owner@acme.example"})["url"]
    return link


def path_of(link: str) -> str:
    return link.removeprefix("https://rebill.example")


def later(**by: int) -> Any:
    """The product's clock, moved on; Stripe's goes on as it was."""
    seconds = by.get("minutes", 0) * 60 + by.get("seconds", 0)
    return time_machine.travel(now_ms() / 1000 + seconds, tick=True)


def refused(page: Answer, sentence: str, whole: bool = True) -> None:
    """A page for people that says just this, and that Stripe is not connected."""
    assert page.status == 400, page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Stripe is not connected</h1>" in page.text
    said = page.text.partition("<p>")[2].partition("</p>")[0].replace("&#39;", "'")
    assert (said == sentence) if whole else (sentence in said), said


def no_way_on(page: Answer, sentence: str) -> None:
    """A page for people that sends them nowhere, and gives them nothing to go on with."""
    assert page.status == 400, page.text
    assert sentence in page.text
    assert "location" not in page.headers
    assert "set-cookie" not in page.headers


def connection(paying: Paying, workspace: str) -> Any:
    return paying.world.get(f"/v1/workspaces/{workspace}/stripe")


def not_connected(paying: Paying, workspace: str) -> bool:
    return paying.world.call("GET", f"/v1/workspaces/{workspace}/stripe").status == 404


def disconnect(paying: Paying, workspace: str) -> Any:
    answer = paying.world.call("DELETE", f"/v1/workspaces/{workspace}/stripe")
    assert answer.status == 200, answer.text
    return answer.json


def save_card(paying: Paying, client: str) -> Answer:
    path = f"/v1/sub-accounts/{client}/wallet/payment-method"
    return paying.world.call("POST", path, headers={"Idempotency-Key": "card"})


def granted(paying: Paying, account: str) -> bool:
    """Whether Stripe lets us into this account."""
    grants = paying.pretend.control.state()["grants"].values()
    return any(grant["live"] for grant in grants if grant["account"] == account)


def account_of(paying: Paying, intent: str) -> str:
    """The account on which a payment sits."""
    spaces = paying.pretend.control.state()["spaces"]
    (key,) = [key for key, kinds in spaces.items() if intent in kinds.get("payment_intent", {})]
    return str(key.rpartition(":")[0])


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a person was told of."""
    return [str(getattr(line, "alarm", "")) for line in caplog.records if line.levelno >= logging.ERROR]


def everything_kept() -> str:
    """All items of all tables, and all messages that wait, as one text."""
    pages = [
        page
        for table in aws("dynamodb").list_tables()["TableNames"]
        for page in aws("dynamodb").get_paginator("scan").paginate(TableName=table)
    ]
    return json.dumps([page["Items"] for page in pages])
