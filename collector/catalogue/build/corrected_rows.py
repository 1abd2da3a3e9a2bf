"""Rows that a correction writes out: periods, hours of the day with the days that they skip, factors."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from collector.catalogue.build.model import Rates, Rounding, Row, plain_unit, rate_pico_usd
from otel_cost.pricing.money import divide_half_even
from otel_cost.pricing.units import UNITS

STANDARD = "standard"
WORKING_DAYS, EVERY_DAY = 0b0011111, 0b1111111
WHOLE_DAY = (0, 86_400, EVERY_DAY)
_WEEKDAYS = {"Mon-Fri": WORKING_DAYS, "every day": EVERY_DAY}
_FEES = frozenset({"tool_calls", "requests", "storage"})
"""Families of units that no factor of a variant changes."""

_PER = {"usd": 1, "usd_per_hour": 3_600, "usd_per_million": 1_000_000}

Tiers = list[tuple[int, Rates]]


def moment_ns(text: str) -> int:
    """An ISO date or time, UTC unless it says otherwise, as nanoseconds since the epoch."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def rates(where: str, period: dict[str, Any], rounding: Rounding) -> Rates:
    """`usd_per_million`, `usd_per_hour` (of units that are seconds) and `usd` (per natural unit) of a period."""
    return {
        unit: rate_pico_usd(where, unit, Decimal(usd), per, rounding)
        for key, per in _PER.items()
        for unit, usd in period.get(key, {}).items()
    }


def timeline(where: str, variant: str, periods: list[dict[str, Any]], rounding: Rounding) -> list[Row]:
    """Periods, oldest first, as rows, newest first; each ends where the next one starts, or at its own `until`."""
    rows: list[Row] = []
    for period in periods:
        start_ns = moment_ns(period["since"]) if "since" in period else None
        if rows and rows[-1].end_ns is None:
            rows[-1].end_ns = start_ns
        end_ns = moment_ns(period["until"]) if "until" in period else None
        rows.append(Row(variant, start_ns, end_ns, _tiers(where, period, rounding)))
    return rows[::-1]


def _tiers(where: str, period: dict[str, Any], rounding: Rounding) -> Tiers:
    base = rates(where, period, rounding)
    tiers = [(-1, base)]
    for above, more in sorted(period.get("above", {}).items(), key=lambda item: int(item[0])):
        tiers.append((int(above), tiers[-1][1] | rates(where, more, rounding)))
    return tiers


def scaled(tiers: Tiers, factor: Decimal, keep: frozenset[str] = frozenset()) -> Tiers:
    """Tiers with every rate of use times `factor`, half-even; fees and what is in `keep` as they are."""
    numerator, denominator = factor.as_integer_ratio()

    def one(unit: str, rate: int) -> int:
        fixed = unit in keep or UNITS[plain_unit(unit)].family in _FEES
        return rate if fixed else divide_half_even(rate * numerator, denominator)

    return [(above, {unit: one(unit, rate) for unit, rate in own.items()}) for above, own in tiers]


def at_hours(where: str, rows: list[Row], hours: dict[str, Any], rounding: Rounding) -> list[Row]:
    """Rows that go before the standard ones: other prices at hours of the day, and days on which those do not hold."""
    since, until = moment_ns(hours["since"]), moment_ns(hours["until"]) if "until" in hours else None
    weekdays = _WEEKDAYS[hours.get("weekdays", "every day")]
    made: list[Row] = []
    skipped: list[Row] = []
    for row in rows:
        start = max(since, row.start_ns if row.start_ns is not None else since)
        end = min((ns for ns in (until, row.end_ns) if ns is not None), default=None)
        if row.variant != STANDARD or row.window is not None or (end is not None and end <= start):
            continue
        tiers = scaled(row.tiers, Decimal(hours["factor"])) if "factor" in hours else _tiers(where, hours, rounding)
        made += [Row(STANDARD, start, end, tiers, (*_seconds(span), weekdays)) for span in hours["utc"]]
        for first, last in _days(hours.get("except_days", ()), hours.get("utc_offset_hours", 0)):
            if first < (end if end is not None else last) and last > start:
                skipped.append(Row(STANDARD, first, last, row.tiers, WHOLE_DAY))
    return skipped + made


def _seconds(span: str) -> tuple[int, int]:
    start, _, end = span.partition("-")
    return _second(start), _second(end)


def _second(text: str) -> int:
    at = time.fromisoformat(text)
    return at.hour * 3600 + at.minute * 60


def _days(days: tuple[str, ...] | list[str], offset_hours: int) -> list[tuple[int, int]]:
    """Days, given one by one in a time zone, as spans of nanoseconds; neighbours are one span."""
    zone = timezone(timedelta(hours=offset_hours))
    spans: list[tuple[int, int]] = []
    for text in sorted(days):
        start = datetime.combine(date.fromisoformat(text), time(), zone)
        first = int(start.timestamp()) * 1_000_000_000
        last = first + 86_400 * 1_000_000_000
        if spans and spans[-1][1] == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans
