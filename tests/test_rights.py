"""The hand-written policies: each function may do what it does, and nothing else.

What the functions do is recorded while chosen tests of theirs run once more, in a process of their own. The deployed
stage shows the same from the other side: there each statement is taken out, and something fails.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.rights import HOUSE, Right

POLICIES = HOUSE / ".chalice"
FUNCTIONS = ("api_handler", "post_usage", "settle_payments", "tick", "reconcile", "sweep")

# Between them these make every function do everything that it ever does in AWS.
TOUR = (
    "tests/dashboard/test_charge.py::test_the_workspaces_people_see_both_sides_and_the_margin",
    "tests/dashboard/test_reads.py::test_a_page_asks_the_store_for_no_item_twice_and_in_few_trips",
    "tests/dashboard/test_waiting.py::test_calls_of_an_unknown_agent_are_billed_once_somebody_says_whose_it_is",
    "tests/payments/test_money.py::test_a_refund_to_a_workspace_moves_its_wallet_and_nobody_elses",
    "tests/payments/test_not_ours.py::test_a_payment_of_the_accounts_own_that_bears_our_reference_is_not_credited_and_a_person_is_told",
    "tests/payments/test_refill_hold.py::test_a_person_lifts_the_hold_and_reads_the_wallet",
    "tests/payments/test_top_up.py::test_a_payment_that_was_made_but_not_yet_seen_is_credited_before_another_is_asked_for",
    "tests/people/test_idempotency.py::test_an_answer_that_could_not_be_kept_is_given_all_the_same_and_nothing_happens_twice",
    "tests/people/test_idempotency.py::test_our_own_trouble_is_not_kept_and_the_retry_succeeds",
    "tests/reconcile/test_nightly.py::test_strangers_on_the_platforms_account_are_told_once",
    "tests/reconcile/test_sweep.py::test_the_night_posts_what_was_missed_once_and_tells",
    "tests/test_notices.py::test_a_wallet_that_falls_through_several_levels_at_once_is_told_of_the_lowest_only",
    "tests/test_notices.py::test_an_agencys_owner_is_written_to_when_a_refill_needs_a_person",
    "tests/test_outgoing_webhooks.py::test_switching_on_what_is_on_changes_nothing",
    "tests/test_posting.py::test_replaying_the_queue_after_an_hour_a_day_a_week_and_two_months_changes_nothing",
    "tests/test_voice_agents.py::test_taking_an_agent_away_twice_is_not_found_the_second_time",
)

# What AWS does in a function's name, and no code of ours.
LOGGING = {("logs:CreateLogStream", "the log"), ("logs:PutLogEvents", "the log")}
TAKING = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")
TRIGGERS = {"post_usage": "usage", "settle_payments": "payments"}


def policy(function: str) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads((POLICIES / f"policy-{function}.json").read_text())["Statement"]
    return statements


def rights_in(statements: list[dict[str, Any]]) -> set[Right]:
    return {
        (action, thing(resource)) for each in statements for action in each["Action"] for resource in each["Resource"]
    }


def thing(resource: dict[str, Any]) -> str:
    """What a policy's resource is, in the words of the recording."""
    if "Fn::GetAtt" in resource:
        return "the log" if resource["Fn::GetAtt"][0] == "Logs" else name_of(resource["Fn::GetAtt"][0])
    text: str = resource["Fn::Sub"]
    if "/index/" in text:
        table, _, index = text.partition(".Arn}/index/")
        return f"{name_of(table.removeprefix('${'))}/{index}"
    if ":parameter/" in text:
        return text.partition("/rebill/${Stage}/")[2]
    assert text.endswith(":identity/${EmailIdentity}")
    return "sender"


def name_of(logical: str) -> str:
    """A table's or queue's name without its stage."""
    resources = json.loads((HOUSE / "infra" / "resources.json").read_text())["Resources"]
    found = resources[logical]["Properties"]
    name: str = (found.get("TableName") or found["QueueName"])["Fn::Sub"]
    return name.removeprefix("rebill-${Stage}-")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Right]]:
    """What each function needed while the tour was taken."""
    file = tmp_path_factory.mktemp("rights") / "needed.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-n", "0"]
    command += ["--assert=plain"]  # where they fail, they are seen to in their own run: here it need not be explained
    command += ["-p", "tests.rights", "--record-rights", str(file), *TOUR]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HOUSE)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    return {name: {(right[0], right[1]) for right in rights} for name, rights in json.loads(file.read_text()).items()}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_nothing_else(function: str, recorded: dict[str, set[Right]]) -> None:
    needed = recorded[function] | LOGGING
    if queue := TRIGGERS.get(function):
        needed |= {(action, queue) for action in TAKING}

    may = rights_in(policy(function))

    assert sorted(needed - may) == [], "a call without a right"
    assert sorted(may - needed) == [], "a right without a call"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_says_everything(function: str) -> None:
    for statement in policy(function):
        assert statement.keys() == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps([statement["Action"], statement["Resource"]])


def test_nobody_may_delete_an_entry_or_a_wallet() -> None:
    deleting = {(name, *right) for name in FUNCTIONS for right in rights_in(policy(name)) if "Delete" in right[0]}
    tables = {thing for _, action, thing in deleting if action.startswith("dynamodb:")}

    assert tables == {"accounts", "payments", "requests"}  # endpoints and agents; lifted holds; answers not given
    assert {name for name, _, thing in deleting if thing == "accounts"} == {"api_handler"}


def test_every_function_has_its_own_policy() -> None:
    config = json.loads((POLICIES / "config.json").read_text())

    files = {name: each["iam_policy_file"] for name, each in config["lambda_functions"].items()}
    assert files == {name: f"policy-{name}.json" for name in FUNCTIONS if name != "api_handler"}
    assert config["iam_policy_file"] == "policy-api_handler.json"
    assert sorted(path.name for path in POLICIES.glob("policy-*")) == sorted(
        {*files.values(), config["iam_policy_file"]}
    )


def test_the_recording_tells_whose_call_it_was() -> None:
    """A test that calls AWS by its own hand is nobody's call."""
    from tests.rights import function_on_the_stack, rights_for

    assert function_on_the_stack() is None
    put = {"Put": {"TableName": "rebill-test-entries"}}
    check = {"ConditionCheck": {"TableName": "rebill-test-accounts"}}
    assert list(rights_for("dynamodb", "TransactWriteItems", {"TransactItems": [put, check]})) == [
        ("dynamodb:PutItem", "entries"),
        ("dynamodb:ConditionCheckItem", "accounts"),
    ]
    asked = {"TableName": "rebill-test-day-totals", "IndexName": "by_day"}
    assert list(rights_for("dynamodb", "Query", asked)) == [("dynamodb:Query", "day-totals/by_day")]
