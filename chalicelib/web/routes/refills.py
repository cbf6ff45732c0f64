"""Automatic refills: the rule of a wallet, how it stands, "try again", and the switch that stops them all.

What needs Stripe's SDK is imported where it is used: who only looks at a rule must not wait for it.
"""

from http import HTTPStatus
from typing import Any

from chalice.app import Response

from chalicelib.domain.errors import RebillError, Unavailable
from chalicelib.domain.people import named
from chalicelib.storage import accounts, refill_switch, refills, wallets
from chalicelib.storage.refill_switch import EVERYBODY, Switch
from chalicelib.web import requests
from chalicelib.web.answers import ShownLink, ShownRefillRule, ShownRefillSwitch
from chalicelib.web.doors import Call, door
from chalicelib.web.idempotency import IDEMPOTENCY_HEADER, idempotency_key
from chalicelib.web.owner_doors import Owner, owner_door
from chalicelib.web.pages import message_page
from chalicelib.web.show import show_refill_rule, show_refill_switch

RULE = "/wallet/refill-rule"
ALL_SWITCH, WORKSPACE_SWITCH = "/v1/refill-switch", "/v1/workspaces/{workspace_id}/refill-switch"


@owner_door("GET", RULE, summary="Read a {owner}'s refill rule", answers=ShownRefillRule)
def read_refill_rule(call: Call[None], owner: Owner) -> ShownRefillRule:
    """When the wallet refills itself and by how much, how that stands, and what has stopped it."""
    return _show(call, owner)


@owner_door(
    "PUT",
    RULE,
    summary="Set a {owner}'s refill rule",
    body=requests.NewRefillRule,
    answers=ShownRefillRule,
)
def set_refill_rule(call: Call[requests.NewRefillRule], owner: Owner) -> ShownRefillRule:
    """Where the balance is at or below the threshold already, saving takes money now: the answer is 409
    `confirm_charge_now` and says how much, until the body says `confirm_charge_now` too."""
    from chalicelib.flows.set_refill_rule import set_rule

    set_rule(owner, call.body.to_rule(), call.body.confirm_charge_now)
    return _show(call, owner)


@owner_door("POST", f"{RULE}/retry", summary="Try a {owner}'s refills again", answers=ShownRefillRule)
def retry_refill(call: Call[None], owner: Owner) -> ShownRefillRule:
    """After a decline, or whatever else stopped them. A card that its bank refused for good is not asked again."""
    from chalicelib.flows.wake_refills import try_again

    try_again(owner.id)
    return _show(call, owner)


@owner_door(
    "POST",
    "/wallet/backup-payment-method",
    summary="Save a {owner}'s backup card",
    answers=ShownLink,
    status=HTTPStatus.CREATED,
    headers=IDEMPOTENCY_HEADER,
)
def save_backup_card(call: Call[None], owner: Owner) -> ShownLink:
    """Send the person to `url`: Stripe's own page saves a card that refills ask where the first one is declined."""
    from chalicelib.flows.save_card import save_card

    return ShownLink(url=save_card(owner, idempotency_key(call), call.base_url, backup=True))


def _show(call: Call[Any], owner: Owner) -> ShownRefillRule:
    wallet = wallets.get_wallet(owner.id)
    return show_refill_rule(refills.get_standing(owner.id), wallet.currency, call.base_url)


@door("GET", ALL_SWITCH, summary="Read the switch of all refills", answers=ShownRefillSwitch)
def read_refill_switch(call: Call[None]) -> ShownRefillSwitch:
    """Whether refills are stopped for everybody, by whom and why."""
    return show_refill_switch(refill_switch.get_switch(EVERYBODY))


@door(
    "PUT",
    ALL_SWITCH,
    summary="Stop all refills, or let them go on",
    body=requests.RefillSwitch,
    answers=ShownRefillSwitch,
)
def set_all_refills(call: Call[requests.RefillSwitch]) -> ShownRefillSwitch:
    """From the next moment on no card is asked. What a card has been asked already is still settled and credited."""
    return _switch(call, EVERYBODY)


@door("GET", WORKSPACE_SWITCH, summary="Read the switch of a workspace's refills", answers=ShownRefillSwitch)
def read_workspace_switch(call: Call[None], workspace_id: str) -> ShownRefillSwitch:
    """Whether refills of the workspace and its sub-accounts are stopped, by whom and why."""
    return show_refill_switch(refill_switch.get_switch(accounts.get_workspace(workspace_id).id))


@door(
    "PUT",
    WORKSPACE_SWITCH,
    summary="Stop a workspace's refills, or let them go on",
    body=requests.RefillSwitch,
    answers=ShownRefillSwitch,
)
def set_workspace_refills(call: Call[requests.RefillSwitch], workspace_id: str) -> ShownRefillSwitch:
    """The same for one workspace's wallet and those of its sub-accounts. They go on within five minutes."""
    return _switch(call, workspace_id)


def _switch(call: Call[requests.RefillSwitch], scope: str) -> ShownRefillSwitch:
    from chalicelib.flows.stop_refills import switch_refills

    switch: Switch = switch_refills(scope, call.body.stopped, call.body.reason, named(call.caller))
    return show_refill_switch(switch)


@door(
    "GET",
    "/payments/action",
    summary="Confirm a payment that a bank wants confirmed",
    query=requests.PaymentAction,
    answers="text/html",
    status=HTTPStatus.SEE_OTHER,
    needs_key=False,
)
def confirm_payment(call: Call[None]) -> Response:
    """A refill leaves this link when the bank wants the card's holder: on to Stripe's page, for a day, to pay once."""
    from chalicelib.flows.confirm_in_person import confirm_in_person

    asked = call.query_as(requests.PaymentAction, others_may_be_there=True)
    try:
        url = confirm_in_person(asked.owner, asked.refill, call.base_url)
    except Unavailable:
        raise  # nobody knows, which is not a no
    except RebillError as refused:
        return message_page("Nothing to confirm", refused.detail, status=HTTPStatus.CONFLICT)
    return Response("", {"Location": url, "Content-Type": "text/html"}, HTTPStatus.SEE_OTHER.value)
