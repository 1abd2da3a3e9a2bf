"""The runs of a selection: what each cost, how long it took, and how cost is spread over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from collector.questions.arithmetic import left, ratio
from collector.questions.measures import Measures
from collector.questions.scope import Scope, measures_of, measures_sql
from collector.questions.selection import Ask, Filter, Selection

_ORDERS = {"cost": "cost_usd DESC, first_ns DESC, run", "time": "first_ns DESC, run"}
SORTS = tuple(_ORDERS)
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
    """Runs with at least one call in the selection. Raises ValueError for a wrong sort."""
    if listing.sort not in _ORDERS:
        raise ValueError(f"{listing.sort} is none of {', '.join(SORTS)}")
    scope = Scope(ask, selection)
    given: dict[str, object] = {"limit": listing.limit, "offset": listing.offset}
    page = scope.rows(
        "run_page",
        given | ({"search": listing.search} if listing.search else {}),
        keys=("run",),
        order=_ORDERS[listing.sort],
        search="contains(lower(run), lower($search))" if listing.search else "TRUE",
    )
    ids = [line["run"] for line in page if line["run"] is not None]
    total = scope.total(executions=True)
    found = described(scope, ids)
    shown = tuple(found[run] for run in ids)
    hidden = len(shown) < (total.executions or 0)
    spread = page[0]
    return Runs(
        shown,
        left(total, [run.measures for run in shown]) if hidden else None,
        total,
        int(spread["groups"]),
        Percentiles(spread["p50_usd"], spread["p95_usd"], spread["max_usd"]),
    )


def described(scope: Scope, ids: Sequence[str]) -> dict[str, Run]:
    """Some runs, as far as their calls are in the scope."""
    if not ids:
        return {}
    some = scope.having(Filter("run", tuple(ids)))
    details = {line["run"]: line for line in some.rows("run_details", max_traces=str(MAX_TRACES))}
    sums = some.rows("cells", keys=("run",), named="key_0", measures=measures_sql(executions=True))
    measures = {line["key_0"]: measures_of(line) for line in sums}
    agents = agents_of(some, measures)
    return {run: _run(line, measures[run], agents.get(run, ())) for run, line in details.items()}


def agents_of(scope: Scope, measures: Mapping[str, Measures]) -> dict[str, tuple[AgentShare, ...]]:
    """How the cost of each run divides among its agents, the dearest first."""
    found: dict[str, list[AgentShare]] = {}
    for line in scope.rows("agents_of_runs", keys=("run", "agent")):
        share = ratio(line["cost_usd"], measures[line["key_0"]].cost_usd)
        found.setdefault(line["key_0"], []).append(
            AgentShare(line["key_1"], line["cost_usd"], line["unpriced_calls"], share)
        )
    return {run: tuple(shares) for run, shares in found.items()}


def _run(line: Mapping[str, Any], measures: Measures, agents: tuple[AgentShare, ...]) -> Run:
    return Run(
        run=line["run"],
        trace_ids=tuple(line["trace_ids"]),
        trace_count=line["trace_count"],
        started_at=instant(line["first_ns"]),
        duration_seconds=max(0, line["last_ns"] - line["first_ns"]) / 1e9,
        agents=agents,
        models=tuple(line["models"] or ()),
        measures=measures,
        failed=bool(line["failed"]),
    )


def instant(nanoseconds: int) -> datetime:
    """UTC, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1_000)
