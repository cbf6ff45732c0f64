"""The judge of every answer: the annotations of the installed SDK, which are generated for exactly our API version."""

import ast
import functools
import inspect
import sys
import types
from collections.abc import Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any, ClassVar, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class

Problem = str


def problems(value: Any, *, strict: bool = True) -> list[Problem]:
    """What is wrong with an object of the API; nothing is what we want to hear.

    Missing required fields and wrong types always are. If strict, so are fields that the SDK does not know, and words
    that are not among the words that it names (it lets any through, because Stripe may add some).
    """
    if value.get("object") == "list":
        return list(_list_object(value, Any, "list", strict))
    return list(_object(value, _class_of(value), value.get("object", "?"), strict))


def _class_of(value: dict[str, Any]) -> type:
    return ListObject if value.get("object") == "list" else get_object_class("V1", value["object"])


def _object(value: Any, cls: type, path: str, strict: bool) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield f"{path}: is {value!r}, should be an object of {cls.__name__}"
        return
    if value.get("deleted") and set(value) == {"id", "object", "deleted"}:
        return
    hints = _hints(cls)
    for name, hint in hints.items():
        if name in value:
            yield from _value(value[name], hint, f"{path}.{name}", strict)
        elif not _optional(hint):
            yield f"{path}.{name}: is missing"
    if strict:
        yield from (f"{path}.{name}: is not known to {cls.__name__}" for name in value if name not in hints)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for owner in reversed(cls.__mro__):
        if issubclass(owner, StripeObject) and owner is not StripeObject:
            for name, hint in inspect.get_annotations(owner).items():
                if get_origin(hint) is not ClassVar and not name.startswith("_"):
                    found[name] = _resolve(hint, owner.__module__)
    return found


def _resolve(hint: Any, module: str) -> Any:
    """The hint with its names looked up where they were written."""
    if isinstance(hint, ForwardRef):
        hint = hint.__forward_arg__
    if isinstance(hint, str):
        names = _Names(module)
        return _resolve(eval(hint, {}, names), module)
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(_resolve(part, module) for part in get_args(hint))]  # noqa: UP007 - of as many as there are
    if get_origin(hint) is list:
        return list[_resolve(get_args(hint)[0], module)]
    return hint if not get_args(hint) or get_origin(hint) is Literal else _generic(hint, module)


def _generic(hint: Any, module: str) -> Any:
    parts = tuple(_resolve(part, module) for part in get_args(hint))
    return get_origin(hint)[parts if len(parts) > 1 else parts[0]]


class _Names(dict[str, Any]):
    """The names of a module, with those that it imports for type checkers only."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(sys.modules[module]))
        self._imports = _typing_imports(module)

    def __missing__(self, name: str) -> Any:
        if name in self._imports:
            module, original = self._imports[name]
            return getattr(import_module(module), original)
        raise KeyError(name)


@functools.cache
def _typing_imports(module: str) -> dict[str, tuple[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {
        alias.asname or alias.name: (node.module or "stripe", alias.name)
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def _flat(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [part for choice in get_args(hint) for part in _flat(choice)]
    return [hint]


def _value(value: Any, hint: Any, path: str, strict: bool) -> Iterator[Problem]:
    choices = _flat(hint)
    if value is None:
        if type(None) not in choices and Any not in choices:
            yield f"{path}: is null"
        return
    words = [word for choice in choices if get_origin(choice) is Literal for word in get_args(choice)]
    if words and isinstance(value, str):
        if value not in words and (strict or str not in choices):
            yield f"{path}: is {value!r}, should be one of {words[:12]}"
        return
    tried = [list(_one(value, choice, path, strict)) for choice in choices if choice is not type(None)]
    if tried and all(tried):
        # Of the choices the one that it was meant to be: where something is wrong within, not with the whole.
        yield from min(tried, key=lambda found: found[0].startswith(f"{path}: is "))


def _one(value: Any, hint: Any, path: str, strict: bool) -> Iterator[Problem]:
    origin = get_origin(hint) or hint
    if hint is Any or isinstance(hint, TypeVar):
        return
    if origin is Literal:
        if value not in get_args(hint):
            yield f"{path}: is {value!r}, should be one of {get_args(hint)}"
    elif origin is list:
        yield from _list(value, get_args(hint), path, strict)
    elif origin is ListObject:
        yield from _list_object(value, get_args(hint)[0] if get_args(hint) else Any, path, strict)
    elif isinstance(origin, type) and origin.__name__ == "UntypedStripeObject":
        yield from _mapping(value, get_args(hint), path, strict)
    elif isinstance(origin, type) and issubclass(origin, StripeObject):
        known = isinstance(value, dict) and isinstance(value.get("object"), str)
        yield from _object(value, _class_of(value) if known and _known(value) else origin, path, strict)
    elif not _is(value, origin):
        yield f"{path}: is {value!r}, should be {getattr(origin, '__name__', origin)}"


def _known(value: dict[str, Any]) -> bool:
    return value["object"] == "list" or get_object_class("V1", value["object"]) is not StripeObject


def _is(value: Any, kind: Any) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, str if kind is Decimal else kind)


def _list(value: Any, inner: tuple[Any, ...], path: str, strict: bool) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield f"{path}: is {value!r}, should be a list"
        return
    for place, part in enumerate(value):
        yield from _value(part, inner[0] if inner else Any, f"{path}[{place}]", strict)


def _list_object(value: Any, inner: Any, path: str, strict: bool) -> Iterator[Problem]:
    if not isinstance(value, dict) or value.get("object") != "list":
        yield f"{path}: is {value!r}, should be a list object"
        return
    for name, kind in (("data", list), ("has_more", bool), ("url", str)):
        if not isinstance(value.get(name), kind):
            yield f"{path}.{name}: is {value.get(name)!r}, should be {kind.__name__}"
    for place, part in enumerate(value.get("data") or []):
        if isinstance(inner, TypeVar) or inner is Any:
            yield from _object(part, _class_of(part), f"{path}.data[{place}]", strict)
        else:
            yield from _value(part, inner, f"{path}.data[{place}]", strict)


def _mapping(value: Any, inner: tuple[Any, ...], path: str, strict: bool) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield f"{path}: is {value!r}, should be an object"
        return
    for name, part in value.items():
        yield from _value(part, inner[0] if inner else Any, f"{path}.{name}", strict)
