"""Price runs: which calls were priced again, and what that changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection


@dataclass(frozen=True, slots=True)
class PriceRun:
    """As the view `price_runs` has it (docs/sql.md). Times are UTC."""

    name: str
    applied_at: datetime
    applied_by: str | None
    card: str
    cards_before: str | None
    since: datetime | None
    until: datetime | None
    models: str | None
    providers: str | None
    organizations: str | None
    calls: int
    changed_calls: int
    cost_before_usd: Decimal
    cost_after_usd: Decimal
    delta_usd: Decimal
    unpriced_before: int
    unpriced_after: int
    archived_spans: int
    undone_at: datetime | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class PriceRuns:
    """The latest first."""

    runs: tuple[PriceRun, ...]


def price_runs(ask: Ask, selection: Selection, limit: int) -> PriceRuns:
    """Of an organisation only those that were of it alone: the sums of the others are of other organisations, too."""
    org = selection.org_id
    rows = Scope(ask, selection).rows("price_runs", {"limit": limit, "org": org, "is_of_all": org is None})
    times = ("applied_at", "since", "until", "undone_at")
    return PriceRuns(tuple(PriceRun(**{**row, **{name: _utc(row[name]) for name in times}}) for row in rows))


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
