"""Money, minutes and moments as people read them. The API's decimal strings come in, text for a page goes out."""

SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "inr": "₹", "jpy": "¥", "brl": "R$"}
MINUS = "\u2212"  # a real minus sign: as wide as a plus, and never a line break
FIGURE_SPACE = "\u2007"  # as wide as a digit
DECIMALS = 6  # of a micro


def money(amount: str, currency: str) -> str:
    """`"-1.230000"` in usd is minus `$1.23`: at least two decimals, more only where they say something."""
    negative, digits = amount.startswith("-"), amount.lstrip("-")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{MINUS if negative else ''}{_symbol(currency)}{int(whole):,}.{fraction}"


def aligned(amount: str, currency: str) -> str:
    """The same for a column: as wide on the right as an amount with six decimals, so that the points stand in line."""
    text = money(amount, currency)
    return text + FIGURE_SPACE * (DECIMALS - len(text.rpartition(".")[2]))


def rounded(amount: str, currency: str) -> str:
    """The same to the cent, for sums and balances: half up, away from zero."""
    negative, digits = amount.startswith("-"), amount.lstrip("-")
    whole, _, fraction = digits.partition(".")
    cents = int(whole) * 100 + int((fraction + "000")[:2]) + (1 if (fraction + "000")[2] >= "5" else 0)
    return f"{MINUS if negative and cents else ''}{_symbol(currency)}{cents // 100:,}.{cents % 100:02d}"


def _symbol(currency: str) -> str:
    return SYMBOLS.get(currency, f"{currency.upper()} ")


def moment(rfc3339: str | None) -> str:
    """`2026-11-22T18:35:00.000Z` is `22 Nov 2026, 18:35 UTC`."""
    if not rfc3339:
        return ""
    day, time = rfc3339[:10], rfc3339[11:16]
    return f"{date(day)}, {time} UTC"


def date(day: str) -> str:
    """`2026-11-22` is `22 Nov 2026`."""
    year, month, number = day.split("-")
    return f"{int(number)} {_MONTHS[int(month) - 1]} {year}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
