"""MiniStack as strict as AWS: rights are enforced and written down, and a Lambda has its own zip and nothing else.

`local.stack` starts it instead of `ministack_process.py`, which it then runs; like that file, it imports nothing of
ours. MiniStack's AUTH mode does the work. Where AWS asks for another right than MiniStack does, it is put right here:

- a batch at a queue needs the right of the single call; parameters read by path need the path, an e-mail its sender;
- the Lambda service takes messages and writes logs with the rights of the function's role.
"""

import hashlib
import json
import os
import runpy
import sys
import zipfile
from contextvars import Context
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

os.environ["AUTH"] = "true"  # read once, while MiniStack is imported
import ministack.app  # type: ignore[import-untyped]  # MiniStack has no types
from ministack.core import iam_actions, iam_evaluator, lambda_runtime  # type: ignore[import-untyped]  # the same
from ministack.core.responses import get_account_id, get_region  # type: ignore[import-untyped]  # the same
from ministack.services import cloudwatch_logs, lambda_svc, sqs, sts  # type: ignore[import-untyped]  # the same

# Lambdas inherit what stands here, and this level would silence their warnings.
del os.environ["AUTH"], os.environ["LOG_LEVEL"]

SINGLE_CALLS = {f"sqs:{name}Batch": f"sqs:{name}" for name in ("SendMessage", "DeleteMessage")}
# What the role of a function needs besides its own calls: https://docs.aws.amazon.com/lambda/latest/dg/, "Creating and
# configuring an Amazon SQS event source mapping" and "Sending Lambda function logs to CloudWatch Logs".
TO_TAKE_MESSAGES = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
TO_WRITE_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")


class Rights:
    """Every decision about a function's role, a JSON object a line: `role`, `action`, `resource`, `allowed`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._lock = Lock()
        self._enforce = iam_evaluator.enforce

    def enforce(self, access_key: str, action: str, service: str, region: str, resource_arn: str = "*",
                service_context: Any = None) -> Any:  # fmt: skip
        """As MiniStack's own: None, or the refusal."""
        action = SINGLE_CALLS.get(action, action)
        refusal = self._enforce(access_key, action, service, region, resource_arn, service_context)
        session = sts._sessions.get(access_key)
        if session is not None:
            role = session["Arn"].split("/")[1]
            facts = {"role": role, "action": action, "resource": resource_arn, "allowed": refusal is None}
            with self._lock:
                print(json.dumps(facts), file=self._file)
        return refusal

    def may(self, function: dict[str, Any], service: str, actions: tuple[str, ...], resource: str) -> bool:
        """Whether the role of this function allows all of that."""
        key, region = lambda_runtime.execution_credentials(function)["AWS_ACCESS_KEY_ID"], get_region()
        # Not as whoever's request is being answered: he may be nobody.
        asked = [Context().run(self.enforce, key, action, service, region, resource) for action in actions]
        return not any(asked)


def as_aws_names_resources() -> None:
    """MiniStack says `*` for what AWS checks by name."""
    known = iam_actions.extract_resource_arn

    def extract(service: str, method: str, path: str, headers: Any, body: bytes, *more: Any) -> str:
        resource: str = known(service, method, path, headers, body, *more)
        if resource == "*" and service in ("ssm", "ses") and body[:1] == b"{":
            said = json.loads(body)
            place = f"{get_region()}:{get_account_id()}"
            if "Path" in said:
                return f"arn:aws:ssm:{place}:parameter{said['Path']}"
            if "FromEmailAddress" in said:
                return f"arn:aws:ses:{place}:identity/{said['FromEmailAddress']}"
        return resource

    iam_actions.extract_resource_arn = extract


def as_aws_takes_messages(rights: Rights) -> None:
    """Whoever lacks a right at its queue gets none of its messages."""
    take = sqs._receive_messages_for_esm

    def take_if_allowed(queue_url: str, most: int) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = take(queue_url, most)
        arn = sqs._queues[queue_url]["attributes"]["QueueArn"]
        (name,) = [esm["FunctionName"] for _, _, esm in lambda_svc._iter_all_esms() if esm["EventSourceArn"] == arn]
        function = lambda_svc._functions[name]["config"]
        if batch and not rights.may(function, "sqs", TO_TAKE_MESSAGES, arn):
            for message in batch:
                message["visible_at"], message["receive_count"] = 0, message["receive_count"] - 1
            return []
        return batch

    sqs._receive_messages_for_esm = take_if_allowed


def as_aws_writes_logs(rights: Rights) -> None:
    """What a function says is lost where its role may not write it down."""
    write = lambda_svc._emit_lambda_logs

    def write_if_allowed(function: dict[str, Any], *more: Any, **named: Any) -> None:
        config = function.get("config") or function
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        stream = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:any"
        new = () if group in cloudwatch_logs._log_groups else ("logs:CreateLogGroup",)
        if rights.may(config, "logs", (*new, *TO_WRITE_LOGS), stream):
            write(function, *more, **named)

    lambda_svc._emit_lambda_logs = write_if_allowed


def as_aws_starts_python(folder: Path) -> None:
    """Without the packages of MiniStack's own interpreter, which it would show to its Lambdas; and with `_HANDLER`."""
    binary, script = lambda_runtime._detect_runtime_binary("python3.11")
    assert ministack.app.AUTH
    told = "    os.environ.update(env)\n"
    script = script.replace(told, told + '    os.environ["_HANDLER"] = f"{module_name}.{handler_name}"\n')
    starter = folder / "python"
    starter.write_text(f'#!/bin/sh\nexec "{binary}" -I -S -X utf8 "$@"\n')
    starter.chmod(0o755)
    lambda_runtime._detect_runtime_binary = lambda runtime: (str(starter), script)


def unpack_once() -> None:
    """As MiniStack unpacks the zip anew for every worker, which takes seconds; nobody writes there."""
    unpacked: dict[str, Path] = {}
    one_at_a_time = Lock()

    class Shared(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
            digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
            with one_at_a_time:
                if digest not in unpacked:
                    unpacked[digest] = Path(os.environ["TMPDIR"]) / digest
                    super().extractall(unpacked[digest], members, pwd)
            Path(path).rmdir()
            Path(path).symlink_to(unpacked[digest])

    lambda_runtime.zipfile = SimpleNamespace(ZipFile=Shared, BadZipFile=zipfile.BadZipFile)


def main() -> None:
    """`ministack_strict.py LISTENER RIGHTS_FILE`."""
    rights = Rights(Path(sys.argv.pop()))
    iam_evaluator.enforce = rights.enforce
    as_aws_names_resources()
    as_aws_takes_messages(rights)
    as_aws_writes_logs(rights)
    as_aws_starts_python(Path(os.environ["TMPDIR"]))
    unpack_once()
    runpy.run_path(str(Path(__file__).with_name("ministack_process.py")), run_name="__main__")


if __name__ == "__main__":
    main()
