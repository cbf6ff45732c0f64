"""The bank wants the card's holder: what a refill could not take by itself is paid by a person, on Stripe's page."""

import re

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Conflict, NotFound
from chalicelib.domain.standing import Cause
from chalicelib.flows.refill_facts import owners_of
from chalicelib.flows.take_top_up import take_top_up
from chalicelib.storage import refills

_REFILL_ID = re.compile(r"rfl_[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


def confirm_in_person(owner_id: str, refill_id: str, base_url: str) -> str:
    """Stripe's page on which the amount of a refill can be paid, once, within a day.

    Raises:
        NotFound: no such refill. Conflict: nothing waits to be confirmed any more, or another payment is under way.
    """
    if not _REFILL_ID.fullmatch(refill_id):
        raise NotFound("not_found", "There is no such refill.")
    refill, stop = refills.get_refill(owner_id, refill_id), refills.get_standing(owner_id).stop
    waits = stop is not None and stop.cause is Cause.AUTHENTICATION_REQUIRED and (stop.until_ms or 0) > now_ms()
    if not waits or stop is None or refill_id not in (stop.url or ""):
        raise Conflict("nothing_to_confirm", "This payment does not wait for you any more. You can close this page.")
    owner, _ = owners_of(owner_id)
    top_up = take_top_up(owner, refill.amount_micros, f"confirm-{refill.id}", base_url)
    if top_up.url is None:
        raise Conflict("nothing_to_confirm", "This payment was made already. You can close this page.")
    return top_up.url
