"""What is to come and what was odd: projections, spikes, the ticker, and the report of `cost-optimization`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from starlette.requests import Request
from starlette.responses import Response

from collector.budgets.answers import amount_json
from collector.budgets.counters import Counters
from collector.budgets.model import CounterKey, Rule, Unit, WindowKind
from collector.budgets.windows import window_at
from collector.questions import optimization as optimizing
from collector.questions import outlook as outlooks
from collector.questions import spikes as spiked
from collector.questions import ticker as tickers
from collector.questions.selection import Selection
from collector.serve.api import selected
from collector.serve.api.config import Role
from collector.serve.api.figures import Figures, figures, rounded
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_response
from collector.serve.api.shapes import as_json
from collector.serve.api.viewing import Asked, Question, View, Viewer, answer_json

MAX_BUDGETS = 50
"""With a projection: those nearest to their limit. Each costs a question of its own."""
KEPT_SECONDS = 30.0
"""The month's projection in the ticker: it is asked for every few seconds, and moves in hours."""
MAX_KEPT = 200
_UNPROJECTED = (WindowKind.RUN, WindowKind.HOUR)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rules(Protocol):
    """The rules that hold."""

    @property
    def rules(self) -> Sequence[Rule]: ...


class Desk(Protocol):
    """What is needed of budgets (`collector.budget_desk.BudgetDesk`)."""

    counters: Counters

    @property
    def rulebook(self) -> Rules: ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a period will have cost at its end, and between which bounds with a chance of four in five."""

    value_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Null: too little history."""

    month: Forecast | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """The latest call of the last seven days; null: there is none."""

    last_span_at: datetime | None
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class TickerShown:
    """The figures at a glance. `unpriced_calls` are those of the month; `cost_per_run_usd` of the last 24 hours."""

    today: Figures
    yesterday_at_this_hour: Figures
    yesterday: Figures
    month: Figures
    change_today_ratio: float | None
    projection: Forecasts
    cost_per_run_usd: Decimal | None
    runs: tickers.RunCosts
    unpriced_calls: int
    freshness: Freshness
    tz: str


@dataclass(frozen=True, slots=True)
class LastShown:
    """The forecast of the period before, made on the same day of it. Ratio above 0: too much was forecast."""

    period: str
    forecast_usd: Decimal
    actual_usd: Decimal
    error_ratio: float | None


@dataclass(frozen=True, slots=True)
class BackTestShown:
    """How far past forecasts with as much to come were off, and how many were within their band."""

    periods: int
    median_error_ratio: float | None
    coverage_ratio: float | None
    last: LastShown | None


@dataclass(frozen=True, slots=True)
class ProjectionShown:
    """A period's cost at its end; null: too little history, and `method` says so."""

    value_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    so_far_usd: Decimal
    method: str
    days_of_history: int
    back_test: BackTestShown | None
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True)
class BudgetProjection:
    """Amounts of money are decimal strings, of tokens and calls numbers. `hit_at` null: not before the window ends."""

    rule: str
    org: str
    scope: Mapping[str, str | None]
    scope_value: str
    unit: Literal["USD", "tokens", "calls"]
    spent: str | int
    limit: str | int
    percent: float | None
    projected: str | int | None
    hit_at: datetime | None
    window_end: datetime | None


@dataclass(frozen=True, slots=True)
class DayShown:
    """A day of the past has an actual cost, one to come a projected one, today both."""

    day: date
    actual_usd: Decimal | None
    projected_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class ProjectionsShown:
    """Today, this week and this month at their end, the days around, and each budget. Filters hold, times do not."""

    day: ProjectionShown
    week: ProjectionShown
    month: ProjectionShown
    budgets: tuple[BudgetProjection, ...]
    daily: tuple[DayShown, ...]


@dataclass(frozen=True, slots=True)
class SpikeShown:
    """Days that cost more than they should have. Dimension null: all calls. The parts add up to the difference."""

    at: datetime
    bucket: str
    dimension: str | None
    value: str | None
    cost_usd: Decimal
    expected_usd: Decimal
    ratio: float | None
    cause: str
    explanation: str
    parts: spiked.CostParts


@dataclass(frozen=True, slots=True)
class SpikesShown:
    """The newest first."""

    spikes: tuple[SpikeShown, ...]


@dataclass(frozen=True, slots=True)
class AgentCost:
    """One agent in this month; `agent_id` null: calls of no agent."""

    agent_id: str | None
    cost: float
    executions: int
    avg_cost_per_run: float | None


@dataclass(frozen=True, slots=True)
class MonthlyBudget:
    """The organisation's monthly budget that is used most; null: there is none."""

    monthly_limit: float | None
    utilization_pct: float | None
    alert_threshold_pct: float | None


@dataclass(frozen=True, slots=True)
class CostOptimization:
    """US dollars as numbers, for display. Providers and agents are those of the month; calls without a price are in
    none of the sums."""

    total_cost_today: float
    total_cost_month: float
    projected_monthly: float | None
    by_provider: Mapping[str, float]
    by_agent: tuple[AgentCost, ...]
    budget: MonthlyBudget


def forecast_paths(viewer: Viewer, desk: Desk) -> list[Path]:
    """All routes of this module."""
    routes = _Routes(viewer, desk)
    spikes = View("/anomalies", "days that cost more than they should have, and why", _ask_spikes, _spikes, SpikesShown)
    return [
        viewer.route_of("/ticker", "today, yesterday, the month and its projection, runs, freshness",
                        routes.ticker, TickerShown),
        viewer.route_of("/projections", "what today, the week, the month and each budget will come to",
                        routes.projections, ProjectionsShown),
        viewer.route(spikes),
        Path("GET", "/admin/metrics/cost-optimization", Role.VIEWER, routes.optimization,
             "today, the month and its projection, by provider and by agent, and the monthly budget", strict=True,
             parameters=(selected.ZONE,), returns=Returns(CostOptimization)),
    ]  # fmt: skip


class _Routes:
    def __init__(self, viewer: Viewer, desk: Desk) -> None:
        self._viewer = viewer
        self._desk = desk
        self._kept: dict[Selection, tuple[float, outlooks.Projection]] = {}

    async def ticker(self, request: Request, asked: Asked) -> Response:
        """Filters of the selection hold; its times do not."""
        answered = await self._viewer.answer(Question(tickers.ticker, (asked.selection, asked.now)))
        month = await self._month(asked)
        return answer_json(request, asked, answered, _ticker(answered.value, asked, month))

    async def projections(self, request: Request, asked: Asked) -> Response:
        nows = sorted(self._budgets(asked), key=lambda now: -(now.spent * 10**6 // max(1, now.limit)))[:MAX_BUDGETS]
        answered = await self._viewer.answer(Question(outlooks.projections, (asked.selection, asked.now, nows)))
        return answer_json(request, asked, answered, _projections(answered.value))

    async def optimization(self, request: Request) -> Response:
        asked = self._viewer.read(request, (selected.ZONE,))
        answered = await self._viewer.answer(Question(optimizing.optimization, (asked.selection, asked.now)))
        month = await self._month(asked)
        found: optimizing.Optimization = answered.value
        shown = CostOptimization(
            _number(found.today.cost_usd),
            _number(found.month.cost_usd),
            None if month.value_usd is None else _number(month.value_usd),
            {str(row.key[0] or "unknown"): _number(row.measures.cost_usd) for row in found.providers.rows},
            tuple(_agent(row) for row in found.agents.rows),
            self._monthly(asked),
        )
        return json_response(request, as_json(shown))

    async def _month(self, asked: Asked) -> outlooks.Projection:
        """The month's projection, kept for a moment: whoever watches the ticker asks again and again."""
        key = selected.timeless(asked.selection)
        kept = self._kept.get(key)
        if kept is None or kept[0] < time.monotonic() - KEPT_SECONDS:
            answered = await self._viewer.answer(Question(outlooks.projections, (asked.selection, asked.now)))
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            kept = self._kept[key] = time.monotonic(), answered.value.month
        return kept[1]

    def _budgets(self, asked: Asked) -> Iterator[outlooks.BudgetNow]:
        """Every counter that the caller may see and that has something to project."""
        now_ns, counters, org = time.time_ns(), self._desk.counters, asked.selection.org_id
        for rule in self._desk.rulebook.rules:
            if rule.window.kind in _UNPROJECTED:
                continue
            window = window_at(rule.window, now_ns)
            is_calendar = rule.window.kind not in (WindowKind.TOTAL, WindowKind.ROLLING)
            for key, spent in counters.of_rule(rule.name, now_ns):
                if org in (None, key.org_id):
                    yield outlooks.BudgetNow(
                        rule.name,
                        _scope(rule, key),
                        key.org_id,
                        spent.of(rule.unit),
                        counters.limit(rule, key, now_ns),
                        rule.unit.value,
                        rule.window.kind.value,
                        _at(window.start_ns) if is_calendar else None,
                        _at(window.end_ns) if is_calendar else None,
                        rule.window.rolling_ns // 10**9,
                    )

    def _monthly(self, asked: Asked) -> MonthlyBudget:
        rules = {rule.name: rule for rule in self._desk.rulebook.rules}
        found = [
            now
            for now in self._budgets(asked)
            if now.kind == WindowKind.MONTH and now.unit == Unit.USD and all(name == _ORG for name, _ in now.scope)
        ]
        if not found:
            return MonthlyBudget(None, None, None)
        now = max(found, key=lambda now: now.spent * 10**6 // max(1, now.limit))
        warn_at = min(rules[now.rule].warn_at_ppm, default=None) if now.rule in rules else None
        return MonthlyBudget(
            _number(outlooks.usd(now.limit)),
            None if not now.limit else float(round(Decimal(100 * now.spent) / now.limit, 1)),
            None if warn_at is None else warn_at / 10_000,
        )


_ORG = "organization"


def _agent(row: Any) -> AgentCost:
    shown = figures(row.measures)
    each = shown.cost_per_execution_usd
    return AgentCost(
        row.key[0], _number(shown.cost_usd), shown.executions or 0, None if each is None else _number(each)
    )


def _number(amount: Decimal) -> float:
    """For display: rounded to a millionth of a dollar."""
    return float(round(amount, 6))


def _at(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else _EPOCH + timedelta(microseconds=at_ns // 1000)


def _scope(rule: Rule, key: CounterKey) -> tuple[tuple[str, str | None], ...]:
    names = [name for name, _ in rule.scope]
    values = [key.scope_value] if len(names) < 2 else json.loads(key.scope_value)
    return tuple(zip(names, values, strict=False))


def _ticker(found: tickers.Ticker, asked: Asked, projected: outlooks.Projection) -> TickerShown:
    month = figures(found.month)
    last = found.last_call_at
    return TickerShown(
        today=figures(found.today),
        yesterday_at_this_hour=figures(found.yesterday_at_this_hour),
        yesterday=figures(found.yesterday),
        month=month,
        change_today_ratio=rounded(found.change_today_ratio),
        projection=Forecasts(_forecast(projected)),
        cost_per_run_usd=found.runs.mean_usd,
        runs=found.runs,
        unpriced_calls=month.unpriced_calls,
        freshness=Freshness(last, None if last is None else max(0.0, (asked.now - last).total_seconds())),
        tz=asked.selection.window.zone.key,
    )


def _forecast(found: outlooks.Projection) -> Forecast | None:
    if found.value_usd is None or found.low_usd is None or found.high_usd is None:
        return None
    return Forecast(found.value_usd, found.low_usd, found.high_usd)


def _projections(found: outlooks.Outlook) -> ProjectionsShown:
    return ProjectionsShown(
        _projection(found.day),
        _projection(found.week),
        _projection(found.month),
        tuple(_budget(each) for each in found.budgets),
        tuple(
            DayShown(each.day, each.actual_usd, each.projected_usd, each.low_usd, each.high_usd) for each in found.daily
        ),
    )


def _projection(found: outlooks.Projection) -> ProjectionShown:
    return ProjectionShown(
        found.value_usd,
        found.low_usd,
        found.high_usd,
        found.so_far_usd,
        found.method,
        found.days_of_history,
        _back_test(found.back_test),
        found.period_start,
        found.period_end,
    )


def _back_test(found: outlooks.BackTest | None) -> BackTestShown | None:
    if found is None:
        return None
    last = found.last
    shown = (
        None if last is None else LastShown(last.period, last.forecast_usd, last.actual_usd, rounded(last.error_ratio))
    )
    return BackTestShown(found.periods, rounded(found.median_error_ratio), rounded(found.coverage_ratio), shown)


def _budget(found: outlooks.BudgetOutlook) -> BudgetProjection:
    now = found.budget
    unit = Unit(now.unit)
    values = [value or "" for _, value in now.scope]
    return BudgetProjection(
        rule=now.rule,
        org=now.org_id,
        scope=dict(now.scope),
        scope_value=values[0] if len(values) == 1 else json.dumps(values),
        unit=now.unit,  # type: ignore[arg-type]
        spent=amount_json(unit, now.spent),
        limit=amount_json(unit, now.limit),
        percent=float(round(Decimal(100 * now.spent) / now.limit, 2)) if now.limit else None,
        projected=None if found.projected is None else amount_json(unit, found.projected),
        hit_at=_utc(found.hit_at),
        window_end=now.window_end,
    )


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


def _ask_spikes(asked: Asked) -> Question:
    return Question(spiked.anomalies, (asked.selection, asked.now))


def _spikes(found: tuple[spiked.Spike, ...], _: Asked) -> SpikesShown:
    return SpikesShown(
        tuple(
            SpikeShown(
                each.at,
                each.bucket,
                each.dimension,
                each.value,
                each.cost_usd,
                each.expected_usd,
                rounded(each.ratio),
                each.cause,
                each.explanation,
                each.parts,
            )
            for each in found
        )
    )
