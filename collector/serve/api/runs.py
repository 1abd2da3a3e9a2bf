"""Runs, one run, and one trace as a tree with a receipt for each call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from collector.questions import runs as listed
from collector.questions import tree as trees
from collector.serve.api.config import TRACE_PLACE
from collector.serve.api.errors import invalid
from collector.serve.api.figures import Figures, figures, rounded
from collector.serve.api.parameters import Unreadable, choice, shortened, text
from collector.serve.api.selected import SINCE, timeless, trace_id
from collector.serve.api.viewing import Asked, Question, View, found
from collector.serve.api.views import LIMIT, OFFSET
from otel_cost.pricing import RateCard

SORT = choice("sort", "Dearest or latest first", listed.SORTS, "cost")
SEARCH = text("search", "Only runs with this in their id")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CardOf = Callable[[str | None], RateCard]
"""The rate card of a digest; the one in use where it is not held any more."""
Kind = Literal["agent", "call", "tool", "other"]


@dataclass(frozen=True, slots=True)
class AgentPart:
    """One agent's part of a run; `share` is null when the run cost nothing."""

    agent: str | None
    cost_usd: Decimal
    unpriced_calls: int
    share: float | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run, as far as its calls are in the selection; `failed`: its last call did."""

    run: str
    trace_ids: tuple[str, ...]
    trace_count: int
    started_at: datetime
    duration_seconds: float
    agents: tuple[AgentPart, ...]
    models: tuple[str, ...]
    measures: Figures
    failed: bool


@dataclass(frozen=True, slots=True)
class RunsShown:
    """Runs and `other` together are exactly `total`."""

    runs: tuple[RunRow, ...]
    other: Figures | None
    total: Figures
    groups: int
    percentiles: listed.Percentiles


@dataclass(frozen=True, slots=True)
class WrapperCheck:
    """What a wrapper says that it used, beside what its calls used; null: it does not say."""

    tokens: int
    calls_tokens: int


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """`quantity` at `rate_usd` per `per` of it, times `multiplier`, is `cost_usd`."""

    unit: str
    quantity: Decimal
    rate_usd: Decimal
    per: int
    multiplier: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a price was made: the rate card, its row, and a line per unit."""

    card: str | None
    rate_row: str | None
    lines: tuple[ReceiptRow, ...]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One span. `self_cost_usd` is what it adds by itself: "0.00" where it is not counted, null: it has no price."""

    span_id: str
    parent_span_id: str | None
    depth: int
    name: str
    kind: Kind
    agent: str | None
    started_at: datetime
    offset_ns: int
    duration_ns: int
    failed: bool
    status_message: str | None
    counted: bool
    not_counted_reason: str | None
    duplicate_of: str | None
    operation: str | None
    provider: str | None
    model: str | None
    tokens: Mapping[str, int]
    self_cost_usd: Decimal | None
    inclusive_cost_usd: Decimal
    unpriced_calls: int
    cost_status: str | None
    cost_reason: str | None
    attempt: int
    retry_of: str | None
    wrapper: WrapperCheck | None
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class TraceShown:
    """Spans in the order of a tree: each one is followed by all that is below it. `truncated`: there are more."""

    trace_id: str
    cost_usd: Decimal
    unpriced_calls: int
    started_at: datetime | None
    duration_seconds: float
    jaeger_url: str | None
    spans: tuple[SpanRow, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class RunShown:
    """One run, as far as its calls are in the selection; without `since` all of it. `traces`: the dearest 200."""

    run: str
    total: Figures
    agents: tuple[AgentPart, ...]
    retry_cost_usd: Decimal
    wasted_cost_usd: Decimal
    trace_count: int
    started_at: datetime
    duration_seconds: float
    models: tuple[str, ...]
    failed: bool
    traces: tuple[trees.RunTrace, ...]


def run_views(card_of: CardOf, jaeger: str | None) -> list[View[Any]]:
    """`jaeger`: the address of a trace in Jaeger's page, with `{trace_id}` in it."""

    def trace(tree: trees.Trace | None, asked: Asked) -> TraceShown:
        return shown(found(tree, f"there is no trace {shortened(asked.names['trace_id'])}"), card_of, jaeger)

    return [
        View("/runs", "runs, what each cost, and how cost is spread over them", _ask_runs, _runs, RunsShown,
             (SORT, LIMIT, OFFSET, SEARCH)),
        View("/runs/{run:path}", "one run: its traces, and each agent's part", _ask_run, _run, RunShown),
        View("/traces/{trace_id}", "one trace as a tree, with a receipt for each call",
             _ask_trace, trace, TraceShown),
    ]  # fmt: skip


def _ask_trace(asked: Asked) -> Question:
    said = asked.names["trace_id"]
    try:
        return Question(trees.trace, (asked.selection, trace_id(said)))
    except Unreadable as error:
        raise invalid(f"{error} (got {shortened(said)})", where="trace_id", allowed=error.allowed) from None


def _ask_runs(asked: Asked) -> Question:
    listing = listed.Listing(asked[SORT] or "cost", asked[LIMIT], asked[OFFSET], asked[SEARCH])
    return Question(listed.runs, (asked.selection, listing))


def _runs(answer: listed.Runs, _: Asked) -> RunsShown:
    rows = tuple(
        RunRow(
            each.run,
            each.trace_ids,
            each.trace_count,
            each.started_at,
            each.duration_seconds,
            _agents(each.agents),
            each.models,
            figures(each.measures),
            each.failed,
        )
        for each in answer.runs
    )
    other = None if answer.other is None else figures(answer.other)
    return RunsShown(rows, other, figures(answer.total), answer.groups, answer.percentiles)


def _run(answer: trees.RunDetails | None, asked: Asked) -> RunShown:
    details = found(answer, f"there is no run {shortened(asked.names['run'])}")
    run = details.run
    total = figures(run.measures)
    return RunShown(
        run=run.run,
        total=total,
        agents=_agents(run.agents),
        retry_cost_usd=total.retry_cost_usd,
        wasted_cost_usd=total.wasted_cost_usd,
        trace_count=run.trace_count,
        started_at=run.started_at,
        duration_seconds=run.duration_seconds,
        models=run.models,
        failed=run.failed,
        traces=details.traces,
    )


def _ask_run(asked: Asked) -> Question:
    selection = asked.selection if asked.given.says(SINCE) else timeless(asked.selection)
    return Question(trees.run, (selection, asked.names["run"]))


def _agents(shares: tuple[listed.AgentShare, ...]) -> tuple[AgentPart, ...]:
    return tuple(AgentPart(each.agent, each.cost_usd, each.unpriced_calls, rounded(each.share)) for each in shares)


def shown(trace: trees.Trace, card_of: CardOf, jaeger: str | None) -> TraceShown:
    """A tree as an answer. Times are from the first span's start to the last one's end."""
    nodes = list(_walk(trace))
    start_ns = min((node.span.start_time_ns for node, _ in nodes), default=0)
    end_ns = max((node.span.start_time_ns + node.span.duration_ns for node, _ in nodes), default=0)
    return TraceShown(
        trace.trace_id,
        trace.cost_usd,
        trace.unpriced_calls,
        _instant(start_ns) if nodes else None,
        (end_ns - start_ns) / 1e9,
        jaeger.replace(TRACE_PLACE, quote(trace.trace_id, safe="")) if jaeger else None,
        tuple(_span(node, depth, start_ns, card_of) for node, depth in nodes),
        trace.truncated,
    )


def _walk(trace: trees.Trace) -> Iterator[tuple[trees.Node, int]]:
    stack = [(root, 0) for root in reversed(trace.roots)]
    while stack:
        node, depth = stack.pop()
        yield node, depth
        stack.extend((child, depth + 1) for child in reversed(node.children))


def _span(node: trees.Node, depth: int, start_ns: int, card_of: CardOf) -> SpanRow:
    span = node.span
    said = node.wrapper_tokens
    return SpanRow(
        span.span_id,
        span.parent_span_id,
        depth,
        span.name,
        _kind(span),
        span.agent,
        _instant(span.start_time_ns),
        span.start_time_ns - start_ns,
        span.duration_ns,
        span.failed,
        span.status_message,
        span.counted,
        span.not_counted_reason,
        span.duplicate_of,
        span.operation,
        span.provider,
        span.model,
        span.usage,
        node.self_cost_usd,
        node.inclusive_cost_usd,
        node.unpriced_calls,
        span.cost_status,
        span.cost_reason,
        span.attempt,
        span.retry_of,
        None if said is None else WrapperCheck(said, node.call_tokens),
        _receipt(span, card_of),
    )


def _kind(span: trees.Span) -> Kind:
    """What a person would call it. Operations are those of the GenAI semantic conventions."""
    if span.operation == "execute_tool":
        return "tool"
    if span.operation in ("invoke_agent", "create_agent", "invoke_workflow"):
        return "agent"
    return "call" if span.call_kind == "leaf" or span.counted else "other"


def _receipt(span: trees.Span, card_of: CardOf) -> Receipt | None:
    lines = trees.receipt(span, card_of(span.card)) if span.counted and span.rate_row else None
    if lines is None:
        return None
    rows = (
        ReceiptRow(line.unit, line.quantity, line.rate_usd, line.per, line.multiplier, line.cost_usd) for line in lines
    )
    return Receipt(span.card, span.rate_row, tuple(rows))


def _instant(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)
