"""The runs of a selection: what each cost, how long it took, and how cost is spread over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    lines = [line for line in page if line["run"] is not None]
    ids = [line["run"] for line in lines]
    total = replace(scope.total(), executions=scope.executions() if listing.search else int(page[0]["groups"]))
    some = scope.having(Filter("run", tuple(ids)))
    found = (
        of_all(_between(some, [line["first_ns"] for line in lines], [line["last_ns"] for line in lines])) if ids else {}
    )
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


def around(scope: Scope, ids: Sequence[str]) -> Scope | None:
    """The calls of some runs, looked for no longer than from the first to the last of them; None: there is none."""
    if not ids:
        return None
    some = scope.having(Filter("run", tuple(ids)))
    ends = some.rows("extent")[0]
    return None if ends["first_ns"] is None else _between(some, [ends["first_ns"]], [ends["last_ns"]])


def _between(scope: Scope, starts_ns: Sequence[int], last_ns: Sequence[int]) -> Scope:
    """The window cut to what calls of these starts meet."""
    window = scope.selection.window
    first, last = instant(min(starts_ns)), instant(max(last_ns)) + timedelta(microseconds=1)
    return scope.within(max(first, window.since or first), min(last, window.until or last))


def described(scope: Scope, ids: Sequence[str]) -> dict[str, Run]:
    """Some runs, as far as their calls are in the scope."""
    some = around(scope, ids)
    return {} if some is None else of_all(some)


def of_all(scope: Scope) -> dict[str, Run]:
    """Every run of a scope."""
    lines = scope.rows("run_details", keys=("run", "agent"), measures=measures_sql())
    agents: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if not line["is_whole"]:
            agents.setdefault(line["run"], []).append(line)
    return {line["run"]: _run(line, agents[line["run"]]) for line in lines if line["is_whole"]}


def _shares(lines: Sequence[Mapping[str, Any]], cost_usd: Decimal) -> tuple[AgentShare, ...]:
    """How the cost of a run divides among its agents, the dearest first."""
    ordered = sorted(lines, key=lambda line: (-line["cost_usd"], line["agent"] is None, line["agent"] or ""))
    return tuple(
        AgentShare(line["agent"], line["cost_usd"], line["unpriced_calls"], ratio(line["cost_usd"], cost_usd))
        for line in ordered
    )


def _run(line: Mapping[str, Any], agents: Sequence[Mapping[str, Any]]) -> Run:
    measures = replace(measures_of(line), executions=1)
    return Run(
        run=line["run"],
        trace_ids=tuple(line["trace_ids"][:MAX_TRACES]),
        trace_count=line["trace_count"],
        started_at=instant(line["start_ns"]),
        duration_seconds=max(0, line["end_ns"] - line["start_ns"]) / 1e9,
        agents=_shares(agents, measures.cost_usd),
        models=tuple(line["models"] or ()),
        measures=measures,
        failed=bool(line["failed"]),
    )


def instant(nanoseconds: int) -> datetime:
    """UTC, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1_000)
