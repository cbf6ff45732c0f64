"""Who may pass which door: one table, from which the doors, their tests and docs/people.md are made.

A door that asks for a caller and has no row here cannot be opened. Whose things the path names is checked beside it:
people reach their own workspace only, authorized users their own sub-accounts, and foreign ids are not found.
"""

from chalicelib.domain.people import OWNERS, PEOPLE, Permit, Scope

_WS, _SA = "/v1/workspaces/{workspace_id}", "/v1/sub-accounts/{sub_account_id}"

PLATFORM_ONLY = {
    "POST /v1/workspaces": Scope.ACCOUNTS,
    f"PUT {_WS}/cost": Scope.ACCOUNTS,
    "POST /v1/usage-events": Scope.USAGE,
    f"GET {_SA}/access": Scope.GATE,
    f"POST {_WS}/wallet/credits": Scope.MONEY,
    f"DELETE {_WS}/wallet/refill-hold": Scope.MONEY,
    f"POST {_WS}/pause": Scope.OPERATE,
    f"POST {_WS}/resume": Scope.OPERATE,
    "GET /v1/refill-switch": Scope.OPERATE,
    "PUT /v1/refill-switch": Scope.OPERATE,
    "POST /v1/webhook-endpoints": Scope.OPERATE,
    "GET /v1/webhook-endpoints": Scope.OPERATE,
    "DELETE /v1/webhook-endpoints/{endpoint_id}": Scope.OPERATE,
    "POST /v1/webhook-endpoints/{endpoint_id}/enable": Scope.OPERATE,
    "POST /v1/dashboard-sessions": Scope.PEOPLE,
    "GET /v1/audit": Scope.OPERATE,
}
OWNERS_TOO = {
    f"PUT {_WS}/top-up-limits": Scope.ACCOUNTS,
    f"PUT {_WS}/refill-switch": Scope.OPERATE,
    f"PUT {_WS}/people/{{email}}": Scope.PEOPLE,
    f"DELETE {_WS}/people/{{email}}": Scope.PEOPLE,
    f"GET {_WS}/audit": Scope.ACCOUNTS,
}
PEOPLE_TOO = {
    f"GET {_WS}": Scope.ACCOUNTS,
    f"POST {_WS}/sub-accounts": Scope.ACCOUNTS,
    f"GET {_WS}/sub-accounts": Scope.ACCOUNTS,
    f"GET {_SA}": Scope.ACCOUNTS,
    f"PUT {_SA}/rebilling": Scope.ACCOUNTS,
    f"PUT {_SA}/voice-agents/{{provider}}/{{agent_id}}": Scope.ACCOUNTS,
    f"GET {_SA}/voice-agents": Scope.ACCOUNTS,
    f"DELETE {_SA}/voice-agents/{{provider}}/{{agent_id}}": Scope.ACCOUNTS,
    f"POST {_WS}/voice-endpoints": Scope.ACCOUNTS,
    f"GET {_WS}/voice-endpoints": Scope.ACCOUNTS,
    f"DELETE {_WS}/voice-endpoints/{{endpoint_id}}": Scope.ACCOUNTS,
    f"GET {_WS}/usage-events": Scope.USAGE,
    f"POST {_WS}/usage-events/{{source}}/{{event_id}}/dismiss": Scope.USAGE,
    "GET /v1/usage-events/{source}/{event_id}": Scope.USAGE,
    f"GET {_WS}/wallet": Scope.MONEY,
    f"GET {_WS}/wallet/entries": Scope.MONEY,
    f"GET {_WS}/wallet/entries.csv": Scope.MONEY,
    f"POST {_WS}/wallet/top-ups": Scope.MONEY,
    f"GET {_WS}/wallet/top-ups/{{top_up_id}}": Scope.MONEY,
    f"POST {_WS}/wallet/payment-method": Scope.MONEY,
    f"POST {_WS}/wallet/backup-payment-method": Scope.MONEY,
    f"POST {_WS}/wallet/portal": Scope.MONEY,
    f"GET {_WS}/wallet/refill-rule": Scope.MONEY,
    f"PUT {_WS}/wallet/refill-rule": Scope.MONEY,
    f"POST {_WS}/wallet/refill-rule/retry": Scope.MONEY,
    f"GET {_WS}/wallet/notice-levels": Scope.MONEY,
    f"PUT {_WS}/wallet/notice-levels": Scope.MONEY,
    f"GET {_WS}/activity": Scope.MONEY,
    f"GET {_WS}/refill-switch": Scope.MONEY,
    f"POST {_WS}/stripe/connect": Scope.MONEY,
    f"GET {_WS}/stripe": Scope.MONEY,
    f"DELETE {_WS}/stripe": Scope.MONEY,
    f"GET {_WS}/people": Scope.PEOPLE,
    f"PUT {_SA}/authorized-users/{{email}}": Scope.PEOPLE,
    f"DELETE {_SA}/authorized-users/{{email}}": Scope.PEOPLE,
    f"POST {_SA}/wallet/credits": Scope.MONEY,
    f"GET {_WS}/snapshot": Scope.ACCOUNTS,
    f"PUT {_WS}/snapshot": Scope.ACCOUNTS,
    f"POST {_WS}/snapshot/preview": Scope.ACCOUNTS,
    f"POST {_WS}/snapshot/apply": Scope.ACCOUNTS,
    f"GET {_WS}/snapshot/applications/{{application_id}}": Scope.ACCOUNTS,
    f"POST {_WS}/snapshot/applications/{{application_id}}/undo": Scope.ACCOUNTS,
    f"POST {_SA}/pause": Scope.ACCOUNTS,
    f"POST {_SA}/resume": Scope.ACCOUNTS,
    f"POST {_SA}/close": Scope.MONEY,
    f"DELETE {_SA}/wallet/refill-hold": Scope.MONEY,
}
PEOPLE_AND_USERS_TOO = {
    f"GET {_SA}/wallet": Scope.MONEY,
    f"GET {_SA}/wallet/entries": Scope.MONEY,
    f"GET {_SA}/wallet/entries.csv": Scope.MONEY,
    f"GET {_SA}/wallet/refill-rule": Scope.MONEY,
    f"GET {_SA}/wallet/notice-levels": Scope.MONEY,
    f"GET {_SA}/activity": Scope.MONEY,
    f"GET {_SA}/authorized-users": Scope.PEOPLE,
}
USERS_TOO = {  # what moves a client's own money, or decides when it moves, is the client's alone
    f"POST {_SA}/wallet/top-ups": Scope.MONEY,
    f"GET {_SA}/wallet/top-ups/{{top_up_id}}": Scope.MONEY,
    f"POST {_SA}/wallet/payment-method": Scope.MONEY,
    f"POST {_SA}/wallet/backup-payment-method": Scope.MONEY,
    f"POST {_SA}/wallet/portal": Scope.MONEY,
    f"PUT {_SA}/wallet/refill-rule": Scope.MONEY,
    f"POST {_SA}/wallet/refill-rule/retry": Scope.MONEY,
    f"PUT {_SA}/wallet/notice-levels": Scope.MONEY,
}
PERMITS: dict[str, Permit] = {
    **{name: Permit(scope) for name, scope in PLATFORM_ONLY.items()},
    **{name: Permit(scope, OWNERS) for name, scope in OWNERS_TOO.items()},
    **{name: Permit(scope, PEOPLE) for name, scope in PEOPLE_TOO.items()},
    **{name: Permit(scope, PEOPLE, users=True) for name, scope in PEOPLE_AND_USERS_TOO.items()},
    **{name: Permit(scope, users=True) for name, scope in USERS_TOO.items()},
}


def permit_of(method: str, path: str) -> Permit:
    """Who may pass a door."""
    return PERMITS[f"{method} {path}"]
