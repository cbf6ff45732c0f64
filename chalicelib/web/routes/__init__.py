"""The doors, grouped by what they are about. Importing this package lists every one of them."""

from chalicelib.web.doors import refuse_other_methods
from chalicelib.web.routes import (
    access,
    account_state,
    accounts,
    activity,
    audit,
    dashboard,
    described,
    payments,
    people,
    refills,
    snapshot,
    usage,
    voice,
    wallets,
)

BLUEPRINTS = (
    accounts.routes,
    wallets.routes,
    usage.routes,
    access.routes,
    voice.routes,
    payments.routes,
    refills.routes,
    people.routes,
    snapshot.routes,
    account_state.routes,
    activity.routes,
    audit.routes,
    dashboard.routes,
    described.routes,
)

refuse_other_methods(described.routes)
