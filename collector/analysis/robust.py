"""Figures that a few odd days do not move: medians, scatter, slopes. Of estimates, so in floating point."""

from __future__ import annotations

from collections.abc import Sequence

NORMAL = 1.4826
"""A median absolute deviation, so many times, is the standard deviation of normal scatter."""


def median(values: Sequence[float]) -> float:
    """The middle; 0 of nothing."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], share: float) -> float:
    """Below which this share of the values lies, between neighbours in proportion; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    lower = int(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (place - lower)


def scatter(values: Sequence[float], around: float | None = None) -> float:
    """The standard deviation that the median absolute deviation stands for."""
    middle = median(values) if around is None else around
    return NORMAL * median([abs(value - middle) for value in values])


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen: the median of the slopes between all pairs; 0 of fewer than two points."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(points)
        for later in points[place + 1 :]
        if later[0] != earlier[0]
    ]
    return median(slopes)


def trimmed_mean(values: Sequence[float]) -> float:
    """The mean without the least and the greatest, where there are at least four; 0 of nothing."""
    kept = sorted(values)[1:-1] if len(values) >= 4 else values
    return sum(kept) / len(kept) if kept else 0.0
