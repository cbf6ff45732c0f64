"""`make contract`: the running product is held against its own description, with requests that nobody thought of.

Schemathesis reads `/openapi.json` of a product that is started for it, in a folder of its own, and sends what the
description allows and what it does not. SEED (1 unless it is given) makes a run repeatable.
"""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from chalicelib.domain.accounts import Provider
from local import kept
from local.api import Api
from local.options import ROOT

USUAL_SEED = "1"
EXAMPLES_PER_OPERATION = "15"  # besides those that schemathesis works out from the description itself
START_SECONDS, END_SECONDS, LONGEST_SECONDS = 30, 20, 600
# Which methods are tried where there is none. All that the tool knows but QUERY, which is younger than API Gateway: it
# never gets to the product, and the server at home says 501 to it by itself.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
OWNER = "owner@acme.example"
PAGES = (
    # Pages need a browser's session or a link that Stripe has sent the browser back with: without either, all that is
    # reached is the refusal. tests/dashboard and tests/payments walk through them.
    *("/dashboard", "/dashboard/{action}", "/dashboard/enter", "/oauth/stripe/start", "/oauth/stripe/callback"),
    *("/payments/return", "/payments/action"),
)
# Endings take an account of their own, or every other door would soon answer 409 only.
CLOSE = "/v1/sub-accounts/{sub_account_id}/close"
# What is told of the pretend world goes nowhere: this name is kept from ever leading anywhere (RFC 2606).
NOWHERE = "https://rebill.invalid/webhooks"


class ContractError(RuntimeError):
    """The product could not be tried; says in one sentence why."""


def main() -> int:
    """Try the product; 0 if it does what it says, 1 if it does not or could not be tried."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the `finally` that ends the product
    seed = os.environ.get("SEED") or USUAL_SEED
    folder = Path(tempfile.mkdtemp(prefix="rebill-contract-"))
    try:
        with running(folder) as found:
            code = _try(folder, found, seed)
    except ContractError as trouble:
        print(f"make contract: {trouble}", file=sys.stderr)
        code = 1
    if code:
        print(f"To repeat: SEED={seed} make contract. What the product logged: {folder}/.state/app.log")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if code else 0


@contextmanager
def running(folder: Path) -> Iterator[Mapping[str, Any]]:
    """An empty product at home in this folder, as its `.run.json` describes it; ended by its own pid whatever happens.

    Raises:
        ContractError: it did not start.
    """
    environment = {**os.environ, "PORT": "0", "DEMO": "0", "REBILL_HOME": str(folder)}
    with (folder / "out").open("wb") as out:
        product = subprocess.Popen(
            [sys.executable, "-m", "local.run"], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield _wait_for(folder, product)
    finally:
        product.terminate()
        try:
            product.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            product.kill()
            product.wait()


def _wait_for(folder: Path, product: "subprocess.Popen[bytes]") -> Mapping[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and product.poll() is None:
        found: dict[str, Any] | None = kept.read_json(folder / ".run.json")
        if found:
            return found
        time.sleep(0.1)
    raise ContractError(f"The product did not start: {(folder / 'out').read_text()}")


def _try(folder: Path, found: Mapping[str, Any], seed: str) -> int:
    with Api(found["base_url"], found["api_key"]) as api:
        described = with_known_values(api.get("/openapi.json"), known_values(api))
    description = folder / "openapi.json"
    description.write_text(json.dumps(described))
    (folder / "schemathesis.toml").write_text(f"[phases.coverage]\nunexpected-methods = {json.dumps(METHODS)}\n")
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(description), "--url", found["base_url"]]
    command += ["--header", f"Authorization: Bearer {found['api_key']}", "--checks", CHECKS, "--seed", seed]
    command += ["--max-examples", EXAMPLES_PER_OPERATION, "--phases", "examples,coverage,fuzzing", "--workers", "1"]
    command += ["--generation-database", "none", "--continue-on-failure", "--output-truncate", "false"]
    command += ["--warnings", "off", "--request-timeout", "30", "--max-redirects", "0"]
    for path in PAGES:
        command += ["--exclude-path", path]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, timeout=LONGEST_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired as late:
        raise ContractError(f"It was not done after {LONGEST_SECONDS} s.") from late


def known_values(api: Api) -> dict[str, list[str]]:
    """A small world, made over HTTP; what stands in its addresses, by the name of the path's parameter."""
    workspace = _made(api, "/v1/workspaces", {"name": "Acme Voice", "currency": "usd", "owner_email": OWNER})["id"]
    accounts = f"/v1/workspaces/{workspace}/sub-accounts"
    clients = [_made(api, accounts, {"name": name})["id"] for name in ("Bright Dental", "Harbor Plumbing")]
    for owner in (workspace, *clients):
        api.credit(owner, "100.00", "to begin with")
    voice = {"provider": "cloudevents"}
    call = {"answered_at": "2026-01-05T10:00:00Z", "ended_at": "2026-01-05T10:01:00Z"}
    event = {"specversion": "1.0", "id": "call_1", "source": "my-platform", "type": "rebill.usage"}
    _made(api, "/v1/usage-events", {**event, "subject": clients[0], "data": call})
    return {
        "workspace_id": [workspace],
        "sub_account_id": clients,
        "to_close": [_made(api, accounts, {"name": "Cedar Legal"})["id"]],
        "email": [OWNER, "new@acme.example"],
        "provider": [each.value for each in Provider],
        "agent_id": ["agent_7"],
        "endpoint_id": [
            _made(api, f"/v1/workspaces/{workspace}/voice-endpoints", voice)["id"],
            _made(api, "/v1/webhook-endpoints", {"url": NOWHERE})["id"],
        ],
        "top_up_id": [_made(api, f"/v1/workspaces/{workspace}/wallet/top-ups", {"amount": "25.00"})["id"]],
        "application_id": [_applied(api, workspace, clients[0])],
        "source": [event["source"]],
        "event_id": [event["id"]],
        "asset": ["start.js", "swagger-ui.min.css"],
        "name": ["app.css"],
    }


def with_known_values(described: Mapping[str, Any], known: Mapping[str, list[str]]) -> dict[str, Any]:
    """The description as it is to be tried: what is there is named beside anything else that an address may hold, and
    bodies name what is there and nothing else, as a wrong id is one refusal however often it is tried.
    """
    changed = copy.deepcopy(dict(described))
    for path, operations in changed["paths"].items():
        for parameter in (each for operation in operations.values() for each in operation["parameters"]):
            values = known.get("to_close" if path == CLOSE else parameter["name"])
            if parameter["in"] == "path" and values:
                parameter["schema"] = {"anyOf": [{"enum": values}, parameter["schema"]]}
    (workspace,), clients = known["workspace_id"], known["sub_account_id"]
    schemas = changed["components"]["schemas"]
    schemas["NewWebhookEndpoint"]["properties"]["url"] = {"enum": [NOWHERE]}
    schemas["NewDashboardSession"]["properties"]["workspace"] = {"enum": [workspace, None]}
    schemas["NewDashboardSession"]["properties"]["sub_account"] = {"enum": [*clients, None]}
    schemas["NewSnapshotApplication"]["properties"]["sub_accounts"]["items"] = {"enum": clients}
    schemas["CloudEvent"]["properties"]["subject"] = {"enum": [*clients, *known["agent_id"]]}
    for example in schemas["CloudEvent"]["examples"]:
        example["subject"] = clients[0]
    return changed


def _applied(api: Api, workspace: str, client: str) -> str:
    """The snapshot as it is, applied to the client."""
    path = f"/v1/workspaces/{workspace}/snapshot"
    body = {"sub_accounts": [client], "version": api.get(path)["version"]}
    return str(_made(api, f"{path}/apply", body)["id"])


def _made(api: Api, path: str, body: Any) -> Any:
    reply = api.post(path, body, {"Idempotency-Key": str(uuid4())})
    if reply.status >= 300:
        raise ContractError(f"POST {path} was answered {reply.status}: {reply.body}")
    return reply.body


if __name__ == "__main__":
    sys.exit(main())
