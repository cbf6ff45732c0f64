"""A pretend Stripe on this machine: what the SDK and a browser need of it, with strings to pull. No real money.

`simulation` puts it together; `server` is its HTTP, `api` one call, `routes` all calls, `parameters` what they may be
told, one file each for what they do (`payment_intents`, `checkout`, `oauth`, ...), `pages` and its neighbours what
people see, `control` the strings, `state` and `space` what is remembered, `deliveries` the webhooks.
"""

from local.pretend_stripe.api import Lost
from local.pretend_stripe.deliveries import Delivery
from local.pretend_stripe.simulation import PretendStripe

__all__ = ["Delivery", "Lost", "PretendStripe"]
