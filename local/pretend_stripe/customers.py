"""`/v1/customers`."""

from local.pretend_stripe import lists, objects, payment_methods
from local.pretend_stripe.errors import refusal
from local.pretend_stripe.space import Space
from local.pretend_stripe.state import Obj

_SETTABLE = ("address", "description", "email", "name", "phone", "shipping")


def create(space: Space, params: Obj) -> Obj:
    """POST /v1/customers."""
    made = objects.customer(space, params)
    lists.merge_metadata(made, params)
    space.put(made)
    if "payment_method" in params:
        payment_methods.attach(space, {"customer": made["id"]}, params["payment_method"])
    _set_default(space, made, params)
    space.emit("customer.created", made)
    return made


def retrieve(space: Space, params: Obj, customer_id: str) -> Obj:
    """GET /v1/customers/{id}."""
    return space.get("customer", customer_id)


def update(space: Space, params: Obj, customer_id: str) -> Obj:
    """POST /v1/customers/{id}."""
    found = space.get("customer", customer_id, status=404)
    if found.get("deleted"):
        raise refusal(f"No such customer: '{customer_id}'", param="id", code="resource_missing", status=404)
    before = {name: found[name] for name in (*_SETTABLE, "metadata", "invoice_settings")}
    found.update({name: params[name] or None for name in _SETTABLE if name in params})
    lists.merge_metadata(found, params)
    _set_default(space, found, params)
    previous = {name: value for name, value in before.items() if found[name] != value}
    if previous:
        space.emit("customer.updated", found, previous)
    return found


def delete(space: Space, params: Obj, customer_id: str) -> Obj:
    """DELETE /v1/customers/{id}: the cards go with it."""
    found = space.get("customer", customer_id)
    if not found.get("deleted"):
        space.emit("customer.deleted", found)
        for method in [method for method in space.all("payment_method") if method["customer"] == customer_id]:
            payment_methods.detach(space, {}, method["id"])
        found.clear()
        found.update({"id": customer_id, "object": "customer", "deleted": True})
    return found


def list_all(space: Space, params: Obj) -> Obj:
    """GET /v1/customers."""
    present = [customer for customer in space.all("customer") if not customer.get("deleted")]
    in_time, fits = lists.created_in(params), lists.matching(params, "email")
    return lists.page([c for c in present if in_time(c) and fits(c)], params, "/v1/customers", "customer")


def list_methods(space: Space, params: Obj, customer_id: str) -> Obj:
    """GET /v1/customers/{id}/payment_methods."""
    space.get("customer", customer_id)
    return payment_methods.list_all(
        space, {**params, "customer": customer_id}, f"/v1/customers/{customer_id}/payment_methods"
    )


def retrieve_method(space: Space, params: Obj, customer_id: str, method_id: str) -> Obj:
    """GET /v1/customers/{id}/payment_methods/{id}."""
    space.get("customer", customer_id)
    method = space.get("payment_method", method_id, param="payment_method")
    if method["customer"] != customer_id:
        text = f"The payment method {method_id} is not attached to the customer {customer_id}."
        raise refusal(text, param="payment_method", code="resource_missing", status=404)
    return method


def _set_default(space: Space, found: Obj, params: Obj) -> None:
    asked = (params.get("invoice_settings") or {}).get("default_payment_method")
    if asked is None:
        return
    if asked != "":
        method = space.get("payment_method", asked, param="invoice_settings[default_payment_method]", status=400)
        if method["customer"] != found["id"]:
            text = (
                f"The customer does not have a payment method with the ID {asked}. The payment method must be attached."
            )
            raise refusal(text, param="invoice_settings[default_payment_method]", code="resource_missing")
    found["invoice_settings"] = {**found["invoice_settings"], "default_payment_method": asked or None}
