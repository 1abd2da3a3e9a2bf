"""What a day usually costs: the middle of the same weekday of the weeks before, at the level of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.analysis.robust import median, scatter

WEEKS = 4
"""Of the same weekday. More: growth makes the middle old. Fewer: one odd week is half of it."""
LEAST_DAYS = 15
"""Before, no weekday has been seen twice."""
SCATTER_DAYS = 28
LEAST_SCATTER = 0.05
MOST_DAYS, AGAIN = 56, 5
"""What more than so many of the last eight weeks' days were is usual. Lower: the first days of a new level hide what
follows. Higher: a job that runs on some days is odd on each of them."""
_FAINT = 0.15
"""Of a usual day, that deviations are measured by at least: of a weekend with three calls, a fourth is a third more."""
_LEVELS = (0.3, 3.0)


@dataclass(frozen=True, slots=True)
class Usual:
    """What was expected of one day before it came. `off`: by which part of the expected it was more."""

    expected: float
    level: float  # of a mean weekday
    off: float
    scatter: float  # of `off`, in the weeks before
    most: float  # `off`, at most, in the weeks before, but for days that were odd themselves


def usual_days(amounts: Sequence[int], *, odd: float = 5.0) -> list[Usual | None]:
    """Day by day, from the days before it; None of the first. Days more than `odd` scatters off do not widen what is
    usual."""
    found: list[Usual | None] = []
    offs: list[float] = []
    ratios: list[float | None] = []
    for day, amount in enumerate(amounts):
        middle = _same_weekday(amounts, day)
        if middle is None:
            found.append(None)
            ratios.append(None)
            continue
        recent = [ratio for ratio in ratios[-7:] if ratio is not None]
        level = min(max(median(recent), _LEVELS[0]), _LEVELS[1]) if len(recent) >= WEEKS else 1.0
        ratios.append(amount / middle if middle > 0 else None)
        expected = middle * level
        week = sum(amounts[day - 7 : day]) / 7
        mean = max(1.0, median([week, sum(amounts[max(0, day - 28) : day]) / min(day, 28)]))
        off = (amount - expected) / (expected + _FAINT * mean)
        spread = max(LEAST_SCATTER, scatter(offs[-SCATTER_DAYS:], 0.0))
        is_known = day >= LEAST_DAYS and len(offs) >= 7
        found.append(Usual(expected, mean, off, spread, _most(offs, odd * spread)) if is_known else None)
        offs.append(off)
    return found


def _most(offs: Sequence[float], odd: float) -> float:
    """The most that is no oddity: of those below `odd`, or above, where it comes again and again."""
    calm = [each for each in offs[-SCATTER_DAYS:] if each <= odd]
    again = sorted(offs[-MOST_DAYS:], reverse=True)[AGAIN : AGAIN + 1]
    return max([0.0, *calm, *again])


def _same_weekday(amounts: Sequence[int], day: int) -> float | None:
    same = [float(amounts[day - 7 * week]) for week in range(1, WEEKS + 1) if day >= 7 * week]
    return median(same) if same else None
