"""Money as whole pico-USD (1e-12 USD). X micro-dollars per million tokens is X pico-USD per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_cost.errors import MoneyError

if TYPE_CHECKING:
    from decimal import Decimal

PICO_PER_USD = 10**12
PPM = 1_000_000
"""A multiplier of one: multipliers are whole millionths."""
MAX_COST_PICO_USD = 999_999 * PICO_PER_USD
"""What fits a stored `DECIMAL(18,12)`. A single call above it is a mistake in its usage, not a price."""
_DIGITS = 80


def divide_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded to the nearest whole, ties to even. Exact for any size; denominator > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def to_decimal(value: str | int | Decimal) -> Decimal:
    """A finite decimal from text, int or Decimal. Floats are refused: they have already lost the amount.

    Raises:
        MoneyError: `value` is a float, a bool, not a number, or not finite.
    """
    from decimal import Context, Decimal, InvalidOperation  # cards are compiled with it; an app only multiplies

    if isinstance(value, (bool, float)) or not isinstance(value, (str, int, Decimal)):
        raise MoneyError(f"money is given as text, int or Decimal, not {type(value).__name__}: {value!r}")
    try:
        number = Context(prec=_DIGITS).create_decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise MoneyError(f"not a decimal number: {value!r}") from None
    if not number.is_finite():
        raise MoneyError(f"not a finite number: {value!r}")
    return number


def pico_usd(usd: str | int | Decimal) -> int:
    """Dollars to whole pico-USD, half-even where the text has more than twelve decimals.

    Raises:
        MoneyError: as `to_decimal`.
    """
    numerator, denominator = to_decimal(usd).as_integer_ratio()
    return divide_half_even(numerator * PICO_PER_USD, denominator)


def format_usd(amount_pico_usd: int) -> str:
    """Pico-USD as an exact decimal string of dollars without trailing zeros: 7_536_000_000 -> "0.007536"."""
    if 0 < amount_pico_usd < PICO_PER_USD:  # most calls; twice as fast
        return "0." + str(amount_pico_usd).zfill(12).rstrip("0")
    sign = "-" if amount_pico_usd < 0 else ""
    whole, fraction = divmod(abs(amount_pico_usd), PICO_PER_USD)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:012d}".rstrip("0")
