"""A dispute holds a wallet's automatic refills; a person may lift that, and it stays lifted until there is more."""

from typing import Any

import pytest

from chalicelib.storage import payments
from tests.payments.conftest import Paying
from tests.payments.money import paid_fifty, said_again


def lift(paying: Paying, owner: str) -> Any:
    kind = "workspaces" if owner.startswith("ws_") else "sub-accounts"
    answer = paying.world.call("DELETE", f"/v1/{kind}/{owner}/wallet/refill-hold")
    assert answer.status == 200, answer.text
    return answer.json


def disputed(paying: Paying, intent: str, **more: Any) -> str:
    """A payment is disputed, and we have heard of it: the dispute."""
    dispute = paying.pretend.control.open_dispute(intent, **more)
    paying.deliver()
    return str(dispute["id"])


def closed(paying: Paying, dispute: str, how: str) -> None:
    paying.pretend.control.close_dispute(dispute, how)
    paying.deliver()


@pytest.mark.parametrize("whose", ["workspace", "client"])
def test_a_person_lifts_the_hold_and_reads_the_wallet(paying: Paying, whose: str) -> None:
    workspace, client = paying.agency()
    owner = workspace if whose == "workspace" else client
    disputed(paying, paid_fifty(paying, owner))
    before = payments.refills_are_held(owner)

    wallet = lift(paying, owner)

    assert (before, payments.refills_are_held(owner)) == (True, False)
    assert wallet == paying.world.wallet(owner)
    assert (wallet["object"], wallet["owner"]) == ("wallet", owner)


def test_the_same_dispute_told_again_does_not_hold_again_what_a_person_has_lifted(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    disputed(paying, intent)
    lift(paying, client)

    said_again(paying, 1)
    paying.pretend.control.refund(paid_fifty(paying, client, "another"), 1000)
    paying.deliver()

    assert not payments.refills_are_held(client)


def test_a_dispute_that_is_lost_in_the_end_does_not_hold_again_what_a_person_has_lifted(paying: Paying) -> None:
    _, client = paying.agency()
    dispute = disputed(paying, paid_fifty(paying, client))
    lift(paying, client)

    closed(paying, dispute, "lost")
    said_again(paying, 2)

    assert not payments.refills_are_held(client)


@pytest.mark.parametrize("how", ["won", "lost"])
def test_after_a_dispute_has_ended_the_next_one_holds_anew(paying: Paying, how: str) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    dispute = disputed(paying, intent, amount=1000)
    lift(paying, client)
    closed(paying, dispute, how)
    between = payments.refills_are_held(client)

    disputed(paying, intent, amount=2000)

    assert (between, payments.refills_are_held(client)) == (False, True)


def test_another_dispute_beside_the_one_that_was_lifted_holds_anew(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    disputed(paying, intent, amount=1000)
    lift(paying, client)

    disputed(paying, intent, amount=2000)

    assert payments.refills_are_held(client)


def test_a_dispute_over_another_payment_holds_anew(paying: Paying) -> None:
    _, client = paying.agency()
    first, second = paid_fifty(paying, client, "one"), paid_fifty(paying, client, "two")
    disputed(paying, first)
    lift(paying, client)

    disputed(paying, second)

    assert payments.refills_are_held(client)


def test_an_inquiry_that_was_lifted_holds_anew_when_another_one_comes_after_it(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)
    inquiry = disputed(paying, intent, inquiry=True)
    lift(paying, client)
    said_again(paying, 3)
    meanwhile = payments.refills_are_held(client)
    closed(paying, inquiry, "won")

    disputed(paying, intent, inquiry=True)

    assert (meanwhile, payments.refills_are_held(client)) == (False, True)


def test_lifting_all_holds_of_one_wallet_leaves_those_of_the_others(paying: Paying) -> None:
    workspace, client = paying.agency()
    neighbour = paying.world.sub_account(workspace, "0.15")
    for owner, key in ((client, "one"), (client, "two"), (neighbour, "one"), (workspace, "one")):
        disputed(paying, paid_fifty(paying, owner, key))

    lift(paying, client)

    assert [payments.refills_are_held(owner) for owner in (client, neighbour, workspace)] == [False, True, True]


def test_lifting_what_nothing_holds_does_no_harm_and_the_next_dispute_holds(paying: Paying) -> None:
    _, client = paying.agency()
    intent = paid_fifty(paying, client)

    lift(paying, client)
    lift(paying, client)
    before = payments.refills_are_held(client)
    disputed(paying, intent)

    assert (before, payments.refills_are_held(client)) == (False, True)


def test_the_money_that_a_dispute_took_stays_taken_when_the_hold_is_lifted(paying: Paying) -> None:
    _, client = paying.agency()
    disputed(paying, paid_fifty(paying, client))

    lift(paying, client)

    assert paying.amounts(client) == [("top_up", "50.000000"), ("dispute", "-50.000000")]
