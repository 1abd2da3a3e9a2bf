"""What a bill says, line by line, and how a value on it is read: exactly, or with an error that says where."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation

Where = Callable[[], str]
"""Says where in a file a value stands; asked only when it is wrong."""

WIDE = Context(prec=200)
"""For sums of amounts: exact, whatever number of decimals a bill is written with."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,5})?")
_MOST_DECIMALS = 60
_MOST_USD = Decimal(10) ** 15
_FIRST_DAY, _LAST_DAY = date(2015, 1, 1), date(2199, 12, 31)
_SHOWN = 60


class BillError(ValueError):
    """A bill that cannot be read: where, what was found there, and what is allowed."""

    def __init__(self, where: str, found: str, allowed: str) -> None:
        super().__init__(f"{where}: found {found}; allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill. A usage report has lines without amounts, a cost report often has some without counts."""

    day: date  # UTC, as the provider books it
    provider: str | None  # canonical; None: the bill does not say
    model: str | None  # as the bill calls it; None: a tool, storage, or a bill that does not say models
    item: str | None = None  # what is billed, such as `cached input`
    amount_usd: Decimal | None = None
    list_usd: Decimal | None = None  # before a discount, where the bill says both
    input_tokens: int | None = None  # cached ones among them
    output_tokens: int | None = None
    requests: int | None = None
    side: str | None = None  # `input` or `output`, where the amount is for one of them


INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True)
class Bill:
    """All lines of one or more files of one provider."""

    format: str
    lines: tuple[BillLine, ...]
    first_day: date | None  # that the bill covers, whether or not there is a line for it
    last_day: date | None
    decimals: int  # with which amounts are written: what is beyond them was rounded away
    goes_on: bool = False  # the last page says that there are more

    def joined(self, other: Bill) -> Bill:
        """Both together, which must be of one format."""
        firsts = [day for day in (self.first_day, other.first_day) if day]
        lasts = [day for day in (self.last_day, other.last_day) if day]
        return Bill(
            self.format,
            self.lines + other.lines,
            min(firsts, default=None),
            max(lasts, default=None),
            max(self.decimals, other.decimals),
            other.goes_on,
        )


def found_text(value: object) -> str:
    """A value for an error message, cut where it is long."""
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def amount(value: object, where: Where) -> Decimal:
    """An amount of money, exactly as written. Raises BillError for anything but a decimal number."""
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError
        if isinstance(value, str) and not _DECIMAL.fullmatch(value.strip()):
            raise ValueError
        found = WIDE.normalize(Decimal(value.strip() if isinstance(value, str) else value))
        exponent = found.as_tuple().exponent
        if found and (not isinstance(exponent, int) or exponent < -_MOST_DECIMALS or abs(found) >= _MOST_USD):
            raise ValueError
    except (ValueError, InvalidOperation):
        raise BillError(where(), found_text(value), "a decimal number such as 0.0123") from None
    return found or Decimal(0)


def whole(value: object, where: Where) -> int:
    """A count. Raises BillError for anything but a whole number that is not negative."""
    try:
        found = amount(value, where)
    except BillError:
        raise BillError(where(), found_text(value), "a whole number, 0 or more") from None
    if found < 0 or found != found.to_integral_value():
        raise BillError(where(), found_text(value), "a whole number, 0 or more")
    return int(found)


def in_usd(value: object, where: Where) -> None:
    """Check a currency. Raises BillError for any but US dollars."""
    if not isinstance(value, str) or value.strip().lower() != "usd":
        raise BillError(where(), found_text(value), "usd; convert other currencies first")


def iso_day(value: object, where: Where) -> date:
    """The UTC day of an ISO 8601 date or time. Raises BillError for anything else."""
    try:
        if not isinstance(value, str):
            raise ValueError
        moment = datetime.fromisoformat(value.strip())
        found = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        if not _FIRST_DAY <= found <= _LAST_DAY:
            raise ValueError
    except (ValueError, OverflowError):
        allowed = "a day such as 2026-11-01, or a time such as 2026-11-01T00:00:00Z"
        raise BillError(where(), found_text(value), allowed) from None
    return found


def epoch_day(value: object, where: Where) -> date:
    """The UTC day of a time in seconds since 1970. Raises BillError for anything else."""
    try:
        found = datetime.fromtimestamp(whole(value, where), UTC).date()
        if not _FIRST_DAY <= found <= _LAST_DAY:
            raise ValueError
    except (ValueError, OverflowError, OSError):
        raise BillError(where(), found_text(value), "a time in seconds since 1970, such as 1730419200") from None
    return found


def decimals_of(value: Decimal) -> int:
    """Decimals with which an amount is written."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
