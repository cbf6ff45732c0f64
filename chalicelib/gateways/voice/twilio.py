"""Twilio: billed on the status callback that ends a call. Forms, signed with SHA-1 over the address and the fields."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

from chalicelib.domain.errors import Malformed
from chalicelib.domain.usage import Report
from chalicelib.gateways.voice import fields, signatures
from chalicelib.gateways.voice.delivery import Delivery
from chalicelib.validation import validate

ACCEPTED_STATUS = 202
SECRET_IS_OURS = False
SOURCE = "twilio"
COMPLETED = "completed"
FINISHED = frozenset({COMPLETED, "busy", "no-answer", "failed", "canceled"})
MOST_FIELDS = 500
_DEFAULT_PORTS = {"https": 443, "http": 80}
_PORT = re.compile(r":[0-9]+$")
_SECONDS = re.compile(r"[0-9]{1,9}")


def _seconds(value: Any) -> int:
    if not isinstance(value, str) or not _SECONDS.fullmatch(value):
        raise PydanticCustomError("seconds", "must be whole seconds, in digits")
    return int(value)


def _rfc_2822(value: Any) -> datetime:
    try:
        # Twilio writes +0000; without a zone Python would guess the machine's.
        when = parsedate_to_datetime(str(value))
        return fields.moment(when if when.tzinfo else when.replace(tzinfo=UTC))
    except (ValueError, TypeError, OverflowError) as error:
        raise PydanticCustomError("rfc_2822", "must be an RFC 2822 time, in the years 2000 to 2100") from error


def _called(value: Any) -> Any:
    """A SIP address without what may change from call to call: its parameters, and the spelling of its host."""
    scheme, _, rest = str(value).partition(":")
    if scheme.lower() not in ("sip", "sips"):
        return value
    user, at, host = re.split("[;?]", rest, maxsplit=1)[0].rpartition("@")
    return f"{scheme.lower()}:{user}{at}{host.lower()}"


class _Ended(fields.Payload):
    model_config = ConfigDict(alias_generator=to_pascal)

    call_sid: fields.EventId
    call_status: str
    direction: str = "inbound"
    to: Annotated[fields.AgentId, BeforeValidator(_called)] | None = None
    from_: Annotated[fields.AgentId, BeforeValidator(_called)] | None = Field(None, alias="From")
    call_duration: Annotated[int, BeforeValidator(_seconds)] | None = None
    timestamp: Annotated[datetime, BeforeValidator(_rfc_2822)] | None = None


def verify(delivery: Delivery, secret: str, now_ms: int) -> None:
    """Check the signature over the public address and the form's fields, blank ones included.

    There is no timestamp and so no tolerance: the call's id makes a replay harmless.

    Raises:
        Unauthenticated: the signature is missing, or not made with this auth token for this address and these fields.
    """
    given = signatures.header(delivery, "X-Twilio-Signature")
    key = signatures.key_of(secret)
    try:
        signed = _signed_fields(delivery)
        wanted = [_signature(key, url + signed) for url in _spellings(delivery.url)]
    except ValueError as error:
        raise signatures.refused("Cannot be verified: the address or the form is not well formed.") from error
    if not any(signatures.matches(expected, given) for expected in wanted):
        raise signatures.mismatch("X-Twilio-Signature", "the auth token of the Twilio account that owns the number")


def _signature(key: bytes, signed: str) -> str:
    return base64.b64encode(hmac.new(key, signed.encode("utf-8"), hashlib.sha1).digest()).decode()


def _signed_fields(delivery: Delivery) -> str:
    """Name and value of every field, sorted, each pair once. A body that is no form is signed by its hash instead."""
    hashes = parse_qs(urlsplit(delivery.url).query).get("bodySHA256")
    if hashes is None:
        return "".join(name + value for name, value in sorted(set(_form(delivery.body))))
    if not signatures.matches(hashlib.sha256(delivery.body).hexdigest(), hashes[0].lower()):
        raise signatures.refused("The body does not have the hash that bodySHA256 in the address says.")
    return ""


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)


def _spellings(url: str) -> Iterator[str]:
    """Twilio signs some addresses with the port and some without: as it came, without, with the usual one."""
    yield url
    parts = urlsplit(url)
    bare = _PORT.sub("", parts.netloc)
    if bare != parts.netloc:
        yield url.replace(f"//{parts.netloc}", f"//{bare}", 1)
    elif parts.scheme in _DEFAULT_PORTS:
        yield url.replace(f"//{bare}", f"//{bare}:{_DEFAULT_PORTS[parts.scheme]}", 1)


def read(delivery: Delivery) -> list[Report]:
    """The finished call of a status callback; none while the call is still under way.

    Raises:
        Malformed: not a form. Invalid: a field has a value it may not have.
    """
    try:
        # A blank field says as little as one that is not there.
        form = {name: value for name, value in _form(delivery.body) if value}
    except ValueError as error:
        raise Malformed("malformed_form", f"The body is not a form: {error}.", "body") from error
    if form.get("CallStatus") not in FINISHED:
        return []
    return [_report(validate(_Ended, form))]


def _report(call: _Ended) -> Report:
    # A duration is sent with `completed` only, and 0 with some calls that nobody answered.
    talked_seconds = call.call_duration if call.call_status == COMPLETED else None
    return Report(
        source=SOURCE,
        event_id=call.call_sid,
        connected=bool(talked_seconds),
        # Ours is the number that was called, or, where we called out, the one that called.
        agent_id=call.from_ if call.direction.startswith("outbound") else call.to,
        # Twilio does not say when the call was answered: that is its end less its duration.
        ended_at_ms=fields.to_epoch_ms(call.timestamp) if call.timestamp else None,
        reported_ms=talked_seconds * fields.SECOND_MS if talked_seconds else None,
        # "completed" would be no reason for not billing a call.
        outcome=call.call_status if talked_seconds or call.call_status != COMPLETED else None,
    )
