"""Each function may do what it needs and nothing else: shown on the deployed stage, where rights are enforced.

First its errands are run, and what they ask of AWS is noted. Then each statement of its role is taken out, one at a
time, and an errand that needs it is run again: it must fail, and because of a call that was refused.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from local.stage import Stage
from tests.deployed.errands import ERRANDS, Errand, Errands

# Asked for once by each process, which keeps the answer.
KEPT = ("sqs:GetQueueUrl", "ssm:GetParametersByPath")

# A call that a voice platform lists is looked for when it is old, and no call on a stage of minutes is: what is then
# asked for is shown in process, by `tests/test_rights.py`.
OUT_OF_REACH = {
    "Sweep": {"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "sqs:GetQueueUrl", "sqs:SendMessage"},
}

Call = tuple[str, str]  # an action and its resource


def role_of(function: str) -> str:
    return "ApiHandlerRole" if function == "APIHandler" else f"{function}Role"


class Watched:
    """One function, its role, and what its errands ask for."""

    def __init__(self, errands: Errands, function: str) -> None:
        self.errands, self.function, self.hand = errands, function, errands.hand
        self.statements = self.hand.statements(role_of(function))
        self._role = self.hand.names[role_of(function)]
        self.needs: dict[Errand, set[Call]] = {}
        self.last: dict[bool, set[Call]] = {}

    def learn(self) -> None:
        """Run all errands, from a cold start."""
        self.hand.start_anew(self.function)
        for errand in ERRANDS[self.function]:
            allowed, refused = self.run(errand)
            assert not refused, f"{self.function} may not: {sorted(refused)}"
            self.needs[errand] = allowed

    def run(self, errand: Errand) -> tuple[set[Call], set[Call]]:
        """Run an errand, whether it succeeds or not; what it was allowed, and what it was refused."""
        before = len(self.errands.stage.stack.decisions())
        try:
            errand(self.errands)
        finally:
            mine = [each for each in self.errands.stage.stack.decisions()[before:] if each["role"] == self._role]
            self.last = {
                allowed: {(each["action"], each["resource"]) for each in mine if each["allowed"] is allowed}
                for allowed in (True, False)
            }
        return self.last[True], self.last[False]

    @property
    def asked(self) -> set[Call]:
        """All that it ever asked for."""
        return set().union(*self.needs.values())

    def unused(self, statement: Mapping[str, Any]) -> list[str]:
        """The actions and resources in a statement that no errand needs."""
        actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
        actions = [each for each in actions if each not in OUT_OF_REACH.get(self.function, ())]
        calls = [call for call in self.asked if covers(statement, call)]
        return [each for each in actions if not any(fnmatchcase(action, each) for action, _ in calls)] + [
            each for each in resources if not any(fnmatchcase(resource, each) for _, resource in calls)
        ]

    def fails_without(self, number: int) -> set[Call]:
        """Take out a statement and run an errand that needs it: what it was refused."""
        statement = self.statements[number]
        others = [each for each in self.statements if each is not statement]

        def only_here(calls: Iterable[Call]) -> set[Call]:
            left = {call for call in calls if covers(statement, call)}
            return {call for call in left if not any(covers(other, call) for other in others)}

        able = [errand for errand, calls in self.needs.items() if only_here(calls)]
        assert able, f"no errand of {self.function} needs {statement}"
        with self.hand.without(role_of(self.function), number):
            for errand in sorted(able, key=lambda each: len(self.needs[each])):  # first those that are there for this
                if any(action in KEPT for action, _ in only_here(self.needs[errand])):
                    self.hand.start_anew(self.function)
                try:
                    self.run(errand)
                except (AssertionError, KeyError):
                    return self.last[False]
        raise AssertionError(f"nobody noticed that {self.function} was refused something: {statement}")


def covers(statement: Mapping[str, Any], call: Call) -> bool:
    action, resource = call
    return any(fnmatchcase(action, each) for each in as_list(statement["Action"])) and any(
        fnmatchcase(resource, each) for each in as_list(statement["Resource"])
    )


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_a_function_may_do_what_it_needs_and_needs_what_it_may_do(
    request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    if not request.config.getoption("--every-right", default=False):
        pytest.skip("takes three minutes: `make rights` takes every statement out of every deployed role, one by one")
    stage: Stage = request.getfixturevalue("stage")
    errands = Errands(stage)
    with errands.hand.clock_off():
        assert {role for role in errands.hand.names if role.endswith("Role")} == set(map(role_of, ERRANDS))
        functions = [Watched(errands, function) for function in ERRANDS]
        for each in functions:
            with subtests.test(f"{each.function} is refused nothing"):
                each.learn()
        for each in functions:
            for number, statement in enumerate(each.statements):
                if set(as_list(statement["Action"])) <= OUT_OF_REACH.get(each.function, set()):
                    continue
                with subtests.test(f"{each.function} cannot do without {statement['Sid']}"):
                    assert each.unused(statement) == []
                    assert each.fails_without(number)
