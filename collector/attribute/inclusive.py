"""What the calls below each span cost, as far as the spans tell that are known by now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from collector.attribute.skeleton import UNKNOWN, Bools, Ints, Spans, read_skeleton
from collector.attribute.tree import Tree, build_tree

_NOT_WHOLLY_PRICED = frozenset({"unpriced", "partial"})


class Inclusive(NamedTuple):
    """A span with calls below it."""

    trace_id: str
    span_id: str
    cost_pico_usd: int | None  # None: no price is known of any of them
    is_complete: bool
    """Every call below that is known has its whole price, and no span of the trace that may lie below hangs on a parent
    that has not arrived. False: the cost is a lower bound."""


def inclusive_costs(skeleton: pa.Table, verdicts: pa.Table, first_seq: int) -> Iterator[Inclusive]:
    """Of the spans from `first_seq` on that have counted calls below them.

    Args:
        skeleton: `SKELETON_SCHEMA`, all known spans of whole traces.
        verdicts: `ATTRIBUTION_SCHEMA`, of these spans.
        first_seq: spans that arrived before were told of already.
    """
    spans = read_skeleton(skeleton)
    if not len(spans):
        return
    tree = build_tree(spans)
    counted = _counted(spans, verdicts)
    known = spans.column("cost_pico_usd").is_valid().to_numpy(zero_copy_only=False)
    cost = np.where(counted & known, spans.column("cost_pico_usd").fill_null(0).to_numpy(zero_copy_only=False), 0)
    statuses = spans.column("cost_status").to_pylist()
    unpriced = counted & (~known | np.array([status in _NOT_WHOLLY_PRICED for status in statuses], np.bool_))
    below = _summed(tree, np.column_stack([cost, counted & known, unpriced, counted]).astype(np.int64))
    own = np.column_stack([cost, counted & known, unpriced, counted])
    cost_below, priced_below, unpriced_below, calls_below = (below - own).T
    wanted = (calls_below > 0) & ~counted & (spans.column("seq").to_numpy(zero_copy_only=False) >= first_seq)
    orphans = _orphans(spans, tree)
    for row in np.flatnonzero(wanted).tolist():
        amount = int(cost_below[row]) if priced_below[row] else None
        is_complete = not unpriced_below[row] and not _may_have_more(spans, tree, orphans, row)
        trace_id, span_id = (str(spans.column(name)[row].as_py()) for name in ("trace_id", "span_id"))
        yield Inclusive(trace_id, span_id, amount, is_complete)


def _counted(spans: Spans, verdicts: pa.Table) -> Bools:
    names = ["org_id", "trace_id", "span_id"]
    counting = verdicts.filter(verdicts.column("counted")).select(names)
    keys = set(zip(*(counting.column(name).to_pylist() for name in names), strict=True))
    rows = zip(*(spans.column(name).to_pylist() for name in names), strict=True)
    return np.fromiter((key in keys for key in rows), np.bool_, len(spans))


def _summed(tree: Tree, amounts: Ints) -> Ints:
    """The amounts of each span and of all below it, from the deepest upwards."""
    sums = amounts.copy()
    order = np.argsort(-tree.depth, kind="stable")
    ends = np.flatnonzero(np.diff(tree.depth[order])) + 1
    for rows in np.split(order, ends):
        if tree.depth[rows[0]]:
            np.add.at(sums, tree.up[rows], sums[rows])
    return sums


def _orphans(spans: Spans, tree: Tree) -> dict[int, list[int]]:
    """Spans whose parent has not arrived, by trace."""
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero((tree.depth == 0) & (spans.parent != UNKNOWN)).tolist():
        found.setdefault(int(spans.trace[row]), []).append(row)
    return found


def _may_have_more(spans: Spans, tree: Tree, orphans: dict[int, list[int]], row: int) -> bool:
    """Whether a span that hangs on a missing parent, other than the span's own top, has begun during the span."""
    others = orphans.get(int(spans.trace[row]), ())
    if not others:
        return False
    top = row
    while tree.up[top] != top:
        top = int(tree.up[top])
    start_ns, end_ns = int(spans.start_ns[row]), int(spans.end_ns[row])
    missing = int(spans.parent[top])  # it is above, and so is no parent below
    return any(
        other != top and spans.parent[other] != missing and start_ns <= spans.start_ns[other] <= end_ns
        for other in others
    )
