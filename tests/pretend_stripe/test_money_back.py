"""Refunds and disputes: money goes back, and sometimes returns."""

from typing import Any

import httpx
import pytest
from stripe import InvalidRequestError, StripeClient

from local.pretend_stripe import PretendStripe
from tests.pretend_stripe.people import BRIGHT, Shop


def refunded(shop: Shop, intent: Any) -> tuple[int, bool]:
    paid = shop.client.v1.charges.retrieve(str(intent.latest_charge))
    return paid.amount_refunded, paid.refunded


def balance(shop: Shop) -> int:
    return sum(row.amount for row in shop.client.v1.balance_transactions.list({"limit": 100}).data)


def test_refunds_in_parts_until_nothing_is_left(shop: Shop) -> None:
    paid = shop.paid()
    create = shop.client.v1.refunds.create

    create({"payment_intent": paid.id, "amount": 1000, "metadata": {"why": "asked"}})
    create({"charge": str(paid.latest_charge), "amount": 1500, "reason": "requested_by_customer"})
    assert (refunded(shop, paid), balance(shop)) == ((2500, False), 2500)
    with pytest.raises(InvalidRequestError, match="greater than unrefunded amount"):
        create({"payment_intent": paid.id, "amount": 2501})
    rest = create({"payment_intent": paid.id})

    assert (rest.amount, rest.status, refunded(shop, paid), balance(shop)) == (2500, "succeeded", (5000, True), 0)
    with pytest.raises(InvalidRequestError) as caught:
        create({"payment_intent": paid.id, "amount": 1})
    assert caught.value.code == "charge_already_refunded"
    assert [refund.amount for refund in shop.client.v1.refunds.list({"payment_intent": paid.id}).data] == [
        2500,
        1500,
        1000,
    ]
    assert shop.events().count("charge.refunded") == shop.events().count("refund.created") == 3


@pytest.mark.parametrize("params", [{}, {"payment_intent": "pi_x"}, {"charge": "ch_x"}])
def test_a_refund_needs_a_payment(platform: StripeClient, params: Any) -> None:
    with pytest.raises(InvalidRequestError):
        platform.v1.refunds.create(params)


def test_what_was_not_paid_cannot_be_refunded(shop: Shop) -> None:
    with pytest.raises(InvalidRequestError, match="does not have a successful charge"):
        shop.client.v1.refunds.create({"payment_intent": shop.intent().id})


def test_a_pending_refund_arrives_later(shop: Shop) -> None:
    refund = shop.client.v1.refunds.create({"payment_intent": shop.paid("pm_card_pendingRefund").id})
    assert refund.status == "pending"

    shop.pretend.control.advance(60)

    assert shop.client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert "refund.updated" in shop.events()


def test_a_refund_can_fail_later_and_the_money_is_back(shop: Shop) -> None:
    paid = shop.paid("pm_card_refundFail")
    refund = shop.client.v1.refunds.create({"payment_intent": paid.id, "amount": 2000})
    assert (refund.status, refunded(shop, paid)) == ("succeeded", (2000, False))

    shop.pretend.control.advance(60)

    failed = shop.client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert (refunded(shop, paid), balance(shop)) == ((0, False), 5000)
    assert "refund.failed" in shop.events()


def test_the_bank_can_fail_any_refund(shop: Shop) -> None:
    paid = shop.paid()
    refund = shop.pretend.control.refund(paid.id, 700)

    shop.pretend.control.fail_refund(refund["id"])

    assert refunded(shop, paid) == (0, False)


# Disputes


@pytest.mark.parametrize(("status", "left"), [("won", 5000), ("lost", 0)])
def test_a_dispute_takes_the_money_and_is_decided(shop: Shop, status: str, left: int) -> None:
    paid = shop.paid()

    dispute = shop.pretend.control.open_dispute(paid.id)
    assert (dispute["status"], dispute["amount"], balance(shop)) == ("needs_response", 5000, 0)
    assert shop.client.v1.charges.retrieve(str(paid.latest_charge)).disputed is True
    with pytest.raises(InvalidRequestError) as caught:
        shop.client.v1.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_disputed"
    shop.pretend.control.close_dispute(dispute["id"], status)

    assert shop.client.v1.disputes.retrieve(dispute["id"]).status == status
    assert balance(shop) == left
    told = ["created", "funds_withdrawn", *(["funds_reinstated"] if status == "won" else []), "closed"]
    assert [event for event in shop.events() if "dispute" in event] == [f"charge.dispute.{what}" for what in told]


def test_a_dispute_in_steps_and_of_a_part(shop: Shop) -> None:
    paid = shop.paid()
    dispute = shop.pretend.control.open_dispute(paid.id, amount=1200, withdraw=False)
    assert balance(shop) == 5000

    shop.pretend.control.withdraw_dispute(dispute["id"])

    assert balance(shop) == 3800
    moved = shop.client.v1.disputes.retrieve(dispute["id"]).balance_transactions
    assert [(row.amount, row.fee) for row in moved] == [(-1200, 1500)]


def test_the_cards_that_bring_disputes(shop: Shop) -> None:
    for token in ("pm_card_createDispute", "pm_card_createDisputeProductNotReceived", "pm_card_createMultipleDisputes"):
        shop.paid(token)
    shop.paid("pm_card_createDisputeInquiry")

    found = shop.client.v1.disputes.list().data[::-1]

    reasons = [dispute.reason for dispute in found]
    assert reasons == ["fraudulent", "product_not_received", "fraudulent", "fraudulent", "general"]
    assert found[2].charge == found[3].charge
    assert (found[-1].status, found[-1].balance_transactions) == ("warning_needs_response", [])


@pytest.mark.parametrize(
    ("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost"), ("a letter", "under_review")]
)
def test_evidence_decides_as_in_test_mode(shop: Shop, text: str, status: str) -> None:
    shop.paid("pm_card_createDispute")
    dispute = shop.client.v1.disputes.list().data[0]

    decided = shop.client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})

    assert (decided.status, decided.evidence_details.has_evidence) == (status, True)


def test_an_inquiry_becomes_a_chargeback_or_is_closed(shop: Shop) -> None:
    for _ in range(2):
        shop.paid("pm_card_createDisputeInquiry")
    first, second = shop.client.v1.disputes.list().data
    evidence: Any = {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}}

    escalated = shop.client.v1.disputes.update(first.id, evidence)
    shop.pretend.control.close_dispute(second.id, "won")

    assert (escalated.status, len(escalated.balance_transactions)) == ("needs_response", 1)
    assert shop.client.v1.disputes.retrieve(second.id).status == "warning_closed"


def test_a_dispute_ends_once(shop: Shop) -> None:
    shop.paid("pm_card_createDispute")
    dispute = shop.client.v1.disputes.list().data[0]

    assert shop.client.v1.disputes.close(dispute.id).status == "lost"
    with pytest.raises(InvalidRequestError, match="already closed"):
        shop.client.v1.disputes.close(dispute.id)


def test_an_early_warning_is_told(shop: Shop) -> None:
    shop.paid("pm_card_createIssuerFraudRecord")
    assert shop.events()[-1] == "radar.early_fraud_warning.created"


def test_the_owner_refunds_and_the_bank_decides_on_the_dashboard(
    pretend: PretendStripe, agency: StripeClient, browser: httpx.Client
) -> None:
    shop = Shop(pretend, agency)
    refund, dispute = shop.paid(), shop.paid()
    page = f"/dashboard/{BRIGHT}"

    browser.post(page, data={"do": "refund", "id": str(refund.latest_charge)})
    browser.post(page, data={"do": "dispute", "id": str(dispute.latest_charge)})
    again = browser.post(page, data={"do": "refund", "id": str(refund.latest_charge)})
    browser.post(page, data={"do": "won", "id": agency.v1.disputes.list().data[0].id})

    assert refunded(shop, refund) == (5000, True)
    assert "has already been refunded" in again.text
    assert agency.v1.disputes.list().data[0].status == "won"
