"""A Chromium that is installed already, driven by Playwright: for the tests in a browser and for the pictures."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW_TO_GET_ONE = "Install one (`apt-get install chromium`), or name one that you have: CHROMIUM=/path/to/chromium."
# Quiet: nothing is fetched from anywhere. Without a sandbox, because containers rarely allow one, and only our own
# pages are opened.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
)


def find(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of the Chromium that CHROMIUM names, or else of the first one that is installed; None without any."""
    named = environment.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(path: str) -> Iterator["Browser"]:
    """A new browser with an empty profile, which is forgotten when it ends."""
    from playwright.sync_api import sync_playwright  # takes a moment that nobody else has to wait for

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()
