"""The hours of a day: which part of it is usually spent by when, and what is still to come."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

HOURS = 24
LEAST_LIKE_DAYS = 3
"""Days of the same sort (working day or weekend) that show its hours; of fewer, all days are taken together."""
RECENT_DAYS = 28
_BELIEF = 0.3
"""Of a usual day: spending of today that counts as much as what was expected. Lower: an early call decides the day."""
_MOST = 3.0
"""Times the expected that a rate of the morning can promise for the rest of the day."""

_EVEN = (1 / HOURS,) * HOURS


def usual_hours(days: Sequence[Sequence[int]], weekdays: Sequence[int], weekday: int) -> Sequence[float]:
    """The share of each hour in a day like that one (Monday is 0), each day counting alike; even without any."""
    recent = [(hours, of) for hours, of in zip(days, weekdays, strict=True) if any(hours)][-RECENT_DAYS:]
    alike = [hours for hours, of in recent if (of < 5) == (weekday < 5)]
    chosen = alike if len(alike) >= LEAST_LIKE_DAYS else [hours for hours, _ in recent]
    if not chosen:
        return _EVEN
    totals = [sum(hours) for hours in chosen]
    return [
        sum(hours[hour] / total for hours, total in zip(chosen, totals, strict=True)) / len(chosen)
        for hour in range(HOURS)
    ]


def spent_share(usual: Sequence[float], elapsed_hours: float) -> float:
    """The part of a usual day that is over; within an hour in proportion."""
    whole = min(int(elapsed_hours), HOURS - 1)
    return min(1.0, sum(usual[:whole]) + usual[whole] * min(1.0, elapsed_hours - whole))


def rest_of_day(expected: float, spent: int, usual: Sequence[float], elapsed_hours: float) -> float:
    """What the rest of a day will cost, of which so much was expected in the morning, and so much is spent by now.

    The rate of today counts the more, the more of a usual day is over.
    """
    over = spent_share(usual, elapsed_hours)
    belief = _BELIEF * expected
    if belief <= 0:
        return 0.0
    pace = (belief + spent) / (belief + over * expected)
    return expected * (1 - over) * min(_MOST, pace)


def shortest(hours: Sequence[int], share: Fraction) -> tuple[int, int] | None:
    """The fewest hours in a row (first, and one past the last) that have this share of all; None of nothing."""
    wanted = sum(hours) * share
    if not wanted:
        return None
    spans = ((first, first + length) for length in range(1, HOURS + 1) for first in range(HOURS - length + 1))
    return next((first, end) for first, end in spans if sum(hours[first:end]) >= wanted)
