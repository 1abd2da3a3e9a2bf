"""One trace as a tree: what each span cost by itself and with everything below it; a run as its traces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from collector.questions.arithmetic import ratio
from collector.questions.runs import Run, around, instant, of_all
from collector.questions.scope import Scope
from collector.questions.selection import Ask, Selection
from otel_cost.errors import OtelCostError
from otel_cost.pricing import RateCard, receipt_lines, units
from otel_cost.pricing.money import PICO_PER_USD, PPM

MAX_SPANS = 20_000
"""Of a trace: the first ones. More are neither drawn nor read in reasonable time."""
MAX_TRACES = 200
"""Of a run, the dearest ones."""
_MOST = 1 << 40
USAGE_COLUMNS = (units.INPUT, units.OUTPUT, units.CACHE_READ, units.CACHE_WRITE)


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """`quantity` of a class at `rate_usd` per `per` of it, times `multiplier`, is `cost_usd`: natural units, exact."""

    unit: str
    quantity: Decimal
    rate_usd: Decimal
    per: int
    cost_usd: Decimal
    multiplier: Decimal = Decimal(1)


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
    usage: Mapping[str, int]
    cost_usd: Decimal | None
    cost_status: str | None
    cost_reason: str | None
    card: str | None
    rate_row: str | None
    attempt: int
    retry_of: str | None

    @property
    def tokens(self) -> int | None:
        """Input and output together; None when the span says neither."""
        said = [self.usage[name] for name in USAGE_COLUMNS[:2] if name in self.usage]
        return sum(said) if said else None


@dataclass(slots=True)
class Node:
    """A span in its place. Sums are over counted calls only."""

    span: Span
    children: list[Node] = field(default_factory=list)
    inclusive_cost_usd: Decimal = Decimal(0)
    calls: int = 0
    unpriced_calls: int = 0
    call_tokens: int = 0

    @property
    def self_cost_usd(self) -> Decimal | None:
        """What the span itself adds to the total; None for a counted call without a price."""
        return self.span.cost_usd if self.span.counted else Decimal(0)

    @property
    def wrapper_tokens(self) -> int | None:
        """What a wrapper says that its calls used, to be checked against `call_tokens`."""
        return self.span.tokens if self.span.not_counted_reason == "wrapper" else None

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans known of one trace. Spans whose parent is not in the ledger are roots too."""

    trace_id: str
    roots: tuple[Node, ...]
    truncated: bool = False
    """There are more than `MAX_SPANS`; sums are of those that are here."""

    def nodes(self) -> Iterator[Node]:
        for root in self.roots:
            yield from root.walk()

    def telling(self) -> frozenset[str]:
        """Ids of the spans that are GenAI spans or have one below them."""
        found: set[str] = set()
        for root in self.roots:
            for node in reversed(list(root.walk())):
                if node.span.call_kind or any(child.span.span_id in found for child in node.children):
                    found.add(node.span.span_id)
        return frozenset(found)

    @property
    def cost_usd(self) -> Decimal:
        return sum((root.inclusive_cost_usd for root in self.roots), Decimal(0))

    @property
    def calls(self) -> int:
        return sum(root.calls for root in self.roots)

    @property
    def unpriced_calls(self) -> int:
        return sum(root.unpriced_calls for root in self.roots)

    @property
    def retry_cost_usd(self) -> Decimal:
        retries = (node.self_cost_usd or Decimal(0) for node in self.nodes() if node.span.attempt > 1)
        return sum(retries, Decimal(0))


@dataclass(frozen=True, slots=True)
class RunTrace:
    """One trace of a run, as far as its calls are in the selection. `name`: of its root span, or of its first one."""

    trace_id: str
    name: str | None
    started_at: datetime
    """UTC, of the first call."""
    duration_seconds: float
    cost_usd: Decimal
    calls: int
    unpriced_calls: int
    failed: bool
    """Its last call failed."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """One run; `traces` are the dearest `MAX_TRACES` of it."""

    run: Run
    traces: tuple[RunTrace, ...]


def trace(ask: Ask, selection: Selection, trace_id: str, most_spans: int = MAX_SPANS) -> Trace | None:
    """All spans of a trace that the selection's organisation may see, whatever its window and filters; None: none."""
    lines = Scope(ask, selection).rows("trace_spans", {"trace_id": trace_id, "limit": min(most_spans, _MOST) + 1})
    if not lines:
        return None
    return tree(trace_id, [span_of(line) for line in lines[:most_spans]], truncated=len(lines) > most_spans)


def run(ask: Ask, selection: Selection, run: str) -> RunDetails | None:
    """A run as far as its calls are in the selection; None: there is no such call."""
    scope = Scope(ask, selection)
    mine = around(scope, [run])
    found = None if mine is None else of_all(mine).get(run)
    if mine is None or found is None:
        return None
    lines = mine.rows("run_traces", {"limit": MAX_TRACES})
    ids = [line["trace_id"] for line in lines]
    ends = {"first_ns": min(line["first_ns"] for line in lines), "last_ns": max(line["last_ns"] for line in lines)}
    names = {line["trace_id"]: line["name"] for line in scope.rows("root_names", {"trace_ids": ids, **ends})}
    return RunDetails(found, tuple(_run_trace(line, names.get(line["trace_id"])) for line in lines))


def _run_trace(line: Mapping[str, Any], name: str | None) -> RunTrace:
    return RunTrace(
        trace_id=line["trace_id"],
        name=name,
        started_at=instant(line["first_ns"]),
        duration_seconds=max(0, line["last_ns"] - line["first_ns"]) / 1e9,
        cost_usd=line["cost_usd"],
        calls=line["calls"],
        unpriced_calls=line["unpriced_calls"],
        failed=bool(line["failed"]),
    )


def span_of(line: Mapping[str, Any]) -> Span:
    """One row of the query `trace_spans`."""
    usage = {name: line[name] for name in USAGE_COLUMNS if line[name] is not None}
    if line["reasoning_tokens"] is not None:
        usage[units.REASONING] = line["reasoning_tokens"]
    usage |= json.loads(line["usage_json"]) if line["usage_json"] else {}
    return Span(
        span_id=line["span_id"],
        parent_span_id=line["parent_span_id"],
        name=line["name"] or "(no name)",
        start_time_ns=line["start_time_ns"],
        duration_ns=max(0, line["end_time_ns"] - line["start_time_ns"]),
        failed=bool(line["failed"]) or line["status"] == "error",
        status_message=line["status_message"],
        scope=line["scope_name"],
        call_kind=line["call_kind"],
        counted=bool(line["counted"]),
        not_counted_reason=line["not_counted_reason"],
        duplicate_of=line["duplicate_of"],
        operation=line["operation"],
        provider=line["provider"],
        model=line["model"],
        run=line["run"],
        agent=line["agent"],
        usage=usage,
        cost_usd=line["cost_usd"],
        cost_status=line["cost_status"],
        cost_reason=line["cost_reason"],
        card=line["card"],
        rate_row=line["rate_row"],
        attempt=line["attempt"] or 1,
        retry_of=line["retry_of"],
    )


def tree(trace_id: str, spans: list[Span], *, truncated: bool = False) -> Trace:
    """Spans in start order under their parents, with sums from the leaves up.

    A cycle of parents, which no correct sender makes, is cut at its first span.
    """
    nodes = {span.span_id: Node(span) for span in sorted(spans, key=lambda span: (span.start_time_ns, span.span_id))}
    for node in nodes.values():
        parent = nodes.get(node.span.parent_span_id or "")
        if parent is not None:
            parent.children.append(node)
    roots = [node for node in nodes.values() if node.span.parent_span_id not in nodes]
    reached = {below.span.span_id for root in roots for below in root.walk()}
    for node in nodes.values():
        if node.span.span_id not in reached:
            nodes[node.span.parent_span_id or ""].children.remove(node)
            roots.append(node)
            reached.update(below.span.span_id for below in node.walk())
    for root in roots:
        for node in reversed(list(root.walk())):
            _sum_up(node)
    return Trace(trace_id, tuple(roots), truncated)


def _sum_up(node: Node) -> None:
    span = node.span
    if span.counted:
        node.calls = 1
        node.call_tokens = span.tokens or 0
        node.unpriced_calls = int(span.cost_usd is None)
        node.inclusive_cost_usd = span.cost_usd or Decimal(0)
    for child in node.children:
        node.calls += child.calls
        node.call_tokens += child.call_tokens
        node.unpriced_calls += child.unpriced_calls
        node.inclusive_cost_usd += child.inclusive_cost_usd


def receipt(span: Span, card: RateCard) -> tuple[ReceiptLine, ...] | None:
    """The lines behind a span's price; None when it has none, or was priced with rates that this card does not hold."""
    if span.cost_usd is None or not span.rate_row:
        return None
    try:
        lines = receipt_lines(card, span.rate_row, span.usage, span.duration_ns)
    except (KeyError, ValueError, OtelCostError):
        return None
    if sum(line.cost_pico_usd for line in lines) != span.cost_usd * PICO_PER_USD:
        return None
    found = []
    for line in lines:
        quantum = units.UNITS[line.unit].quantum
        found.append(
            ReceiptLine(
                line.unit,
                Decimal(line.quantity) / quantum,
                Decimal(line.rate_pico_usd) / PICO_PER_USD,
                line.per // quantum,
                Decimal(line.cost_pico_usd) / PICO_PER_USD,
                Decimal(line.multiplier_ppm) / PPM,
            )
        )
    return tuple(found)


def share(part: Decimal, trace: Trace) -> Decimal | None:
    """Part of the trace's cost."""
    return ratio(part, trace.cost_usd)
