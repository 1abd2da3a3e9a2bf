"""Money and counts as people read them. Sums and rates are exact decimals; only what is shown is rounded."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal

MIN_DECIMALS, MAX_DECIMALS = 2, 6
STORED_DECIMALS = Decimal("1e-12")
"""A pico-USD: the finest amount that the ledger holds."""

_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)
_THREE_DIGITS = Context(prec=3, rounding=ROUND_HALF_EVEN)


def decimals_for(amounts: Iterable[Decimal | None]) -> int:
    """Decimals that one column needs: cents, and for amounts below a cent two significant digits of the smallest.

    The larger the column's largest amount, the fewer: nobody compares thousands of dollars by their millionths.
    """
    sizes = [abs(amount) for amount in amounts if amount]
    if not sizes:
        return MIN_DECIMALS
    wanted = 1 - min(sizes).adjusted()
    affordable = MAX_DECIMALS - max(0, max(sizes).adjusted() - 1)
    return max(MIN_DECIMALS, min(wanted, affordable, MAX_DECIMALS))


def usd(amount: Decimal | None, decimals: int) -> str:
    """`$0.0123`, `$0` for exactly nothing, `<$0.0001` for what those decimals would round away, or `unpriced`."""
    if amount is None:
        return "unpriced"
    if not amount:
        return "$0"
    step = Decimal(1).scaleb(-decimals)
    if abs(amount) < step:
        return f"<${step:f}" if amount > 0 else f"-<${step:f}"
    rounded = amount.quantize(step, context=_WIDE)
    return f"-${-rounded:,.{decimals}f}" if rounded < 0 else f"${rounded:,.{decimals}f}"


def exact_usd(amount: Decimal) -> str:
    """Every digit and no trailing zeros: `$0.0000032`, at least two decimals."""
    return f"${exact(amount)}" if amount >= 0 else f"-${exact(-amount)}"


def exact(amount: Decimal) -> str:
    """As JSON carries money: plain digits, no exponent, no trailing zeros beyond `0.00`'s own."""
    text = f"{amount.quantize(STORED_DECIMALS, context=_WIDE):f}"
    whole, fraction = text.split(".")
    return f"{whole}.{fraction.rstrip('0').ljust(MIN_DECIMALS, '0')}"


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part / whole` to a pico; None when there is nothing to divide by."""
    return _WIDE.divide(part, whole).quantize(STORED_DECIMALS, context=_WIDE) if whole else None


def percent(share: Decimal | None, decimals: int = 1) -> str:
    """`37.5%`, `<0.1%`, or a dash."""
    if share is None:
        return "-"
    hundredths, step = share * 100, Decimal(1).scaleb(-decimals)
    return f"<{step:f}%" if 0 < hundredths < step else f"{hundredths:.{decimals}f}%"


def count(number: int | None) -> str:
    """`59,798`, or a dash where nobody says."""
    return "-" if number is None else f"{number:,}"


def short_count(number: int | None) -> str:
    """Five characters at most for a table: `9,999`, `59.8k`, `1.23M`, or a dash where nobody says."""
    if number is None:
        return "-"
    if abs(number) < 10_000:
        return f"{number:,}"
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)):
        scaled = _THREE_DIGITS.divide(Decimal(number), Decimal(size))
        if abs(scaled) < 1000:
            return f"{scaled:.{max(0, 2 - scaled.adjusted())}f}{unit}"
    return f"{number:.3g}"


def duration(nanoseconds: int) -> str:
    """`850ms`, `12.3s`, `4m05s`."""
    if nanoseconds < 1_000_000_000:
        return f"{nanoseconds // 1_000_000}ms"
    seconds = Decimal(nanoseconds) / 1_000_000_000
    if seconds < 60:
        return f"{seconds:.1f}s"
    return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
