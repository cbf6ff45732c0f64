"""Billing: a client's balance, payments, cards, automatic refills and statement, for its authorized users only."""

from chalice.app import Response

from chalicelib.domain.accounts import SubAccount
from chalicelib.domain.errors import NotFound
from chalicelib.domain.payments import ConnectionState
from chalicelib.domain.people import check_person
from chalicelib.storage import accounts, connections
from chalicelib.storage.items import together
from chalicelib.storage.page_reads import read_wallet_page
from chalicelib.web.dashboard import statement
from chalicelib.web.dashboard.forms import Action, Done
from chalicelib.web.dashboard.own_api import ask
from chalicelib.web.dashboard.visits import Visit, draw
from chalicelib.web.dashboard.wallet_forms import WalletForms, shown_on
from chalicelib.web.permissions import permit_of

SUB_ACCOUNT = "/v1/sub-accounts/{sub_account_id}"
WALLET = f"{SUB_ACCOUNT}/wallet"


def show(visit: Visit) -> Response:
    """The page, for authorized users; others are told who can let them in."""
    sub_account = _sub_account_of(visit)
    linked = connections.get_connection(sub_account.workspace_id)
    version = linked.version if linked else 0
    with together() as reads:
        reads.begin(read_wallet_page, sub_account.workspace_id, sub_account.id, version)
        days = reads.begin(statement.spend_per_day, sub_account.id)
        page = reads.begin(statement.read_newest, visit, sub_account.id)
    values = {"sub_account_id": sub_account.id}
    wallet, rule = visit.get(WALLET, values), visit.get(f"{WALLET}/refill-rule", values)
    wanted, newest = statement.Wanted.from_query(visit.query), page.result()
    return draw(
        visit,
        "billing.html",
        "Billing",
        **shown_on(visit, wallet, rule, visit.workspace.sub_account_limits, version),
        sub_account=sub_account,
        forms=FORMS.page,
        form_fields={"sub_account": sub_account.id},
        takes_cards=linked is not None and linked.state is ConnectionState.CONNECTED and linked.charges_enabled,
        wanted=wanted,
        kinds=statement.KINDS,
        part=statement.read_part(visit, sub_account.id, wanted, newest),
        balances=statement.balances(newest["data"], wallet["balance"]),
        days=days.result(),
    )


def _sub_account_of(visit: Visit) -> SubAccount:
    """Whose billing it is about; without a word in the address, the first that is the person's own.

    Raises:
        Forbidden: the person is of the workspace, but no authorized user. NotFound: it is somebody else's, or nobody's.
    """
    asked = visit.form.get("sub_account") or visit.query.get("sub_account")
    asked = asked or min(visit.rights.sub_account_ids, default="")
    if not asked:
        raise NotFound("not_found", "There is no such sub-account.")
    sub_account = accounts.get_sub_account(asked)
    check_person(visit.person, visit.rights, permit_of("PUT", f"{WALLET}/refill-rule"), sub_account.workspace_id, asked)
    return sub_account


def _add_me(visit: Visit) -> Done:
    """Oneself and nobody else, whatever the form says."""
    values = {"sub_account_id": visit.form.get("sub_account", ""), "email": visit.person.email}
    ask(visit.call, "PUT", f"{SUB_ACCOUNT}/authorized-users/{{email}}", values)
    return Done("You are an authorized user now.", "billing", _fields(visit))


def _values(visit: Visit) -> dict[str, str]:
    return {"sub_account_id": visit.form.get("sub_account", "")}


def _fields(visit: Visit) -> dict[str, str]:
    return {"sub_account": visit.form.get("sub_account", "")}


FORMS = WalletForms(WALLET, "billing", _values, _fields)
ACTIONS = {**FORMS.actions(show), "add-me": Action(_add_me, show)}
