"""Made-up spending by the hour: shapes of days and weeks, growth, steps, bursts, noise. The same seed makes the same.

The constants of `collector.analysis` were chosen on `TUNED`, with a glance at `HELD_OUT`; `UNSEEN` came afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

PICO = 10**12
OFFICE_HOURS = (1, 1, 1, 1, 1, 1, 3, 10, 30, 50, 55, 50, 40, 48, 55, 52, 45, 30, 16, 10, 7, 5, 3, 2)
EVENING_HOURS = (12, 8, 5, 4, 4, 6, 10, 18, 28, 34, 38, 42, 46, 44, 42, 42, 46, 54, 64, 72, 70, 56, 38, 20)
NIGHT_HOURS = (40, 80, 90, 70, 30, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 10)
FLAT_HOURS = (1,) * 24

Change = Callable[[Random, int, date], float]
"""What a day is multiplied by: draws, number of the day, and its date."""


@dataclass(frozen=True, slots=True)
class Series:
    """Whole pico-USD of each hour of days that follow each other, 24 a day."""

    first: date
    hours: tuple[int, ...]

    @property
    def days(self) -> tuple[int, ...]:
        """Of each day."""
        return tuple(sum(self.hours[start : start + 24]) for start in range(0, len(self.hours), 24))


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of spending. `noise`: standard deviation of the logarithm, of a day and of an hour."""

    hours: tuple[int, ...]
    weekdays: tuple[float, ...]
    noise: tuple[float, float]
    changes: Callable[[Random, int], Change]


def series(kind: Kind, seed: int, days: int = 200, first: date = date(2025, 1, 1)) -> Series:
    """So many days of a kind; 20 USD a day to begin with, about."""
    random = Random(seed)
    change = kind.changes(random, days)
    hours: list[int] = []
    for number in range(days):
        today = first + timedelta(days=number)
        usual = 20 * PICO * kind.weekdays[today.weekday()] * 7 / sum(kind.weekdays) * change(random, number, today)
        usual *= random.lognormvariate(0, kind.noise[0])
        shares = (weight / sum(kind.hours) for weight in kind.hours)
        hours += [int(usual * share * random.lognormvariate(0, kind.noise[1])) for share in shares]
    return Series(first, tuple(hours))


def _none(_: Random, __: int) -> Change:
    return lambda _, __, ___: 1.0


def _growth(low: float, high: float) -> Callable[[Random, int], Change]:
    """By a share every 30 days, somewhere between the two."""

    def changes(random: Random, _: int) -> Change:
        monthly = random.uniform(low, high)
        return lambda _, number, __: float((1 + monthly) ** (number / 30))

    return changes


def _steps(random: Random, days: int) -> Change:
    """Two to four times in the whole, a level of its own: other models, other prices, another customer."""
    cuts = sorted(random.sample(range(20, days), random.randrange(2, 5)))
    levels = [1.0]
    for _ in cuts:
        levels.append(levels[-1] * random.choice((0.5, 0.65, 1.5, 1.8, 2.2)))
    return lambda _, number, __: levels[sum(number >= cut for cut in cuts)]


def _bursts(_: Random, __: int) -> Change:
    """Single days of three to eight times the usual, one in thirty."""
    return lambda random, _, __: random.uniform(3, 8) if random.random() < 1 / 30 else 1.0


def _ramp(random: Random, days: int) -> Change:
    """A new product: slow, then fast, then full."""
    middle, width = random.uniform(0.3, 0.6) * days, random.uniform(12, 30)
    return lambda _, number, __: 0.05 + 2 / (1 + math.exp((middle - number) / width))


def _month_end(random: Random, _: int) -> Change:
    """The last three days of each month are busier."""
    more = random.uniform(1.3, 2.0)
    return lambda _, __, today: more if (today + timedelta(days=3)).month != today.month else 1.0


def _wandering(_: Random, __: int) -> Change:
    """Levels that drift: what is high today is high tomorrow."""
    state = [0.0]

    def change(random: Random, _: int, __: date) -> float:
        state[0] = 0.9 * state[0] + random.gauss(0, 0.08)
        return math.exp(state[0])

    return change


def _holidays(random: Random, days: int) -> Change:
    """Two weeks of almost nothing, and growth."""
    start, monthly = random.randrange(30, days - 14), random.uniform(0, 0.15)
    return lambda _, number, __: (0.2 if start <= number < start + 14 else 1.0) * (1 + monthly) ** (number / 30)


def _customers(random: Random, days: int) -> Change:
    """Customers that come, one after the other, and now and then one that goes."""
    moments = [(random.randrange(days), random.uniform(0.05, 0.35) * random.choice((1, 1, 1, -1))) for _ in range(10)]
    return lambda _, number, __: max(0.2, 1 + sum(size for at, size in moments if number >= at))


def _lumps(_: Random, __: int) -> Change:
    """A few large runs a day, of very different size."""
    return lambda random, _, __: sum(min(random.paretovariate(1.8), 12) for _ in range(12)) / 26


def _weekend_product(random: Random, _: int) -> Change:
    """Twice as much on Saturdays and Sundays, and growth."""
    monthly = random.uniform(0.0, 0.2)
    return lambda _, number, today: (1.9 if today.weekday() > 4 else 1.0) * float((1 + monthly) ** (number / 30))


def _three_weeks(random: Random, _: int) -> Change:
    """Waves that have nothing to do with weeks or months."""
    start = random.uniform(0, 21)
    return lambda _, number, __: 1 + 0.3 * math.sin(2 * math.pi * (number + start) / 21)


def _cuts(random: Random, _: int) -> Change:
    """More and more calls, and a price that falls by a fifth every forty days."""
    monthly, start = random.uniform(0.1, 0.3), random.randrange(40)
    return lambda _, number, __: float((1 + monthly) ** (number / 30) * 0.8 ** ((number + start) // 40))


def _now_and_then(_: Random, __: int) -> Change:
    """Every other day nothing at all."""
    return lambda random, _, __: random.choice((0.0, 1.0, 1.0, 2.0)) if random.random() < 0.7 else 0.0


_ALL, _SOFT, _WORK, _ZERO = (1.0,) * 7, (1.1, 1.1, 1.1, 1.1, 1.0, 0.8, 0.8), (1, 1.1, 1.1, 1, 0.9, 0.15, 0.1), (1,) * 5
_ZERO_WEEKENDS = (*map(float, _ZERO), 0.0, 0.0)
_ONE_DAY = (3.0, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2)

TUNED: dict[str, Kind] = {
    "steady": Kind(EVENING_HOURS, _SOFT, (0.06, 0.15), _none),
    "growing 5 to 40 % a month": Kind(EVENING_HOURS, _SOFT, (0.08, 0.2), _growth(0.05, 0.4)),
    "shrinking": Kind(OFFICE_HOURS, _WORK, (0.08, 0.2), _growth(-0.25, -0.05)),
    "quiet weekends": Kind(OFFICE_HOURS, _WORK, (0.1, 0.2), _growth(-0.05, 0.15)),
    "nothing on weekends": Kind(OFFICE_HOURS, _ZERO_WEEKENDS, (0.1, 0.2), _none),
    "noisy": Kind(EVENING_HOURS, _ALL, (0.35, 0.5), _none),
    "bursts": Kind(EVENING_HOURS, _SOFT, (0.1, 0.2), _bursts),
    "steps": Kind(OFFICE_HOURS, _WORK, (0.08, 0.2), _steps),
}
HELD_OUT: dict[str, Kind] = {
    "a new product": Kind(EVENING_HOURS, _SOFT, (0.1, 0.2), _ramp),
    "month ends": Kind(OFFICE_HOURS, _WORK, (0.08, 0.2), _month_end),
    "wandering": Kind(EVENING_HOURS, _ALL, (0.05, 0.2), _wandering),
    "holidays": Kind(OFFICE_HOURS, _WORK, (0.1, 0.2), _holidays),
    "customers come and go": Kind(EVENING_HOURS, _SOFT, (0.07, 0.2), _customers),
    "large runs": Kind(NIGHT_HOURS, _ALL, (0.05, 0.3), _lumps),
    "one big day a week": Kind(NIGHT_HOURS, _ONE_DAY, (0.12, 0.2), _growth(0.0, 0.1)),
}
UNSEEN: dict[str, Kind] = {
    "a product for weekends": Kind(EVENING_HOURS, _ALL, (0.1, 0.2), _weekend_product),
    "waves of three weeks": Kind(OFFICE_HOURS, _WORK, (0.08, 0.2), _three_weeks),
    "cuts of prices": Kind(EVENING_HOURS, _SOFT, (0.1, 0.2), _cuts),
    "now and then": Kind(FLAT_HOURS, _ALL, (0.1, 0.6), _now_and_then),
}
