"""Somebody with a browser of their own: what they do on a page, and what they see there."""

import re
from typing import TYPE_CHECKING

from playwright.sync_api import ConsoleMessage, Page, expect

from tests.browser.product import Product, eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CARD = "4242424242424242"
MOST_MS = 15_000


class Person:
    """They come in by the platform's link. `faults` is what the browser's console complains of on our pages."""

    def __init__(self, browser: "Browser", product: Product, javascript: bool = True) -> None:
        self.javascript, self.product = javascript, product
        self._context = browser.new_context(java_script_enabled=javascript, locale="en-GB", reduced_motion="reduce")
        self._context.set_default_timeout(MOST_MS)
        self.page: Page = self._context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._hears)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _hears(self, said: ConsoleMessage) -> None:
        address = said.location["url"]
        if said.type == "error" and address.startswith(self.product.base_url):
            self.faults.append(f"{said.text} ({address})")

    def comes_in(self, email: str, account: str) -> None:
        """By the link that the platform has asked for; to an agency's first page, or to a client's billing."""
        self.page.goto(self.product.link_for(email, account))

    def leaves(self) -> None:
        self._context.close()

    # What they do

    def opens(self, page: str, **query: str) -> None:
        """A page of the dashboard, by its address."""
        more = "".join(f"&{name}={value}" for name, value in query.items())
        self.page.goto(f"{self.product.base_url}/dashboard?page={page}{more}")

    def goes_to(self, tab: str) -> None:
        self.page.get_by_role("navigation", name="Pages").get_by_role("link", name=tab).click()

    def presses(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follows(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def types(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def connects_stripe(self, account_name: str) -> None:
        """From Re-billing to Stripe's page, where they choose one of their accounts, and back."""
        self.presses("Connect with Stripe")
        self.page.get_by_label(account_name).check()
        self.presses("Continue")
        self.reads("Stripe is connected", account_name)
        self.follows("Back to the dashboard")

    def pays_at_stripe(self, button: str) -> None:
        """Stripe's own page: a test card that works."""
        self.types("Test card number", CARD)
        self.presses(button)
        self.follows("Back to the dashboard")

    # What they see

    def reads(self, *words: str) -> None:
        """All this stands on the page."""
        for each in words:
            expect(self.page.locator("main")).to_contain_text(each, timeout=MOST_MS)

    def does_not_read(self, words: str) -> None:
        expect(self.page.locator("main")).not_to_contain_text(words)

    def sees_figure(self, name: str, value: str) -> None:
        """One of the large numbers at the top. Money moves behind the page, so it is looked at until it is there."""
        figure = self.page.locator(".figures div").filter(has=self.page.get_by_text(name, exact=True)).locator("dd")

        def look() -> bool:
            if value in figure.inner_text():
                return True
            self.page.reload()
            return False

        assert eventually(look), f"{name} is {figure.inner_text()!r}, not {value!r}"

    def reads_sentence(self, sentence: str | re.Pattern[str]) -> None:
        """What automatic refills do, in words."""
        expect(self.page.locator("#refill-sentence")).to_have_text(sentence)
