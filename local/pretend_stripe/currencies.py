"""The smallest and the largest amounts that Stripe takes, in each currency's own minor units."""

from local.pretend_stripe.errors import refusal

LARGEST = 99_999_999


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZERO_DECIMAL = _words("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf")
THREE_DECIMAL = _words("bhd jod kwd omr tnd")
# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
_SMALLEST = {
    **dict.fromkeys(_words("usd aud brl cad chf eur inr nzd sgd"), 50),
    "aed": 200,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
_OTHERS = _words(
    "afn all amd ang aoa ars awg azn bam bbd bdt bmd bnd bob bsd bwp byn bzd cdf cny cop crc cve dop dzd egp etb fjd "
    "fkp gel gip gmd gtq gyd hnl htg idr ils isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop "
    "mur mvr mwk mzn nad ngn nio npr pab pen pgk php pkr qar rsd rub sar sbd scr shp sle sos srd std szl tjs top try "
    "ttd twd tzs uah uyu uzs wst xcd yer zar zmw"
)
KNOWN = _OTHERS | ZERO_DECIMAL | THREE_DECIMAL | frozenset(_SMALLEST)


def decimals(currency: str) -> int:
    """How many digits stand behind the point."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def smallest(currency: str) -> int:
    """The least that may be paid; where Stripe converts into the settlement currency, about half a dollar."""
    return _SMALLEST.get(currency, {0: 50, 2: 50, 3: 150}[decimals(currency)])


def shown(amount: int, currency: str) -> str:
    """An amount for people."""
    places = decimals(currency)
    return f"{amount / 10**places:,.{places}f} {currency.upper()}"


def check_currency(currency: str, param: str = "currency") -> str:
    """The currency in lower case.

    Raises:
        Refused: Stripe has no such currency.
    """
    known = currency.lower()
    if known not in KNOWN:
        text = f"Invalid currency: {currency}. Stripe currently supports these currencies: {', '.join(sorted(KNOWN))}"
        raise refusal(text, param=param, kept=False)
    return known


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Let amounts through that can be paid.

    Raises:
        Refused: too small, too large, or finer than the currency goes.
    """
    if amount < 0:
        text = "This value must be greater than or equal to 1."
        raise refusal(text, param=param, code="parameter_invalid_integer", kept=False)
    if amount > LARGEST:
        text = f"Amount must be no more than {shown(LARGEST, currency)}"
        raise refusal(text, param=param, code="amount_too_large", kept=False)
    if amount < smallest(currency):
        text = f"Amount must be at least {shown(smallest(currency), currency)}"
        raise refusal(text, param=param, code="amount_too_small", kept=False)
    if currency in THREE_DECIMAL and amount % 10:
        text = f"Invalid amount. Amounts in {currency.upper()} must end in 0."
        raise refusal(text, param=param, code="parameter_invalid_integer", kept=False)


def fee_of(amount: int, currency: str) -> int:
    """What Stripe keeps: 2.9 % and 30 cents, or what stands for them."""
    fixed = {0: 0, 2: 30, 3: 300}[decimals(currency)]
    return min(amount, (amount * 29 + 500) // 1000 + fixed)
