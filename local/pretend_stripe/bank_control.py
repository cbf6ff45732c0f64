"""The strings of the banks and of the payers: refunds, disputes, cards, and Checkout without a browser."""

from local.pretend_stripe import checkout_flow, disputes, payment_methods, refunds
from local.pretend_stripe.cards import card_by_token
from local.pretend_stripe.control import Control as BaseControl
from local.pretend_stripe.errors import Refused
from local.pretend_stripe.objects import fingerprint
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj


class Control(BaseControl):
    """All the strings."""

    def refund(self, payment: str, amount: int | None = None) -> Obj:
        """Give money back in the account's own dashboard; `payment` is a charge or a PaymentIntent."""
        with self._core.lock:
            space, paid = self._paid(payment)
            params: Obj = {"charge": paid["id"]} | ({} if amount is None else {"amount": amount})
            return refunds.create(space, params)

    def finish_refund(self, refund: str) -> Obj:
        """A pending refund arrives."""
        with self._core.lock:
            space, made = self._find("refund", refund)
            refunds.finish(space, refund)
            return made

    def fail_refund(self, refund: str) -> Obj:
        """The bank sends a refund back."""
        with self._core.lock:
            space, made = self._find("refund", refund)
            refunds.fail(space, refund)
            return made

    def open_dispute(
        self,
        payment: str,
        amount: int | None = None,
        reason: str = "fraudulent",
        inquiry: bool = False,
        withdraw: bool = True,
    ) -> Obj:
        """The payer's bank disputes a payment; unless told otherwise it takes the money at once."""
        with self._core.lock:
            space, paid = self._paid(payment)
            return disputes.open_dispute(space, paid, amount=amount, reason=reason, inquiry=inquiry, withdraw=withdraw)

    def withdraw_dispute(self, dispute: str) -> Obj:
        """The bank takes the money of a dispute that was opened without, or of an inquiry."""
        with self._core.lock:
            space, made = self._find("dispute", dispute)
            disputes.withdraw(space, made)
            return made

    def close_dispute(self, dispute: str, status: str) -> Obj:
        """The bank decides: `won` or `lost`, as the account sees it."""
        if status not in ("won", "lost"):
            raise ValueError(f"status must be won or lost; it is {status!r}.")
        with self._core.lock:
            space, made = self._find("dispute", dispute)
            disputes.close(space, made, status)
            return made

    def set_card(
        self,
        payment_method: str,
        exp_month: int | None = None,
        exp_year: int | None = None,
        replaced_by: str | None = None,
        behaves_as: str | None = None,
    ) -> Obj:
        """The bank replaces a card (`replaced_by` a test token), or its expiry; `behaves_as` changes what it does only.

        All but the last emit `payment_method.automatically_updated`.
        """
        with self._core.lock:
            space, method = self._find("payment_method", payment_method)
            card = dict(method["card"])
            for token in [name for name in (replaced_by, behaves_as) if name]:
                other = card_by_token(token)
                if other is None:
                    raise ValueError(f"There is no test card {token!r}.")
                space.hidden(payment_method)["card"] = token
                if token == replaced_by:
                    card |= {"last4": other.last4, "brand": other.brand, "fingerprint": fingerprint(space, other)}
            card["exp_month"] = card["exp_month"] if exp_month is None else exp_month
            card["exp_year"] = card["exp_year"] if exp_year is None else exp_year
            space.change(method, "payment_method.automatically_updated", card=card)
            return method

    def detach_card(self, payment_method: str) -> Obj:
        """The account, or the payer in the portal, removes a card."""
        with self._core.lock:
            space, _ = self._find("payment_method", payment_method)
            return payment_methods.detach(space, {}, payment_method)

    def pay(
        self, session: str, number: str = "4242424242424242", email: str = "", authenticates: bool | None = None
    ) -> Obj:
        """Fill in the Checkout page; `authenticates` answers the bank if it asks. A decline is in `error`."""
        with self._core.lock:
            space, found = self._find("checkout.session", session)
            form = {"number": number, "expiry": "12/40", "cvc": "123", "email": email, "terms": "yes"}
            try:
                checkout_flow.submit(space, found, checkout_flow.Typed(form))
            except Refused as refused:
                return {"session": found, "error": refused.body["error"]}
            problem = self._answer_bank(space, found, authenticates)
            return {"session": found, "error": problem.body["error"] if problem else None}

    def _answer_bank(self, space: Space, session: Obj, authenticates: bool | None) -> Refused | None:
        kind = "payment_intent" if session["mode"] == "payment" else "setup_intent"
        intent = space.get(kind, session[kind])
        if authenticates is None or intent["status"] != "requires_action":
            return None
        return checkout_flow.authenticate(space, intent, succeeds=authenticates)

    def authenticate(self, intent: str, succeeds: bool = True) -> Obj:
        """Answer the bank's question about a payment or a setup."""
        with self._core.lock:
            space, found = self._find("setup_intent" if intent.startswith("seti_") else "payment_intent", intent)
            checkout_flow.authenticate(space, found, succeeds=succeeds)
            return found

    def _paid(self, payment: str) -> tuple[Space, Obj]:
        if payment.startswith("pi_"):
            space, intent = self._find("payment_intent", payment)
            return space, space.get("charge", intent["latest_charge"] or "")
        return self._find("charge", payment)
