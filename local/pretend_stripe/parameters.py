"""What a call may be told: the TypedDicts of the installed SDK, which are generated for exactly our API version."""

import functools
import sys
import types
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from stripe import RequestOptions
from typing_extensions import is_typeddict

from local.pretend_stripe.errors import missing, refusal, unknown
from local.pretend_stripe.forms import Tree

_OF_THE_CLIENT = frozenset(RequestOptions.__annotations__)
_MAY_BE_EMPTIED = frozenset(("name", "description", "email", "phone", "line1", "line2", "city", "state", "postal_code"))
_LARGEST_INTEGER = 2**63 - 1


@functools.cache
def fields(params: type) -> dict[str, tuple[Any, bool]]:
    """Every parameter of a TypedDict: its type, and whether it is required."""
    # The client's own options are inherited: their names come from their own module, and one is not there at run time.
    names = {"StripeContext": object, **vars(sys.modules[RequestOptions.__module__])}
    names |= vars(sys.modules[params.__module__])
    hints = get_type_hints(params, names, include_extras=True)
    found: dict[str, tuple[Any, bool]] = {}
    for name, hint in hints.items():
        optional = get_origin(hint) is NotRequired
        if name not in _OF_THE_CLIENT:
            found[name] = (get_args(hint)[0] if optional else hint, not optional)
    return found


def read_parameters(tree: Tree, params: type) -> Tree:
    """The parameters as the values that their types say.

    Raises:
        Refused: one is unknown, missing, or not what it has to be.
    """
    strangers = list(_strangers(tree, params, ""))
    if strangers:
        raise unknown(strangers)
    return _read_object(tree, params, "")


def _strangers(tree: Tree, params: type, prefix: str) -> list[str]:
    known = fields(params)
    found = []
    for name, value in tree.items():
        full = f"{prefix}[{name}]" if prefix else name
        if name not in known:
            found.append(full)
        elif isinstance(value, dict):
            for choice in _choices(known[name][0]):
                if is_typeddict(choice):
                    found += _strangers(value, choice, full)
    return found


def _read_object(tree: Tree, params: type, prefix: str) -> Tree:
    known = fields(params)
    for name, (_, required) in known.items():
        if required and name not in tree:
            raise missing(f"{prefix}[{name}]" if prefix else name)
    unexpected = [name for name in tree if name not in known]
    if unexpected:
        raise unknown([f"{prefix}[{name}]" for name in unexpected])
    return {name: _read(value, known[name][0], f"{prefix}[{name}]" if prefix else name) for name, value in tree.items()}


def _choices(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [choice for part in get_args(hint) for choice in _choices(part)]
    return [hint]


def _read(value: Any, hint: Any, name: str) -> Any:
    choices = _choices(hint)
    if isinstance(value, dict):
        return _read_tree(value, choices, name)
    literals = [option for choice in choices if get_origin(choice) is Literal for option in get_args(choice)]
    if value in literals:
        return value
    if value == "":
        return _read_empty(choices, name)
    if bool in choices and value in ("true", "false"):
        return value == "true"
    if int in choices:
        return _read_integer(value, name)
    if Decimal in choices or float in choices:
        return _read_decimal(value, name)
    if [option for option in literals if option]:
        raise refusal(f"Invalid {name}: must be one of {', '.join(map(str, literals))}", param=name, kept=False)
    if str in choices or Any in choices or not choices:
        return value
    if bool in choices:
        raise refusal(f"Invalid boolean: {value}", param=name, kept=False)
    kind = "array" if any(get_origin(choice) is list for choice in choices) else "object"
    raise refusal(f"Invalid {kind}", param=name, kept=False)


def _read_tree(value: Tree, choices: list[Any], name: str) -> Any:
    for choice in choices:
        if is_typeddict(choice):
            return _read_object(value, choice, name)
        if get_origin(choice) is list:
            inner = get_args(choice)[0]
            ordered = sorted(value, key=lambda key: int(key) if key.isdigit() else _LARGEST_INTEGER)
            return [_read(value[key], inner, f"{name}[{place}]") for place, key in enumerate(ordered)]
        if get_origin(choice) is dict:
            inner = get_args(choice)[1]
            return {key: _read_entry(part, inner, f"{name}[{key}]") for key, part in value.items()}
    raise refusal("Invalid string: " + name, param=name, kept=False)


def _read_entry(value: Any, hint: Any, name: str) -> Any:
    """A value of metadata; an empty one takes the key away."""
    return value if value == "" else _read(value, hint, name)


def _read_empty(choices: list[Any], name: str) -> str:
    if name.rstrip("]").rpartition("[")[2] in _MAY_BE_EMPTIED and str in choices:
        return ""
    text = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
        f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty value."
    )
    raise refusal(text, param=name, code="parameter_invalid_empty", kept=False)


def _read_integer(value: str, name: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise refusal(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer", kept=False)
    return int(value)


def _read_decimal(value: str, name: str) -> str:
    try:
        finite = Decimal(value).is_finite()
    except InvalidOperation:
        finite = False
    if not finite:
        raise refusal(f"Invalid decimal: {value}", param=name, kept=False)
    return value
