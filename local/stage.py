"""`make stage`: what would go to AWS, packaged, and deployed through CloudFormation on MiniStack, with its rights.

Nothing is left out: each request goes through API Gateway into a Lambda, each call over a queue, the clock is
EventBridge's. It forgets everything when it ends. A pretend Stripe stands beside it, as at home.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from local.deploy import Deployed, deploy_stage
from local.package import ROOT, package
from local.pretend_stripe import PretendStripe
from local.stack import Stack
from local.start import WEBHOOK_PATHS, WEBHOOK_SECRETS, give_keys
from local.template import client

STAGE = "dev"
SENDER = "billing@rebill.example"


@dataclass(frozen=True)
class Stage:
    """A deployed stage, with a key for its API that may do everything."""

    stack: Stack
    pretend: PretendStripe
    deployed: Deployed
    api_key: str


@contextmanager
def standing(build: Path, stage: str = STAGE) -> Iterator[Stage]:
    """Deploy what `local.package` has built, and let it run for as long as the context lasts.

    Raises:
        StackError: MiniStack did not start. DeployError: CloudFormation could not.
    """
    with PretendStripe() as pretend:
        addresses = {
            "REBILL_STRIPE_API_ADDRESS": pretend.base_addresses["api"],
            "REBILL_STRIPE_CONNECT_ADDRESS": pretend.base_addresses["connect"],
        }
        with Stack(strict=True, lambda_environment=addresses) as stack:
            give_keys(stack.endpoint_url, stage, pretend)
            client(stack.endpoint_url, "sesv2").create_email_identity(EmailIdentity=SENDER)
            deployed = deploy_stage(stack.endpoint_url, build, stage, EmailFrom=SENDER, EmailIdentity=SENDER)
            for kind, secret in WEBHOOK_SECRETS.items():
                pretend.control.set_endpoint(kind, secret, deployed.local_url + WEBHOOK_PATHS[kind])
            yield Stage(stack, pretend, deployed, _make_key(stack, stage))


def _make_key(stack: Stack, stage: str) -> str:
    """As the operator makes one: with the command, and credentials of his own."""
    command = [sys.executable, "-m", "ops", "--stage", stage, "keys", "make", "the stage's own"]
    made = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, **stack.environment()}
    )
    return made.stdout.strip()


def main() -> None:
    """Run until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="rebill-stage-") as folder:
        print("Packaging ...", flush=True)
        package(Path(folder) / "build", STAGE)
        print("Deploying ...", flush=True)
        with standing(Path(folder) / "build") as stage:
            print(f"API       {stage.deployed.base_url}  (with curl and browsers)")
            print(f"          {stage.deployed.local_url}  (with everything else)")
            print(f"Describes itself at {stage.deployed.base_url}/docs")
            print(f"API key   {stage.api_key}")
            print(f"Stripe    {stage.pretend.url}")
            print(f"AWS       {stage.stack.endpoint_url}  Ctrl-C ends it", flush=True)
            Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nEnded; nothing is kept.")
