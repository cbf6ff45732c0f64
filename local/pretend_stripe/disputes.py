"""`/v1/disputes`: the bank takes money back, and sometimes returns it."""

from local.pretend_stripe import lists, objects
from local.pretend_stripe.errors import refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj

FEES = {"usd": 1500, "eur": 2000, "gbp": 2000}
DAYS_TO_ANSWER = 9
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
_EVIDENCE_NAMES = """
access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal
customer_communication customer_email_address customer_name customer_purchase_ip customer_signature
duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt
refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation
shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number
uncategorized_file uncategorized_text
"""
EVIDENCE = tuple(map(str.strip, _EVIDENCE_NAMES.split()))


def open_dispute(
    space: Space,
    paid: Obj,
    *,
    amount: int | None = None,
    reason: str = "fraudulent",
    inquiry: bool = False,
    withdraw: bool = True,
) -> Obj:
    """Open one; an inquiry moves no money."""
    made = {
        **space.common("dispute"),
        "amount": paid["amount_captured"] if amount is None else amount,
        "balance_transactions": [],
        "charge": paid["id"],
        "currency": paid["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": space.now() + DAYS_TO_ANSWER * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "metadata": {},
        "payment_intent": paid["payment_intent"],
        "payment_method_details": {"card": _card(paid, inquiry=inquiry), "type": "card"},
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    space.put(made)
    paid["disputed"] = True
    space.hidden(paid["id"])["refundable"] = inquiry
    if withdraw and not inquiry:
        _take_funds(space, made)
    space.emit("charge.dispute.created", made)
    if made["balance_transactions"]:
        space.emit("charge.dispute.funds_withdrawn", made)
    return made


def _card(paid: Obj, *, inquiry: bool) -> Obj:
    return {
        "brand": paid["payment_method_details"]["card"]["brand"],
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": "visa",
        "network_reason_code": "10.4",
    }


def _take_funds(space: Space, made: Obj) -> None:
    fee = FEES.get(made["currency"], 1500)
    moved = objects.balance_transaction(space, "adjustment", made, -made["amount"], fee, "dispute")
    made["balance_transactions"] = [*made["balance_transactions"], space.put(moved)]


def withdraw(space: Space, made: Obj) -> None:
    """Take the money of a dispute that was opened without; an inquiry becomes a chargeback by that."""
    if made["balance_transactions"] or made["status"] not in OPEN:
        raise refusal("The funds of this dispute have been withdrawn already, or it is closed.")
    _take_funds(space, made)
    if made["status"].startswith("warning_"):
        made["status"] = "needs_response"
        made["payment_method_details"]["card"]["case_type"] = "chargeback"
    made["is_charge_refundable"] = False
    space.hidden(made["charge"])["refundable"] = False
    space.emit("charge.dispute.funds_withdrawn", made)
    space.emit("charge.dispute.updated", made)


def close(space: Space, made: Obj, status: str) -> None:
    """End it: `won` returns the money, `lost` does not; an inquiry is just closed.

    Raises:
        Refused: it has been closed before.
    """
    if made["status"] not in OPEN:
        raise refusal(f"This dispute is already closed with a status of {made['status']}.")
    if made["status"].startswith("warning_"):
        status = "warning_closed"
    made["status"] = status
    if status == "won" and made["balance_transactions"]:
        moved = objects.balance_transaction(space, "adjustment", made, made["amount"], 0, "dispute_reversal")
        made["balance_transactions"] = [*made["balance_transactions"], space.put(moved)]
        space.emit("charge.dispute.funds_reinstated", made)
    space.emit("charge.dispute.closed", made)


def retrieve(space: Space, params: Obj, dispute_id: str) -> Obj:
    """GET /v1/disputes/{id}."""
    return space.get("dispute", dispute_id)


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/disputes."""
    return lists.listing(space, "dispute", params, "/v1/disputes", "charge", "payment_intent")


def update(space: Space, params: Obj, dispute_id: str) -> Obj:
    """POST /v1/disputes/{id}: evidence; three texts decide, as in Stripe's test mode."""
    made = space.get("dispute", dispute_id)
    evidence = params.get("evidence") or {}
    lists.merge_metadata(made, params)
    if evidence:
        made["evidence"].update({name: text for name, text in evidence.items() if name in made["evidence"]})
        made["evidence_details"].update(has_evidence=True)
    if evidence and params.get("submit", True):
        _submit(space, made, str(evidence.get("uncategorized_text", "")))
    return made


def _submit(space: Space, made: Obj, text: str) -> None:
    details = made["evidence_details"]
    details.update(submission_count=details["submission_count"] + 1, submission_method="manual")
    if text == "escalate_inquiry_evidence":
        withdraw(space, made)
        return
    made["status"] = "warning_under_review" if made["status"].startswith("warning_") else "under_review"
    space.emit("charge.dispute.updated", made)
    if text in ("winning_evidence", "losing_evidence"):
        close(space, made, "won" if text == "winning_evidence" else "lost")


def accept(space: Space, params: Obj, dispute_id: str) -> Obj:
    """POST /v1/disputes/{id}/close: the account gives in."""
    made = space.get("dispute", dispute_id)
    close(space, made, "lost")
    return made
