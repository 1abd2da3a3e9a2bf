"""What the spending of a selection will come to: today, this week, this month, each day, and each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from collector.analysis.back_test import BackTest as Tested
from collector.analysis.budget_hits import Counter, hit
from collector.analysis.hours import HOURS, RECENT_DAYS, usual_hours
from collector.analysis.projections import History, Projected, project
from collector.questions import buckets
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Filter, Selection

HISTORY_DAYS = 180
"""Days that are read: enough for back-tests of several months."""
HOUR_DAYS = 35
"""Days whose hours are looked at. More: all their calls are read, where sums are kept by day."""
BUDGET_DAYS = 56
"""Days that budgets go on by."""
SHOWN_DAYS = 35
"""Days of the past in `Outlook.daily`."""
_PICO = 12
_WIDE = Context(prec=60)
_UNPROJECTED = ("run", "hour")


@dataclass(frozen=True, slots=True)
class BudgetNow:
    """A budget's counter. Amounts in its unit: pico-USD, tokens or calls. `window_end` None: none, or a rolling one."""

    rule: str
    scope: tuple[tuple[str, str | None], ...]
    org_id: str
    spent: int
    limit: int
    unit: str  # USD, tokens, calls
    kind: str  # of its window: day, week, month, total, rolling; run and hour are not projected
    window_start: datetime | None
    window_end: datetime | None
    rolling_seconds: int = 0


@dataclass(frozen=True, slots=True)
class BudgetOutlook:
    """`projected`: spent at the window's end. `hit_at` None: not to be expected in this window, or hit already."""

    budget: BudgetNow
    projected: int | None
    hit_at: datetime | None


@dataclass(frozen=True, slots=True)
class LastForecast:
    """What was forecast of the period before (`2026-10`), on the same day of it. Ratio > 0: too much was forecast."""

    period: str
    forecast_usd: Decimal
    actual_usd: Decimal
    error_ratio: Decimal


@dataclass(frozen=True, slots=True)
class BackTest:
    """`periods` forecasts of the past with as much to come as now; how many were within their band."""

    periods: int
    median_error_ratio: Decimal
    coverage_ratio: Decimal | None
    last: LastForecast | None


@dataclass(frozen=True, slots=True)
class Projection:
    """A period's cost at its end. None: too little history, and `method` says so."""

    value_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    so_far_usd: Decimal
    method: str
    days_of_history: int
    back_test: BackTest | None
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True)
class DayOutlook:
    """A day of the past has an actual cost, one to come a projected one, today both."""

    day: date
    actual_usd: Decimal | None
    projected_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """All of it."""

    day: Projection
    week: Projection
    month: Projection
    budgets: tuple[BudgetOutlook, ...]
    daily: tuple[DayOutlook, ...]


def projections(ask: Ask, selection: Selection, now: datetime, budgets: Sequence[BudgetNow] = ()) -> Outlook:
    """`now` is aware; the window's zone says where days begin, its ends are not used. Budgets count all of their calls,
    whatever the filters."""
    history = history_of(Scope(ask, selection), now)
    found = project(history)
    start, zone = history.today - timedelta(days=len(history.days)), selection.window.zone
    past = [
        DayOutlook(start + timedelta(days=number), usd(amount), None, None, None)
        for number, amount in enumerate(history.days)
    ][-SHOWN_DAYS:]
    ahead = [DayOutlook(each.day, None, usd(each.value), usd(each.low), usd(each.high)) for each in found.ahead]
    if ahead:
        ahead[0] = replace(ahead[0], actual_usd=usd(history.so_far))
    else:
        ahead = [DayOutlook(history.today, usd(history.so_far), None, None, None)]
    return Outlook(
        day=_projection(found.day, zone),
        week=_projection(found.week, zone),
        month=_projection(found.month, zone),
        budgets=tuple(_budgets(ask, selection, now, budgets)),
        daily=(*past, *ahead),
    )


def history_of(scope: Scope, now: datetime) -> History:
    """What was spent on each day, from the first that had any call, and in the hours of the last of them."""
    zone = scope.selection.window.zone
    local, today = now.astimezone(zone), buckets.number(buckets.DAY, now, zone)
    days = _days_of(scope, now, HISTORY_DAYS, "cost_usd")
    hours = hours_of(scope, now, HOUR_DAYS)
    first = _first_whole(days, today)
    return History(
        local.date(),
        [days.get(number, 0) for number in range(first, today)],
        [hours[number] for number in range(max(first, today - HOUR_DAYS), today)],
        hours[today],
        local.hour + local.minute / 60,
    )


def hours_of(scope: Scope, now: datetime, days: int) -> dict[int, list[int]]:
    """Number of the day -> pico-USD in each hour by the local clock: of so many days, and today."""
    zone = scope.selection.window.zone
    today = buckets.number(buckets.DAY, now, zone)
    found = {number: [0] * HOURS for number in range(today - days, today + 1)}
    recent = scope.within(buckets.start(buckets.DAY, today - days, zone), now)
    for line in recent.rows("amounts", bucket=buckets.HOUR, named="bucket"):
        start = buckets.start(buckets.HOUR, line["bucket"], zone)
        found[buckets.number(buckets.DAY, start, zone)][start.hour] += pico(line["cost_usd"])
    return found


def _days_of(scope: Scope, now: datetime, days: int, column: str) -> dict[int, int]:
    """Number of the day -> amount, of days with calls."""
    zone = scope.selection.window.zone
    since = buckets.start(buckets.DAY, buckets.number(buckets.DAY, now, zone) - days, zone)
    lines = scope.within(since, now).rows("amounts", bucket=buckets.DAY, named="bucket")
    return {line["bucket"]: _whole(line[column]) for line in lines}


def _whole(amount: Decimal | int) -> int:
    """In whole pico-USD, tokens or calls."""
    return pico(amount) if isinstance(amount, Decimal) else amount


def _first_whole(days: Mapping[int, object], today: int) -> int:
    """The first day with calls; the next one if there are some more, since nobody starts at midnight."""
    first = min(days, default=today)
    return first + 1 if today - first > 3 else first


def usd(amount: int) -> Decimal:
    """Dollars of whole pico-USD."""
    return Decimal(amount).scaleb(-_PICO, _WIDE)


def pico(amount: Decimal) -> int:
    """Whole pico-USD of dollars."""
    return int(amount.scaleb(_PICO, _WIDE))


def _projection(found: Projected, zone: ZoneInfo) -> Projection:
    value, low, high = (None if each is None else usd(each) for each in (found.value, found.low, found.high))
    start, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (found.first, found.until))
    tested = None if found.back_test is None else _back_test(found.back_test)
    return Projection(value, low, high, usd(found.so_far), found.method, found.days_of_history, tested, start, end)


def _back_test(tested: Tested) -> BackTest:
    last = tested.last
    if last is None:
        return BackTest(tested.periods, tested.median_error_ratio, tested.coverage_ratio, None)
    said = LastForecast(last.period, usd(last.forecast), usd(last.actual), last.error_ratio)
    return BackTest(tested.periods, tested.median_error_ratio, tested.coverage_ratio, said)


def _budgets(ask: Ask, selection: Selection, now: datetime, budgets: Sequence[BudgetNow]) -> list[BudgetOutlook]:
    """Each by what its own calls have used; those with the same dimensions are read together."""
    groups: dict[tuple[str, tuple[str, ...]], list[BudgetNow]] = {}
    for budget in budgets:
        if budget.kind not in _UNPROJECTED:
            groups.setdefault((budget.org_id, tuple(name for name, _ in _owners(budget))), []).append(budget)
    found: dict[BudgetNow, BudgetOutlook] = {}
    for (org_id, names), group in groups.items():
        if selection.org_id in (None, org_id):
            scope = Scope(ask, replace(selection, org_id=org_id, filters=()))
            found |= _group(scope, names, group, now)
    return [found.get(budget, BudgetOutlook(budget, None, None)) for budget in budgets]


def _group(
    scope: Scope, names: tuple[str, ...], group: Sequence[BudgetNow], now: datetime
) -> dict[BudgetNow, BudgetOutlook]:
    """Budgets over the same dimensions: what each has used day by day, and the hours of all of them together."""
    zone = scope.selection.window.zone
    today = buckets.number(buckets.DAY, now, zone)
    wanted = [Filter(name, tuple(dict.fromkeys(dict(_owners(budget))[name] for budget in group))) for name in names]
    named = ", ".join(["bucket", *(f"key_{at}" for at in range(len(names)))])
    mine = scope.having(*wanted)
    recent = mine.within(buckets.start(buckets.DAY, today - BUDGET_DAYS, zone), now)
    days: dict[tuple[str | None, ...], dict[int, Mapping[str, Any]]] = {}
    for line in recent.rows("amounts", keys=names, bucket=buckets.DAY, named=named):
        days.setdefault(tuple(line[f"key_{at}"] for at in range(len(names))), {})[line["bucket"]] = line
    hours = list(hours_of(mine, now, RECENT_DAYS).values())[:RECENT_DAYS]
    local = now.astimezone(zone)
    weekdays = [(local.weekday() - RECENT_DAYS + place) % 7 for place in range(RECENT_DAYS)]
    usual = [usual_hours(hours, weekdays, weekday) for weekday in range(7)]
    found = {}
    for budget in group:
        used = days.get(tuple(value for _, value in _owners(budget)), {})
        column = {"USD": "cost_usd", "tokens": "tokens"}.get(budget.unit, "calls")
        amounts = {number: _whole(line[column]) for number, line in used.items()}
        whole = [amounts.get(number, 0) for number in range(_first_whole(amounts, today), today)]
        counter = Counter(budget.spent, budget.limit, budget.window_end, budget.rolling_seconds / 86_400)
        hits = hit(counter, whole, amounts.get(today, 0), usual, local, zone)
        found[budget] = BudgetOutlook(budget, *(hits or (None, None)))
    return found


def _owners(budget: BudgetNow) -> tuple[tuple[str, str | None], ...]:
    """What the budget's calls have in common beside the organisation."""
    return tuple(pair for pair in budget.scope if pair[0] != "organization")
