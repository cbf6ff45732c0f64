"""The doors, grouped by what they are about. Importing this package lists every one of them."""

from chalicelib.web.doors import refuse_other_methods
from chalicelib.web.routes import access, accounts, described, payments, usage, voice, wallets

BLUEPRINTS = (
    accounts.routes,
    wallets.routes,
    usage.routes,
    access.routes,
    voice.routes,
    payments.routes,
    described.routes,
)

refuse_other_methods(described.routes)
