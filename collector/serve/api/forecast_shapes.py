"""Forecasts, spikes and the report of `cost-optimization`, as they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

from collector.budgets.answers import amount_json
from collector.budgets.model import Unit
from collector.questions import outlook as outlooks
from collector.questions import spikes as spiked
from collector.questions import ticker as tickers
from collector.serve.api.figures import Figures, figures, rounded
from collector.serve.api.viewing import Asked


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
    cost: float | None
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
    none of the sums. What none of its calls has a price for is null, and such a provider is left out."""

    total_cost_today: float | None
    total_cost_month: float | None
    projected_monthly: float | None
    by_provider: Mapping[str, float]
    by_agent: tuple[AgentCost, ...]
    budget: MonthlyBudget


def number(amount: Decimal) -> float:
    """For display: rounded to a millionth of a dollar."""
    return float(round(amount, 6))


def show_ticker(found: tickers.Ticker, asked: Asked, projected: outlooks.Projection) -> TickerShown:
    """The ticker, with the projection of the month."""
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


def show_projections(found: outlooks.Outlook) -> ProjectionsShown:
    """All of an outlook."""
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


def show_spikes(found: tuple[spiked.Spike, ...], _: Asked) -> SpikesShown:
    """The newest first."""
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
