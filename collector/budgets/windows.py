"""Which window a time lies in: hours, days, weeks and billing months by the clock of a place, and rolling windows.

A calendar window is named by the instant at which it starts. Where clocks are put forward or back, a day has 23 or 25
hours, and the hour that comes twice is two windows. A billing month starts on its day at midnight; where a month has no
such day, on its last one. Source of time zones: the IANA database, by `zoneinfo`.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from collector.budgets.model import Window, WindowKind

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

_QUARTER_NS = 15 * MINUTE_NS
"""Clocks of all places have differed by whole quarters of an hour since 1980, so windows start at one."""
_FIRST_NS, _LAST_NS = -(10**18), 9 * 10**18
"""1938 to 2255. A time outside lies in the window of the nearer end: no clock that is right shows it."""

Times = npt.NDArray[np.int64]


class Interval(NamedTuple):
    """From `start_ns` to before `end_ns`; `end_ns` None: for ever."""

    start_ns: int
    end_ns: int | None


def bucket_ns(window: Window) -> int:
    """Length of the buckets of a rolling window: an hour where it is a whole number of days, else 5 minutes."""
    return HOUR_NS if window.rolling_ns % DAY_NS == 0 else 5 * MINUTE_NS


def window_at(window: Window, at_ns: int) -> Interval:
    """The window that holds a time. Of a rolling one: the buckets that count then, and until when they do."""
    if window.kind in (WindowKind.RUN, WindowKind.TOTAL):
        return Interval(0, None)
    if window.kind is WindowKind.ROLLING:
        length = bucket_ns(window)
        end_ns = at_ns - at_ns % length + length
        return Interval(end_ns - window.rolling_ns, end_ns)
    return _calendar(window, min(max(at_ns, _FIRST_NS), _LAST_NS) // _QUARTER_NS)


def counter_start(window: Window, at_ns: int) -> int:
    """What names the counter of a call that started then: its window's start, or that of its rolling bucket."""
    if window.kind is WindowKind.ROLLING:
        return at_ns - at_ns % bucket_ns(window)
    return window_at(window, at_ns).start_ns


def counter_starts(window: Window, at_ns: Times) -> Times:
    """`counter_start` of many times at once."""
    if window.kind in (WindowKind.RUN, WindowKind.TOTAL):
        return np.zeros(len(at_ns), np.int64)
    if window.kind is WindowKind.ROLLING:
        return at_ns - at_ns % bucket_ns(window)
    quarters, places = np.unique(np.clip(at_ns, _FIRST_NS, _LAST_NS) // _QUARTER_NS, return_inverse=True)
    starts = np.array([_calendar(window, quarter).start_ns for quarter in quarters.tolist()], np.int64)
    return starts[places]


@lru_cache(maxsize=4096)
def _calendar(window: Window, quarter: int) -> Interval:
    """The window that holds a quarter of an hour, counted from 1970 UTC."""
    zone = ZoneInfo(window.time_zone)
    at_ns = quarter * _QUARTER_NS
    if window.kind is WindowKind.HOUR:
        return _hour(at_ns, zone)
    first, after = _days(window, datetime.fromtimestamp(at_ns // SECOND_NS, zone).date())
    return Interval(_midnight_ns(first, zone), _midnight_ns(after, zone))


def _hour(at_ns: int, zone: ZoneInfo) -> Interval:
    """The hour by the clock; one in which clocks change by less than an hour is two windows."""
    minutes = _past_the_hour_ns(at_ns, zone)
    start_ns, end_ns = at_ns - minutes, at_ns - minutes + HOUR_NS
    quarters = range(start_ns, end_ns, _QUARTER_NS)
    same = [each for each in quarters if _past_the_hour_ns(each, zone) == each - start_ns]
    return Interval(same[0], same[-1] + _QUARTER_NS)


def _past_the_hour_ns(at_ns: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(at_ns // SECOND_NS, zone).utcoffset() or timedelta()
    return (at_ns + offset // timedelta(seconds=1) * SECOND_NS) % HOUR_NS


def _days(window: Window, today: date) -> tuple[date, date]:
    """The first day of the window that holds a day, and the day after its last."""
    if window.kind is WindowKind.DAY:
        return today, today + timedelta(days=1)
    if window.kind is WindowKind.WEEK:
        first = today - timedelta(days=(today.weekday() - window.week_start) % 7)
        return first, first + timedelta(days=7)
    this = _billing_date(today.year, today.month, window.billing_day)
    if today >= this:
        return this, _billing_date(*_next_month(today.year, today.month), window.billing_day)
    before = (today.year, today.month - 1) if today.month > 1 else (today.year - 1, 12)
    return _billing_date(*before, window.billing_day), this


def _next_month(year: int, month: int) -> tuple[int, int]:
    return (year, month + 1) if month < 12 else (year + 1, 1)


def _billing_date(year: int, month: int, billing_day: int) -> date:
    return date(year, month, min(billing_day, monthrange(year, month)[1]))


def _midnight_ns(day: date, zone: ZoneInfo) -> int:
    """The first instant of a day. Where clocks skip midnight, that is the instant at which they do."""
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp()) * SECOND_NS
