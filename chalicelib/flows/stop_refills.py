"""The kill switch: no card is asked any more, for one workspace or for all; what is under way is still settled."""

from chalicelib.clock import now_ms
from chalicelib.storage import accounts, refill_switch
from chalicelib.storage.refill_switch import EVERYBODY, Switch
from chalicelib.telemetry import alarm, logger

BREAKER = "breaker"


def switch_refills(scope: str, stopped: bool, reason: str, by: str) -> Switch:
    """Stop refills, or let them go on, for one workspace or for everybody.

    Raises:
        NotFound: no such workspace.
    """
    if scope != EVERYBODY:
        accounts.get_workspace(scope)
    switch = Switch(scope, stopped, reason, by, now_ms())
    refill_switch.set_switch(switch)
    logger.warning("refills_switched", extra={"scope": scope, "stopped": stopped, "by": by})
    return switch


def throw_breaker(reason: str) -> None:
    """Stop all refills because something is wrong; only a person lets them go on."""
    alarm("refill_breaker", reason=reason)
    switch_refills(EVERYBODY, True, reason, BREAKER)
