"""Spend: the ticker, totals, breakdowns, time series, and what there is to group and filter by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from collector.questions import breakdown as breakdowns
from collector.questions import spend as spends
from collector.questions import timeseries as serieses
from collector.questions import values as valued
from collector.questions.selection import COLUMNS, TIMES
from collector.serve.api.errors import not_found
from collector.serve.api.figures import Figures, figures, rounded
from collector.serve.api.parameters import Parameter, Unreadable, choice, flag, nearest, shortened, text, whole
from collector.serve.api.selected import ATTRIBUTE_PREFIX
from collector.serve.api.viewing import Asked, Question, View

MAX_ROWS = 1000
MAX_OFFSET = 1_000_000
MAX_KEYS = 4
"""Names in `by`. More make as many groups as there are calls."""
MAX_SERIES = 50
PREVIOUS: Literal["previous"] = "previous"

COLLECTIONS = {
    "agents": ("agent",),
    "models": ("provider", "model"),
    "providers": ("provider",),
    "features": ("feature",),
    "teams": ("team",),
    "users": ("user",),
    "projects": ("project",),
    "environments": ("environment",),
    "conversations": ("conversation",),
}
"""Path -> what it groups by."""


def key(said: str) -> str:
    """A name to group by. Raises Unreadable."""
    if said in COLUMNS or said in TIMES or is_attribute(said):
        return said
    raise Unreadable("is nothing to group by", nearest(said, (*COLUMNS, *TIMES, ATTRIBUTE_PREFIX + "KEY")))


def is_attribute(said: str) -> bool:
    """Whether it names an attribute of spans."""
    return said.startswith(ATTRIBUTE_PREFIX) and len(said) > len(ATTRIBUTE_PREFIX)


def _keys(said: Sequence[str]) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(key(each) for each in said))
    if len(keys) > MAX_KEYS:
        raise Unreadable("too many names", f"at most {MAX_KEYS}")
    return keys


def _key_schema(*words: str) -> dict[str, Any]:
    return {"anyOf": [{"type": "string", "enum": list(words)}, {"type": "string", "pattern": r"^attr\.."}]}


_BY_SCHEMA = {"type": "array", "items": _key_schema(*COLUMNS, *TIMES), "minItems": 1, "maxItems": MAX_KEYS}
BY: Parameter[tuple[str, ...]] = Parameter(
    "by", "Names to group by, in this order", _BY_SCHEMA, ("agent",), _keys, repeated=True
)
LIMIT = whole("limit", "Rows at most", 50, 1, MAX_ROWS)
OFFSET = whole("offset", "Rows to leave out before the first", 0, 0, MAX_OFFSET)
SORT = choice("sort", "Order of the rows", breakdowns.SORTS, "cost")
SEARCH = text("search", "Only rows with this in one of their names, whatever the case")
SPARKLINE = choice("sparkline", "Cost per bucket in every row", ("hour", "day"), None)
COMPARE = choice("compare", "With the period before, of the same length", (PREVIOUS,), None)
EXECUTIONS = flag("executions", "Count distinct runs in every row")
ROWS = (LIMIT, OFFSET, SORT, SEARCH, SPARKLINE, COMPARE, EXECUTIONS)


def _series_key(said: str) -> str | None:
    return None if said in ("none", "") else key(said)


SERIES_BY: Parameter[str | None] = Parameter(
    "by", "What to stack by; none: the total alone", _key_schema("none", *COLUMNS), "provider", _series_key
)
BUCKET = choice("bucket", "Length of a bucket", (serieses.AUTO, *TIMES), serieses.AUTO)
SERIES = whole("limit", "Series at most", 8, 1, MAX_SERIES)
MEASURE = choice("measure", "What the values are", serieses.MEASURES, "cost")
VALUES = whole("limit", "Values at most", 20, 1, MAX_ROWS)
VALUE_SEARCH = text("search", "Only values with this in them, whatever the case")


@dataclass(frozen=True, slots=True)
class SpendShown:
    """`previous` is null where it was not asked for, or the window has no start."""

    total: Figures
    previous: Figures | None


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """One group. A name that is null: the calls that have none. `share` of the total cost; null when that is 0."""

    key: dict[str, str | None]
    share: float | None
    measures: Figures
    previous: breakdowns.Before | None
    change_ratio: float | None
    trend: Literal["increasing", "stable", "decreasing"] | None
    sparkline: tuple[Decimal, ...] | None


@dataclass(frozen=True, slots=True)
class BreakdownOther:
    """All groups that are not shown, as one."""

    groups: int
    measures: Figures


@dataclass(frozen=True, slots=True)
class BreakdownShown:
    """Rows and `other` together are exactly `total`. `buckets` are those of the sparklines."""

    by: tuple[str, ...]
    rows: tuple[BreakdownRow, ...]
    other: BreakdownOther | None
    total: Figures
    buckets: tuple[datetime, ...] | None
    groups: int


@dataclass(frozen=True, slots=True)
class SeriesOther:
    """The values of all series that are not shown."""

    values: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class SeriesTotal:
    """Of all calls; beside it how many of them have no price."""

    values: tuple[Decimal, ...]
    unpriced_calls: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TimeseriesShown:
    """Series and `other` add up to `total` in every bucket. Values are decimal strings whatever the measure."""

    bucket: str
    buckets: tuple[datetime, ...]
    series: tuple[serieses.Series, ...]
    other: SeriesOther | None
    total: SeriesTotal
    previous: serieses.Before | None


@dataclass(frozen=True, slots=True)
class ValuesShown:
    """Values of one name, the dearest first; null: the calls that have none."""

    key: str
    values: tuple[valued.Value, ...]


def spend_views() -> list[View[Any]]:
    """All views of this module, the collections too."""
    return [
        View("/spend", "what the calls cost in all", _ask_spend, _spend, SpendShown, (COMPARE,)),
        View("/breakdown", "cost by one or several names, with everything not shown as `other`",
             lambda asked: ask_breakdown(asked, asked[BY]), show_breakdown, BreakdownShown, (BY, *ROWS)),
        View("/timeseries", "cost, calls or tokens per hour, day, week or month, stacked by a name",
             _ask_timeseries, _timeseries, TimeseriesShown, (SERIES_BY, BUCKET, SERIES, COMPARE, MEASURE)),
        View("/dimensions", "what there is to group and filter by",
             lambda asked: Question(valued.dimensions, (asked.selection,)), lambda found, _: found, valued.Dimensions),
        View("/dimensions/{key}/values", "values of one name", _ask_values, _values, ValuesShown,
             (VALUE_SEARCH, VALUES)),
        *(_collection(name, by) for name, by in COLLECTIONS.items()),
    ]  # fmt: skip


def _collection(name: str, by: tuple[str, ...]) -> View[Any]:
    summary = f"cost by {' and '.join(by)}, as /breakdown"
    return View(f"/{name}", summary, lambda asked: ask_breakdown(asked, by), show_breakdown, BreakdownShown, ROWS)


def _ask_spend(asked: Asked) -> Question:
    return Question(spends.spend, (asked.selection,), {"compare": asked[COMPARE] is not None})


def _spend(found: spends.Spend, _: Asked) -> SpendShown:
    return SpendShown(figures(found.total), None if found.previous is None else figures(found.previous))


def ask_breakdown(asked: Asked, by: tuple[str, ...]) -> Question:
    """By some names, with the parameters of `ROWS`."""
    return Question(breakdowns.breakdown, (asked.selection, grouping_of(asked, by)))


def grouping_of(asked: Asked, by: tuple[str, ...]) -> breakdowns.Grouping:
    """What the parameters of `ROWS` say."""
    return breakdowns.Grouping(
        by,
        asked[LIMIT],
        asked[OFFSET],
        asked[SORT] or "cost",
        asked[SEARCH],
        asked[SPARKLINE],
        asked[COMPARE] is not None,
        asked[EXECUTIONS],
    )


def show_breakdown(found: breakdowns.Breakdown, _: Asked) -> BreakdownShown:
    rows = tuple(
        BreakdownRow(
            dict(zip(found.by, row.key, strict=True)),
            rounded(row.share),
            figures(row.measures),
            row.previous,
            rounded(row.change_ratio),
            row.trend,  # type: ignore[arg-type]
            row.sparkline,
        )
        for row in found.rows
    )
    other = None if found.other is None else BreakdownOther(found.other.groups, figures(found.other.measures))
    return BreakdownShown(found.by, rows, other, figures(found.total), found.buckets, found.groups)


def _ask_timeseries(asked: Asked) -> Question:
    stacking = serieses.Stacking(
        asked[SERIES_BY],
        asked[BUCKET] or serieses.AUTO,
        asked[SERIES],
        asked[COMPARE] is not None,
        asked[MEASURE] or "cost",
        asked.now,
    )
    return Question(serieses.timeseries, (asked.selection, stacking))


def _timeseries(found: serieses.Timeseries, _: Asked) -> TimeseriesShown:
    other = None if found.other is None else SeriesOther(found.other)
    total = SeriesTotal(found.total, found.unpriced_calls)
    return TimeseriesShown(found.bucket, found.buckets, found.series, other, total, found.previous)


def _ask_values(asked: Asked) -> Question:
    name = asked.names["key"]
    if name not in COLUMNS and not is_attribute(name):
        raise not_found(f"there is no such name: {shortened(name)}", where="key", allowed=nearest(name, COLUMNS))
    return Question(valued.values, (asked.selection, name, asked[VALUE_SEARCH], asked[VALUES]))


def _values(found: tuple[valued.Value, ...], asked: Asked) -> ValuesShown:
    return ValuesShown(asked.names["key"], found)
