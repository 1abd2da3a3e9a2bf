"""The figures at a glance: today against yesterday, the month, runs of the last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from collector.questions import buckets
from collector.questions.arithmetic import change, ratio
from collector.questions.measures import Measures
from collector.questions.runs import instant
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection

LATEST = timedelta(days=7)
"""So far back the last call is looked for."""


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
    zone = selection.window.zone
    scope = Scope(ask, selection)
    day = buckets.number(buckets.DAY, now, zone)
    midnight, yesterday = (buckets.start(buckets.DAY, number, zone) for number in (day, day - 1))
    month = buckets.start(buckets.MONTH, buckets.number(buckets.MONTH, now, zone), zone)
    today = scope.within(midnight, None).total()
    so_far = scope.within(yesterday, _a_day_before(now, yesterday)).total()
    last = scope.within(now - LATEST, None).rows("extent")[0]["last_ns"]
    return Ticker(
        today=today,
        yesterday_at_this_hour=so_far,
        yesterday=scope.within(yesterday, midnight).total(),
        month=scope.within(month, None).total(),
        change_today_ratio=change(today.cost_usd, so_far.cost_usd),
        runs=_runs(scope.within(now - timedelta(hours=24), None)),
        last_call_at=None if last is None else instant(last),
    )


def _a_day_before(now: datetime, yesterday: datetime) -> datetime:
    """The same time on yesterday's clock; where the clock left it out, as long after it began to be left out."""
    zone = yesterday.tzinfo
    local = now.astimezone(zone)
    return local.replace(year=yesterday.year, month=yesterday.month, day=yesterday.day).astimezone(UTC)


def _runs(scope: Scope) -> RunCosts:
    found = scope.rows("run_costs", keys=("run",))[0]
    mean = ratio(found["cost_usd"], found["runs"])
    return RunCosts(found["runs"], mean, found["p50_usd"], found["p95_usd"])
