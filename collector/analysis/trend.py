"""What single days will cost: a level, its trend of the last thirty days, and the shape of the week.

Amounts are whole numbers (pico-USD, tokens, calls) per local day, the oldest first; estimates are floating point. Days
that are far off the others are held down, unless such days come again and again; a change that stays (another model,
another price) makes a new level within days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from collector.analysis.robust import median, scatter, slope, trimmed_mean

TREND_DAYS = 30
SHAPE_DAYS = 56
"""Days that the shape of the week is taken from: eight of each weekday."""
LEAST_DAYS = 3
"""Fewer days say nothing about the next."""
LEAST_SHAPE_DAYS = 14
"""Before, each weekday has been seen once: its difference from the others may be chance."""
LEAST_TREND_DAYS = 21
_DAMPING = 0.95
"""A trend goes on, a little less each day. 1: the growth of a good month is promised for ever; 0.8: none next week."""
_DOUBT = 2.5
"""Standard errors of a slope that count as one: days resemble their neighbours, so that chance makes slopes too."""
_FAINT = 0.25
"""Weekdays with less of a usual day than this say nothing about the level: their ratio to it is mostly chance."""
_CLIP = 3.0
"""Standard deviations beyond which a day counts as held down."""
KEPT = 1_024
"""Trends that are kept: that of a morning in the past is the same whenever it is asked for, and a projection asks for
121 of them. Fewer: pages that are watched at once push each other's out. More: 2 KB each."""
_STEP_GAIN = 0.62
"""Two levels must leave so little of the distance that one trend leaves, to be believed. Higher: chance makes steps."""
_STEP_DAYS = 4
"""Days that a new level must have lasted. Fewer: a busy weekend is one. More: a new price is noticed a week late."""

Factors = tuple[float, float, float, float, float, float, float]
_FLAT: Factors = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Trend:
    """What is known on the morning after the last day. `level` is that of a mean weekday on that last day."""

    days: int  # that it rests on
    level: float
    per_day: float
    factors: Factors  # Monday first
    scatter: float  # of one day, as a share of the level
    next_weekday: int

    def day(self, ahead: int) -> float:
        """The day that many days after the last one, from 1."""
        grown = self.level + self.per_day * _damped(ahead)
        return max(0.0, grown) * self.factors[(self.next_weekday + ahead - 1) % 7]

    def days_ahead(self, count: int, first: int = 1) -> float:
        """So many days from `first` on, together."""
        return sum(self.day(ahead) for ahead in range(first, first + count))


def trend_of(amounts: Sequence[int], next_weekday: int) -> Trend | None:
    """The trend of complete days, where the one to come is a `next_weekday` (0: Monday); None of fewer than three."""
    count = len(amounts)
    return None if count < LEAST_DAYS else _trend(tuple(amounts[-SHAPE_DAYS:]), count, next_weekday)


@lru_cache(maxsize=KEPT)
def _trend(amounts: tuple[int, ...], count: int, next_weekday: int) -> Trend:
    """The trend of the last of `count` days."""
    recent = [float(amount) for amount in amounts]
    first_weekday = (next_weekday - len(recent)) % 7
    factors = _factors(recent, first_weekday)
    weekdays = [(first_weekday + place) % 7 for place in range(len(recent))]
    last = len(recent) - 1
    points = [
        (float(place - last), amount / factors[weekday])
        for place, (amount, weekday) in enumerate(zip(recent, weekdays, strict=True))
        if factors[weekday] >= _FAINT and place > last - TREND_DAYS
    ]
    if count < LEAST_SHAPE_DAYS:
        points = points[-7:]
    level, per_day, spread = _line(points, has_trend=count >= LEAST_TREND_DAYS)
    return Trend(count, level, per_day, factors, spread / level if level > 0 else 0.0, next_weekday)


def weekly_level(amounts: Sequence[int]) -> float:
    """The mean of the last seven days (of fewer, where there are no more)."""
    recent = amounts[-7:]
    return sum(recent) / len(recent) if recent else 0.0


def _line(points: Sequence[tuple[float, float]], *, has_trend: bool) -> tuple[float, float, float]:
    """Level at 0, slope, and the scatter around both."""
    per_day, since = 0.0, points[0][0] if points else 0.0
    if has_trend:
        steep = slope(points)
        left = [value - steep * place for place, value in points]
        distance = scatter(left)
        error = _DOUBT * distance / max(1.0, (len(points) ** 3 / 12) ** 0.5)
        per_day = steep**3 / (steep**2 + error**2) if steep else 0.0  # the less sure, the flatter
    stepped = _step(points, per_day)
    if stepped is not None:
        since, per_day = stepped, 0.0
    left = [value - per_day * place for place, value in points if place >= since]
    middle, spread = median(left), scatter(left)
    bound = _CLIP * spread + 0.1 * abs(middle)
    held = [min(max(value, middle - bound), middle + bound) for value in left]
    excess = sorted(value - kept for value, kept in zip(left, held, strict=True))
    again = sum(excess[:-1]) if excess and excess[-1] > 0 else 0.0  # the greatest alone may never come again
    level = (sum(held) + max(0.0, again)) / len(left) if left else 0.0
    return level, per_day, spread


def _step(points: Sequence[tuple[float, float]], per_day: float) -> float | None:
    """Where a new level begins that describes the days much better than the trend does."""
    if len(points) < 2 * _STEP_DAYS:
        return None
    values = [value for _, value in points]
    left = [value - per_day * place for place, value in points]
    middle = median(left)
    best, found = _STEP_GAIN * sum(abs(value - middle) for value in left), None
    for cut in range(_STEP_DAYS, len(points) - _STEP_DAYS + 1):
        halves = values[:cut], values[cut:]
        distance = sum(abs(value - median(half)) for half in halves for value in half)
        if distance < best:
            best, found = distance, points[cut][0]
    return found


def _factors(amounts: Sequence[float], first_weekday: int) -> Factors:
    """Each weekday's part of the mean day of the week around it."""
    if len(amounts) < LEAST_SHAPE_DAYS:
        return _FLAT
    seen: list[list[float]] = [[] for _ in range(7)]
    for place, amount in enumerate(amounts):
        start = min(max(place - 3, 0), len(amounts) - 7)
        mean = sum(amounts[start : start + 7]) / 7
        if mean > 0:
            seen[(first_weekday + place) % 7].append(amount / mean)
    factors = [trimmed_mean(ratios) for ratios in seen]
    total = sum(factors)
    if total <= 0 or not all(seen):
        return _FLAT
    mon, tue, wed, thu, fri, sat, sun = (factor * 7 / total for factor in factors)
    return mon, tue, wed, thu, fri, sat, sun


def _damped(ahead: int) -> float:
    return float(_DAMPING * (1 - _DAMPING**ahead) / (1 - _DAMPING))
