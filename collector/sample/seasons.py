"""How busy it is when: hours of the day, days of the week, growth; and what happened lately. All in UTC."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

OFFICE = (1, 1, 1, 1, 1, 2, 6, 16, 40, 66, 74, 70, 52, 62, 76, 72, 60, 40, 22, 14, 9, 6, 3, 2)
"""Weights of the hours of people at work."""
EVENINGS = (14, 9, 6, 5, 5, 7, 12, 22, 34, 42, 46, 50, 54, 52, 50, 50, 54, 60, 70, 78, 76, 62, 42, 24)
"""Of people at home."""
NIGHTLY = (30, 70, 90, 80, 40, 12, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 10)
"""Of jobs that run while nobody looks."""
WORKDAYS = (1.08, 1.14, 1.12, 1.06, 0.94, 0.16, 0.12)
"""Weights of the weekdays, Monday first."""
ALL_DAYS = (0.98, 0.96, 0.97, 1.0, 1.06, 1.08, 1.02)
SHOULDER = 0.06
"""How far one day is off what its weekday usually is (standard deviation of the logarithm)."""


@dataclass(frozen=True, slots=True)
class Season:
    """The rhythm of one workload."""

    hours: tuple[int, ...]
    weekdays: tuple[float, ...]
    growth_per_30_days: float  # 0.2: a fifth more

    def share(self, hour: datetime) -> float:
        """The part of an average day's work that falls into this hour, without growth."""
        return self.hours[hour.hour] / sum(self.hours) * self.weekdays[hour.weekday()] * 7 / sum(self.weekdays)

    def growth(self, day: date, end: date) -> float:
        """How much is going on, compared with the end."""
        return float((1 + self.growth_per_30_days) ** ((day - end).days / 30))


@dataclass(frozen=True, slots=True)
class Happenings:
    """What a reader of the history should be able to find: one of each cause of a changed bill."""

    price_changed: datetime  # the provider of the house model charges more from then on
    model_switched: datetime  # an agent uses a dearer model from then on
    loop: tuple[datetime, datetime]  # an agent of code reviews does not stop: more calls
    long_prompts: tuple[datetime, datetime]  # a prompt carries whole documents: more tokens a call

    @staticmethod
    def before(end: datetime) -> Happenings:
        """At fixed distances from the end, on working days."""
        loop, prompts = _workday(end, 6), _workday(end, 3)
        return Happenings(
            price_changed=_midnight(end - timedelta(days=16)),
            model_switched=_workday(end, 11) + timedelta(hours=10),
            loop=(loop + timedelta(hours=13), loop + timedelta(hours=17)),
            long_prompts=(prompts + timedelta(hours=9), prompts + timedelta(hours=15)),
        )


def poisson(random: Random, mean: float) -> int:
    """How many, where `mean` are expected."""
    if mean > 50:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, product, floor = 0, random.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= random.random()
    return count


def _workday(end: datetime, days: int) -> datetime:
    """Midnight of the last working day at least so many days before."""
    day = _midnight(end - timedelta(days=days))
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return day


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
