"""What calls cost by one or several names, with what is not shown as one more line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.measures import Measures
from collector.questions.selection import Ask, Selection

SORTS = ("cost", "calls", "tokens", "change", "name")


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
    """Ask the ledger. An empty ledger gives no rows and a total of nothing."""
    raise NotImplementedError
