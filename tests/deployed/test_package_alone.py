"""The package starts from its own folder, where an interpreter sees neither other packages nor our sources."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

# Every file is imported, also those that are otherwise imported only when a route or a flow needs them.
LOAD_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, {folder!r})
import app, chalicelib
for found in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(found.name)
for handler in {handlers!r}:
    assert callable(getattr(app, handler)), handler
outside = [
    name
    for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and "site-packages" in module.__file__
]
assert outside == [], outside
print(len([name for name in sys.modules if name.startswith("chalicelib")]))
"""


def test_the_package_starts_and_loads_every_file_from_its_own_folder_alone(build: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build / "deployment.zip") as packaged:
        packaged.extractall(tmp_path)
    resources = json.loads((build / "sam.json").read_text())["Resources"].values()
    functions = [each["Properties"]["Handler"] for each in resources if each["Type"] == "AWS::Serverless::Function"]
    handlers = [handler.removeprefix("app.") for handler in functions]

    started = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LOAD_ALL.format(folder=str(tmp_path), handlers=handlers)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"AWS_DEFAULT_REGION": "us-east-1", "REBILL_STAGE": "dev", "HOME": os.devnull},
    )

    assert started.stderr == ""
    written = len(list((tmp_path / "chalicelib").rglob("*.py")))
    assert int(started.stdout) >= written > 100
    assert {"app", "post_usage_batch", "settle_payments", "tick"} <= set(handlers)
