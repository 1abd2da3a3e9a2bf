"""Which sums of whole hours, days and months a window is made of."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from collector.questions import buckets
from collector.questions.selection import Window

LEAST_MONTHS = 3
"""Whole months that are worth reading apart: fewer are planned as long as their days are read."""
_EPOCH = date(1970, 1, 1)


class Whole(NamedTuple):
    """Which sums help: of which whole hours, days or months of the window; None: of an open end."""

    relation: str
    unit: str
    first: int | None
    end: int | None


def whole_units(
    unit: str, window: Window, zone: ZoneInfo, last: datetime | None
) -> tuple[int | None, int | None] | None:
    """First day or hour that is whole in the window, and the one after the last; None of an open end, as of one after
    all calls that are in sums, of which `last` is the last.

    None at all: there is none.
    """
    first = end = None
    if window.since is not None:
        first = buckets.number(unit, window.since, zone)
        if buckets.start(unit, first, zone) < window.since:
            first = buckets.after(unit, first, zone)
    if window.until is not None and last is not None and window.until <= last:
        end = buckets.number(unit, window.until, zone)
    return None if first is not None and end is not None and first >= end else (first, end)


def in_months(days: Whole, months: str, last: datetime | None, zone: ZoneInfo) -> list[Whole]:
    """Sums of days as sums of whole months, which `months` has, and of the days before and after."""
    first = None if days.first is None else _month(days.first - 1) + 1
    end = None if days.end is None else _month(days.end)
    until = end if end is not None or last is None else buckets.number(buckets.MONTH, last, zone)
    if first is not None and (until is None or until - first < LEAST_MONTHS):
        return [days]
    found = [Whole(months, buckets.MONTH, first, end)]
    if first is not None:
        found.append(days._replace(end=_first_day(first)))
    if end is not None:
        found.append(days._replace(first=_first_day(end)))
    return [one for one in found if one.first is None or one.first != one.end]


def _month(day: int) -> int:
    """The number of a day's month."""
    at = _EPOCH + timedelta(days=day)
    return at.year * 12 + at.month - 1


def _first_day(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1) - _EPOCH).days
