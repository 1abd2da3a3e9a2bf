"""Cost, calls or tokens per local minute, hour, day, week or month, stacked by one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from collector.questions import buckets
from collector.questions.buckets import TooManyBuckets
from collector.questions.scope import Scope
from collector.questions.selection import TIMES, Ask, Selection

AUTO = "auto"
MAX_BUCKETS = 2_000
"""More are neither seen nor sent in reasonable time."""
_LONGEST = ((timedelta(days=3), "hour"), (timedelta(days=190), "day"), (timedelta(days=1100), "week"))
"""Up to so long a window has such buckets, if it may choose."""
_AT_LEAST = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(hours=24),
    "week": timedelta(days=7),
    "month": timedelta(days=28),
}
_VALUES = {
    "cost": "cost_usd",
    "calls": "calls",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0)",
}
MEASURES = tuple(_VALUES)

Values = tuple[Decimal, ...]
"""One per bucket: USD, calls or tokens. A bucket without calls has 0."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value of the name; None: the calls that have none."""

    key: str | None
    values: Values
    total: Decimal
    calls: int
    unpriced_calls: int
    """Not in the values of cost."""


@dataclass(frozen=True, slots=True)
class Before:
    """The period before: as many buckets, bucket by bucket beside those of the window."""

    buckets: tuple[datetime, ...]
    values: Values


@dataclass(frozen=True, slots=True)
class Timeseries:
    """Series and `other` add up to `total` in every bucket."""

    bucket: str
    buckets: tuple[datetime, ...]
    """Local starts, with offset. The first may begin before the window; only what is in the window counts."""
    series: tuple[Series, ...]
    other: Values | None
    total: Values
    unpriced_calls: tuple[int, ...]
    previous: Before | None = None


@dataclass(frozen=True, slots=True)
class Stacking:
    """`by` None: one series of everything is `total`, and `series` is empty."""

    by: str | None = None
    bucket: str = AUTO
    limit: int = 8
    compare: bool = False
    measure: str = "cost"
    reach: datetime | None = None
    """Buckets of a window with an open end go on to here, though no call may be that late."""


def timeseries(ask: Ask, selection: Selection, stacking: Stacking) -> Timeseries:
    """All buckets of the window, empty ones too. An open window begins and ends with the calls that there are.

    Raises TooManyBuckets, and ValueError for another bucket or measure than there is.
    """
    scope = Scope(ask, selection)
    found = _reaching(scope, stacking.reach)
    if found is None:
        return Timeseries("day" if stacking.bucket == AUTO else stacking.bucket, (), (), None, (), ())
    bucket = chosen_bucket(stacking.bucket, found[1] - found[0])
    zone = selection.window.zone
    numbers = buckets.numbers(bucket, *found, zone)
    if len(numbers) > MAX_BUCKETS:
        wrong = f"{len(numbers)} buckets of one {bucket}; {MAX_BUCKETS} are shown at most"
        raise TooManyBuckets(f"{wrong}; {buckets.REMEDY}")
    lines = _lines(scope, stacking, bucket)
    shown = {line["key_0"] for line in lines if line["shown"]}
    series = [
        _series(key, [line for line in lines if line["shown"] and line["key_0"] == key], numbers) for key in shown
    ]
    rest = [line for line in lines if not line["shown"]]
    unpriced = dict.fromkeys(numbers, 0)
    for line in lines:
        unpriced[line["bucket"]] += line["unpriced_calls"]
    return Timeseries(
        bucket,
        tuple(buckets.start(bucket, number, zone) for number in numbers),
        tuple(sorted(series, key=lambda one: (-one.total, one.key is None, one.key or ""))),
        _values(rest, numbers) if rest and stacking.by else None,
        _values(lines, numbers),
        tuple(unpriced.values()),
        _before(scope, stacking, bucket, found, len(numbers)) if stacking.compare and selection.window.since else None,
    )


def chosen_bucket(wanted: str, length: timedelta) -> str:
    """`wanted`, or what suits a window of that length. Raises ValueError."""
    if wanted == AUTO:
        return next((bucket for longest, bucket in _LONGEST if length <= longest), "month")
    if wanted not in TIMES:
        raise ValueError(f"{wanted} is none of {', '.join((AUTO, *TIMES))}")
    return wanted


def _reaching(scope: Scope, reach: datetime | None) -> tuple[datetime, datetime] | None:
    found = scope.instants()
    if found and reach and scope.selection.window.until is None:
        return found[0], max(found[1], reach.astimezone(UTC))
    return found


def _lines(scope: Scope, stacking: Stacking, bucket: str) -> list[dict[str, Any]]:
    """bucket, shown, key_0, value, unpriced_calls."""
    value = _VALUES.get(stacking.measure)
    if value is None:
        raise ValueError(f"{stacking.measure} is none of {', '.join(MEASURES)}")
    if stacking.by:
        limit = {"limit": stacking.limit}
        return scope.rows("stacks", limit, keys=(stacking.by,), bucket=bucket, value=value)
    return [line | {"shown": False, "key_0": None} for line in scope.rows("line", bucket=bucket, value=value)]


def _series(key: str | None, lines: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> Series:
    values = _values(lines, numbers)
    calls, unpriced = (sum(line[name] for line in lines) for name in ("calls", "unpriced_calls"))
    return Series(key, values, sum(values, Decimal(0)), calls, unpriced)


def _values(lines: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> Values:
    sums = dict.fromkeys(numbers, Decimal(0))
    for line in lines:
        sums[line["bucket"]] += line["value"]
    return tuple(sums.values())


def _before(scope: Scope, stacking: Stacking, bucket: str, window: tuple[datetime, datetime], count: int) -> Before:
    """As many buckets, the window moved back by the clock on the wall, so that each stands beside its like."""
    zone = scope.selection.window.zone
    back = max(1, -(-(window[1] - window[0]) // _AT_LEAST[bucket]))
    since, until = (_earlier(bucket, instant, back, zone) for instant in window)
    earlier = scope.within(since, min(until, window[0]))
    first = buckets.number(bucket, since, zone)
    if bucket in buckets.SECONDS:
        numbers = buckets.numbers(bucket, since, until, zone)
    else:
        numbers = list(range(first, first + count))
    lines = [line for line in _lines(earlier, Stacking(measure=stacking.measure), bucket) if line["bucket"] in numbers]
    values = _values(lines, numbers)
    starts = tuple(buckets.start(bucket, number, zone) for number in numbers)
    return Before(starts[:count], values[:count])


def _earlier(bucket: str, instant: datetime, back: int, zone: ZoneInfo) -> datetime:
    """So many buckets before, as far into its bucket as the clock on the wall says."""
    if bucket in buckets.SECONDS:
        return instant - back * _AT_LEAST[bucket]
    number = buckets.number(bucket, instant, zone)
    into = instant.astimezone(zone).replace(tzinfo=None) - buckets.start(bucket, number, zone).replace(tzinfo=None)
    begin = buckets.start(bucket, number - back, zone).replace(tzinfo=None)
    return (begin + into).replace(tzinfo=zone).astimezone(UTC)
