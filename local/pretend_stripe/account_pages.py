"""The pages of an account's owner: letting the platform in, and the owner's own dashboard."""

from html import escape

from local.pretend_stripe import disputes, oauth, refunds
from local.pretend_stripe.account_objects import name_of
from local.pretend_stripe.currencies import shown
from local.pretend_stripe.errors import Refused
from local.pretend_stripe.pages import Page, Visit, button, error, hidden, link, not_found, page, table
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import APPLICATION_NAME, PLATFORM, Obj

ASKED = ("client_id", "response_type", "scope", "state", "redirect_uri")


def authorize(visit: Visit) -> Page:
    """`/oauth/authorize`: choose an account and go on, or refuse."""
    given = visit.form if visit.posted else visit.query
    asked = {name: given[name] for name in ASKED if name in given}
    try:
        oauth.check_request(visit.core, asked)
        if visit.posted and visit.form.get("answer") == "continue":
            return Page(location=oauth.grant(visit.core, asked, visit.form.get("account", "")))
        if visit.posted:
            without_state = visit.form.get("omit_state") == "yes"
            return Page(location=oauth.refuse(visit.core, asked, without_state=without_state))
    except Refused as refused:
        return page("This link does not work", error(str(refused.body["error"]["message"])), status=400)
    return _choose(visit, asked)


def _choose(visit: Visit, asked: Obj) -> Page:
    state = visit.core.state
    choices: list[str] = []
    for account in state["accounts"].values():
        if account["id"] == PLATFORM:
            continue
        mode = "live mode" if state["modes"][account["id"]] else "test mode"
        more = "" if account["charges_enabled"] else ", cannot take payments yet"
        checked = "" if choices else " checked"
        choices.append(
            f'<label class="choice"><input type="radio" name="account" value="{escape(account["id"])}"{checked}> '
            f"{escape(name_of(account))} <small>({mode}{more})</small></label>"
        )
    scope = "read and change" if asked.get("scope") == "read_write" else "read"
    return page(
        f"Connect to {APPLICATION_NAME}",
        f"<p>{escape(APPLICATION_NAME)} wants to {scope} the data of your account. Which one?</p>",
        f'<form method="post" action="/oauth/authorize">{hidden(asked)}{"".join(choices)}',
        '<button name="answer" value="continue">Continue</button>',
        '<button class="plain" name="answer" value="refuse">Refuse</button>',
        '<label><input type="checkbox" name="omit_state" value="yes"> When refusing, leave the state out, '
        "as Stripe has been seen to do</label></form>",
    )


def start(visit: Visit) -> Page:
    """`/`: what there is."""
    rows = []
    for account in visit.core.state["accounts"].values():
        livemode = visit.core.state["modes"][account["id"]]
        kind = "the platform" if account["id"] == PLATFORM else "not connected"
        kind = "connected" if visit.core.is_connected(account["id"], livemode) else kind
        mode = "live" if livemode else "test"
        rows.append((link(name_of(account), f"/dashboard/{account['id']}"), mode, kind))
    return page(
        "Pretend Stripe",
        "<p>The accounts, each with its owner's dashboard:</p>",
        table(("account", "mode", "connection"), rows),
        f"<p>Clock, faults and deliveries are at {link('/_control', '/_control')}.</p>",
    )


def dashboard(visit: Visit) -> Page:
    """`/dashboard/{account}`: payments, refunds, disputes, and who has been let in."""
    account = visit.core.state["accounts"].get(visit.ids[0])
    if account is None:
        return not_found()
    livemode = visit.core.state["modes"][account["id"]]
    space = visit.core.space(account["id"], livemode)
    problem = ""
    if visit.posted:
        try:
            _act(space, visit.form)
            return Page(location=f"/dashboard/{account['id']}")
        except Refused as refused:
            problem = str(refused.body["error"]["message"])
    let_in = visit.core.is_connected(account["id"], livemode)
    rows = [(escape(APPLICATION_NAME), button("Revoke access", {"do": "revoke"}))] if let_in else []
    return page(
        name_of(account),
        f"<p><code>{escape(account['id'])}</code></p>{error(problem)}",
        f"<h2>Connected applications</h2>{table(('application', ''), rows)}",
        f"<h2>Payments</h2>{_payments(space)}",
        f"<h2>Disputes</h2>{_disputes(space)}",
        f"<p>{link('All accounts', '/')}</p>",
    )


def _payments(space: Space) -> str:
    rows = []
    for paid in space.all("charge"):
        amount = escape(shown(paid["amount"], paid["currency"]))
        back = escape(shown(paid["amount_refunded"], paid["currency"])) if paid["amount_refunded"] else ""
        acts = ""
        if paid["captured"] and not paid["refunded"]:
            acts = button("Refund", {"do": "refund", "id": paid["id"]})
            acts += button("Dispute", {"do": "dispute", "id": paid["id"]})
        rows.append((f"<code>{escape(paid['id'])}</code>", amount, escape(paid["status"]), back, acts))
    return table(("payment", "amount", "state", "given back", ""), rows)


def _disputes(space: Space) -> str:
    rows = []
    for dispute in space.all("dispute"):
        amount = escape(shown(dispute["amount"], dispute["currency"]))
        acts = ""
        if dispute["status"] in disputes.OPEN:
            acts = button("Won", {"do": "won", "id": dispute["id"]}) + button(
                "Lost", {"do": "lost", "id": dispute["id"]}
            )
        rows.append((f"<code>{escape(dispute['id'])}</code>", amount, escape(dispute["status"]), acts))
    return table(("dispute", "amount", "state", ""), rows)


def _act(space: Space, form: dict[str, str]) -> None:
    wanted, object_id = form.get("do"), form.get("id", "")
    if wanted == "revoke":
        space.core.revoke(space.account_id, space.livemode)
    elif wanted == "refund":
        refunds.create(space, {"charge": object_id})
    elif wanted == "dispute":
        disputes.open_dispute(space, space.get("charge", object_id))
    elif wanted in ("won", "lost"):
        disputes.close(space, space.get("dispute", object_id), wanted)
