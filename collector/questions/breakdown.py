"""What calls cost by one or several names, with what is not shown as one more line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from collector.questions import buckets
from collector.questions.arithmetic import change, left, ratio
from collector.questions.measures import Measures
from collector.questions.scope import Scope, measures_of, measures_sql, statement
from collector.questions.selection import TIMES, Ask, Filter, Selection

LEAST_FOR_A_TREND = 4
"""Whole buckets. Fewer say nothing."""
_NOTABLE = Decimal("0.1")

_ORDERS = {
    "cost": "cost_usd DESC, calls DESC",
    "calls": "calls DESC, cost_usd DESC",
    "tokens": "coalesce(input_tokens, 0) + coalesce(output_tokens, 0) DESC, cost_usd DESC",
    "change": "CAST(cost_usd AS DOUBLE) / nullif(earlier_cost_usd, 0) DESC NULLS LAST, cost_usd DESC",
    "name": "",
}
SORTS = tuple(_ORDERS)
MARGIN = "margin"
"""One more order, of lines by customer: the lowest margin first, those without one last."""
_BY_MARGIN = "CASE WHEN calls > unpriced_calls THEN revenue_usd - cost_usd END NULLS LAST, cost_usd DESC, calls DESC"

Lines = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Grouping:
    """By which names (of `COLUMNS`, `TIMES`, or attributes), which lines, and what beside the measures.

    `search` keeps lines one of whose names contains the text. `sparkline` is one of `TIMES`.
    """

    by: tuple[str, ...]
    limit: int = 50
    offset: int = 0
    sort: str = "cost"
    search: str | None = None
    sparkline: str | None = None
    compare: bool = False
    """With the period before, which is as long and ends where the window begins."""
    executions: bool = False
    revenue_usd: Mapping[str, Decimal] | None = None
    """Of the first names, for the order by margin."""


@dataclass(frozen=True, slots=True)
class Before:
    """The same line in the period before."""

    cost_usd: Decimal
    calls: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line; a name that is None: the calls that have none."""

    key: tuple[str | None, ...]
    measures: Measures
    share: Decimal | None
    """Of the total cost; None when that is 0."""
    previous: Before | None = None
    change_ratio: Decimal | None = None
    """0.1: a tenth more than before. None: nothing to compare with."""
    trend: str | None = None
    """increasing, stable, decreasing; None without a sparkline."""
    sparkline: tuple[Decimal, ...] | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """All lines that are not shown, as one."""

    groups: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Rows and `other` together are exactly `total`."""

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    other: Other | None
    total: Measures
    groups: int
    """Lines there are, shown or not; those that match where `search` is given."""
    buckets: tuple[datetime, ...] | None = None
    """Starts of the sparklines' buckets, in the window's zone."""


def breakdown(ask: Ask, selection: Selection, grouping: Grouping) -> Breakdown:
    """Ask the ledger. An empty ledger gives no rows and a total of nothing. Raises ValueError for a wrong sort."""
    if grouping.sort not in (*SORTS, MARGIN):
        raise ValueError(f"{grouping.sort} is none of {', '.join(SORTS)}")
    scope = Scope(ask, selection)
    lines = scope.rows("groups", _parameters(grouping), keys=grouping.by, **_parts(scope, grouping))
    total, groups, all_groups = measures_of(lines[0]), int(lines[0]["groups"]), int(lines[0]["all_groups"])
    lines = lines[1:]
    shown = scope if len(lines) == all_groups else _shown(scope, grouping, lines)
    if grouping.executions:
        total = replace(total, executions=scope.executions())
        lines = _with_executions(shown, grouping, lines)
    keys = [_key(line, grouping, selection) for line in lines]
    sparks = _sparklines(scope, shown, grouping, lines) if grouping.sparkline else None
    rows = tuple(
        _row(key, line, total, grouping.compare, sparks.lines[at] if sparks else None)
        for at, (key, line) in enumerate(zip(keys, lines, strict=True))
    )
    hidden = all_groups - len(rows)
    other = Other(hidden, left(total, [row.measures for row in rows])) if hidden else None
    return Breakdown(grouping.by, rows, other, total, groups, sparks.starts if sparks else None)


def _with_executions(scope: Scope, grouping: Grouping, lines: Lines) -> list[dict[str, Any]]:
    found = scope.executions_by(grouping.by) if lines else {}
    names = [f"key_{at}" for at in range(len(grouping.by))]
    return [{**line, "executions": found.get(tuple(line[name] for name in names))} for line in lines]


def _shown(scope: Scope, grouping: Grouping, lines: Lines) -> Scope:
    """The calls of some lines, and maybe a few more."""
    names = {key: f"key_{at}" for at, key in enumerate(grouping.by) if key not in TIMES}
    return scope.having(*(Filter(key, tuple({line[name]: None for line in lines})) for key, name in names.items()))


def _parameters(grouping: Grouping) -> dict[str, object]:
    said: dict[str, object] = {"limit": grouping.limit, "offset": grouping.offset}
    if grouping.revenue_usd is not None:
        said |= {"payers": list(grouping.revenue_usd), "revenue": [f"{usd:f}" for usd in grouping.revenue_usd.values()]}
    return said | ({"search": grouping.search} if grouping.search else {})


def _parts(scope: Scope, grouping: Grouping) -> dict[str, str]:
    names = [f"key_{at}" for at in range(len(grouping.by))]
    compared = (grouping.compare or grouping.sort == "change") and scope.selection.window.since is not None
    times = [f"{name} DESC" for name, key in zip(names, grouping.by, strict=True) if key in TIMES]
    by_measure = _BY_MARGIN if grouping.sort == MARGIN else _ORDERS[grouping.sort]
    is_paid = grouping.revenue_usd is not None
    order = [*times, *([] if times else [by_measure]), *(f"{name} NULLS LAST" for name in names)]
    before = statement("groups_before").format(
        named=", ".join(names), same=" AND ".join(f"earlier.{name} IS NOT DISTINCT FROM lines.{name}" for name in names)
    )
    return {
        "named": ", ".join(names),
        "none": ", ".join(f"NULL AS {name}" for name in names),
        "measures": measures_sql(),
        "search": " OR ".join(f"contains(lower(CAST(lines.{name} AS VARCHAR)), lower($search))" for name in names)
        if grouping.search
        else "TRUE",
        "earlier": "earlier_calls, earlier_cost_usd" if compared else "NULL AS earlier_calls, NULL AS earlier_cost_usd",
        "compared": before if compared else "",
        "revenue": "paid.usd" if is_paid else "CAST(NULL AS DECIMAL(38, 12))",
        "paid": statement("groups_revenue") if is_paid else "",
        "order": ", ".join(part for part in order if part),
    }


def _key(line: Mapping[str, Any], grouping: Grouping, selection: Selection) -> tuple[str | None, ...]:
    """The line's names as text; a bucket of time is its local start."""
    found = []
    for at, key in enumerate(grouping.by):
        value = line[f"key_{at}"]
        found.append(buckets.label(key, value, selection.window.zone) if key in TIMES else value)
    return tuple(found)


def _row(
    key: tuple[str | None, ...], line: Mapping[str, Any], total: Measures, compare: bool, spark: _Spark | None
) -> Row:
    measures = measures_of(line)
    known = compare and line["earlier_calls"] is not None
    previous = Before(line["earlier_cost_usd"], line["earlier_calls"]) if known else None
    return Row(
        key,
        measures,
        ratio(measures.cost_usd, total.cost_usd),
        previous,
        change(measures.cost_usd, previous.cost_usd) if previous else None,
        spark.trend if spark else None,
        spark.values if spark else None,
    )


class _Spark(NamedTuple):
    values: tuple[Decimal, ...]
    trend: str | None


class _Sparks(NamedTuple):
    starts: tuple[datetime, ...]
    lines: list[_Spark]


def _sparklines(scope: Scope, shown: Scope, grouping: Grouping, lines: Lines) -> _Sparks:
    """Cost per bucket of the lines that are shown; `shown`: their calls, and maybe a few more."""
    instants = scope.instants()
    if not lines or instants is None or grouping.sparkline is None:
        return _Sparks((), [_Spark((), None) for _ in lines])
    zone = scope.selection.window.zone
    numbers = buckets.numbers(grouping.sparkline, *instants, zone)
    names = [f"key_{at}" for at in range(len(grouping.by))]
    cells = shown.rows("costs", keys=grouping.by, bucket=grouping.sparkline, named=", ".join(names))
    costs = {(cell["bucket"], *(cell[name] for name in names)): cell["cost_usd"] for cell in cells}
    starts = tuple(buckets.start(grouping.sparkline, number, zone) for number in numbers)
    whole = slice(int(starts[0] < instants[0]), -1)
    found = []
    for line in lines:
        key = tuple(line[name] for name in names)
        values = tuple(costs.get((number, *key), Decimal(0)) for number in numbers)
        found.append(_Spark(values, trend(values[whole])))
    return _Sparks(starts, found)


def trend(values: Sequence[Decimal]) -> str | None:
    """Whether the later half costs a tenth more or less than the first; None: too short, or nothing at all."""
    half = len(values) // 2
    if len(values) < LEAST_FOR_A_TREND or not any(values):
        return None
    first, last = sum(values[:half], Decimal(0)), sum(values[-half:], Decimal(0))
    if last > first * (1 + _NOTABLE):
        return "increasing"
    return "decreasing" if last < first * (1 - _NOTABLE) else "stable"
