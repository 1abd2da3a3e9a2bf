"""What is to come and what was odd: projections, spikes, the ticker, and the report of `cost-optimization`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from collector.budgets.counters import Counters
from collector.budgets.model import CounterKey, Rule, Unit, WindowKind
from collector.budgets.windows import window_at
from collector.questions import optimization as optimizing
from collector.questions import outlook as outlooks
from collector.questions import spikes as spiked
from collector.questions import ticker as tickers
from collector.questions.asking import Answered
from collector.questions.measures import Measures
from collector.questions.selection import Selection
from collector.serve.api import selected
from collector.serve.api.config import Role
from collector.serve.api.figures import figures
from collector.serve.api.forecast_shapes import (
    AgentCost,
    CostOptimization,
    MonthlyBudget,
    ProjectionsShown,
    SpikesShown,
    TickerShown,
    number,
    show_projections,
    show_spikes,
    show_ticker,
)
from collector.serve.api.path import Path, Returns
from collector.serve.api.responses import json_response
from collector.serve.api.shapes import as_json
from collector.serve.api.viewing import Asked, Question, Viewer, answer_json

MAX_BUDGETS = 50
"""With a projection: those nearest to their limit. Each costs a question of its own."""
KEPT_SECONDS = 30.0
"""The month's projection in the ticker: it is asked for every few seconds, and moves in hours."""
SPIKES_KEPT_SECONDS = 300.0
"""Odd days: a question of seconds over ten million spans, about days. Its answer says as of when it is."""
MAX_KEPT = 200
_Days = tuple[Selection, date | None, datetime | None]
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


def forecast_paths(viewer: Viewer, desk: Desk) -> list[Path]:
    """All routes of this module."""
    routes = _Routes(viewer, desk)
    return [
        viewer.route_of("/ticker", "today, yesterday, the month and its projection, runs, freshness",
                        routes.ticker, TickerShown),
        viewer.route_of("/projections", "what today, the week, the month and each budget will come to",
                        routes.projections, ProjectionsShown),
        viewer.route_of("/anomalies", "days that cost more than they should have, and why",
                        routes.spikes, SpikesShown),
        Path("GET", "/admin/metrics/cost-optimization", Role.VIEWER, routes.optimization,
             "today, the month and its projection, by provider and by agent, and the monthly budget", strict=True,
             parameters=(selected.ZONE,), returns=Returns(CostOptimization)),
    ]  # fmt: skip


class _Routes:
    def __init__(self, viewer: Viewer, desk: Desk) -> None:
        self._viewer = viewer
        self._desk = desk
        self._kept: dict[Selection, tuple[float, outlooks.Projection]] = {}
        self._spikes: dict[_Days, tuple[float, Answered[tuple[spiked.Spike, ...]]]] = {}

    async def ticker(self, request: Request, asked: Asked) -> Response:
        """Filters of the selection hold; its times do not."""
        answered = await self._viewer.answer(Question(tickers.ticker, (asked.selection, asked.now)))
        month = await self._month(asked)
        return answer_json(request, asked, answered, show_ticker(answered.value, asked, month))

    async def projections(self, request: Request, asked: Asked) -> Response:
        nows = sorted(self._budgets(asked), key=lambda now: -(now.spent * 10**6 // max(1, now.limit)))[:MAX_BUDGETS]
        answered = await self._viewer.answer(Question(outlooks.projections, (asked.selection, asked.now, nows)))
        return answer_json(request, asked, answered, show_projections(answered.value))

    async def spikes(self, request: Request, asked: Asked) -> Response:
        """Kept for minutes: of the window, only its days matter."""
        window = asked.selection.window
        since = None if window.since is None else window.since.astimezone(window.zone).date()
        key = selected.timeless(asked.selection), since, window.until
        kept = self._spikes.get(key)
        if kept is None or kept[0] < time.monotonic() - SPIKES_KEPT_SECONDS:
            answered = await self._viewer.answer(Question(spiked.anomalies, (asked.selection, asked.now)))
            if len(self._spikes) >= MAX_KEPT:
                self._spikes.clear()
            kept = self._spikes[key] = time.monotonic(), answered
        return answer_json(request, asked, kept[1], show_spikes(kept[1].value, asked))

    async def optimization(self, request: Request) -> Response:
        asked = self._viewer.read(request, (selected.ZONE,))
        answered = await self._viewer.answer(Question(optimizing.optimization, (asked.selection, asked.now)))
        month = await self._month(asked)
        found: optimizing.Optimization = answered.value
        shown = CostOptimization(
            _known(found.today),
            _known(found.month),
            None if month.value_usd is None else number(month.value_usd),
            {
                str(row.key[0] or "unknown"): number(row.measures.cost_usd)
                for row in found.providers.rows
                if _known(row.measures) is not None
            },
            tuple(_agent(row) for row in found.agents.rows),
            self._monthly(asked),
        )
        response = json_response(request, as_json(shown))
        response.headers[UNPRICED_HEADER] = str(found.month.unpriced_calls)
        return response

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
            number(outlooks.usd(now.limit)),
            None if not now.limit else float(round(Decimal(100 * now.spent) / now.limit, 1)),
            None if warn_at is None else warn_at / 10_000,
        )


_ORG = "organization"
UNPRICED_HEADER = "X-Unpriced-Calls"
"""Calls of the month that are in none of the sums of `cost-optimization`, whose shape has no place for them."""


def _known(measures: Measures) -> float | None:
    """What calls cost; None: none of them has a price."""
    return None if measures.calls and measures.unpriced_calls == measures.calls else number(measures.cost_usd)


def _agent(row: Any) -> AgentCost:
    shown = figures(row.measures)
    each = shown.cost_per_execution_usd
    return AgentCost(row.key[0], _known(row.measures), shown.executions or 0, None if each is None else number(each))


def _at(at_ns: int | None) -> datetime | None:
    return None if at_ns is None else _EPOCH + timedelta(microseconds=at_ns // 1000)


def _scope(rule: Rule, key: CounterKey) -> tuple[tuple[str, str | None], ...]:
    names = [name for name, _ in rule.scope]
    values = [key.scope_value] if len(names) < 2 else json.loads(key.scope_value)
    return tuple(zip(names, values, strict=False))
