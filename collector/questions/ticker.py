"""The figures at a glance: today against yesterday, the month, runs of the last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.measures import Measures
from collector.questions.selection import Ask, Selection


@dataclass(frozen=True, slots=True)
class RunCosts:
    """Of the last 24 hours. None: no runs."""

    count: int
    mean_usd: Decimal | None
    p50_usd: Decimal | None
    p95_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Ticker:
    """`change_today_ratio`: today against yesterday at this hour; None when that was nothing."""

    today: Measures
    yesterday_at_this_hour: Measures
    yesterday: Measures
    month: Measures
    change_today_ratio: Decimal | None
    runs: RunCosts
    last_call_at: datetime | None
    """UTC; of the last seven days."""


def ticker(ask: Ask, selection: Selection, now: datetime) -> Ticker:
    """`now` is aware; the window's zone says where days and months begin, its ends are not used."""
    raise NotImplementedError
