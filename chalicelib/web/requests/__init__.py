"""What callers may send, field by field, by what it is about."""

from chalicelib.web.requests.accounts import (
    GateSettings,
    LinkToken,
    NewDashboardSession,
    NewSubAccount,
    NewVoiceEndpoint,
    NewWorkspace,
    PersonRole,
    VoiceAgentPath,
)
from chalicelib.web.requests.lists import CsvPage, EntryPage, NoticePage, SubAccountPage, WaitingPage, WhichWorkspace
from chalicelib.web.requests.money import (
    NewRefillRule,
    NewStripeConnection,
    NewTopUp,
    NewTopUpLimits,
    OAuthStart,
    PaymentAction,
    RefillSwitch,
    TopUpRange,
)
from chalicelib.web.requests.notices import NewWebhookEndpoint, NoticeLevels
from chalicelib.web.requests.pricing import Cost, MeterCost, MeterPrice, Rebilling, VoicePrice

__all__ = [
    "Cost",
    "CsvPage",
    "EntryPage",
    "GateSettings",
    "LinkToken",
    "MeterCost",
    "MeterPrice",
    "NewDashboardSession",
    "NewRefillRule",
    "NewStripeConnection",
    "NewSubAccount",
    "NewTopUp",
    "NewTopUpLimits",
    "NewVoiceEndpoint",
    "NewWebhookEndpoint",
    "NewWorkspace",
    "NoticeLevels",
    "NoticePage",
    "OAuthStart",
    "PaymentAction",
    "PersonRole",
    "Rebilling",
    "RefillSwitch",
    "SubAccountPage",
    "TopUpRange",
    "VoiceAgentPath",
    "VoicePrice",
    "WaitingPage",
    "WhichWorkspace",
]
