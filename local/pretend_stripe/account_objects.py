"""Accounts, applications, events: the objects of Connect."""

from typing import Any

from stripe._api_version import _ApiVersion

Obj = dict[str, Any]

API_VERSION: str = _ApiVersion.CURRENT


def new_account(account_id: str, name: str, country: str, currency: str, now: int) -> Obj:
    """A Standard account."""
    nothing_due: Obj = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": account_id,
        "object": "account",
        "business_profile": {
            "mcc": None,
            "name": name,
            "product_description": None,
            "support_email": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "application", "is_controller": False},
        "country": country,
        "created": now,
        "default_currency": currency,
        "details_submitted": True,
        "email": f"owner@{account_id.removeprefix('acct_').lower()}.example",
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{account_id}/external_accounts",
        },
        "future_requirements": nothing_due,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": nothing_due,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {"statement_descriptor_prefix": None},
            "dashboard": {"display_name": name, "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": None},
        },
        "type": "standard",
    }


def name_of(account: Obj) -> str:
    """What people call it."""
    return str(account["settings"]["dashboard"]["display_name"])


def new_application(client_id: str, name: str) -> Obj:
    """The platform, as the accounts see it."""
    return {"id": client_id, "object": "application", "name": name}


def new_event(event_id: str, kind: str, data: Obj, *, now: int, livemode: bool, request: Obj, endpoints: int) -> Obj:
    """Something that happened."""
    return {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": data,
        "livemode": livemode,
        "pending_webhooks": endpoints,
        "request": request,
        "type": kind,
    }
