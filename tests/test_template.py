"""The template as it is deployed: what AWS's own schemas say of it, and whether its alarms count what the code logs."""

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.package import ROOT
from tests.packaged import STAGE, of_type

Template = dict[str, Any]

MOST_BYTES = 1_000_000  # CloudFormation takes 1,048,576
MOST_PATHS = 300  # API Gateway's quota of one API
ALARM_CALLS = ("alarm", "bug")


def properties(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: item["Properties"] for name, item in of_type(template, kind).items()}


def test_awss_own_schemas_find_nothing_wrong_with_it(built: Path) -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(built / "sam.json")]

    linted = subprocess.run(command, capture_output=True, text=True)

    assert linted.stdout + linted.stderr == ""
    assert linted.returncode == 0


def test_it_is_small_enough_for_aws(template: Template) -> None:
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    parts = {"/".join(path.split("/")[: depth + 1]) for path in paths for depth in range(len(path.split("/")))}

    assert len(json.dumps(template, separators=(",", ":"))) < MOST_BYTES
    assert len(parts) < MOST_PATHS


# Alarms


def alarm_names() -> Iterator[str]:
    """Every name under which the code tells that a person must look."""
    for source in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ALARM_CALLS:
                assert isinstance(node.args[0], ast.Constant), f"{source}:{node.lineno}: say the alarm's name here"
                yield str(node.args[0].value)


def counted_by(template: Template, line: dict[str, Any]) -> list[str]:
    """The metrics that count a line of the log."""
    filters = properties(template, "AWS::Logs::MetricFilter").values()
    return [each["MetricTransformations"][0]["MetricName"] for each in filters if fits(each["FilterPattern"], line)]


def fits(pattern: str, line: dict[str, Any]) -> bool:
    """As CloudWatch reads patterns, as far as ours go: `$.field = "text"`, `!=`, `"*"`, all && or all ||."""
    terms = re.findall(r'\$\.(\w+) (!?=) "([^"]+)"', pattern)
    assert re.sub(r'\(?\$\.\w+ !?= "[^"]+"\)?', "_", pattern) in (
        "{ " + joint.join("_" * len(terms)) + " }" for joint in (" && ", " || ")
    )
    held = [name in line and ((wanted in ("*", line[name])) is (operator == "=")) for name, operator, wanted in terms]
    return all(held) if "&&" in pattern else any(held)


@pytest.mark.parametrize("name", sorted(set(alarm_names())))
def test_every_alarm_of_the_code_is_counted_by_one_metric_and_told(template: Template, name: str) -> None:
    (metric,) = counted_by(template, {"level": "ERROR", "message": name, "alarm": name})

    alarms = properties(template, "AWS::CloudWatch::Alarm").values()
    assert [each["AlarmActions"] for each in alarms if each["MetricName"] == metric] == [[{"Ref": "AlarmTopic"}]]


def test_what_is_no_alarm_is_not_counted(template: Template) -> None:
    assert counted_by(template, {"level": "INFO", "message": "gate_denied"}) == []
    assert counted_by(template, {"message": "signature_invalid"}) == ["SignaturesInvalid"]
    assert counted_by(template, {"message": "refill_not_decided"}) == ["RefillsUndecided"]


def test_the_lines_that_are_counted_are_the_lines_that_are_logged(
    template: Template,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

    from chalicelib import telemetry

    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(handler.format(record))  # type: ignore[method-assign]  # only listens
    handler.setFormatter(LambdaPowertoolsFormatter())
    ours = logging.getLogger("rebill")
    ours.addHandler(handler)
    try:
        telemetry.alarm("refill_breaker", reason="too many")
        telemetry.bug("tick_failed", ValueError())
        telemetry.logger.warning("signature_invalid", extra={"endpoint": "stripe"})
    finally:
        ours.removeHandler(handler)

    assert [counted_by(template, json.loads(line)) for line in heard] == [
        ["RefillBreaker"],
        ["OtherAlarms"],
        ["SignaturesInvalid"],
    ]


def test_every_metric_of_the_logs_has_its_alarm_and_every_alarm_says_what_is_wrong(template: Template) -> None:
    filters = properties(template, "AWS::Logs::MetricFilter").values()
    alarms = properties(template, "AWS::CloudWatch::Alarm").values()

    ours = {each["MetricName"] for each in alarms if each["Namespace"] == {"Fn::Sub": "Rebill/${Stage}"}}
    assert ours == {each["MetricTransformations"][0]["MetricName"] for each in filters}
    assert all(
        each["MetricTransformations"][0]["MetricNamespace"] == {"Fn::Sub": "Rebill/${Stage}"} for each in filters
    )
    assert all(each["AlarmActions"] == [{"Ref": "AlarmTopic"}] for each in alarms)
    assert all(each["AlarmDescription"].endswith("See docs/operate.md.") for each in alarms)


def test_every_dead_letter_queue_and_every_queue_is_watched(template: Template) -> None:
    watched = {
        (each["MetricName"], each["Dimensions"][0]["Value"]["Fn::GetAtt"][0])
        for each in properties(template, "AWS::CloudWatch::Alarm").values()
        if each["Namespace"] == "AWS/SQS"
    }

    queues = of_type(template, "AWS::SQS::Queue")
    dead = {("ApproximateNumberOfMessagesVisible", name) for name in queues if "Dead" in name}
    assert watched == dead | {("ApproximateAgeOfOldestMessage", name) for name in queues if "Dead" not in name}


def test_every_function_that_nobody_waits_for_is_watched_for_failures(template: Template) -> None:
    watched = [
        each["Dimensions"][0]["Value"]["Ref"]
        for each in properties(template, "AWS::CloudWatch::Alarm").values()
        if (each["Namespace"], each["MetricName"]) == ("AWS/Lambda", "Errors")
    ]

    assert set(watched) == of_type(template, "AWS::Serverless::Function").keys() - {"APIHandler"}


def test_the_gates_own_alarm_watches_a_route_that_there_is(template: Template) -> None:
    api = template["Resources"]["RestAPI"]["Properties"]
    (gate,) = [
        {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        for name, alarm in properties(template, "AWS::CloudWatch::Alarm").items()
        if name == "GateFailsAlarm"
    ]

    assert gate["Method"].lower() in api["DefinitionBody"]["paths"][gate["Resource"]]
    assert gate["ApiName"] == api["Name"] == api["DefinitionBody"]["info"]["title"]
    assert gate["Stage"] == api["StageName"]
    (setting,) = [each for each in api["MethodSettings"] if each.get("MetricsEnabled")]
    assert setting["ResourcePath"] == "/" + gate["Resource"].replace("/", "~1")


# What the functions are told, and what people are


def test_a_function_that_no_request_reaches_is_told_the_public_address(template: Template) -> None:
    """The API's own handler reads it off the request: told the API's address, each would wait for the other."""
    usual = template["Globals"]["Function"]["Environment"]["Variables"]["REBILL_BASE_URL"]
    functions = properties(template, "AWS::Serverless::Function")
    own = {name: each["Environment"]["Variables"] for name, each in functions.items() if "Environment" in each}

    assert usual["Fn::If"][:2] == ["HasBaseUrl", {"Ref": "BaseUrl"}]
    assert "${RestAPI}" in usual["Fn::If"][2]["Fn::Sub"]
    assert own == {"APIHandler": {"REBILL_BASE_URL": {"Ref": "BaseUrl"}}}


def test_all_functions_write_to_one_log_that_is_kept_for_as_long_as_was_said(template: Template) -> None:
    (log,) = properties(template, "AWS::Logs::LogGroup").values()

    assert log["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert template["Globals"]["Function"]["LoggingConfig"] == {"LogGroup": {"Ref": "Logs"}}


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("StripeRedirectUri", "/oauth/stripe/callback"),
        ("StripeWebhookUrl", "/webhooks/stripe"),
        ("StripeConnectWebhookUrl", "/webhooks/stripe/connect"),
        ("VoiceWebhookUrl", "/webhooks/voice"),
        ("GateUrl", "/v1/sub-accounts/{sub_account}/access"),
    ],
)
def test_the_addresses_to_paste_lead_to_routes_that_there_are(template: Template, output: str, path: str) -> None:
    routes = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]

    _, with_domain, without = template["Outputs"][output]["Value"]["Fn::If"]

    assert with_domain["Fn::Sub"] == "${BaseUrl}" + path
    assert without["Fn::Sub"] == "https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/api" + path
    assert [route for route in routes if route.startswith(path.replace("{sub_account}", "{sub_account_id}"))]


def test_a_403_is_never_the_gateways(template: Template) -> None:
    """It always means a wallet. API Gateway says 403 to unknown paths, in another way where a bearer token is sent."""
    answers = template["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]

    assert {"MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE", "DEFAULT_4XX", "DEFAULT_5XX"} <= answers.keys()
    for answer in answers.values():
        problem = json.loads(answer["ResponseTemplates"]["application/json"])
        assert answer["StatusCode"] == str(problem["status"]) != "403"
        assert answer["ResponseParameters"]["Headers"]["Content-Type"] == "'application/problem+json'"
        assert problem["type"] == f"urn:rebill:problem:{problem['code']}"
        assert ("Retry-After" in answer["ResponseParameters"]["Headers"]) is (problem["status"] in (429, 503))


def test_a_flood_is_stopped_at_the_gateway(template: Template) -> None:
    for each in template["Resources"]["RestAPI"]["Properties"]["MethodSettings"]:
        assert each["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
        assert each["ThrottlingBurstLimit"] == {"Ref": "RequestsAtOnce"}


def test_no_queue_hands_out_a_message_while_it_may_still_be_at_work(template: Template) -> None:
    """Six times the function's timeout, as AWS advises."""
    functions = properties(template, "AWS::Serverless::Function").values()
    triggers = [(each, event["Properties"]) for each in functions for event in each.get("Events", {}).values()]
    seen = 0
    for function, trigger in triggers:
        if "Queue" in trigger:
            queue = template["Resources"][trigger["Queue"]["Fn::Sub"][2:].removesuffix(".Arn}")]
            assert queue["Properties"]["VisibilityTimeout"] == 6 * function["Timeout"]
            assert trigger["ScalingConfig"] == {"MaximumConcurrency": 2}
            seen += 1
    assert seen == 2


def test_the_stage_is_said_once(template: Template) -> None:
    """The package of one stage is the package of every other: what differs is a parameter."""
    body = json.dumps({name: item for name, item in template["Resources"].items() if name != "RestAPI"})

    assert re.findall(rf'"[^"]*rebill-{STAGE}-[^"]*"', body) == []
