"""The gate's door."""

from http import HTTPStatus

from chalice.app import Response

from chalicelib.domain.access import Denied
from chalicelib.flows.check_access import check_access
from chalicelib.web.doors import Call, door
from chalicelib.web.errors import denial
from chalicelib.web.gate_answers import ShownAccess, ShownGateWallets


@door(
    "GET",
    "/v1/sub-accounts/{sub_account_id}/access",
    summary="May the next call start?",
    answers=ShownAccess,
    problems=(HTTPStatus.FORBIDDEN,),
)
def read_access(call: Call[None], sub_account_id: str) -> ShownAccess | Response:
    """Ask before each call. 200: yes, for at most `max_seconds`. 403: no, and `code` and `scope` say whose wallet or
    account it is. 503: nobody knows; that is not a no. Running calls are never touched.
    """
    decision = check_access(sub_account_id)
    wallets = ShownGateWallets(workspace=decision.workspace_wallet, sub_account=decision.sub_account_wallet)
    if isinstance(decision.answer, Denied):
        more = {"top_up_url": None, "refill_state": decision.refill_state, "wallets": wallets.model_dump()}
        return denial(decision.answer, call.request_id, decision_id=decision.id, sub_account=sub_account_id, **more)
    return ShownAccess(
        max_seconds=decision.answer.max_seconds,
        wallets=wallets,
        sub_account_pays=decision.answer.sub_account_pays,
        decision_id=decision.id,
    )
