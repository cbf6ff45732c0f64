"""pydantic's findings in our words: the first wrong field, named the way the caller wrote it."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chalicelib.domain.errors import Invalid

M = TypeVar("M", bound=BaseModel)

LONGEST_PATH = 120  # an unknown field may be called anything, at any length


def validate(model: type[M], value: Any, prefix: str = "") -> M:
    """Read `value` as the model.

    Raises:
        Invalid: naming the first field that is wrong, as a path such as `voice.price_per_minute` or `[3].time`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = _path(prefix, first["loc"])
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise Invalid(param or "body", f"{param or 'The body'}: {message}.") from error


def _path(prefix: str, location: tuple[int | str, ...]) -> str:
    path = prefix
    for step in location:
        if step == "[key]":  # pydantic's word for "the name itself is wrong", which the path ends in already
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path[:LONGEST_PATH]
