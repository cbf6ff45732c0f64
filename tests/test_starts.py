"""Each function loads what it uses: the gate answers without anything that payments or pages need."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

from app import NEEDED_FIRST, app
from chalicelib.web.every_door import DOORS
from chalicelib.web.routes import FILE_OF
from local.stack import Stack
from tests.aws import copy_tables
from tests.conftest import STAGE
from tests.world import World

HANDLERS = ["app.app", *(source.handler_string for source in app.event_sources)]
HEAVY = (
    *("stripe", "jinja2", "segno", "jwt", "standardwebhooks", "boto3", "s3transfer"),
    *("aws_lambda_powertools.utilities.idempotency", "aws_lambda_powertools.utilities.parameters"),
    *("chalicelib.gateways", "chalicelib.web.dashboard", "chalicelib.web.openapi", "chalicelib.web.requests"),
)
ASK = """
import json, sys, app
status = app.app(json.load(sys.stdin), None)["statusCode"]
print(json.dumps([status, sorted(sys.modules)]))
"""


def test_the_gate_answers_without_what_payments_and_pages_need(world: World) -> None:
    workspace = world.workspace()
    client = world.sub_account(workspace, price="0.15")
    for owner in (workspace, client):
        world.credit(owner, "20.00")

    with Stack() as other:
        copy_tables(other, STAGE)
        status, modules = asked_in_a_fresh_process(client, world.api_key, other)

    assert status == 200
    assert "chalicelib.web.routes.access" in modules
    assert [name for name in modules if any(f"{name}.".startswith(f"{each}.") for each in HEAVY)] == []


def test_every_function_says_what_it_needs_first_and_that_is_there() -> None:
    assert sorted(NEEDED_FIRST) == sorted(HANDLERS)
    assert [name for name in NEEDED_FIRST.values() if find_spec(name) is None] == []


def test_every_address_is_answered_by_the_file_that_the_table_names() -> None:
    assert {door.path: door.view.__module__.rpartition(".")[2] for door in DOORS} == FILE_OF


def asked_in_a_fresh_process(client: str, api_key: str, stack: Stack) -> tuple[int, list[str]]:
    """What the gate answers to API Gateway's event, and every module that is loaded by then."""
    event = {
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/v1/sub-accounts/{sub_account_id}/access",
            "requestId": "req_1",
        },
        "headers": {"host": "rebill.example", "authorization": f"Bearer {api_key}"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"sub_account_id": client},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    environment = {**os.environ, **stack.environment(), "REBILL_STAGE": STAGE, "_HANDLER": "app.app"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, input=json.dumps(event), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    status, modules = json.loads(done.stdout.splitlines()[-1])
    return status, modules
