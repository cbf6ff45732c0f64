"""The kinds of fields that platforms send: ids, moments, numbers. Strict about what becomes a key or money."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from re import ASCII, compile
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

SECOND_MS = 1_000
MINUTE_MS = 60_000
LARGEST_NUMBER = 10**9
LONGEST_OUTCOME = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 2000, 2100
_RFC_3339 = compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", ASCII)

# These become parts of keys and of addresses: no separators of either.
Source = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~:-]{0,63}$")]
EventId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~:@+=-]{0,127}$")]
# Printable ASCII without "#", "/" and blanks.
AgentId = Annotated[str, StringConstraints(pattern=r'^[!"$-.0-~]{1,128}$')]
# For people to read, so it is cut rather than refused, and half a character (nothing could store it) is replaced.
Outcome = Annotated[str, AfterValidator(lambda text: text[:LONGEST_OUTCOME].encode(errors="replace").decode())]


class Payload(BaseModel):
    """A part of somebody else's JSON: what we do not know is ignored, what we read has its very type."""

    model_config = ConfigDict(extra="ignore", strict=True)


def moment(value: Any) -> datetime:
    """An RFC 3339 time with a zone, between the years 2000 and 2100."""
    return _within_years(_rfc_3339(value) if isinstance(value, datetime | str) else None)


def _rfc_3339(value: datetime | str) -> datetime | None:
    text = value.isoformat() if isinstance(value, datetime) else value.upper()
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if _RFC_3339.fullmatch(text) else None
    except (ValueError, OverflowError):
        return None


def _within_years(found: datetime | None) -> datetime:
    if found is None:
        raise PydanticCustomError("rfc_3339", "must be an RFC 3339 time with a zone, such as 2026-07-14T19:00:00Z")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise PydanticCustomError("year", f"must be between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return found


def number(value: Any) -> Decimal:
    """A JSON number from 0 to 10^15: neither text nor a boolean."""
    if type(value) not in (int, Decimal):
        raise PydanticCustomError("number", "must be a number")
    if not 0 <= value <= 10**15:
        raise PydanticCustomError("bounds", "must not be negative, nor larger than any time")
    return Decimal(value)


def _at_most(value: Decimal) -> Decimal:
    if value > LARGEST_NUMBER:
        raise PydanticCustomError("bounds", f"must not be larger than {LARGEST_NUMBER}")
    return value


def _since_epoch(unit_ms: int) -> Callable[[Decimal], Decimal]:
    def check(value: Decimal) -> Decimal:
        # A platform that changes its unit is off by a thousand, and found here.
        if value == value.to_integral_value() and _in_years(int(value) * unit_ms):
            return value
        unit = "seconds" if unit_ms == SECOND_MS else "milliseconds"
        raise PydanticCustomError("epoch", f"must be whole {unit} since 1970, in the years 2000 to 2100")

    return check


def _in_years(epoch_ms: int) -> bool:
    first = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    last = datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    return to_epoch_ms(first) <= epoch_ms < to_epoch_ms(last)


def to_epoch_ms(when: datetime) -> int:
    """Epoch milliseconds, in integers all the way."""
    return (when - _EPOCH) // timedelta(milliseconds=1)


def to_ms(value: Decimal, unit_ms: int = 1) -> int:
    """A number of units as milliseconds, half up."""
    return int((value * unit_ms).to_integral_value(ROUND_HALF_UP))


Moment = Annotated[datetime, BeforeValidator(moment)]
Duration = Annotated[Decimal, BeforeValidator(number), AfterValidator(_at_most)]
EpochSeconds = Annotated[Decimal, BeforeValidator(number), AfterValidator(_since_epoch(SECOND_MS))]
EpochMilliseconds = Annotated[Decimal, BeforeValidator(number), AfterValidator(_since_epoch(1))]
