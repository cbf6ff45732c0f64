"""Every call of the API: its path, what it may be told, and who answers it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from stripe import params as p
from stripe.params import billing_portal
from stripe.params import checkout as checkout_params

from local.pretend_stripe import (
    accounts,
    checkout,
    customers,
    disputes,
    payment_intents,
    payment_methods,
    refunds,
    setup_intents,
)
from local.pretend_stripe.state import Obj

Handler = Callable[..., Obj]


@dataclass(frozen=True)
class Route:
    """One call."""

    method: str
    path: str
    params: type
    handler: Handler

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path with its ids taken out."""
        return re.compile("/v1" + re.sub(r"\{\w+\}", r"([^/]+)", self.path))


ROUTES = (
    Route("GET", "/account", p.AccountRetrieveCurrentParams, accounts.current),
    Route("GET", "/accounts", p.AccountListParams, accounts.list_all),
    Route("GET", "/accounts/{id}", p.AccountRetrieveParams, accounts.retrieve),
    Route("GET", "/balance_transactions", p.BalanceTransactionListParams, refunds.list_transactions),
    Route("GET", "/balance_transactions/{id}", p.BalanceTransactionRetrieveParams, refunds.retrieve_transaction),
    Route("POST", "/billing_portal/sessions", billing_portal.SessionCreateParams, accounts.create_portal),
    Route("GET", "/charges", p.ChargeListParams, refunds.list_charges),
    Route("GET", "/charges/{id}", p.ChargeRetrieveParams, refunds.retrieve_charge),
    Route("POST", "/checkout/sessions", checkout_params.SessionCreateParams, checkout.create),
    Route("GET", "/checkout/sessions", checkout_params.SessionListParams, checkout.list_all),
    Route("GET", "/checkout/sessions/{id}", checkout_params.SessionRetrieveParams, checkout.retrieve),
    Route("POST", "/checkout/sessions/{id}/expire", checkout_params.SessionExpireParams, checkout.expire),
    Route("GET", "/checkout/sessions/{id}/line_items", checkout_params.SessionLineItemListParams, checkout.list_items),
    Route("POST", "/customers", p.CustomerCreateParams, customers.create),
    Route("GET", "/customers", p.CustomerListParams, customers.list_all),
    Route("GET", "/customers/{id}", p.CustomerRetrieveParams, customers.retrieve),
    Route("POST", "/customers/{id}", p.CustomerUpdateParams, customers.update),
    Route("DELETE", "/customers/{id}", p.CustomerDeleteParams, customers.delete),
    Route("GET", "/customers/{id}/payment_methods", p.CustomerPaymentMethodListParams, customers.list_methods),
    Route(
        "GET",
        "/customers/{id}/payment_methods/{method}",
        p.CustomerPaymentMethodRetrieveParams,
        customers.retrieve_method,
    ),
    Route("GET", "/disputes", p.DisputeListParams, disputes.list_all),
    Route("GET", "/disputes/{id}", p.DisputeRetrieveParams, disputes.retrieve),
    Route("POST", "/disputes/{id}", p.DisputeUpdateParams, disputes.update),
    Route("POST", "/disputes/{id}/close", p.DisputeCloseParams, disputes.accept),
    Route("GET", "/events", p.EventListParams, accounts.list_events),
    Route("GET", "/events/{id}", p.EventRetrieveParams, accounts.retrieve_event),
    Route("POST", "/payment_intents", p.PaymentIntentCreateParams, payment_intents.create),
    Route("GET", "/payment_intents", p.PaymentIntentListParams, payment_intents.list_all),
    Route("GET", "/payment_intents/{id}", p.PaymentIntentRetrieveParams, payment_intents.retrieve),
    Route("POST", "/payment_intents/{id}", p.PaymentIntentUpdateParams, payment_intents.update),
    Route("POST", "/payment_intents/{id}/confirm", p.PaymentIntentConfirmParams, payment_intents.confirm),
    Route("POST", "/payment_intents/{id}/cancel", p.PaymentIntentCancelParams, payment_intents.cancel),
    Route("POST", "/payment_intents/{id}/capture", p.PaymentIntentCaptureParams, payment_intents.capture),
    Route("POST", "/payment_methods", p.PaymentMethodCreateParams, payment_methods.create),
    Route("GET", "/payment_methods", p.PaymentMethodListParams, payment_methods.list_all),
    Route("GET", "/payment_methods/{id}", p.PaymentMethodRetrieveParams, payment_methods.retrieve),
    Route("POST", "/payment_methods/{id}", p.PaymentMethodUpdateParams, payment_methods.update),
    Route("POST", "/payment_methods/{id}/attach", p.PaymentMethodAttachParams, payment_methods.attach),
    Route("POST", "/payment_methods/{id}/detach", p.PaymentMethodDetachParams, payment_methods.detach),
    Route("POST", "/refunds", p.RefundCreateParams, refunds.create),
    Route("GET", "/refunds", p.RefundListParams, refunds.list_all),
    Route("GET", "/refunds/{id}", p.RefundRetrieveParams, refunds.retrieve),
    Route("POST", "/refunds/{id}", p.RefundUpdateParams, refunds.update),
    Route("POST", "/setup_intents", p.SetupIntentCreateParams, setup_intents.create),
    Route("GET", "/setup_intents", p.SetupIntentListParams, setup_intents.list_all),
    Route("GET", "/setup_intents/{id}", p.SetupIntentRetrieveParams, setup_intents.retrieve),
    Route("POST", "/setup_intents/{id}", p.SetupIntentUpdateParams, setup_intents.update),
    Route("POST", "/setup_intents/{id}/confirm", p.SetupIntentConfirmParams, setup_intents.confirm),
    Route("POST", "/setup_intents/{id}/cancel", p.SetupIntentCancelParams, setup_intents.cancel),
)
_PATTERNS = [(route, route.pattern) for route in ROUTES]


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """The call that is meant, and the ids in its path."""
    for route, pattern in _PATTERNS:
        if route.method == method and (found := pattern.fullmatch(path)):
            return route, found.groups()
    return None
