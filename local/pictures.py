"""`make pictures`: every page of the demo as a picture, on a desktop and on a phone, in light and in dark.

They go to `build/pictures/`, with an `index.html` that shows them side by side; the two that the README shows are made
anew in `docs/pictures/`. CHROMIUM names a browser that is not found by itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from local import chromium, kept
from local.api import Api
from local.options import ROOT
from local.time_lapse import DONE, user_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

OUT, DOCS = ROOT / "build" / "pictures", ROOT / "docs" / "pictures"
WIDTHS = {"desktop": 1280, "phone": 360}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 860
TOP: "FloatRect" = {"x": 0, "y": 0, "width": 1280, "height": 1480}  # what the README shows of a page
SECONDS_OF_THE_PAST, REDRAWN_MS = 600.0, 400
AGENCY, CLIENT = "Larkspur Voice", "Orchid Spa"


class PicturesError(RuntimeError):
    """There are no pictures; says in one sentence why."""


@dataclass(frozen=True)
class Shot:
    """One page: who looks at it, and at which address of the dashboard."""

    name: str
    who: str
    query: dict[str, str]


def main() -> int:
    """Make them; 0 if they are there."""
    path = chromium.find()
    if path is None:
        print(f"make pictures: there is no Chromium. {chromium.HOW_TO_GET_ONE}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # through the `finally` that ends the product
    folder = Path(tempfile.mkdtemp(prefix="rebill-pictures-"))
    try:
        with product(folder) as found, chromium.browser(path) as browser:
            names = _take(found, browser)
    except PicturesError as trouble:
        print(f"make pictures: {trouble}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    (OUT / "index.html").write_text(_contact_sheet(names))
    print(f"{len(names) * len(WIDTHS) * len(SCHEMES)} pictures: {OUT / 'index.html'}")
    return 0


@contextmanager
def product(folder: Path) -> Iterator[dict[str, Any]]:
    """The demo with three weeks behind it: what its `.run.json` says.

    Raises:
        PicturesError: it did not start, or its past did not come to an end.
    """
    environment = {**os.environ, "PORT": "0", "DEMO": "1", "CALLS_PER_MINUTE": "0", "REBILL_HOME": str(folder)}
    print("Three weeks of the demo go by (a minute or two) ...", flush=True)
    with (folder / "out").open("wb") as out:
        command = [sys.executable, "-m", "local.time_lapse"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + SECONDS_OF_THE_PAST
        while not (folder / DONE).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if not (folder / DONE).exists():
            raise PicturesError("The demo did not get there:\n" + (folder / "out").read_text()[-2000:])
        yield kept.read_json(folder / ".run.json")
    finally:
        process.terminate()
        process.wait(20)


def _take(found: dict[str, Any], browser: "Browser") -> Sequence[str]:
    """Every picture; the names of the pages."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    DOCS.mkdir(exist_ok=True)
    agency, other = found["workspaces"]
    client = next(each for each in other["sub_accounts"] if each["name"] == CLIENT)["id"]
    with Api(found["base_url"], found["api_key"]) as api:
        people = {"owner": _owner(api, agency["id"]), "client": client, "stranger": ""}
        shots = _shots(api, agency, client)
        for scheme in SCHEMES:
            for who, account in people.items():
                context = browser.new_context(color_scheme=scheme, locale="en-GB", reduced_motion="reduce")
                page = context.new_page()
                if account:
                    email = user_of(CLIENT) if account == client else people["owner"]
                    page.goto(_link(api, email, account if who == "client" else agency["id"]))
                for shot in (each for each in shots if each.who == who):
                    _shoot(page, found["base_url"], shot, scheme)
                context.close()
    return [shot.name for shot in shots]


def _owner(api: Api, workspace: str) -> str:
    return str(api.get(f"/v1/workspaces/{workspace}")["owner_email"])


def _link(api: Api, email: str, account: str) -> str:
    kind = "workspace" if account.startswith("ws_") else "sub_account"
    return str(api.post("/v1/dashboard-sessions", {"email": email, kind: account}).body["url"])


def _shots(api: Api, agency: dict[str, Any], client: str) -> Sequence[Shot]:
    first = agency["sub_accounts"][0]["id"]
    own, theirs = (
        next(entry["id"] for entry in api.get(f"/v1/sub-accounts/{each}/wallet/entries")["data"] if entry["usage"])
        for each in (first, client)
    )
    tabs = ("overview", "rebilling", "access", "balance", "state", "close")
    return (
        Shot("rebilling", "owner", {"page": "rebilling"}),
        Shot("accounts", "owner", {"page": "accounts"}),
        Shot("accounts-menu", "owner", {"page": "accounts", "sort": "margin"}),
        *(Shot(f"account-{tab}", "owner", {"page": "account", "sub_account": first, "tab": tab}) for tab in tabs),
        Shot("snapshot", "owner", {"page": "snapshot"}),
        Shot("settings", "owner", {"page": "settings"}),
        Shot("waiting", "owner", {"page": "waiting"}),
        Shot("charge-agency", "owner", {"page": "charge", "entry": own}),
        Shot("not-allowed", "owner", {"page": "billing", "sub_account": first}),
        Shot("not-found", "owner", {"page": "nothing"}),
        Shot("billing", "client", {"page": "billing", "sub_account": client}),
        Shot("charge-client", "client", {"page": "charge", "entry": theirs, "sub_account": client}),
        Shot("billing-phone-payment", "client", {"page": "billing", "sub_account": client}),
        Shot("signed-out", "stranger", {}),
    )


def _shoot(page: "Page", base_url: str, shot: Shot, scheme: str) -> None:
    for device, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.goto(f"{base_url}/dashboard?{urlencode(shot.query)}")
        if shot.name == "accounts-menu":
            page.locator("details.menu summary").nth(2).click()
        elif shot.name == "billing-phone-payment" and page.locator("img.qr").count() == 0:
            page.get_by_label("Another amount (USD)").fill("75")
            page.get_by_role("button", name="Pay on a phone").click()
        page.wait_for_timeout(REDRAWN_MS)
        page.screenshot(path=OUT / f"{shot.name}-{device}-{scheme}.png", full_page=True)
        if (device, scheme) == ("desktop", "light") and shot.name in ("rebilling", "billing"):
            page.screenshot(path=DOCS / f"{shot.name}.png", full_page=True, clip=TOP)


def _contact_sheet(names: Sequence[str]) -> str:
    pictures = [f"{name}-{device}-{scheme}" for name in names for device in WIDTHS for scheme in SCHEMES]
    figures = "".join(
        f'<figure><a href="{escape(each)}.png"><img src="{escape(each)}.png" alt=""></a>'
        f"<figcaption>{escape(each)}</figcaption></figure>"
        for each in pictures
    )
    style = (
        "body{font:14px system-ui;display:grid;grid-template-columns:3fr 3fr 1fr 1fr;gap:1rem;align-items:start}"
        "figure{margin:0}img{width:100%;max-height:40rem;object-fit:cover;object-position:top;border:1px solid #8888}"
    )
    return f'<!doctype html><meta charset="utf-8"><title>Pictures</title><style>{style}</style>{figures}'


if __name__ == "__main__":
    sys.exit(main())
