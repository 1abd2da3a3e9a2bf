"""When a budget will be used up, if its calls go on as they have: hour by hour from now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from collector.analysis.hours import HOURS, rest_of_day, spent_share
from collector.analysis.trend import trend_of

FARTHEST_DAYS = 92
"""So far ahead a budget without an end is looked at, or of a rolling window, out of which whole days fall."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A budget as it stands; amounts in its unit."""

    spent: int
    limit: int
    until: datetime | None  # None: it begins anew never, or bit by bit
    rolling_days: float = 0.0


class Hit(NamedTuple):
    """`projected`: spent when the window ends; None without an end. `at`: when the limit is reached, in UTC."""

    projected: int | None
    at: datetime | None


def hit(
    counter: Counter,
    days: Sequence[int],
    today_spent: int,
    usual: Sequence[Sequence[float]],
    now: datetime,
    zone: ZoneInfo,
) -> Hit | None:
    """What becomes of a counter whose calls cost `days` (complete local days, the oldest first, up to yesterday).

    `now` is by the clock of `zone`, as the days are; `usual` are the shares of hours, by weekday. None: too little
    history. A limit that is reached already is not reached again.
    """
    trend = trend_of(days, now.weekday())
    if trend is None:
        return None
    farthest = now + timedelta(days=FARTHEST_DAYS)
    until = min(counter.until, farthest) if counter.until else farthest
    elapsed = now.hour + now.minute / 60
    rest = rest_of_day(trend.day(1), today_spent, usual[now.weekday()], elapsed)
    left = spent_share(usual[now.weekday()], HOURS) - spent_share(usual[now.weekday()], elapsed)
    spent, at = float(counter.spent), None
    for hour in _hours(now, until):
        number = (hour.day - now.date()).days
        share = usual[hour.day.weekday()][hour.of_day] * hour.part
        more = trend.day(number + 1) * share if number else rest * share / left if left > 0 else 0.0
        if counter.rolling_days:
            gone = number - round(counter.rolling_days)
            earlier = days[gone] if -len(days) <= gone < 0 else trend.day(gone + 1) if gone >= 0 else 0.0
            more -= earlier * share
        if at is None and counter.spent < counter.limit <= spent + more:
            at = _instant(hour, zone, (counter.limit - spent) / more)
            if counter.until is None:
                break
        spent = max(0.0, spent + more)
    is_whole = counter.until is not None and counter.until <= farthest
    return Hit(max(counter.spent, round(spent)) if is_whole else None, at)


class _Hour(NamedTuple):
    """An hour by the local clock, or the part of it that is to come."""

    day: date
    of_day: int
    start: float  # past the hour, 0 to 1
    part: float


def _hours(now: datetime, until: datetime) -> Iterator[_Hour]:
    last = until.astimezone(now.tzinfo)
    day, hour, start = now.date(), now.hour, now.minute / 60
    end = (last.date(), last.hour)
    while (day, hour) < end:
        yield _Hour(day, hour, start, 1 - start)
        day, hour, start = (day, hour + 1, 0.0) if hour + 1 < HOURS else (day + timedelta(days=1), 0, 0.0)
    if (day, hour) == end and last.minute / 60 > start:
        yield _Hour(day, hour, start, last.minute / 60 - start)


def _instant(hour: _Hour, zone: ZoneInfo, part: float) -> datetime:
    local = datetime.combine(hour.day, time(hour.of_day), zone)
    return local.astimezone(UTC) + timedelta(hours=hour.start + hour.part * min(1.0, max(0.0, part)))
