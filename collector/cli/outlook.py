"""Projections and odd days from a published ledger: options to questions, budgets as its views have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from collector.cli.ledger import Ledger
from collector.cli.window import Window
from collector.questions import selection
from collector.questions.outlook import BudgetNow, pico
from collector.store.statements import query

MOST_BUDGETS = 50
"""Those nearest to their limit."""
_LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_ROLLING = {"h": 3_600, "d": 86_400}


def selected(window: Window, where: Sequence[tuple[str, str]]) -> selection.Selection:
    """The calls of all organisations that pass the conditions, in a window."""
    filters = tuple(selection.Filter(key, (value or None,)) for key, value in where)
    return selection.Selection(None, selection.Window(window.since, window.until, window.zone), filters)


def budgets(ledger: Ledger, now: datetime, zone: ZoneInfo) -> list[BudgetNow]:
    """Every budget whose window holds `now`, the nearest to its limit first. A month ends by the clock of `zone`."""
    rows = ledger(query("budgets_now"), {}).to_pylist()
    found = [budget for row in rows if (budget := _budget(row, zone)) is not None and _holds(budget, now)]
    return sorted(found, key=lambda budget: -Decimal(budget.spent) / max(budget.limit, 1))[:MOST_BUDGETS]


def _holds(budget: BudgetNow, now: datetime) -> bool:
    return budget.window_end is None or budget.window_end > now


def _budget(row: Mapping[str, Any], zone: ZoneInfo) -> BudgetNow | None:
    unit = row["unit"]
    spent, limit = (row["spent_usd"], row["limit_usd"]) if unit == "USD" else (row["spent_count"], row["limit_count"])
    if unit is None or spent is None or limit is None:
        return None
    period, start = row["period"], row["period_start"]
    start = None if start is None else start.replace(tzinfo=UTC)
    is_rolling = period[-1] in _ROLLING and period[:-1].isdigit()
    return BudgetNow(
        rule=row["budget"],
        scope=_scope(row["scope"], row["scope_value"]),
        org_id=row["org_id"],
        spent=pico(spent) if isinstance(spent, Decimal) and unit == "USD" else int(spent),
        limit=pico(limit) if isinstance(limit, Decimal) and unit == "USD" else int(limit),
        unit=unit,
        kind="rolling" if is_rolling else period,
        window_start=start,
        window_end=None if is_rolling or start is None else _end(start.astimezone(zone), period),
        rolling_seconds=int(period[:-1]) * _ROLLING[period[-1]] if is_rolling else 0,
    )


def _scope(names: str, value: str) -> tuple[tuple[str, str | None], ...]:
    dimensions = names.split(", ")
    values = [value] if len(dimensions) == 1 else json.loads(value)
    return tuple(zip(dimensions, values, strict=True))


def _end(start: datetime, period: str) -> datetime | None:
    """When a window ends, by the clock by which it began."""
    if period == "month":
        return _next_month(start)
    return start + _LENGTHS[period] if period in _LENGTHS else None


def _next_month(start: datetime) -> datetime:
    """The same day of the next month; its last, where it has no such day."""
    year, month = (start.year + 1, 1) if start.month == 12 else (start.year, start.month + 1)
    for day in range(start.day, 27, -1):
        try:
            return start.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return start.replace(year=year, month=month)
