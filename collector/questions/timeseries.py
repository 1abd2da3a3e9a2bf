"""Cost, calls or tokens per local hour, day, week or month, stacked by one name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.selection import Ask, Selection

AUTO = "auto"
MEASURES = ("cost", "calls", "tokens")

Values = tuple[Decimal, ...]
"""One per bucket: USD, calls or tokens. A bucket without calls has 0."""


@dataclass(frozen=True, slots=True)
class Series:
    """One value of the name; None: the calls that have none."""

    key: str | None
    values: Values
    total: Decimal


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


def timeseries(ask: Ask, selection: Selection, stacking: Stacking) -> Timeseries:
    """All buckets of the window, empty ones too. An open window begins and ends with the calls that there are."""
    raise NotImplementedError
