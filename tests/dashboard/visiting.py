"""A person with a browser: comes in by a link, keeps the cookie, reads pages, fills in forms and sends them.

There is no JavaScript here: whatever these visitors can do, everybody can.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from tests.world import Answer, World

HOME = "https://rebill.example"
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
UNSEEN = ("script", "style", "title")


@dataclass
class Form:
    """A form as it stands on a page: `fields` is what a browser would send, `offered` what a choice may be."""

    action: str
    label: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    offered: dict[str, list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """A page that was opened: what it says, its forms, and where its links lead (by their words)."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.status, self.html, self.headers = answer.status, answer.text, answer.headers
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._words: list[str] = []
        self._select = self._textarea = self._link = ""
        self.feed(answer.text)
        self.text = " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append((tag, known))
        if tag not in VOID:
            self._open.append((tag, known))
        if tag == "form":
            self.forms.append(Form(known["action"]))
        elif tag == "a":
            self._link = known.get("href", "")
        elif self.forms and self._is_in("form"):
            self._field(tag, known, self.forms[-1])

    def _field(self, tag: str, known: dict[str, str], form: Form) -> None:
        name = known.get("name", "")
        if tag == "input" and known.get("type") in ("checkbox", "radio"):
            form.offered.setdefault(name, []).append(known.get("value", "on"))
            if "checked" in known:
                form.fields[name] = known.get("value", "on")
        elif tag == "input":
            form.fields[name] = known.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option":
            form.offered.setdefault(self._select, []).append(known.get("value", ""))
            if "selected" in known or self._select not in form.fields:
                form.fields[self._select] = known.get("value", "")
        elif tag == "textarea":
            self._textarea, form.fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            closed, _ = self._open.pop()
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._is_in("textarea"):
            self.forms[-1].fields[self._textarea] += data
        if any(self._is_in(tag) for tag in UNSEEN):
            return
        self._words.append(data)
        if self._is_in("a") and data.strip():
            self.links[" ".join(data.split())] = self._link
        if self._is_in("button") and self._is_in("form"):
            self.forms[-1].label += data.strip()

    def _is_in(self, tag: str) -> bool:
        return any(each == tag for each, _ in self._open)

    def form(self, action: str, **having: str) -> Form:
        """The form that sends to this action; where there are several, the one with these values."""
        found = [
            form
            for form in self.forms
            if form.action.endswith(f"/dashboard/{action}") and having.items() <= form.fields.items()
        ]
        assert len(found) == 1, f"{len(found)} forms send to {action}; there are {[each.action for each in self.forms]}"
        return found[0]

    def has_form(self, action: str) -> bool:
        return any(form.action.endswith(f"/dashboard/{action}") for form in self.forms)

    def field_problem(self, name: str) -> str:
        """What the page says is wrong at this field; its help, where nothing is."""
        fields = [attrs for tag, attrs in self.tags if tag != "button" and attrs.get("type") != "hidden"]
        (known,) = [attrs for attrs in fields if attrs.get("name") == name]
        assert known.get("aria-invalid") == "true", f"nothing is wrong with {name}"
        place = self.html.partition(f'id="{known["aria-describedby"]}">')[2]
        return place.partition("<")[0]


class Visitor:
    """Somebody with a browser, who comes in by a one-time link of the platform's."""

    def __init__(self, world: World, email: str, account: str) -> None:
        self.world = world
        kind = "workspace" if account.startswith("ws_") else "sub_account"
        link = world.post("/v1/dashboard-sessions", {"email": email, kind: account})["url"]
        entered = world.call("GET", link.removeprefix(HOME), key=None)
        assert entered.status == 303, entered.text
        self.cookie = entered.headers["set-cookie"].partition(";")[0]
        self.first_page = self._path(entered.headers["location"])

    def open(self, page: str, **query: str) -> Page:
        """Open a page of the dashboard by its name."""
        return self.go(f"/dashboard?{urlencode({'page': page, **query})}")

    def go(self, address: str) -> Page:
        """Open an address of ours, whatever it answers."""
        return Page(self.world.call("GET", self._path(address), headers={"cookie": self.cookie}, key=None))

    def send(self, form: Form, press: str = "", **typed: str | None) -> Page:
        """Fill in and send a form; the page that it leads to. None leaves a box unticked."""
        values = {name: value for name, value in {**form.fields, **typed}.items() if value is not None}
        headers = {"cookie": self.cookie, "content-type": "application/x-www-form-urlencoded"}
        raw = urlencode(values).encode()
        answer = self.world.call("POST", self._path(form.action), raw=raw, headers=headers, key=None)
        return self.go(answer.headers["location"]) if answer.status == 303 else Page(answer)

    @staticmethod
    def _path(address: str) -> str:
        parts = urlsplit(address)
        assert address.startswith("/") or f"{parts.scheme}://{parts.netloc}" == HOME, f"{address} is not ours"
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
