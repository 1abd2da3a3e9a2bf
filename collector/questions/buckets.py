"""Local minutes to months as whole numbers that SQL can compute, and back; across changes of the clock.

A bucket's number is: minute and hour, the epoch second of its local start; day, days since 1970-01-01; week, weeks
(from Monday) since that of 1969-12-29; month, months since year 0. In autumn an hour comes twice, as two buckets.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY, WEEK, MONTH = "minute", "hour", "day", "week", "month"

_EPOCH = date(1970, 1, 1)
_DAY_SECONDS = 86_400
SECONDS = {MINUTE: 60, HOUR: 3_600}
"""Of the buckets that are shorter than a day."""
_MONDAY = 3
"""1970-01-01 was so many days after a Monday."""

MOST = 10_000
"""Buckets in one list: 27 years of days, 14 months of hours, a week of minutes.

More take seconds, in which nothing can interrupt them.
"""
REMEDY = "ask for a longer bucket or a shorter time"
_LONGEST = {
    MINUTE: timedelta(minutes=1),
    HOUR: timedelta(hours=2),  # some are put back
    DAY: timedelta(hours=26),
    WEEK: timedelta(days=8),
    MONTH: timedelta(days=32),
}

Pieces = tuple[tuple[int, int], ...]
"""(epoch second, offset in seconds): from then on the clock is so far from UTC. The first holds for all before too."""


class TooManyBuckets(ValueError):
    """A window holds more of the bucket that is asked for than can be made or shown."""


def pieces(zone: ZoneInfo, first_s: int, last_s: int) -> Pieces:
    """Offsets of a zone from one epoch second to another, both included."""
    years = range(_year(first_s), _year(last_s) + 1)
    changes = [change for year in years for change in _changes(zone.key, year) if first_s < change[0] <= last_s]
    return ((first_s, _offset(zone, first_s)), *changes)


def sql(bucket: str, seconds: str, offsets: Pieces) -> str:
    """The bucket's number, from an expression of epoch seconds."""
    offset = str(offsets[0][1])
    if len(offsets) > 1:
        ends = zip(offsets[1:], offsets, strict=False)
        whens = " ".join(f"WHEN {seconds} < {end} THEN {value}" for (end, _), (_, value) in ends)
        offset = f"CASE {whens} ELSE {offsets[-1][1]} END"
    local = f"({seconds} + ({offset}))"
    if step := SECONDS.get(bucket):
        return f"{local} // {step} * {step} - ({offset})"
    # // rounds towards 0, and 1970 began early somewhere
    return sql_of_day(bucket, f"(({local} + {7 * _DAY_SECONDS}) // {_DAY_SECONDS} - 7)")


def sql_of_day(bucket: str, day: str) -> str:
    """The bucket's number, from an expression of that of its day."""
    if bucket == DAY:
        return day
    if bucket == WEEK:
        return f"({day} + {_MONDAY}) // 7"
    date = f"(DATE '1970-01-01' + CAST({day} AS INTEGER))"
    return f"(year({date}) * 12 + month({date}) - 1)"


def number(bucket: str, instant: datetime, zone: ZoneInfo) -> int:
    """The number of the bucket that an aware instant is in."""
    if step := SECONDS.get(bucket):
        second = _second(instant)
        offset = _offset(zone, second)
        return (second + offset) // step * step - offset
    local = instant.astimezone(zone).date()
    if bucket == MONTH:
        return local.year * 12 + local.month - 1
    days = (local - _EPOCH).days
    return days if bucket == DAY else (days + _MONDAY) // 7


def start(bucket: str, number: int, zone: ZoneInfo) -> datetime:
    """When a bucket begins, on the zone's clock; a day without midnight begins when it begins.

    Where a clock is put back by half an hour, the hour's second part begins with that.
    """
    if step := SECONDS.get(bucket):
        offsets = pieces(zone, number, number + step - 1)
        begun = (number + offsets[0][1]) % step == 0
        return datetime.fromtimestamp(number if begun else offsets[-1][0], UTC).astimezone(zone)
    if bucket == MONTH:
        day = date(number // 12, number % 12 + 1, 1)
    else:
        day = _EPOCH + timedelta(days=number if bucket == DAY else number * 7 - _MONDAY)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).astimezone(zone)


def after(bucket: str, earlier: int, zone: ZoneInfo) -> int:
    """A later bucket: the next; where a clock is put back, maybe the hour after that."""
    step = SECONDS.get(bucket)
    if step is None:
        return earlier + 1
    return number(bucket, datetime.fromtimestamp(earlier + step, UTC), zone)


def label(bucket: str, number: int, zone: ZoneInfo) -> str:
    """The bucket's local start as text: `2026-11-22`, of an hour `2026-11-22T09:00+01:00`, of a month `2026-11`."""
    local = start(bucket, number, zone)
    if bucket in SECONDS:
        return local.isoformat(timespec="minutes")
    return f"{local:%Y-%m}" if bucket == MONTH else f"{local:%Y-%m-%d}"


def numbers(bucket: str, first: datetime, end: datetime, zone: ZoneInfo) -> list[int]:
    """All buckets from the one of `first` to the last that begins before `end`.

    Raises TooManyBuckets before it makes them.
    """
    least = (end - first) // _LONGEST[bucket]
    if least > MOST:
        raise TooManyBuckets(f"{least} buckets of one {bucket} or more; {MOST} are made at most; {REMEDY}")
    last = number(bucket, end - timedelta(microseconds=1), zone)
    found = number(bucket, first, zone)
    if bucket not in SECONDS:
        return list(range(found, last + 1))
    short = [found]
    while short[-1] < last:
        short.append(after(bucket, short[-1], zone))
    return short


def _second(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _year(second: int) -> int:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).year


def _offset(zone: ZoneInfo, second: int) -> int:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    offset = instant.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


@lru_cache(maxsize=4_096)
def _changes(key: str, year: int) -> Pieces:
    """Changes of the offset in a year of UTC, to the second."""
    zone = ZoneInfo(key)
    begin = _second(datetime(year, 1, 1, tzinfo=UTC))
    found = []
    before = _offset(zone, begin - 1)
    low = begin - 1
    for day in range(367):
        high = begin + day * _DAY_SECONDS
        after = _offset(zone, high)
        if after != before:
            found.append((_first_after(zone, low, high, before), after))
        low, before = high, after
    return tuple(change for change in found if _year(change[0]) == year)


def _first_after(zone: ZoneInfo, low: int, high: int, before: int) -> int:
    """The first second in (low, high] whose offset is another than `before`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high
