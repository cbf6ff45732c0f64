"""`/v1/account`, `/v1/accounts`, `/v1/events` and `/v1/billing_portal/sessions`."""

from local.pretend_stripe import lists
from local.pretend_stripe.checkout import check_url
from local.pretend_stripe.errors import missing, no_access, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import TEST_KEY, Obj, new_id

EVENTS_KEPT_SECONDS = 30 * 86_400


def current(space: Space, params: Obj) -> Obj:
    """GET /v1/account."""
    return space.account


def retrieve(space: Space, params: Obj, account_id: str) -> Obj:
    """GET /v1/accounts/{id}."""
    if account_id != space.account_id and not (
        not space.connected and space.core.is_connected(account_id, space.livemode)
    ):
        raise no_access(TEST_KEY, account_id)
    known: Obj = space.core.state["accounts"][account_id]
    return known


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/accounts: the connected ones."""
    known = list(space.core.state["accounts"].values())
    inside = [account for account in reversed(known) if space.core.is_connected(account["id"], space.livemode)]
    in_time = lists.created_in(params)
    found = [] if space.connected else [account for account in inside if in_time(account)]
    return lists.page(found, params, "/v1/accounts", "account")


def retrieve_event(space: Space, params: Obj, event_id: str) -> Obj:
    """GET /v1/events/{id}."""
    return space.get("event", event_id)


def list_events(space: Space, params: Obj) -> Obj:
    """GET /v1/events, of the last 30 days."""
    if "type" in params and "types" in params:
        text = "You may only specify one of these parameters: type, types."
        raise refusal(text, code="parameters_exclusive", kept=False)
    wanted = params.get("types") or ([params["type"]] if "type" in params else [])
    in_time = lists.created_in(params)
    events = [
        event
        for event in space.all("event")
        if event["created"] > space.now() - EVENTS_KEPT_SECONDS
        and in_time(event)
        and (not wanted or any(_is(event["type"], name) for name in wanted))
    ]
    return lists.page(events, params, "/v1/events", "event")


def _is(event_type: str, wanted: str) -> bool:
    return event_type.startswith(wanted[:-1]) if wanted.endswith(".*") else event_type == wanted


def create_portal(space: Space, params: Obj) -> Obj:
    """POST /v1/billing_portal/sessions."""
    if "customer" not in params:
        raise missing("customer")
    space.get("customer", params["customer"], param="customer", status=400)
    if "return_url" in params:
        check_url(params["return_url"], "return_url")
    made = {
        **space.common("billing_portal.session"),
        "configuration": "bpc_1Pretend",
        "customer": params["customer"],
        "customer_account": None,
        "flow": None,
        "locale": params.get("locale"),
        "on_behalf_of": None,
        "return_url": params.get("return_url"),
        "url": f"{space.core.url}/p/session/{new_id('test_', 32)}",
    }
    space.hidden(made["url"].rpartition("/")[2]).update(session=made["id"], space=space.key)
    return space.put(made)
