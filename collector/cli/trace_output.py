"""A trace for people, and the same for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from collector.cli.amounts import count, decimals_for, duration, exact, exact_usd, short_count, usd
from collector.cli.table import GAP, printable
from collector.questions.tree import Node, ReceiptLine, Span, Trace, share
from otel_cost.pricing import units
from otel_cost.pricing.money import PICO_PER_USD

BRANCH, LAST, DOWN, BLANK = "├─ ", "└─ ", "│  ", "   "
ID_DIGITS = 8
MIN_TREE_WIDTH = 24
MAX_INDENTS = 20  # deeper spans hang at this depth

Receipts = Mapping[str, tuple[ReceiptLine, ...] | None]
"""Span id -> its receipt; None where it cannot be derived; no entry where receipts were not asked for."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: what hangs in the tree, and figures on the right (none for notes)."""

    tree: Text
    figures: tuple[str, ...] = ()
    style: str = ""
    tail: str = ""  # shown after the tree where there is room


def print_trace(out: Console, trace: Trace, receipts: Receipts, *, everything: bool) -> None:
    """The tree with tokens, self and inclusive cost; what is special about a span, and its receipt, below it."""
    amounts = [node.self_cost_usd for node in trace.nodes()] + [node.inclusive_cost_usd for node in trace.nodes()]
    decimals = decimals_for(amounts)
    names = {node.span.span_id: node.span.name for node in trace.nodes()}
    shown = _Shown(trace, receipts, names, decimals, everything, trace.telling())
    out.print(_title(trace, decimals))
    lines = [_Line(Text("span"), ("tokens in/out", "self", "with children"), "bold"), *shown.lines()]
    _print_lines(out, lines)
    hidden = sum(1 for _ in trace.nodes()) - shown.count
    if hidden:
        noun = "span" if hidden == 1 else "spans"
        out.print(Text(f"{count(hidden)} {noun} without model calls not shown (--all)", style="dim"))


def _title(trace: Trace, decimals: int) -> Text:
    title = Text(f"Trace {trace.trace_id}", style="bold")
    runs = {node.span.run for node in trace.nodes() if node.span.run and node.span.run != trace.trace_id}
    if runs:
        title.append(f", run {printable(', '.join(sorted(runs)))}")
    facts = [f"{usd(trace.cost_usd, decimals)} in {count(trace.calls)} calls"]
    if trace.unpriced_calls:
        facts.append(f"+ {count(trace.unpriced_calls)} unpriced")
    if trace.retry_cost_usd:
        facts.append(f"retries {usd(trace.retry_cost_usd, decimals)}")
    return title.append(f"\n{', '.join(facts)}\n", style="not bold")


def _print_lines(out: Console, lines: list[_Line]) -> None:
    """Figures right-aligned in columns; the tree takes what is left and is cut where it must be."""
    widths = [max(cell_len(figure) for figure in column) for column in zip(*_figures(lines), strict=True)]
    room = max(MIN_TREE_WIDTH, out.width - sum(width + GAP for width in widths))
    room = min(room, max(cell_len(line.tree.plain + line.tail) for line in lines if line.figures))
    for line in lines:
        text = line.tree.copy()
        if line.figures:
            if cell_len(text.plain + line.tail) <= room:
                text.append(line.tail, style="dim")
            text.truncate(room, overflow="ellipsis")
            text.append(" " * (room - cell_len(text.plain)))
            for figure, width in zip(line.figures, widths, strict=True):
                text.append(" " * GAP + set_cell_size(" " * (width - cell_len(figure)) + figure, width))
        text.stylize_before(line.style)
        text.rstrip()
        out.print(text, no_wrap=True, overflow="ellipsis", crop=True)


def _figures(lines: list[_Line]) -> list[tuple[str, ...]]:
    return [line.figures for line in lines if line.figures]


@dataclass(frozen=True, slots=True)
class _Place:
    """A node and where it hangs: `guide` leads its own line, `below` the lines under it, `above` names its parents."""

    node: Node
    guide: str
    below: str
    above: tuple[str, ...]

    def child(self, node: Node, *, last: bool) -> _Place:
        above = (*self.above, self.node.span.name)[-MAX_INDENTS:]
        if len(self.above) == MAX_INDENTS:
            return _Place(node, self.guide, self.below, above)
        branch, continued = (LAST, BLANK) if last else (BRANCH, DOWN)
        return _Place(node, self.below + branch, self.below + continued, above)


@dataclass(slots=True)
class _Shown:
    """Walks the tree; `count` is how many spans it has shown."""

    trace: Trace
    receipts: Receipts
    names: Mapping[str, str]
    decimals: int
    everything: bool
    telling: frozenset[str]
    count: int = 0

    def lines(self) -> Iterator[_Line]:
        """The whole tree, a blank line between roots."""
        roots = self._chosen(self.trace.roots)
        stack = [_Place(root, "", "", ()) for root in reversed(roots)]
        while stack:
            place = stack.pop()
            if not place.guide and self.count:
                yield _Line(Text(""))
            self.count += 1
            children = self._chosen(place.node.children)
            yield self._head(place)
            bar = place.below + (DOWN if children else BLANK)
            for note in self._notes(place.node):
                yield _Line(Text().append(bar, style="dim").append_text(note))
            stack.extend(place.child(child, last=child is children[-1]) for child in reversed(children))

    def _chosen(self, nodes: Sequence[Node]) -> list[Node]:
        """Those with anything to say about cost; all of them where nothing in the trace has, or all are asked for."""
        if self.everything or not self.telling:
            return list(nodes)
        return [node for node in nodes if node.span.span_id in self.telling]

    def _head(self, place: _Place) -> _Line:
        node, span = place.node, place.node.span
        tree = Text().append(place.guide, style="dim").append(printable(span.name), style="" if node.calls else "dim")
        if span.counted and span.agent and not any(span.agent in name for name in (*place.above, span.name)):
            tree.append(f" [{printable(span.agent)}]", style="cyan")
        figures = (_tokens(span), self._self_cost(node), self._inclusive_cost(node))
        return _Line(tree, figures, tail=f" {duration(span.duration_ns)}")

    def _self_cost(self, node: Node) -> str:
        return usd(node.self_cost_usd, self.decimals) if node.span.counted else "-"

    def _inclusive_cost(self, node: Node) -> str:
        if not node.calls:
            return "-"
        if node.unpriced_calls == node.calls:
            return "unpriced"
        mark = "+?" if node.unpriced_calls else ""
        return usd(node.inclusive_cost_usd, self.decimals) + mark

    def _notes(self, node: Node) -> Iterator[Text]:
        span = node.span
        if span.failed:
            message = " ".join(printable(span.status_message or "").split())
            yield Text(f"failed{': ' if message else ''}{message}", style="red")
        if span.retry_of:
            yield Text(f"attempt {span.attempt}, after {self._named(span.retry_of)}", style="yellow")
        if span.duplicate_of:
            yield Text(f"same call as {self._named(span.duplicate_of)}: counted once, there", style="dim")
        elif node.wrapper_tokens is not None:
            yield _wrapper_check(node.wrapper_tokens, node.call_tokens)
        if span.counted and span.cost_reason and not (span.failed and span.cost_usd == 0):
            yield Text(f"{span.cost_status}: {printable(span.cost_reason)}", style="yellow")
        if span.counted and span.span_id in self.receipts:
            yield from _receipt(span, self.receipts[span.span_id])

    def _named(self, span_id: str) -> str:
        return f"{printable(self.names.get(span_id, 'span'))} ({span_id[:ID_DIGITS]})"


def _tokens(span: Span) -> str:
    if span.tokens is None:
        return "-"
    return f"{short_count(span.usage.get(units.INPUT))} / {short_count(span.usage.get(units.OUTPUT))}"


def _wrapper_check(says: int, calls_say: int) -> Text:
    if says == calls_say:
        return Text(f"wrapper: its calls say {count(says)} tokens too; counted there", style="dim")
    return Text(f"wrapper says {count(says)} tokens, its calls say {count(calls_say)}: theirs count", style="yellow")


def _receipt(span: Span, lines: tuple[ReceiptLine, ...] | None) -> Iterator[Text]:
    if lines is None:
        if span.rate_row:
            yield Text(f"priced with rate card {span.card}, which this version does not hold", style="dim")
        elif span.cost_status == "reported":
            yield Text("as reported by the provider", style="dim")
        return
    quantities = [_quantity(line) for line in lines]
    rates = [_rate(line) for line in lines]
    for line, quantity, rate in zip(lines, quantities, rates, strict=True):
        text = f"{quantity:>{max(map(len, quantities))}} {line.unit:<{max(len(each.unit) for each in lines)}}"
        yield Text(f"{text} x {rate:<{max(map(len, rates))}} = {exact_usd(line.cost_usd)}", style="dim")


def _quantity(line: ReceiptLine) -> str:
    if line.unit == units.ROUTER_FEE:  # a part of what the other lines cost
        return exact_usd(line.quantity / PICO_PER_USD)
    return f"{line.quantity.normalize():,f}"


def _rate(line: ReceiptLine) -> str:
    return _list_rate(line) + (f" x {line.multiplier.normalize():f}" if line.multiplier != 1 else "")


def _list_rate(line: ReceiptLine) -> str:
    if line.unit == units.ROUTER_FEE:
        return f"{(line.rate_usd * PICO_PER_USD / line.per * 100).normalize():f}%"
    if line.per > 1:
        return f"{exact_usd(line.rate_usd)} per {line.per:,}"
    if units.UNITS[line.unit].family in ("tokens", "characters"):
        return f"{exact_usd(line.rate_usd * 1_000_000)} per 1M"
    return f"{exact_usd(line.rate_usd)} each"


def as_json(trace: Trace, receipts: Receipts, as_of: Mapping[str, Any]) -> dict[str, Any]:
    """The documented shape (docs/cli.md): spans in tree order, money as decimal text, unknown as null."""
    depths: dict[str, int] = {}
    spans = []
    for node in trace.nodes():
        depth = depths.get(node.span.parent_span_id or "", -1) + 1
        depths[node.span.span_id] = depth
        spans.append(_json_span(node, depth, trace, receipts))
    return {
        "trace_id": trace.trace_id,
        **as_of,
        "cost_usd": exact(trace.cost_usd),
        "calls": trace.calls,
        "unpriced_calls": trace.unpriced_calls,
        "retry_cost_usd": exact(trace.retry_cost_usd),
        "spans": spans,
    }


def _json_span(node: Node, depth: int, trace: Trace, receipts: Receipts) -> dict[str, Any]:
    span = node.span
    shown: dict[str, Any] = {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "depth": depth,
        "name": span.name,
        "start_time_ns": span.start_time_ns,
        "duration_ns": span.duration_ns,
        "failed": span.failed,
        "kind": span.call_kind,
        "counted": span.counted,
        "not_counted_reason": span.not_counted_reason,
        "duplicate_of": span.duplicate_of,
        "attempt": span.attempt,
        "retry_of": span.retry_of,
        **{name: getattr(span, name) for name in ("operation", "provider", "model", "run", "agent")},
        "usage": dict(span.usage),
        "cost_status": span.cost_status if span.counted else None,
        "cost_reason": span.cost_reason if span.counted else None,
        "self_cost_usd": None if node.self_cost_usd is None else exact(node.self_cost_usd),
        "inclusive_cost_usd": exact(node.inclusive_cost_usd),
        "inclusive_calls": node.calls,
        "inclusive_unpriced_calls": node.unpriced_calls,
        "share": _optional(share(node.inclusive_cost_usd, trace)),
        "wrapper": None,
        "receipt": None,
    }
    if node.wrapper_tokens is not None:
        agrees = node.wrapper_tokens == node.call_tokens
        shown["wrapper"] = {"tokens": node.wrapper_tokens, "call_tokens": node.call_tokens, "agrees": agrees}
    lines = receipts.get(span.span_id)
    if span.counted and lines is not None:
        shown["receipt"] = [_json_line(line) for line in lines]
    return shown


def _json_line(line: ReceiptLine) -> dict[str, Any]:
    return {
        "class": line.unit,
        "quantity": f"{line.quantity.normalize():f}",
        "rate_usd": exact(line.rate_usd),
        "per": line.per,
        "multiplier": f"{line.multiplier.normalize():f}",
        "cost_usd": exact(line.cost_usd),
    }


def _optional(amount: Decimal | None) -> str | None:
    return None if amount is None else exact(amount)
