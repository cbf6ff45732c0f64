"""How long each function of ours imports at a cold start, and how much memory that takes: each in a fresh process.

From the unzipped package where one can be made, as in Lambda; else from this checkout and its environment.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import app
from bench.hot import Doors, HotWorkspace
from bench.report import Part, Steps, Table, Verdict
from local.package import PackageError, package

ROOT = Path(__file__).resolve().parent.parent
MOST_PERCENT = 60
GATE = "app.app"

# Peak memory is VmHWM where there is one: Linux hands the parent's ru_maxrss down to its child.
FRESH = """
import sys, time
started_at = time.perf_counter()
{work}
milliseconds = (time.perf_counter() - started_at) * 1000
processor_ms = time.process_time() * 1000  # since the interpreter began
import json, resource
try:
    peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(json.dumps({{"ms": milliseconds, "processor_ms": processor_ms, "peak_mb": peak_kb / 1024,
                  "modules": sorted(sys.modules),
                  "status": globals().get("status", 0), "at_work": globals().get("at_work", [])}}))
"""

ALONE, EVERYTHING = "Python alone", "the whole app, every file and library of it"
WHOLE = """
import app, pkgutil, importlib, chalicelib
for each in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(each.name)
import aws_lambda_powertools.utilities.idempotency, aws_lambda_powertools.utilities.parameters, jinja2, jwt, segno
"""

# As Lambda calls it: `app.app(event, context)`, with what API Gateway hands over.
ASK = """
import app, json
before = set(sys.modules)
status = app.app(json.loads({event!r}), None)["statusCode"]
at_work = sorted(set(sys.modules) - before)
"""

POST = """
import json, app
from chalicelib.flows.post_usage import Message, post_usage
messages = [Message(*each) for each in json.load(sys.stdin)]
status = len(post_usage(messages, 60.0))
"""


@dataclass(frozen=True)
class Place:
    """Where a fresh process finds what it imports."""

    folder: Path
    options: Sequence[str]
    said: str
    zip_mb: str

    def run(self, work: str, handler: str = "", given: str = "") -> Any:
        """Run this in a new interpreter.

        Raises:
            RuntimeError: it did not come to its end; says why.
        """
        program = FRESH.format(work=work)
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "_HANDLER": handler}
        command = [sys.executable, *self.options, "-c", program]
        done = subprocess.run(command, cwd=self.folder, env=environment, input=given, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


CHECKOUT = Place(ROOT, (), "from the checkout, with bytecode: no package could be made here", "-")


def measure(doors: Doors, world: HotWorkspace, runs: int, display: Steps) -> Part:
    """Import each in turn, so many times; then ask the gate and post a batch, in processes that did nothing before."""
    works = {ALONE: ("pass", "")}
    works |= {_name(handler): ("import app", handler) for handler in (GATE, *handlers())}
    works |= {EVERYTHING: (WHOLE, "")}
    with _place() as place:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in works}
        with display.step("imports in fresh processes", runs) as step:
            for number in range(runs):
                for name, (work, handler) in works.items():
                    found[name].append(place.run(work, handler))
                step.to(number + 1)
        client = world.clients[0]
        gate = ask_gate_in_fresh_process(doors.api_key, client, place)
        messages = world.messages(500, 20)
        posted = place.run(POST, "app.post_usage_batch", json.dumps([[each.id, each.body] for each in messages]))
    if posted["status"] or gate["status"] != 200:
        told = f"the gate answered {gate['status']}, {posted['status']} of 500 events came back"
        raise RuntimeError(f"The fresh processes did not do their work: {told}")
    rows = [_row(name, answers, place.zip_mb) for name, answers in found.items()]
    for name, answer in (("app, the gate asked once", gate), ("post_usage_batch, 500 posted", posted)):
        rows.append((name, "-", *_size(answer), place.zip_mb))
    notes = (
        f"min / median / max of {runs} fresh processes, in turns, {place.said}; peak memory is the process's own.",
        "Each function loads what it needs first while Lambda starts it; all of them are one zip.",
        f"Answering, the gate imports {len(gate['at_work'])} modules more, {_share(gate['at_work'])} of them ours.",
    )
    head = ("function", "import ms", "peak MB", "modules", "zip MB")
    return Part([Table("Cold starts: imports and memory", head, rows, notes)], [_verdict(found)])


def handlers() -> list[str]:
    """The names under which Lambda calls the functions of the queues and the clock."""
    return [source.handler_string for source in app.event_sources]


def ask_gate_in_fresh_process(api_key: str, sub_account_id: str, place: Place = CHECKOUT) -> Any:
    """Import the app as the API's function does, ask the gate, and tell the status and every module that is loaded."""
    path = "/v1/sub-accounts/{sub_account_id}/access"
    event = {
        "requestContext": {"httpMethod": "GET", "resourcePath": path, "requestId": "bench", "identity": {}},
        "headers": {"host": "bench.example", "authorization": f"Bearer {api_key}"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"sub_account_id": sub_account_id},
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
    }
    return place.run(ASK.format(event=json.dumps(event)), GATE)


@contextmanager
def _place() -> Iterator[Place]:
    """The package as it is deployed, unzipped; without it, this checkout."""
    with tempfile.TemporaryDirectory(prefix="rebill-bench-") as folder:
        build, unzipped = Path(folder) / "build", Path(folder) / "task"
        try:
            package(build)
            archive = build / "deployment.zip"
            with zipfile.ZipFile(archive) as packaged:
                packaged.extractall(unzipped)
            size = f"{archive.stat().st_size / 1e6:.1f}"
            place = Place(unzipped, ("-S",), "from the unzipped package alone (python -S)", size)
            place.run(WHOLE)
        except (PackageError, RuntimeError):  # without a network, or on another machine than Lambda's
            place = CHECKOUT
            place.run(WHOLE)  # writes the bytecode, which every later run reads
        yield place


def _name(handler: str) -> str:
    return {GATE: "app, ready for the gate"}.get(handler, handler.removeprefix("app."))


def _share(modules: Sequence[str]) -> int:
    return sum(name.startswith("chalicelib") for name in modules)


def _row(name: str, answers: Sequence[dict[str, Any]], zip_mb: str) -> tuple[str, ...]:
    milliseconds = [answer["ms"] for answer in answers]
    times = " / ".join(f"{f(milliseconds):.0f}" for f in (min, statistics.median, max))
    return name, times, *_size(answers[-1]), "-" if name == ALONE else zip_mb


def _size(answer: dict[str, Any]) -> tuple[str, str]:
    return f"{answer['peak_mb']:.0f}", str(len(answer["modules"]))


def _verdict(found: Mapping[str, Sequence[dict[str, Any]]]) -> Verdict:
    gate, whole = (statistics.median(answer["ms"] for answer in found[name]) for name in (_name(GATE), EVERYTHING))
    return Verdict(
        f"the gate's path imports in at most {MOST_PERCENT} % of the whole app's time",
        gate <= whole * MOST_PERCENT / 100,
        f"{gate / whole:.0%}: {gate:.0f} of {whole:.0f} ms of processor time",
    )
