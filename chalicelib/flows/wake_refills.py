"""Refills go on that something had stopped: after a new card, a payment, or a person's "try again"."""

from chalicelib.clock import now_ms
from chalicelib.domain.errors import Unavailable
from chalicelib.domain.standing import RefillState, Standing
from chalicelib.flows.tell_refill import tell_resumed
from chalicelib.storage import refills

ATTEMPTS = 5


def try_again(owner_id: str) -> Standing:
    """Let refills go on that something had stopped; what still forbids them stops them again, with its reason.

    Raises:
        Unavailable: say it again.
    """
    return wake(owner_id, only_for_its_owner=False)


def wake(owner_id: str, only_for_its_owner: bool = True) -> Standing:
    """Let refills go on after a new card, or a payment; `only_for_its_owner`: not where something else holds them.

    Raises:
        Unavailable: say it again.
    """
    for _ in range(ATTEMPTS):
        before = refills.get_standing(owner_id)
        if before.stop is None or (only_for_its_owner and before.stop.state is RefillState.HELD):
            return before
        after = before.revived(now_ms())
        if refills.rest(before, after):
            tell_resumed(after, before.stop)
            return after
    raise Unavailable("The wallet store")
