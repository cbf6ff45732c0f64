"""MiniStack, our AWS at home, as a child process on the loopback interface.

The child ends with its parent, however that ends, and its state either lives in memory only or in a folder.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.template import ACCESS_KEY, REGION

HOST = "127.0.0.1"
PROCESS_FILE = Path(__file__).with_name("ministack_process.py")
STRICT_PROCESS_FILE = Path(__file__).with_name("ministack_strict.py")
START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.02

# MiniStack hands its own environment to the Lambdas that it runs: whatever is not named here they must not see.
INHERITED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH")


class StackError(RuntimeError):
    """MiniStack did not start, or did not do what it was told."""


class Stack:
    """One MiniStack. The address is known, and kept, from the start; ``state_dir=None`` keeps nothing.

    Strict, it enforces the rights of each Lambda's role, and its Lambdas import from their own zip alone.
    ``lambda_environment`` is what every Lambda finds in its environment besides what the template gives it.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        port: int = 0,
        strict: bool = False,
        lambda_environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state_dir = state_dir
        self.strict = strict
        self.lambda_environment = dict(lambda_environment or {})
        self.process: subprocess.Popen[bytes] | None = None
        self._listener: socket.socket | None = _bind(port)
        self.port: int = self._listener.getsockname()[1]
        self.endpoint_url = f"http://{HOST}:{self.port}"
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """What boto3 and pynamodb need to find this stack, and to never find the user's own AWS account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start MiniStack and return when it answers."""
        if self._listener is None:
            self._listener = _bind(self.port)
        self._folder = Path(tempfile.mkdtemp(prefix="rebill-stack-"))
        with self._listener as listener, self._log_file.open("wb") as log:
            # The child inherits the bound socket: nobody can take the port between our choice and its start.
            command = [str(PROCESS_FILE), str(listener.fileno())]
            if self.strict:
                command = [str(STRICT_PROCESS_FILE), str(listener.fileno()), str(self._rights_file)]
            self.process = subprocess.Popen(
                [sys.executable, "-I", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(),),
                env=self._child_environment(self._folder),
                # A group of its own: Ctrl-C goes to the parent, which decides, and the Lambdas end with the group.
                start_new_session=True,
            )
        self._listener = None
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Ask MiniStack to save and end, and wait until it has."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._clean_up()

    def kill(self) -> None:
        """End MiniStack as a power cut would: nothing is saved."""
        if self.process is not None:
            self.process.kill()
        self._clean_up()

    def reset(self) -> None:
        """Forget everything: tables, queues, messages, functions."""
        status = self._request("POST", "/_ministack/reset")
        if status != http.client.OK:
            raise StackError(f"MiniStack answered {status} to a reset")

    def log(self) -> str:
        """What MiniStack complained about since it started."""
        return self._log_file.read_text(errors="replace")

    def decisions(self) -> list[dict[str, Any]]:
        """What a strict stack has decided about the Lambdas' calls, in order: role, action, resource, allowed."""
        lines = self._rights_file.read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def _log_file(self) -> Path:
        return self._in_folder("ministack.log")

    @property
    def _rights_file(self) -> Path:
        return self._in_folder("rights.jsonl")

    def _in_folder(self, name: str) -> Path:
        if self._folder is None:
            raise StackError("MiniStack is not running")
        return self._folder / name

    def _child_environment(self, folder: Path) -> dict[str, str]:
        environment = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        environment |= {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": HOST,
            "LOG_LEVEL": "ERROR",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONUTF8": "1",
            # The folders of unpacked Lambdas, which MiniStack leaves behind, go where we can sweep them away.
            "TMPDIR": str(folder),
            "S3_DATA_DIR": str(folder / "s3"),
            "STATE_DIR": str(folder / "state"),
            # MiniStack stops containers that carry its label at every start: keep it off the user's Docker.
            "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
            **self.lambda_environment,
        }
        if self.state_dir is not None:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            environment |= {"PERSIST_STATE": "1", "STATE_DIR": str(self.state_dir.absolute())}
        return environment

    def _wait_until_it_answers(self) -> None:
        process, deadline = self.process, time.monotonic() + START_TIMEOUT_SECONDS
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            try:
                if self._request("GET", "/_ministack/health") == http.client.OK:
                    return
            except OSError:
                pass
            time.sleep(POLL_SECONDS)
        complaint = self.log()
        self.kill()
        raise StackError(f"MiniStack did not start on {self.endpoint_url}:\n{complaint}")

    def _request(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    def _clean_up(self) -> None:
        if self.process is not None:
            self.process.wait(STOP_TIMEOUT_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _bind(port: int) -> socket.socket:
    """A socket on the loopback interface, bound and not yet listening; port 0 takes a free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise StackError(f"Port {port} on {HOST} is taken: {error.strerror}") from error
    return listener
