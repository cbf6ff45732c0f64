"""A browser and a product for it to open. Where there is no Chromium, what is not tested without one is said."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from local import chromium
from tests.browser.product import Product, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    path = chromium.find()
    if path is None:
        untried = "the story, with JavaScript and without, and every page on every screen with axe-core"
        pytest.skip(f"No Chromium, so nothing was tried in a browser ({untried}). {chromium.HOW_TO_GET_ONE}")
    with chromium.browser(path) as started:
        yield started


@pytest.fixture(scope="session")
def product(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Asks for the browser, so that nothing is started where there is none."""
    with running(tmp_path_factory.mktemp("product")) as product:
        yield product
