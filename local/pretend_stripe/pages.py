"""What every page has: the mark that nothing here is real, and escaping."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

from local.pretend_stripe.core import Core
from local.pretend_stripe.state import Obj

MARK = "SIMULATION: this is a pretend Stripe on your own machine. No real money, no real cards."
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f8fa;color:#1a1f36}
.mark{background:#b42318;color:#fff;padding:.5rem 1rem;font-weight:600;text-align:center}
main{max-width:44rem;margin:2rem auto;padding:1.5rem 2rem;background:#fff;border:1px solid #d8dee4;border-radius:8px}
label{display:block;margin:.75rem 0 .25rem}input[type=text],input[type=email]{width:100%;padding:.5rem;font:inherit;
box-sizing:border-box;border:1px solid #8792a2;border-radius:4px}
button{font:inherit;padding:.5rem 1rem;margin:.75rem .5rem .25rem 0;border:1px solid #635bff;border-radius:4px;
background:#635bff;color:#fff;cursor:pointer}button.plain{background:#fff;color:#423bc4}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;padding:.35rem .5rem .35rem 0;
border-bottom:1px solid #e3e8ee;vertical-align:top}form.line{display:inline}.line button{margin:0 .25rem 0 0;
padding:.15rem .5rem}.error{background:#fef3f2;border:1px solid #b42318;padding:.5rem .75rem;border-radius:4px}
code{overflow-wrap:anywhere}.choice{border:1px solid #d8dee4;border-radius:6px;padding:.5rem .75rem;margin:.5rem 0}
a:focus-visible,button:focus-visible,input:focus-visible{outline:3px solid #0a84ff;outline-offset:2px}
"""


@dataclass(frozen=True)
class Page:
    """An answer for a browser: HTML, or another address to go to."""

    html: str = ""
    status: int = 200
    location: str = ""


@dataclass(frozen=True)
class Visit:
    """What a browser asks: the ids in the path, the query, and the form where one was sent."""

    core: Core
    ids: tuple[str, ...]
    query: dict[str, str]
    form: dict[str, str]
    posted: bool


View = Callable[[Visit], Page]


def page(title: str, *parts: str, status: int = 200) -> Page:
    """A whole page; the parts are HTML already."""
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (simulated)</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body>"
        f'<div class="mark" role="note">{MARK}</div><main><h1>{escape(title)}</h1>{"".join(parts)}</main></body></html>'
    )
    return Page(html, status)


def error(text: str) -> str:
    """A sentence about what went wrong; nothing if there is none."""
    return f'<p class="error" role="alert">{escape(text)}</p>' if text else ""


def hidden(values: Obj) -> str:
    """Fields that go with a form unseen."""
    return "".join(
        f'<input type="hidden" name="{escape(str(name))}" value="{escape(str(value))}">'
        for name, value in values.items()
    )


def button(text: str, values: Obj, *, action: str = "", plain: bool = True) -> str:
    """A form of one button."""
    target = f' action="{escape(action)}"' if action else ""
    kind = ' class="plain"' if plain else ""
    return f'<form class="line" method="post"{target}>{hidden(values)}<button{kind}>{escape(text)}</button></form>'


def link(text: str, url: str) -> str:
    """A link."""
    return f'<a href="{escape(url)}">{escape(text)}</a>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def not_found() -> Page:
    """Nothing is here."""
    return page("Not found", f"<p>Nothing is here. {link('To the start', '/')}</p>", status=404)
