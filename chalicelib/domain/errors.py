"""Everything Rebill refuses, drawn as a tree. `web/errors.py` says which HTTP answer each becomes.

RebillError
├── Malformed           the request could not be read at all (400)
├── Unauthenticated     no valid key, or a signature that does not match (401)
├── Forbidden           known, but not allowed to do this (403)
├── NotFound            no such thing, or it is somebody else's (404)
├── Conflict            what is asked contradicts what is there (409)
├── TooLarge            the body is over the limit (413)
├── UnsupportedMedia    a content type that the route does not read (415)
├── Invalid             a field has a value it may not have (422)
│   └── PriceMissing    re-billing is on, but nobody said what this meter costs
├── AccessLost          Stripe no longer lets us act for this account (409)
└── Unavailable         our own trouble: the caller should try again (503)
    └── OutcomeUnknown  a payment step may or may not have happened: look it up, never guess
"""


class RebillError(Exception):
    """A refusal with a stable `code`, a sentence for people, and the field it is about."""

    def __init__(self, code: str, detail: str, param: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.param = param


class Malformed(RebillError):
    """The request could not be read at all."""


class Unauthenticated(RebillError):
    """No valid key, or a signature that does not match."""


class Forbidden(RebillError):
    """The caller is known, but may not do this; `detail` says who can help."""


class NotFound(RebillError):
    """No such thing, or it is somebody else's: the two are never told apart."""


class Conflict(RebillError):
    """What is asked contradicts what is there."""


class TooLarge(RebillError):
    """The body is over the limit."""


class UnsupportedMedia(RebillError):
    """A content type that the route does not read."""


class Invalid(RebillError):
    """A field has a value it may not have; `param` names the field."""

    def __init__(self, param: str, detail: str, code: str = "invalid") -> None:
        super().__init__(code, detail, param)


class PriceMissing(Invalid):
    """Re-billing is on, but nobody said what this meter costs: free must be said, never assumed."""

    def __init__(self, meter: str, whose: str) -> None:
        super().__init__(meter, f"The rate card of the {whose} has no price for '{meter}'.", "price_missing")
        self.whose = whose


class Unavailable(RebillError):
    """Our own trouble. Never a verdict on the caller's money."""

    def __init__(self, what: str) -> None:
        super().__init__("unavailable", f"{what} did not answer. Nothing was decided; please try again.")


class AccessLost(RebillError):
    """Stripe no longer lets us act for this account: its owner ended the connection, or the account is closed."""

    def __init__(self) -> None:
        super().__init__("stripe_access_lost", "The Stripe account is no longer connected. Connect it again.")


class OutcomeUnknown(Unavailable):
    """A payment step may or may not have happened: it is looked up, never guessed."""

    def __init__(self) -> None:
        super().__init__("Stripe")
