"""Stripe's form encoding: `a[b][0]=c` is a tree. Every bracket becomes a dict; the parameters' types make lists."""

from typing import Any
from urllib.parse import parse_qsl

from local.pretend_stripe.errors import refusal

DEEPEST = 8
Tree = dict[str, Any]


def read_form(text: str) -> Tree:
    """The tree of a query or of a body.

    Raises:
        Refused: a name that is no path, or two names that contradict each other.
    """
    tree: Tree = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _put(tree, _path(name), value, name)
    return tree


def _path(name: str) -> list[str]:
    head, *rest = name.split("[")
    if not head or len(rest) > DEEPEST or any(not part.endswith("]") or "]" in part[:-1] for part in rest):
        raise refusal(f"Invalid parameter name: {name}", param=name, kept=False)
    return [head, *(part[:-1] for part in rest)]


def _put(tree: Tree, path: list[str], value: str, name: str) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step if step else str(len(tree)), {})
        if not isinstance(tree, dict):
            raise refusal(f"Invalid object: {name}", param=name, kept=False)
    last = path[-1] if path[-1] else str(len(tree))
    if last in tree and isinstance(tree[last], dict):
        raise refusal(f"Invalid object: {name}", param=name, kept=False)
    tree[last] = value
