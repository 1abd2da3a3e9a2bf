"""A model call inside a model call: the same call seen from outside, or a wrapper around several."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from collector.attribute.calls import Calls
from collector.attribute.identity import (
    OUTPUT_TOLERANCE_TOKENS,
    Record,
    ids_disagree,
    models_agree,
    overlap_of_shorter,
    tokens_agree,
)
from collector.attribute.skeleton import UNKNOWN
from collector.attribute.tree import Tree

MAX_CALLS_BELOW = 256
"""An outer span is compared with so many calls below it; beyond them it is taken to be a call of its own."""


def join_nested(calls: Calls, tree: Tree) -> None:
    """Compare every leaf that has leaves below it with the calls they record, innermost first."""
    if not tree.depth.any():
        return
    leaf = calls.spans.leaf
    outer_of = tree.nearest_above(leaf)
    inner = np.flatnonzero(leaf & (outer_of != UNKNOWN))
    if not len(inner):
        return
    below: dict[int, list[int]] = {}
    for row in inner.tolist():
        below.setdefault(int(outer_of[row]), []).append(row)
    seen: dict[int, list[int]] = {}  # outer row -> calls of its subtree, its own included
    for outer in sorted(below, key=lambda row: (-int(tree.depth[row]), calls.spans.key(row))):
        candidates = _calls_below(calls, below[outer], seen)
        if len(candidates) <= MAX_CALLS_BELOW:
            _judge(calls, outer, candidates)
        own = [] if outer in calls.wrappers else [outer]
        seen[outer] = _distinct(calls, [*own, *candidates])


def _calls_below(calls: Calls, rows: list[int], seen: dict[int, list[int]]) -> list[int]:
    found: list[int] = []
    for row in rows:
        found.extend(seen.pop(row, [row]))
    return _distinct(calls, found)


def _distinct(calls: Calls, rows: Iterable[int]) -> list[int]:
    roots = dict.fromkeys(calls.root(row) for row in rows)
    if len(roots) <= MAX_CALLS_BELOW:
        return list(roots)
    return list(roots)[: MAX_CALLS_BELOW + 1]


def _judge(calls: Calls, outer: int, candidates: list[int]) -> None:
    own = calls.root(outer)
    if own in candidates:
        return  # already known to be one of them, by its response id
    best = sorted((calls.best(row) for row in candidates), key=lambda record: record.key)
    span = calls.best(outer)
    if span.has_usage:
        _judge_with_usage(calls, outer, span, best)
    else:
        _judge_without_usage(calls, outer, span, best)


def _judge_with_usage(calls: Calls, outer: int, span: Record, below: list[Record]) -> None:
    measured = [record for record in below if record.has_usage]
    same = [record for record in measured if tokens_agree(span, record) and _compatible(span, record)]
    if same:
        calls.join(outer, max(same, key=lambda record: overlap_of_shorter(span, record)).row)
    elif len(measured) > 1 and not span.is_from_wire and _is_sum(span, measured):
        calls.wrappers.add(outer)
    elif not measured:
        for record in below:
            if not record.failed and record.kind == span.kind and _compatible(span, record):
                calls.join(outer, record.row)


def _judge_without_usage(calls: Calls, outer: int, span: Record, below: list[Record]) -> None:
    fitting = [record for record in below if record.kind == span.kind and _compatible(span, record)]
    measured = [record for record in fitting if record.has_usage]
    silent = [record for record in fitting if not record.has_usage and record.failed == span.failed]
    inside = measured or silent
    if len(inside) == 1:
        calls.join(outer, inside[0].row)
    elif len(inside) > 1:
        calls.wrappers.add(outer)


def _compatible(outer: Record, inner: Record) -> bool:
    if outer.is_from_wire and inner.is_from_wire:
        return False  # each is an exchange of its own: a second one inside a loop that the first one's span stands for
    return models_agree(outer, inner) and not ids_disagree(outer, inner)


def _is_sum(span: Record, parts: list[Record]) -> bool:
    total_in = sum(max(part.input_tokens, 0) for part in parts)
    total_out = sum(max(part.output_tokens, 0) for part in parts)
    slack = OUTPUT_TOLERANCE_TOKENS * len(parts)
    return max(span.input_tokens, 0) == total_in and abs(max(span.output_tokens, 0) - total_out) <= slack
