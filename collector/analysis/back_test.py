"""Forecasts of the past beside what came: how far off they were, and so how far off the next one may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from collector.analysis.robust import median, quantile
from collector.analysis.trend import TREND_DAYS, Trend

BACK_TEST_DAYS = 120
"""Mornings on which forecasts are made again, at up to a millisecond each."""
COVERED = 0.92
"""Share of past errors that a band spans. They overlap, and so understate: of what comes, 80 % or more are within."""
LEAST_ERRORS = 6
"""Past errors that make a band of their own; of fewer, the scatter of single days does."""
ENOUGH_ERRORS = 20
"""Past errors of times that do not overlap, which are trusted alone; of fewer, the scatter of days is a least width."""
_WIDE = 2.0
"""Standard deviations of the scatter of days that such a band spans, up and down."""
_LEAST_JUDGED = 3
"""Times that do not overlap of which at least a share of bands that held is told."""
_RATIO = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Made:
    """A forecast of the past. Amounts in one unit; `spent` was known when it was made, `rest` was forecast."""

    known: int  # complete days that were known
    spent: int
    rest: float
    came: int  # what the rest was in the end
    floor: float  # added to what errors are measured by, for rests near nothing
    spread: float  # see `spread_of`

    @property
    def off(self) -> float:
        """By which share of the forecast the rest was more."""
        measure: float = max(1.0, self.rest + self.floor)
        return (self.came - self.rest) / measure

    @property
    def error(self) -> float | None:
        """By which share of the whole the forecast was off, either way; None of nothing."""
        whole = self.spent + self.came
        return abs(self.rest - self.came) / whole if whole else None


@dataclass(frozen=True, slots=True)
class Band:
    """How far the rest may be off, as shares of the forecast (and its floor); `low` is 0 or less."""

    low: float
    high: float

    def around(self, rest: float, floor: float) -> tuple[float, float]:
        """The least and the most that a rest may become."""
        return max(0.0, rest + self.low * (rest + floor)), rest + self.high * (rest + floor)


@dataclass(frozen=True, slots=True)
class LastForecast:
    """What was forecast of the period before, at the same point of it. `error_ratio` > 0: too much was forecast."""

    period: str
    forecast: int
    actual: int
    error_ratio: Decimal


@dataclass(frozen=True, slots=True)
class BackTest:
    """Forecasts with as much to come as now. `coverage_ratio`: how many were within the band that they had."""

    periods: int
    median_error_ratio: Decimal
    coverage_ratio: Decimal | None
    last: LastForecast | None


def spread_of(trend: Trend, days: int) -> float:
    """What chance makes of so many days, as a share of them: their own scatter, and that behind the level."""
    return trend.scatter * math.sqrt(1 / max(1, days) + 1.6 / min(trend.days, TREND_DAYS))


def band_of(errors: Sequence[float], spread: float, days: int) -> Band:
    """Between the quantiles of past errors of so many days each, or, of few, no narrower than the scatter of days."""
    least = 0.0 if len(errors) >= ENOUGH_ERRORS * days else _WIDE * spread
    if len(errors) < LEAST_ERRORS:
        return Band(-least, least)
    below, above = quantile(errors, (1 - COVERED) / 2), quantile(errors, (1 + COVERED) / 2)
    return Band(min(-least, below), max(least, above))


def judge(made: Sequence[Made], days: int, last: LastForecast | None = None) -> BackTest | None:
    """How good past forecasts were, the oldest first. What they said is known `days` later, and only then of use."""
    errors = [each.error for each in made]
    known = [error for error in errors if error is not None]
    if not known:
        return None
    held = [_held(each, [other.off for other in made if other.known + days <= each.known], days) for each in made]
    judged = [each for each in held if each is not None]
    coverage = ratio(sum(judged) / len(judged)) if len(judged) >= _LEAST_JUDGED * days else None
    return BackTest(len(known), ratio(median(known)), coverage, last)


def ratio(value: float) -> Decimal:
    """To a hundredth of a percent."""
    return Decimal(value).quantize(_RATIO)


def _held(made: Made, before: Sequence[float], days: int) -> bool | None:
    """Whether its band held; None where it had no past errors to be made of."""
    if len(before) < LEAST_ERRORS:
        return None
    low, high = band_of(before, made.spread, days).around(made.rest, made.floor)
    return low <= made.came <= high
