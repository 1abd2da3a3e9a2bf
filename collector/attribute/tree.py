"""The span trees of all traces at once: an array of parents, and questions answered by pointer jumping.

Pointer jumping doubles the distance of every pointer in each round, so a chain of 10,000 spans takes 14 rounds, and
nothing recurses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collector.attribute.skeleton import UNKNOWN, Bools, Ints, Spans


@dataclass(frozen=True, slots=True)
class Tree:
    """`up[row]` is the parent's row, or the row itself for a root. A span whose parent has not arrived is a root."""

    up: Ints
    depth: Ints  # 0 for a root

    def nearest(self, has: Bools) -> Ints:
        """The nearest ancestor-or-self for which `has` holds, `UNKNOWN` if there is none."""
        rows = np.arange(len(self.up))
        jump = np.where(has, rows, self.up)
        while True:
            further = jump[jump]
            if np.array_equal(further, jump):
                return np.where(has[jump], jump, UNKNOWN)
            jump = further

    def nearest_above(self, has: Bools) -> Ints:
        """The nearest proper ancestor for which `has` holds, `UNKNOWN` if there is none."""
        found = self.nearest(has)[self.up]
        found[self.depth == 0] = UNKNOWN
        return found

    def above(self, marked: Bools) -> Bools:
        """The proper ancestors of all marked spans."""
        reached = np.zeros(len(self.up), np.bool_)
        reached[self.up[marked & (self.depth > 0)]] = True
        jump = self.up
        while True:
            spread = reached.copy()
            spread[jump[reached]] = True
            further = jump[jump]
            if np.array_equal(further, jump):
                return spread
            reached, jump = spread, further


def _parent_rows(spans: Spans) -> Ints:
    rows = np.arange(len(spans))
    if not len(rows):
        return rows
    if _has_repeats(spans.span):
        return _parent_rows_by_trace(spans, rows)
    at = np.full(int(max(spans.span.max(), spans.parent.max())) + 2, UNKNOWN)
    at[spans.span + 1] = rows
    found = at[spans.parent + 1]
    return np.asarray(np.where((spans.parent >= 0) & (found >= 0) & (spans.trace[found] == spans.trace), found, rows))


def _has_repeats(codes: Ints) -> bool:
    return bool(np.bincount(codes + 1).max() > 1)


def _parent_rows_by_trace(spans: Spans, rows: Ints) -> Ints:
    """The same where a span id is in several traces. Of two spans with one id in a trace the first row is meant."""
    width = int(max(spans.span.max(), spans.parent.max())) + 1
    keys = spans.trace * width + spans.span
    wanted = spans.trace * width + spans.parent
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), len(rows) - 1)
    found = order[place]
    return np.asarray(np.where((spans.parent >= 0) & (keys[found] == wanted), found, rows))


def _cut_cycles(spans: Spans, up: Ints) -> Ints:
    """Make the earliest span of each cycle a root, so that every walk upwards ends."""
    jump = up
    for _ in range(len(up).bit_length() + 1):
        further = jump[jump]
        if np.array_equal(further, jump):
            return up
        jump = further
    cut = up.copy()
    left = set(np.unique(jump[up[jump] != jump]).tolist())
    while left:
        row = left.pop()
        cycle = [row]
        while (row := int(up[row])) != cycle[0]:
            cycle.append(row)
        left.difference_update(cycle)
        first = min(cycle, key=spans.key)
        cut[first] = first
    return cut


def _depths(up: Ints) -> Ints:
    depth = (up != np.arange(len(up))).astype(np.int64)
    jump = up
    while (step := depth[jump]).any():
        depth, jump = depth + step, jump[jump]
    return np.asarray(depth)


def build_tree(spans: Spans) -> Tree:
    """Find every span's parent within its trace. Parents may be in another service."""
    up = _cut_cycles(spans, _parent_rows(spans))
    return Tree(up=up, depth=_depths(up))
