"""What the forms about accounts do: each asks our own API, and says its refusals in the words of the page."""

from collections.abc import Mapping
from typing import Any

from chalicelib.domain.errors import Invalid
from chalicelib.web.dashboard import prices
from chalicelib.web.dashboard.account import SUB_ACCOUNT, USERS, VOICE_FIELDS, WALLET, show_account
from chalicelib.web.dashboard.forms import Action, Done
from chalicelib.web.dashboard.money import money
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit

LABELS = {
    **{f"{VOICE_FIELDS}{name}": label for name, label in prices.LABELS.items()},
    "name": "The name",
    "amount": "The amount",
    "note": "The note",
    "email": "The e-mail address",
    "agent_id": "The agent's id",
    "provider": "The platform",
    "effective_at": "The moment",
    "transfer_to": "The other sub-account",
    "settle": "What becomes of the balance",
}
AGENT = f"{SUB_ACCOUNT}/voice-agents/{{provider}}/{{agent_id}}"
BELOW_COST = "This is less than a minute costs you: every call loses money. Tick the box below if you mean it."
SENT_BEFORE = "This form was sent before with other values, and that was done. Send it again to do this as well."
STOPS = "From now on calls stop when this client's wallet is empty, too."


def asked(visit: Visit, method: str, path: str, body: Mapping[str, Any] | None = None, **values: str) -> Any:
    """Ask the API about the form's sub-account.

    Raises:
        RebillError: what the API refuses; a wrong field's trouble in the words of the page.
    """
    values = {"sub_account_id": visit.form.get("sub_account", ""), **values}
    named = {name: value for name, value in values.items() if f"{{{name}}}" in path}
    try:
        return ask(visit.call, method, path, named, body, idempotency_key=visit.form.get("key", ""))
    except Invalid as refused:
        raise in_words(refused, LABELS) from refused


def in_words(refused: Invalid, labels: Mapping[str, str]) -> Invalid:
    """A refusal of the API's with the labels of the page in place of its fields' names."""
    param = refused.param or ""
    if refused.code == "price_below_cost":
        return Invalid(param, BELOW_COST, refused.code)
    if refused.code == "idempotency_key_reused":
        return Invalid("amount", SENT_BEFORE, refused.code)
    if param not in labels:
        return refused
    return Invalid(param, f"{labels[param]}{refused.detail.removeprefix(param)}", refused.code)


def create(visit: Visit) -> Done:
    """A new sub-account, as the snapshot says."""
    path, body = "/v1/workspaces/{workspace_id}/sub-accounts", {"name": visit.form.get("name", "")}
    made = asked(visit, "POST", path, body, workspace_id=visit.workspace.id)
    query = {"sub_account": made["id"], "tab": "rebilling"}
    return Done("Made. Say what this client pays, and who may see its billing.", "account", query)


def _here(visit: Visit, said: str, tab: str = "", **query: str) -> Done:
    """Back to where the form stood: the list, or a tab of the account."""
    if visit.form.get("back") == "accounts":
        after = visit.form.get("starting_after", "")
        return Done(said, "accounts", {"starting_after": after} if after else {})
    tab = tab or visit.form.get("tab", "")
    return Done(said, "account", {"sub_account": visit.form.get("sub_account", ""), "tab": tab, **query})


def _set_rebilling(visit: Visit) -> Done:
    fields = prices.typed_price(visit.form, VOICE_FIELDS) or dict(prices.BEGIN)
    if "work_out" in visit.form:
        typed = {f"{VOICE_FIELDS}{name}": value for name, value in fields.items()}
        return _here(visit, "", effective_at=visit.form.get("effective_at", ""), **typed)
    found = asked(visit, "GET", SUB_ACCOUNT)
    body = {
        "enabled": True,
        "voice": prices.body_of(fields, VOICE_FIELDS, "accept_below_cost" in visit.form),
        "meters": prices.kept_meters(found["rebilling"]),
        **_effective_at(visit),
    }
    asked(visit, "PUT", f"{SUB_ACCOUNT}/rebilling", body)
    if body.get("effective_at"):
        return _here(visit, "Saved. It is in force from the moment that you chose; until then all stays as it is.")
    return _here(visit, f"Saved. {STOPS}")


def _effective_at(visit: Visit) -> dict[str, str]:
    """The moment as a browser's field writes it, which is without a zone; the page says that it is UTC."""
    typed = visit.form.get("effective_at", "").strip()
    return {"effective_at": f"{typed}:00Z" if len(typed) == len("2026-11-22T18:35") else typed} if typed else {}


def _turn_off(visit: Visit) -> Done:
    """Off, with the prices kept: turning it on again begins with them."""
    found = asked(visit, "GET", SUB_ACCOUNT)
    card = found["rebilling"] or {"prices": {}}
    voice = prices.kept_voice(card)
    body = {"enabled": False, "meters": prices.kept_meters(card), **({"voice": voice} if voice else {})}
    asked(visit, "PUT", f"{SUB_ACCOUNT}/rebilling", body)
    return _here(visit, "Re-billing is off: from now on calls cost this client nothing, and you pay for them.")


def _authorize(visit: Visit) -> Done:
    email = visit.form.get("email", "").strip()
    asked(visit, "PUT", f"{USERS}/{{email}}", email=email)
    return _here(visit, f"{email} may see this client's billing now.")


def _remove_user(visit: Visit) -> Done:
    email = visit.form.get("email", "")
    asked(visit, "DELETE", f"{USERS}/{{email}}", email=email)
    return _here(visit, f"{email} has no access to this client's billing any more.")


def _add_balance(visit: Visit) -> Done:
    form = visit.form
    body = {
        "amount": form.get("amount", "").strip(),
        "kind": form.get("kind", ""),
        "note": form.get("note", ""),
    }
    entry = asked(visit, "POST", f"{WALLET}/credits", body)
    return _here(visit, f"Added {money(entry['amount'], entry['currency'])} to the balance.")


def _pause(visit: Visit) -> Done:
    asked(visit, "POST", f"{SUB_ACCOUNT}/pause", {"note": visit.form.get("note", "").strip() or None})
    return _here(visit, "Paused. No new calls start, and no card is asked.")


def _resume(visit: Visit) -> Done:
    asked(visit, "POST", f"{SUB_ACCOUNT}/resume", {"note": visit.form.get("note", "").strip() or None})
    return _here(visit, "Resumed. Calls start again.")


def _close(visit: Visit) -> Done:
    form = visit.form
    if "sure" not in form:
        raise Invalid("sure", "Closing cannot be undone: tick the box if you are sure.")
    body: dict[str, Any] = {"settle": form.get("settle", ""), "note": form.get("note", "")}
    if transfer_to := form.get("transfer_to", "").strip():
        body["transfer_to"] = transfer_to
    done = asked(visit, "POST", f"{SUB_ACCOUNT}/close", body)
    told = ((word, money(done[word], done["currency"])) for word in ("refunded", "transferred", "forfeited"))
    return _here(visit, "Closed. " + ", ".join(f"{amount} {word}" for word, amount in told) + ".", "overview")


def _assign(visit: Visit) -> Done:
    provider, agent_id = visit.form.get("provider", ""), visit.form.get("agent_id", "").strip()
    asked(visit, "PUT", AGENT, provider=provider, agent_id=agent_id)
    return _here(visit, "Assigned. Calls of this agent are this client's, those that waited for it too.")


def _take_away(visit: Visit) -> Done:
    provider, agent_id = visit.form.get("provider", ""), visit.form.get("agent_id", "")
    asked(visit, "DELETE", AGENT, provider=provider, agent_id=agent_id)
    return _here(visit, f"{agent_id} is taken away. Its calls wait from now on until it is somebody's again.")


ACCOUNT_ACTIONS: dict[str, Action] = {
    "account-rebilling": Action(_set_rebilling, show_account),
    "account-rebilling-off": Action(_turn_off, show_account),
    "account-authorize": Action(_authorize, show_account),
    "account-remove-user": Action(_remove_user, show_account),
    "account-balance": Action(_add_balance, show_account),
    "account-pause": Action(_pause, show_account),
    "account-resume": Action(_resume, show_account),
    "account-close": Action(_close, show_account),
    "account-agent": Action(_assign, show_account),
    "account-agent-away": Action(_take_away, show_account),
}
