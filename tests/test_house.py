"""The house rules: the folder is the floor, and whoever breaks a rule is told what to do instead.

Each rule is a function of a path and a source that answers with what is wrong there. Below, every rule is held against
the house, and then against a snippet that breaks it, because a rule that cannot fail is none.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[1]
PACKAGED = ("app.py", "chalicelib")
OURS = (*PACKAGED, "local", "ops", "bench", "infra")
CODE = (".py",)
TEXT = (".py", ".html", ".js", ".css", ".json", ".txt", ".md", ".svg")

LONGEST_FUNCTION_LINES = 49
LONGEST_FILE_LINES = 400
LONGEST_TEST_FILE_LINES = 600  # a list of sentences reads faster than code

# Who may import whom. "root" are the modules beside the folders; a library stands in the second table.
ROOT_MODULES = ("settings", "clock", "starting", "telemetry", "validation")
MAY_IMPORT = {
    "domain": ("domain",),
    "root": ("domain.errors",),
    "storage": ("domain", "root", "storage"),
    "gateways": ("domain", "root", "gateways"),
    "flows": ("domain", "root", "storage", "gateways", "flows"),
    "web": ("domain", "root", "storage", "gateways", "flows", "web"),
}
HOMES = {
    "pynamodb": ("chalicelib/storage/",),
    "stripe": ("chalicelib/gateways/stripe/",),
    "chalice": ("chalicelib/web/", "app.py"),
}
NEVER_PACKAGED = ("local", "ops", "bench", "tests")
ADDRESSES_OF_HOME = ("127.0.0.1", "localhost", "ministack")
IMPURE = ("time", "os", "io", "pathlib", "socket", "ssl", "http", "urllib", "subprocess", "random", "logging")
CLOCK_READERS = ("now", "utcnow", "today")
ENVIRONMENT = ("environ", "environb", "getenv", "getenvb", "putenv")
POSTPONED = re.compile(r"\b(TODO|FIXME|XXX)\b")

# One word, one meaning: what is never said in a name, and what is said instead. Only words are listed that a library
# or an everyday phrase does not need, so `location`, `plan`, `record` and `transaction` are left to the reader.
SAY_INSTEAD = {
    "tenant": "workspace",
    "agency": "workspace",
    "agencies": "workspaces",
    "merchant": "connected account",
    "recharge": "refill",
    "autorecharge": "refill rule",
    "deposit": "credit, or top-up if a person pays",
    "price_list": "rate card",
    "pricelist": "rate card",
    "account_balance": "wallet balance",
    "charge_card": "payment",
    "card_charge": "payment",
    "charge_customer": "payment",
}

Rule = Callable[[str, str], list[str]]


# Reading a source


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Everything in the source, parents first: read once for all rules."""
    return tuple(ast.walk(ast.parse(source)))


@cache
def text_of(file: Path) -> str:
    return file.read_text("utf-8")


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Every import as its line and its full dotted name, wherever it hides in the file."""
    for node in nodes(source):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = list(Path(path).parent.parts)
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def names_given(source: str) -> Iterator[tuple[int, str]]:
    """Every name that the file itself gives: functions, classes, arguments, variables, attributes, aliases."""
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def floor_of(path: str) -> str | None:
    parts = Path(path).with_suffix("").parts
    if parts[:1] != ("chalicelib",):
        return None
    return "root" if len(parts) == 2 else parts[1]


def stands_within(name: str, roof: str) -> bool:
    return name == roof or name.startswith(f"{roof}.")


def lines_with(source: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        if found := pattern.search(line):
            yield number, found[0]


# The rules


def imports_run_downwards(path: str, source: str) -> list[str]:
    floor = floor_of(path)
    allowed = [
        f"chalicelib.{name}"
        for below in MAY_IMPORT.get(floor or "", ())
        for name in (ROOT_MODULES if below == "root" else (below,))
    ]
    return [
        f"{path}:{line}: imports {name}, which does not stand below it. Move what is shared down, or the caller up."
        for line, name in imports(path, source)
        if floor in MAY_IMPORT
        and stands_within(name, "chalicelib")
        and not any(stands_within(name, roof) for roof in allowed)
    ]


def every_file_has_a_floor(path: str, source: str) -> list[str]:
    known = floor_of(path) in MAY_IMPORT
    if floor_of(path) == "root":
        known = Path(path).stem in (*ROOT_MODULES, "__init__")
    return [] if known or path == "app.py" else [f"{path}: stands on no floor. Move it into one of {list(MAY_IMPORT)}."]


def the_domain_needs_nothing_but_python(path: str, source: str) -> list[str]:
    return [
        f"{path}:{line}: the domain imports {name}. Leave libraries to the floors above and hand it plain values."
        for line, name in imports(path, source)
        if floor_of(path) == "domain"
        and not stands_within(name, "chalicelib")
        and name.split(".")[0] not in sys.stdlib_module_names
    ]


def the_domain_has_no_clock_and_no_outside(path: str, source: str) -> list[str]:
    if floor_of(path) != "domain":
        return []
    outside = [(line, name) for line, name in imports(path, source) if name.split(".")[0] in IMPURE]
    outside += [
        (node.lineno, f"{node.func.attr}()")
        for node in nodes(source)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_READERS
    ]
    return [f"{path}:{line}: the domain uses {name}. Take the value as an argument instead." for line, name in outside]


def libraries_stay_at_home(path: str, source: str) -> list[str]:
    return [
        f"{path}:{line}: imports {name}. Only {' and '.join(homes)} may; ask there for what you need."
        for line, name in imports(path, source)
        for library, homes in HOMES.items()
        if stands_within(name, library) and not path.startswith(homes)
    ]


def the_environment_is_read_in_settings(path: str, source: str) -> list[str]:
    used = [node.lineno for node in nodes(source) if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT]
    used += [line for line, name in imports(path, source) if name in [f"os.{word}" for word in ENVIRONMENT]]
    return [
        f"{path}:{line}: reads the environment. Add a setting to chalicelib/settings.py and read that."
        for line in used
        if path != "chalicelib/settings.py"
    ]


def what_is_packaged_imports_nothing_that_is_not(path: str, source: str) -> list[str]:
    return [
        f"{path}:{line}: imports {name}, which is not packaged. Turn the import round: {name} may import this."
        for line, name in imports(path, source)
        if name.split(".")[0] in NEVER_PACKAGED
    ]


def nothing_packaged_knows_that_it_runs_at_home(path: str, source: str) -> list[str]:
    homely = re.compile("|".join(re.escape(word) for word in ADDRESSES_OF_HOME), re.IGNORECASE)
    return [
        f"{path}:{line}: names {word}. Only addresses differ at home: take it from the settings."
        for line, word in lines_with(source, homely)
    ]


def functions_fit_a_screen(path: str, source: str) -> list[str]:
    functions = [n for n in nodes(source) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"{path}:{node.lineno}: {node.name} has {length} lines. Split it: {LONGEST_FUNCTION_LINES} fit a screen."
        for node in functions
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION_LINES
    ]


def files_can_be_read_in_one_go(path: str, source: str) -> list[str]:
    length = len(source.splitlines())
    most = LONGEST_TEST_FILE_LINES if path.startswith("tests/") else LONGEST_FILE_LINES
    return [f"{path}: has {length} lines. Split it by subject: {most} at most."] * (length > most)


def nothing_is_postponed(path: str, source: str) -> list[str]:
    return [
        f"{path}:{line}: says {word}. Do it now, or write it down where plans are kept."
        for line, word in lines_with(source, POSTPONED)
    ]


def one_word_has_one_meaning(path: str, source: str) -> list[str]:
    wrong = []
    for line, name in [(1, Path(path).stem), *names_given(source)]:
        words = "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)).lower()
        wrong += [
            f"{path}:{line}: {name} says {word.replace('_', ' ')!r}. Here that is called: {right}."
            for word, right in SAY_INSTEAD.items()
            if re.search(rf"(?:^|_){word}s?(?:_|$)", words)
        ]
    return wrong


# The rules are held


def broken(rule: Rule, roots: tuple[str, ...], suffixes: tuple[str, ...] = CODE) -> str:
    """What is wrong in the house by this rule, one finding a line; empty if all is well."""
    found = []
    for root in roots:
        folder = HOUSE / root
        for file in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            if file.is_file() and file.suffix in suffixes and "node_modules" not in file.parts:
                found += rule(file.relative_to(HOUSE).as_posix(), text_of(file))
    return "\n".join(found)


def test_imports_run_downwards_only() -> None:
    assert not (found := broken(imports_run_downwards, PACKAGED)), found


def test_every_packaged_file_stands_on_a_floor() -> None:
    assert not (found := broken(every_file_has_a_floor, PACKAGED)), found


def test_the_domain_imports_the_standard_library_only() -> None:
    assert not (found := broken(the_domain_needs_nothing_but_python, PACKAGED)), found


def test_the_domain_reads_no_clock_and_touches_nothing_outside() -> None:
    assert not (found := broken(the_domain_has_no_clock_and_no_outside, PACKAGED)), found


def test_each_library_is_known_to_one_floor_only() -> None:
    assert not (found := broken(libraries_stay_at_home, PACKAGED)), found


def test_only_the_settings_read_the_environment() -> None:
    assert not (found := broken(the_environment_is_read_in_settings, PACKAGED)), found


def test_nothing_packaged_imports_what_stays_at_home() -> None:
    assert not (found := broken(what_is_packaged_imports_nothing_that_is_not, PACKAGED)), found


def test_nothing_packaged_knows_that_it_runs_at_home() -> None:
    assert not (found := broken(nothing_packaged_knows_that_it_runs_at_home, PACKAGED, TEXT)), found


def test_every_function_fits_a_screen() -> None:
    assert not (found := broken(functions_fit_a_screen, OURS)), found


def test_every_file_can_be_read_in_one_go() -> None:
    assert not (found := broken(files_can_be_read_in_one_go, (*OURS, "tests"))), found


def test_nothing_is_postponed() -> None:
    assert not (found := broken(nothing_is_postponed, OURS, TEXT)), found


def test_one_word_has_one_meaning() -> None:
    assert not (found := broken(one_word_has_one_meaning, PACKAGED)), found


# The rules can fail


DOMAIN, ROOT, STORAGE = "chalicelib/domain/money.py", "chalicelib/clock.py", "chalicelib/storage/ledger.py"
STRIPE, VOICE = "chalicelib/gateways/stripe/client.py", "chalicelib/gateways/voice/vapi.py"
FLOW, WEB = "chalicelib/flows/post_usage.py", "chalicelib/web/errors.py"
LONG_FUNCTION = "def f():\n" + "    pass\n" * LONGEST_FUNCTION_LINES
LONG_FILE = "pass\n" * (LONGEST_FILE_LINES + 1)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (imports_run_downwards, DOMAIN, "from chalicelib.storage.ledger import post"),
        (imports_run_downwards, DOMAIN, "from chalicelib import clock"),
        (imports_run_downwards, ROOT, "from chalicelib.domain.money import format_amount"),
        (imports_run_downwards, ROOT, "from chalicelib import settings"),
        (imports_run_downwards, STORAGE, "from chalicelib.gateways import queue"),
        (imports_run_downwards, STORAGE, "from ..flows.post_usage import post_usage"),
        (imports_run_downwards, STORAGE, "def f():\n    import chalicelib.web.errors"),
        (imports_run_downwards, VOICE, "from ...storage import ledger"),
        (imports_run_downwards, VOICE, "import_module('chalicelib.storage')"),
        (imports_run_downwards, FLOW, "import chalicelib.web"),
        (imports_run_downwards, WEB, "from chalicelib.utils import flatten"),
        (every_file_has_a_floor, "chalicelib/utils.py", ""),
        (every_file_has_a_floor, "chalicelib/services/billing.py", ""),
        (the_domain_needs_nothing_but_python, DOMAIN, "import pydantic"),
        (the_domain_needs_nothing_but_python, DOMAIN, "from boto3.dynamodb import types"),
        (the_domain_has_no_clock_and_no_outside, DOMAIN, "import time"),
        (the_domain_has_no_clock_and_no_outside, DOMAIN, "from urllib.request import urlopen"),
        (the_domain_has_no_clock_and_no_outside, DOMAIN, "datetime.now(UTC)"),
        (libraries_stay_at_home, FLOW, "from pynamodb.models import Model"),
        (libraries_stay_at_home, FLOW, "import stripe"),
        (libraries_stay_at_home, VOICE, "from stripe import StripeClient"),
        (libraries_stay_at_home, FLOW, "from chalice import Response"),
        (the_environment_is_read_in_settings, FLOW, "import os\nos.environ['STAGE']"),
        (the_environment_is_read_in_settings, "app.py", "import os as system\nsystem.getenv('STAGE')"),
        (the_environment_is_read_in_settings, WEB, "from os import environ"),
        (what_is_packaged_imports_nothing_that_is_not, "app.py", "from local.stack import start"),
        (what_is_packaged_imports_nothing_that_is_not, WEB, "import tests.conftest"),
        (nothing_packaged_knows_that_it_runs_at_home, FLOW, "URL = 'http://127.0.0.1:8000'"),
        (nothing_packaged_knows_that_it_runs_at_home, FLOW, "# on Localhost only"),
        (nothing_packaged_knows_that_it_runs_at_home, "chalicelib/web/page.html", "<p>MiniStack</p>"),
        (functions_fit_a_screen, "ops/replay.py", LONG_FUNCTION),
        (functions_fit_a_screen, "local/stack.py", "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ")),
        (files_can_be_read_in_one_go, "tests/test_all.py", "pass\n" * (LONGEST_TEST_FILE_LINES + 1)),
        (files_can_be_read_in_one_go, FLOW, LONG_FILE),
        (nothing_is_postponed, FLOW, "x = 1  # TODO: later"),
        (nothing_is_postponed, "chalicelib/web/static/app.js", "// FIXME"),
        (one_word_has_one_meaning, FLOW, "tenant_id = 1"),
        (one_word_has_one_meaning, FLOW, "class AutoRecharge: ..."),
        (one_word_has_one_meaning, FLOW, "def create(merchants): ..."),
        (one_word_has_one_meaning, FLOW, "self.priceList = 1"),
        (one_word_has_one_meaning, FLOW, "from x import y as AGENCY_ID"),
        (one_word_has_one_meaning, "chalicelib/flows/charge_card.py", ""),
    ],
)
def test_a_broken_rule_is_found(rule: Rule, path: str, source: str) -> None:
    findings = rule(path, source)

    assert len(findings) == 1
    assert findings[0].startswith(f"{path}:")


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (imports_run_downwards, DOMAIN, "from chalicelib.domain.errors import Invalid\nimport json"),
        (imports_run_downwards, ROOT, "from chalicelib.domain.errors import Invalid\nimport pydantic"),
        (imports_run_downwards, STORAGE, "from . import tables\nfrom chalicelib import clock, settings"),
        (imports_run_downwards, FLOW, "from ..storage import ledger\nfrom chalicelib.gateways.stripe import pay"),
        (imports_run_downwards, WEB, "from chalicelib.storage import ledger\nfrom chalicelib.flows import configure"),
        (imports_run_downwards, "app.py", "from chalicelib.web import api"),
        (every_file_has_a_floor, "chalicelib/__init__.py", ""),
        (libraries_stay_at_home, STORAGE, "from pynamodb.models import Model"),
        (libraries_stay_at_home, STRIPE, "from stripe import StripeClient"),
        (libraries_stay_at_home, WEB, "from chalice import Blueprint\nfrom chalicelib.gateways.stripe import pay"),
        (the_environment_is_read_in_settings, "chalicelib/settings.py", "import os\nos.environ['STAGE']"),
        (the_domain_has_no_clock_and_no_outside, STORAGE, "import time"),
        (functions_fit_a_screen, FLOW, "def f():\n" + "    pass\n" * (LONGEST_FUNCTION_LINES - 1)),
        (files_can_be_read_in_one_go, FLOW, "pass\n" * LONGEST_FILE_LINES),
        (nothing_is_postponed, FLOW, "xxx = 'TODOS'"),
        (one_word_has_one_meaning, FLOW, "charge = connected_account = refill_plan = location = 1  # the tenant"),
    ],
)
def test_a_kept_rule_is_left_alone(rule: Rule, path: str, source: str) -> None:
    assert rule(path, source) == []
