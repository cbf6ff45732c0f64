"""Starts the parts of the product at home in the order in which one needs another, and ends them in the other."""

import os
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from local.kept import only_one, open_log
from local.options import HomeError, Options
from local.pretend_stripe import PretendStripe
from local.server import HOST, Server
from local.stack import Stack, StackError
from local.template import TemplateError, client, create_resources
from local.voice_platform.listing import CallLists

STAGE = "home"
# Of the pretend Stripe: they open nothing anywhere else.
WEBHOOK_SECRETS = {"platform": "whsec_home_platform", "connect": "whsec_home_connect"}
WEBHOOK_PATHS = {"platform": "/webhooks/stripe", "connect": "/webhooks/stripe/connect"}


def start(options: Options, out: TextIO) -> None:
    """Run the product until an exception ends it.

    Raises:
        HomeError: it cannot start, or cannot go on.
    """
    try:
        with ExitStack() as parts:
            _start(options, out, parts)
    except (StackError, TemplateError) as trouble:
        raise HomeError(str(trouble)) from trouble


def _start(options: Options, out: TextIO, parts: ExitStack) -> None:
    parts.enter_context(only_one(options.state_dir))
    parts.enter_context(_output_to(options.state_dir / "app.log"))
    options.run_file.unlink(missing_ok=True)  # of a run that was killed
    server = parts.enter_context(Server(options.port))
    print("Rebill is starting ...", file=out, flush=True)
    stack = Stack(options.state_dir / "aws")
    pretend = parts.enter_context(PretendStripe(state_file=options.state_dir / "stripe.json"))
    set_environment(stack, server.base_url, pretend)
    lists = parts.enter_context(CallLists())
    os.environ.update(lists.addresses())
    parts.callback(stack.stop)
    with ThreadPoolExecutor(1) as starter:
        started = starter.submit(_start_stack, stack, pretend)
        from local import house  # imports the app, which reads the environment that is set above

        started.result()
    for kind, secret in WEBHOOK_SECRETS.items():
        pretend.control.set_endpoint(kind, secret, server.base_url + WEBHOOK_PATHS[kind])
    house.live(options, server, stack, pretend.url, lists, out)


def _start_stack(stack: Stack, pretend: PretendStripe) -> None:
    """MiniStack with our tables, queues and keys; it needs a second that the imports need as well."""
    stack.start()
    create_resources(stack.endpoint_url, STAGE)
    give_keys(stack.endpoint_url, STAGE, pretend)


def give_keys(endpoint_url: str, stage: str, pretend: PretendStripe) -> None:
    """Put the pretend Stripe's keys and a new secret for sessions where the product looks for them."""
    keys = {
        "secret-key": pretend.platform_key,
        "client-id": pretend.client_id,
        "webhook-secret": WEBHOOK_SECRETS["platform"],
        "connect-webhook-secret": WEBHOOK_SECRETS["connect"],
    }
    paths = {f"/rebill/{stage}/stripe/{name}": value for name, value in keys.items()}
    paths[f"/rebill/{stage}/dashboard/session-secret"] = secrets.token_urlsafe(32)  # sessions end with this run
    parameters = client(endpoint_url, "ssm")
    for path, value in paths.items():
        parameters.put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)


def set_environment(stack: Stack, base_url: str, pretend: PretendStripe) -> None:
    """What the app finds instead of the developer's own AWS account, settings and proxies."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "REBILL_"))]:
        del os.environ[name]
    os.environ.update(stack.environment(), REBILL_STAGE=STAGE, REBILL_BASE_URL=base_url, NO_PROXY=HOST, no_proxy=HOST)
    os.environ.update(
        REBILL_STRIPE_API_ADDRESS=pretend.base_addresses["api"],
        REBILL_STRIPE_CONNECT_ADDRESS=pretend.base_addresses["connect"],
    )


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """The app logs to standard output, as Lambda wants it: at home into a file, beside the table and not across it."""
    shown = sys.stdout, sys.stderr
    with open_log(path) as log:
        sys.stdout = sys.stderr = log
        try:
            yield
        finally:
            sys.stdout, sys.stderr = shown
