"""How long a cold start imports, and how much memory it takes: each in a process of its own."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report import Part, Steps, Table

ROOT = Path(__file__).resolve().parent.parent

# Peak memory is VmHWM where there is one: Linux hands the parent's ru_maxrss down to its child.
FRESH = """
import sys, time
started_at = time.perf_counter()
{work}
milliseconds = (time.perf_counter() - started_at) * 1000
import json, resource
try:
    peak_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
stripe = sorted(name for name in sys.modules if name.split(".")[0] == "stripe")
print(json.dumps({{"ms": milliseconds, "peak_mb": peak_kb / 1024, "modules": len(sys.modules), "stripe": stripe,
                  "status": globals().get("status", 0)}}))
"""

IMPORTS = (
    ("Python alone", "pass"),
    ("the gate's decision (chalicelib.flows.check_access)", "import chalicelib.flows.check_access"),
    ("the gate's door (chalicelib.web.routes.access)", "import chalicelib.web.routes.access"),
    ("the whole app (app)", "import app"),
)

ASK = """
from app import app
from chalice.config import Config
from chalice.local import LocalChalice, LocalGateway
app.__class__ = LocalChalice
gateway = LocalGateway(app, Config(config_from_disk={{"lambda_timeout": 29}}))
headers = {{"host": "bench.example", "authorization": "Bearer " + {key!r}}}
status = gateway.handle_request("GET", {path!r}, headers, b"")["statusCode"]
"""

POST = """
from app import app
from chalicelib.flows.post_usage import Message, post_usage
messages = [Message(*each) for each in json.load(sys.stdin)]
status = len(post_usage(messages, 60.0))
"""


def measure(messages: Sequence[Any], runs: int, display: Steps) -> Part:
    """Import each in turn, so many times; then post one batch in a process that did nothing before."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in IMPORTS}
    for _, work in IMPORTS:
        _fresh(work)  # writes the bytecode, which every later run reads
    with display.step("imports in fresh processes", runs) as step:
        for number in range(runs):
            for name, work in IMPORTS:
                found[name].append(_fresh(work))
            step.to(number + 1)
    text = json.dumps([[message.id, message.body] for message in messages])
    posting = _fresh(f"import json{POST}", text)
    if posting["status"]:
        raise RuntimeError("The fresh process did not post its batch")
    rows = [_row(name, answers) for name, answers in found.items()]
    rows.append(
        (f"the app, and a batch of {len(messages)} posted", "-", f"{posting['peak_mb']:.0f}", str(posting["modules"]))
    )
    notes = (
        f"min / median / max of {runs} fresh processes, in turns, with bytecode; memory is the process's own peak.",
    )
    head = ("what", "import ms", "peak MB", "modules")
    return Part([Table("Cold starts: imports and memory", head, rows, notes)])


def ask_gate_in_fresh_process(api_key: str, path: str) -> Any:
    """Import the app, ask the gate through its door, and tell the status and every module of Stripe's."""
    return _fresh(ASK.format(path=path, key=api_key))


def _row(name: str, answers: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    milliseconds = [answer["ms"] for answer in answers]
    times = " / ".join(f"{f(milliseconds):.0f}" for f in (min, statistics.median, max))
    peak_mb = statistics.median(answer["peak_mb"] for answer in answers)
    return name, times, f"{peak_mb:.0f}", str(answers[-1]["modules"])


def _fresh(work: str, given: str = "") -> Any:
    """Run this in a new interpreter, which finds our packages and the store as this one does."""
    program = FRESH.format(work=work)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, input=given, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
