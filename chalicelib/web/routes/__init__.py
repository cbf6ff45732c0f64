"""Every address, and the file of this folder that answers it.

A file is loaded when one of its addresses is first asked for: the gate waits for nothing that pages or payments need,
and Chalice, which has to know every address, for none of them.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module

from chalice.app import Blueprint, Response

from chalicelib.starting import for_good

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_WS, _SA = "/v1/workspaces/{workspace_id}", "/v1/sub-accounts/{sub_account_id}"


def _of_both(path: str) -> tuple[str, str]:
    return f"{_WS}{path}", f"{_SA}{path}"


ADDRESSES: dict[str, tuple[str, ...]] = {
    "accounts": (
        *("/v1/workspaces", _WS, f"{_WS}/cost", f"{_WS}/top-up-limits", f"{_WS}/sub-accounts"),
        *(_SA, f"{_SA}/rebilling", f"{_SA}/voice-agents", f"{_SA}/voice-agents/{{provider}}/{{agent_id}}"),
    ),
    "wallets": (
        *_of_both("/wallet"),
        *_of_both("/wallet/entries"),
        *_of_both("/wallet/entries.csv"),
        *_of_both("/wallet/credits"),
    ),
    "usage": (
        "/v1/usage-events",
        "/v1/usage-events/{source}/{event_id}",
        f"{_WS}/usage-events",
        f"{_WS}/usage-events/{{source}}/{{event_id}}/dismiss",
    ),
    "access": (f"{_SA}/access",),
    "voice": (
        *(f"{_WS}/voice-endpoints", f"{_WS}/voice-endpoints/{{endpoint_id}}"),
        "/webhooks/voice/{provider}/{endpoint_id}",
    ),
    "payments": (
        *(f"{_WS}/stripe/connect", f"{_WS}/stripe", "/oauth/stripe/start", "/oauth/stripe/callback"),
        *_of_both("/wallet/top-ups"),
        *_of_both("/wallet/top-ups/{top_up_id}"),
        *_of_both("/wallet/payment-method"),
        *_of_both("/wallet/portal"),
        *_of_both("/wallet/refill-hold"),
        *("/payments/return", "/webhooks/stripe", "/webhooks/stripe/connect"),
    ),
    "refills": (
        *_of_both("/wallet/refill-rule"),
        *_of_both("/wallet/refill-rule/retry"),
        *_of_both("/wallet/backup-payment-method"),
        *("/v1/refill-switch", f"{_WS}/refill-switch", "/payments/action"),
    ),
    "people": (
        *(f"{_WS}/people", f"{_WS}/people/{{email}}"),
        *(f"{_SA}/authorized-users", f"{_SA}/authorized-users/{{email}}"),
        *("/v1/dashboard-sessions", "/v1/dashboard-sessions/redeem", "/v1/session", "/dashboard/enter"),
    ),
    "snapshot": (
        *(f"{_WS}/snapshot", f"{_WS}/snapshot/preview", f"{_WS}/snapshot/apply"),
        f"{_WS}/snapshot/applications/{{application_id}}",
        f"{_WS}/snapshot/applications/{{application_id}}/undo",
    ),
    "account_state": (*_of_both("/pause"), *_of_both("/resume"), f"{_SA}/close"),
    "activity": (
        *_of_both("/activity"),
        *_of_both("/wallet/notice-levels"),
        *("/v1/webhook-endpoints", "/v1/webhook-endpoints/{endpoint_id}", "/v1/webhook-endpoints/{endpoint_id}/enable"),
    ),
    "audit": (f"{_WS}/audit", "/v1/audit"),
    "dashboard": ("/dashboard", "/dashboard/{action}", "/static/{name}"),
    "described": ("/healthz", "/openapi.json", "/docs", "/docs/{asset}"),
}
FILE_OF = {path: file for file, paths in ADDRESSES.items() for path in paths}

routes = Blueprint(__name__)


@cache
def load(file: str) -> None:
    """Load one of our files, if it is not loaded yet: its doors then stand in `web/doors.py`."""
    with for_good():
        import_module(f"{__name__}.{file}")


def _handler(path: str) -> Callable[..., Response]:
    def handle(**path_values: str) -> Response:
        from chalicelib.web.doors import pass_through  # pydantic comes with it, which the queues' functions do not need

        return pass_through(path, routes.current_request, path_values)

    return handle


for _path, _file in FILE_OF.items():
    # The wrong methods too: API Gateway itself would answer them with a 403, which must always mean a wallet.
    routes.route(_path, methods=list(METHODS), content_types=["*/*"], name=_file)(_handler(_path))
