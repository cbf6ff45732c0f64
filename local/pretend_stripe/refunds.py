"""`/v1/refunds`, `/v1/charges` and `/v1/balance_transactions`: money that came, and goes back."""

from local.pretend_stripe import lists, objects, payment_methods
from local.pretend_stripe.cards import VISA, Card
from local.pretend_stripe.currencies import shown
from local.pretend_stripe.errors import missing, refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/refunds."""
    paid = _paid(space, params)
    left = paid["amount_captured"] - paid["amount_refunded"]
    if paid["disputed"] and not space.hidden(paid["id"]).get("refundable", True):
        text = f"Charge {paid['id']} has been charged back; cannot issue a refund."
        raise refusal(text, code="charge_disputed")
    if left <= 0:
        text = f"Charge {paid['id']} has already been refunded."
        raise refusal(text, code="charge_already_refunded")
    amount = params.get("amount", left)
    if amount < 1:
        text = "This value must be greater than or equal to 1."
        raise refusal(text, param="amount", code="parameter_invalid_integer", kept=False)
    if amount > left:
        asked, rest = shown(amount, paid["currency"]), shown(left, paid["currency"])
        raise refusal(f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})", param="amount")
    made = space.put(objects.refund(space, paid, amount, params))
    card = _card_of(space, paid)
    _move(space, made, paid)
    if card.refund == "pends":
        made["pending_reason"] = "processing"
    else:
        made["status"] = "succeeded"
    space.emit("refund.created", made)
    space.emit("charge.refunded", paid, {"amount_refunded": paid["amount_refunded"] - amount})
    if card.refund != "succeeds":
        space.core.later(space, "fail_refund" if card.refund == "fails" else "finish_refund", made["id"])
    return made


def _paid(space: Space, params: Obj) -> Obj:
    if "charge" in params:
        paid = space.get("charge", params["charge"], param="charge", status=400)
    elif "payment_intent" in params:
        intent = space.get("payment_intent", params["payment_intent"], param="payment_intent", status=400)
        if intent["latest_charge"] is None or intent["status"] != "succeeded":
            raise refusal(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
        paid = space.get("charge", intent["latest_charge"], status=400)
    else:
        raise missing("payment_intent")
    if not paid["captured"]:
        raise refusal(f"Charge {paid['id']} cannot be refunded.", code="charge_not_refundable")
    return paid


def _card_of(space: Space, paid: Obj) -> Card:
    method = space.find("payment_method", paid["payment_method"] or "")
    return payment_methods.behaviour(space, method) if method else VISA


def _move(space: Space, made: Obj, paid: Obj) -> None:
    moved = space.put(objects.balance_transaction(space, "refund", made, -made["amount"], 0))
    made["balance_transaction"] = moved["id"]
    refunded = paid["amount_refunded"] + made["amount"]
    paid.update(amount_refunded=refunded, refunded=refunded == paid["amount_captured"])


def finish(space: Space, refund_id: str) -> None:
    """A pending refund arrives."""
    made = space.get("refund", refund_id)
    if made["status"] == "pending":
        made.pop("pending_reason", None)
        space.change(made, "refund.updated", status="succeeded")
        space.emit("charge.refund.updated", made)


def fail(space: Space, refund_id: str) -> None:
    """The bank sends a refund back: the money is the account's again."""
    made = space.get("refund", refund_id)
    if made["status"] not in ("pending", "succeeded"):
        return
    paid = space.get("charge", made["charge"])
    previous = {"status": made["status"]}
    moved = space.put(objects.balance_transaction(space, "refund_failure", made, made["amount"], 0))
    made.update(status="failed", failure_reason="expired_or_canceled_card", failure_balance_transaction=moved["id"])
    made.pop("pending_reason", None)
    paid.update(amount_refunded=paid["amount_refunded"] - made["amount"], refunded=False)
    space.emit("refund.failed", made)
    space.emit("refund.updated", made, previous)
    space.emit("charge.refund.updated", made, previous)


def retrieve(space: Space, params: Obj, refund_id: str) -> Obj:
    """GET /v1/refunds/{id}."""
    return space.get("refund", refund_id)


def update(space: Space, params: Obj, refund_id: str) -> Obj:
    """POST /v1/refunds/{id}: metadata only."""
    made = space.get("refund", refund_id)
    lists.merge_metadata(made, params)
    return made


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/refunds."""
    return lists.listing(space, "refund", params, "/v1/refunds", "charge", "payment_intent")


def retrieve_charge(space: Space, params: Obj, charge_id: str) -> Obj:
    """GET /v1/charges/{id}."""
    return space.get("charge", charge_id)


def list_charges(space: Space, params: Obj) -> Obj:
    """GET /v1/charges."""
    return lists.listing(space, "charge", params, "/v1/charges", "customer", "payment_intent", "transfer_group")


def retrieve_transaction(space: Space, params: Obj, transaction_id: str) -> Obj:
    """GET /v1/balance_transactions/{id}."""
    return space.get("balance_transaction", transaction_id)


def list_transactions(space: Space, params: Obj) -> Obj:
    """GET /v1/balance_transactions."""
    names = ("type", "currency", "source")
    return lists.listing(space, "balance_transaction", params, "/v1/balance_transactions", *names)
