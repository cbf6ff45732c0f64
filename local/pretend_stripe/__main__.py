"""`python -m local.pretend_stripe`: the pretend Stripe alone, until Ctrl-C."""

import argparse
import signal
from pathlib import Path
from threading import Event

from local.pretend_stripe import PretendStripe

USUAL_PORT = 8010


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m local.pretend_stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=USUAL_PORT, help="0: any free one")
    parser.add_argument("--state-file", type=Path, default=None, help="what survives a restart")
    parser.add_argument("--platform-webhook", nargs=2, metavar=("URL", "SECRET"), help="events of the platform")
    parser.add_argument("--connect-webhook", nargs=2, metavar=("URL", "SECRET"), help="events of connected accounts")
    options = parser.parse_args()
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with PretendStripe(options.state_file, options.port) as stripe:
        for kind, given in (("platform", options.platform_webhook), ("connect", options.connect_webhook)):
            if given:
                stripe.control.set_endpoint(kind, given[1], given[0])
        print(f"SIMULATION, no real money. Pretend Stripe: {stripe.url}", flush=True)
        print(f"key {stripe.platform_key}   client id {stripe.client_id}   controls {stripe.url}/_control", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
