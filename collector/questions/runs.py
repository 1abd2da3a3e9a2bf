"""The runs of a selection: what each cost, how long it took, and how cost is spread over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.measures import Measures
from collector.questions.selection import Ask, Selection

SORTS = ("cost", "time")
MAX_TRACES = 5


@dataclass(frozen=True, slots=True)
class AgentShare:
    """One agent's part of a run; `share` None when the run cost nothing."""

    agent: str | None
    cost_usd: Decimal
    unpriced_calls: int
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as far as its calls are in the selection."""

    run: str
    trace_ids: tuple[str, ...]
    """The first `MAX_TRACES`."""
    trace_count: int
    started_at: datetime
    """UTC"""
    duration_seconds: float
    agents: tuple[AgentShare, ...]
    models: tuple[str, ...]
    measures: Measures
    failed: bool
    """Its last call failed."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of the cost of a run; None where there are no runs."""

    p50_usd: Decimal | None
    p95_usd: Decimal | None
    max_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs and `other` together are exactly `total`."""

    runs: tuple[Run, ...]
    other: Measures | None
    total: Measures
    groups: int
    percentiles: Percentiles


@dataclass(frozen=True, slots=True)
class Listing:
    """Dearest or latest first. `search`: part of a run's id."""

    sort: str = "cost"
    limit: int = 50
    offset: int = 0
    search: str | None = None


def runs(ask: Ask, selection: Selection, listing: Listing) -> Runs:
    """Runs with at least one call in the selection."""
    raise NotImplementedError
