"""Today, the month, and how it divides: what a report about optimising cost is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from collector.questions.breakdown import Breakdown, Grouping, breakdown
from collector.questions.measures import Measures
from collector.questions.selection import Ask, Selection, Window
from collector.questions.spend import spend

MAX_GROUPS = 5_000


@dataclass(frozen=True, slots=True)
class Optimization:
    """Providers and agents are those of the month."""

    today: Measures
    month: Measures
    providers: Breakdown
    agents: Breakdown


def optimization(ask: Ask, selection: Selection, now: datetime) -> Optimization:
    """`now` is aware; the window's zone says where days and months begin, its ends are not used."""
    zone = selection.window.zone
    day = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    today = replace(selection, window=Window(day, now, zone))
    month = replace(selection, window=Window(day.replace(day=1), now, zone))
    agents = breakdown(ask, month, Grouping(("agent",), MAX_GROUPS, executions=True))
    providers = breakdown(ask, month, Grouping(("provider",), MAX_GROUPS))
    return Optimization(spend(ask, today).total, agents.total, providers, agents)
