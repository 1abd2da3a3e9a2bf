"""One trace as a tree: what each span cost by itself and with everything below it; a run as its traces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from collector.questions.measures import Measures
from collector.questions.runs import AgentShare
from collector.questions.selection import Ask, Selection

MAX_SPANS = 5_000


@dataclass(frozen=True, slots=True)
class Span:
    """One span of the trace as the ledger has it. Fields after `call_kind` are None or empty for other spans."""

    span_id: str
    parent_span_id: str | None
    name: str
    start_time_ns: int
    duration_ns: int
    failed: bool
    status_message: str | None
    scope: str | None
    call_kind: str | None
    counted: bool
    not_counted_reason: str | None
    duplicate_of: str | None
    operation: str | None
    provider: str | None
    model: str | None
    run: str | None
    agent: str | None
    usage: dict[str, int]
    cost_usd: Decimal | None
    cost_status: str | None
    cost_reason: str | None
    card: str | None
    rate_row: str | None
    attempt: int
    retry_of: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """As collector.cli.trace has it today; moves here with Node, receipt(span, card)."""

    trace_id: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class RunTrees:
    """One run; `total` is of its calls."""

    run: str
    traces: tuple[Trace, ...]
    total: Measures
    agents: tuple[AgentShare, ...]
    started_at: datetime | None


def trace(ask: Ask, selection: Selection, trace_id: str) -> Trace | None:
    """None: no span of it may be seen. Only the organisation of the selection is used."""
    raise NotImplementedError


def run(ask: Ask, selection: Selection, run: str) -> RunTrees | None:
    """None: no call of it may be seen."""
    raise NotImplementedError
