"""What today, this week and this month will have cost at their end: how much, between what, and how sure.

Input is what was spent: whole pico-USD by local hour and day. Forecasts are estimates, in floating point inside and
whole pico-USD outside. Where history is too short there is no forecast, rather than a made-up one. Bands and back-tests
come from the forecasts that the same code would have made on the days before, knowing only what was known then.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from collector.analysis.back_test import (
    BACK_TEST_DAYS,
    BackTest,
    Band,
    LastForecast,
    Made,
    band_of,
    judge,
    ratio,
    spread_of,
)
from collector.analysis.hours import HOURS, rest_of_day, usual_hours
from collector.analysis.trend import (
    LEAST_DAYS,
    LEAST_SHAPE_DAYS,
    LEAST_TREND_DAYS,
    Trend,
    trend_of,
    weekly_level,
)

_DAY_FLOOR = 0.3
"""Of a usual day, added to what errors of a day's rest are measured by: late at night, any call is a multiple of it."""
_DAYS_FLOOR = 0.05
"""The same for whole days, of which some may be without spending."""
_LEADS = ((1, 3), (4, 10), (11, 40))
"""Days ahead whose errors are alike, for the band of single days."""


@dataclass(frozen=True, slots=True)
class History:
    """What was spent, in whole pico-USD (or tokens, or calls). Days are local ones, those without spending are 0."""

    today: date
    days: Sequence[int]  # complete ones, the oldest first, up to yesterday; from the first that had any call
    hours: Sequence[Sequence[int]]  # of the last of them: 24 by the local clock each; may be fewer days
    today_hours: Sequence[int]
    elapsed_hours: float  # of today, by the local clock

    @property
    def so_far(self) -> int:
        """Of today."""
        return sum(self.today_hours)


@dataclass(frozen=True, slots=True)
class Projected:
    """A period's end as it looks now. None: too little history to say."""

    first: date
    until: date  # excluded
    so_far: int
    value: int | None
    low: int | None
    high: int | None
    method: str
    days_of_history: int
    back_test: BackTest | None


@dataclass(frozen=True, slots=True)
class DayAhead:
    """One day of the rest of the month; today with what it has cost already."""

    day: date
    value: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """The three periods, and the days that are left of the month, today first."""

    day: Projected
    week: Projected
    month: Projected
    ahead: tuple[DayAhead, ...]


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is still to come, and what it may be at least and at most."""

    value: float
    low: float
    high: float

    def plus(self, other: _Rest) -> _Rest:
        """Both together; chances of one are not those of the other."""
        value = self.value + other.value
        below = ((self.value - self.low) ** 2 + (other.value - other.low) ** 2) ** 0.5
        above = ((self.high - self.value) ** 2 + (other.high - other.value) ** 2) ** 0.5
        return _Rest(value, max(0.0, value - below), value + above)


def project(history: History) -> Outlook:
    """All that can be said of what is to come."""
    today = history.today
    week_first, month_first = today - timedelta(days=today.weekday()), today.replace(day=1)
    month_until = month_first + timedelta(days=monthrange(today.year, today.month)[1])
    periods = (
        (today, today + timedelta(days=1)),
        (week_first, week_first + timedelta(days=7)),
        (month_first, month_until),
    )
    count = len(history.days)
    trends = _trends(history)
    if count not in trends:
        nothing = [_nothing(history, first, until) for first, until in periods]
        return Outlook(nothing[0], nothing[1], nothing[2], ())
    weekly = {
        known: replace(trend, level=weekly_level(history.days[:known]), per_day=0.0) for known, trend in trends.items()
    }
    rest, tested = _rest_of_today(history, trends)
    method = "today's rate, shaped by the usual hours of such a day"
    return Outlook(
        day=_projected(history, periods[0], rest, method, tested),
        week=_period(history, periods[1], weekly, rest, _weekly_method(count)),
        month=_period(history, periods[2], trends, rest, _monthly_method(count)),
        ahead=_ahead(history, trends, rest, (month_until - today).days),
    )


def _trends(history: History) -> dict[int, Trend]:
    """Number of days known -> what was known then: now, and on the mornings of the days before."""
    count = len(history.days)
    found: dict[int, Trend] = {}
    for known in range(max(LEAST_DAYS, count - BACK_TEST_DAYS), count + 1):
        trend = trend_of(history.days[:known], (history.today.weekday() - (count - known)) % 7)
        if trend is not None:
            found[known] = trend
    return found


def _rest_of_today(history: History, trends: Mapping[int, Trend]) -> tuple[_Rest, BackTest | None]:
    """What today will still cost, by how the days before went on from this time of day."""
    count, timed = len(history.days), len(history.hours)
    made = []
    for known in range(count - timed + LEAST_DAYS, count):
        if known in trends:
            trend, hours = trends[known], history.hours[known - (count - timed)]
            spent = _spent_until(hours, history.elapsed_hours)
            rest = _rest(history, trend, known - (count - timed), spent)
            floor, spread = _DAY_FLOOR * trend.level, spread_of(trend, 1)
            made.append(Made(known, spent, rest, sum(hours) - spent, floor, spread))
    trend = trends[count]
    rest = _rest(history, trend, timed, history.so_far)
    low, high = band_of([each.off for each in made], spread_of(trend, 1), 1).around(rest, _DAY_FLOOR * trend.level)
    return _Rest(rest, low, high), judge(made, 1)


def _rest(history: History, trend: Trend, place: int, spent: int) -> float:
    """The rest of the day at that place of the days whose hours are known, by the hours of the days before it."""
    weekdays = [(trend.next_weekday - place + before) % 7 for before in range(place)]
    usual = usual_hours(history.hours[:place], weekdays, trend.next_weekday)
    return rest_of_day(trend.day(1), spent, usual, history.elapsed_hours)


def _spent_until(hours: Sequence[int], elapsed_hours: float) -> int:
    """Of a past day, at this time of day; within the hour in proportion."""
    whole = min(int(elapsed_hours), HOURS - 1)
    return sum(hours[:whole]) + int(hours[whole] * min(1.0, elapsed_hours - whole))


def _period(
    history: History, period: tuple[date, date], trends: Mapping[int, Trend], today: _Rest, method: str
) -> Projected:
    """A week or a month: what it has cost so far, what today will still cost, and the days after it."""
    count = len(history.days)
    elapsed, left = (history.today - period[0]).days, (period[1] - history.today).days
    rest = today if left == 1 else today.plus(_whole_days(history, trends, 2, left - 1))
    made = [
        _made(history, trends, known, elapsed, 1, left) for known in sorted(trends) if elapsed <= known <= count - left
    ]
    tested = judge(made, left, _last(history, period[0], trends, elapsed))
    return _projected(history, period, rest, method, tested)


def _whole_days(history: History, trends: Mapping[int, Trend], first: int, days: int) -> _Rest:
    """So many days from the `first`th on (1 is today), with the errors that forecasts so far ahead had."""
    count = len(history.days)
    now = _made(history, trends, count, 0, first, days)
    errors = [
        _made(history, trends, known, 0, first, days).off for known in trends if known <= count - (first + days - 1)
    ]
    low, high = band_of(errors, now.spread, days).around(now.rest, now.floor)
    return _Rest(now.rest, low, high)


def _made(history: History, trends: Mapping[int, Trend], known: int, elapsed: int, first: int, days: int) -> Made:
    """The forecast of one morning: of so many days from the `first`th on."""
    trend, start = trends[known], known + first - 1
    return Made(
        known,
        sum(history.days[known - elapsed : known]),
        trend.days_ahead(days, first),
        sum(history.days[start : start + days]),
        _DAYS_FLOOR * trend.level * days,
        spread_of(trend, days),
    )


def _last(history: History, first: date, trends: Mapping[int, Trend], elapsed: int) -> LastForecast | None:
    """What would have been forecast of the period before, on the same day of it; None where history began in it."""
    before = (first - timedelta(days=1)).replace(day=1) if first.day == 1 else first - timedelta(days=7)
    length = (first - before).days
    known = len(history.days) - (history.today - before).days + min(elapsed, length - 1)
    elapsed = min(elapsed, length - 1)
    if known - elapsed < 0 or known not in trends:
        return None
    made = _made(history, trends, known, elapsed, 1, length - elapsed)
    forecast, actual = made.spent + round(made.rest), made.spent + made.came
    if not actual:
        return None
    return LastForecast(_named(before, length), forecast, actual, ratio((forecast - actual) / actual))


def _named(first: date, length: int) -> str:
    return f"{first:%G-W%V}" if length == 7 else f"{first:%Y-%m}"


def _ahead(history: History, trends: Mapping[int, Trend], today: _Rest, days: int) -> tuple[DayAhead, ...]:
    """Each day that is left, with the errors of forecasts about as far ahead."""
    count, trend = len(history.days), trends[len(history.days)]
    spent = history.so_far
    found = [DayAhead(history.today, spent + round(today.value), spent + int(today.low), spent + round(today.high))]
    bands: dict[tuple[int, int], Band] = {}
    for lead in _LEADS:
        middle = (lead[0] + min(lead[1], days)) // 2
        errors = [_made(history, trends, known, 0, middle, 1).off for known in trends if known <= count - middle]
        bands[lead] = band_of(errors, spread_of(trend, 1), 1)
    for ahead in range(2, days + 1):
        band = next(band for (first, last), band in bands.items() if first <= ahead <= last)
        low, high = band.around(trend.day(ahead), _DAYS_FLOOR * trend.level)
        day = history.today + timedelta(days=ahead - 1)
        found.append(DayAhead(day, round(trend.day(ahead)), int(low), round(high)))
    return tuple(found)


def _projected(
    history: History, period: tuple[date, date], rest: _Rest, method: str, tested: BackTest | None
) -> Projected:
    so_far = _so_far(history, period[0])
    return Projected(
        *period,
        so_far,
        so_far + round(rest.value),
        so_far + int(rest.low),
        so_far + round(rest.high),
        method,
        len(history.days),
        tested,
    )


def _nothing(history: History, first: date, until: date) -> Projected:
    count = len(history.days)
    what = f"none: {count} complete {'day' if count == 1 else 'days'} of history; {LEAST_DAYS} are needed"
    return Projected(first, until, _so_far(history, first), None, None, None, what, count, None)


def _so_far(history: History, first: date) -> int:
    elapsed = (history.today - first).days
    return sum(history.days[-elapsed:] if elapsed else ()) + history.so_far


def _weekly_method(days: int) -> str:
    average = f"average of the last {min(days, 7)} days"
    return f"{average}, in the shape of the week" if days >= LEAST_SHAPE_DAYS else average


def _monthly_method(days: int) -> str:
    if days < LEAST_SHAPE_DAYS:
        return f"usual day of the last {min(days, 7)} days"
    if days < LEAST_TREND_DAYS:
        return f"usual day of the last {days} days, in the shape of the week"
    return f"trend of the last {min(days, 30)} days, in the shape of the week"
