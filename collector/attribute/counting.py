"""Which spans are counted, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from collector.attribute.calls import Calls
from collector.attribute.identity import models_agree
from collector.attribute.skeleton import UNKNOWN, Bools, Ints, Spans
from collector.attribute.tree import Tree

COUNTED, WRAPPER, DUPLICATE, FAILED, IGNORED = range(5)
REASONS = (None, "wrapper", "duplicate", "failed", "ignored")
"""`not_counted_reason` by verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One element per span. `groups` are the calls with more than one record: kept row -> all rows,
    the kept one first and the others in the order in which they are believed."""

    verdict: npt.NDArray[np.int8]
    duplicate_of: Ints  # row of the record kept, UNKNOWN if this one is
    failed: Bools  # the call failed, as any of its records says
    groups: dict[int, list[int]]


def count(spans: Spans, tree: Tree, calls: Calls) -> Verdict:
    """Decide for every span. A call is counted once; a wrapper only when nothing below it says what was used."""
    size = len(spans)
    verdict = np.full(size, IGNORED, np.int8)
    duplicate_of = np.full(size, UNKNOWN, np.int64)
    failed, money = spans.failed & (spans.leaf | spans.aggregate), spans.has_money.copy()
    verdict[spans.leaf & (money | ~failed)] = COUNTED
    verdict[spans.leaf & ~money & failed] = FAILED
    verdict[spans.aggregate] = WRAPPER
    groups: dict[int, list[int]] = {}
    for joined in calls.joined():
        kept = calls.best(joined[0]).row
        rows = sorted(joined, key=partial(_belief, calls, kept))
        groups[kept] = rows
        paid = bool(money[rows].any())
        verdict[kept] = FAILED if not paid and bool(failed[rows].all()) else COUNTED
        failed[rows] = bool(failed[rows].any())
        money[rows] = paid
        for row in rows:
            if row != kept:
                verdict[row], duplicate_of[row] = DUPLICATE, kept
    for row in calls.wrappers:
        verdict[row], duplicate_of[row] = WRAPPER, UNKNOWN
    _count_aggregates(spans, tree, calls, money, verdict, duplicate_of)
    return Verdict(verdict, duplicate_of, failed, groups)


def _belief(calls: Calls, kept: int, row: int) -> tuple[bool, tuple[int, ...], tuple[int, str, str]]:
    record = calls.record(row)
    return row != kept, record.preference, record.key


def _count_aggregates(
    spans: Spans, tree: Tree, calls: Calls, money: Bools, verdict: npt.NDArray[np.int8], duplicate_of: Ints
) -> None:
    """Aggregates with usage or cost, and no call with usage or cost below them, stand for their calls."""
    alone = spans.aggregate & spans.has_money
    if not alone.any():
        return
    alone &= ~tree.above(spans.leaf & money)
    if not alone.any():
        return
    verdict[alone] = COUNTED
    around = alone & tree.above(alone)
    if around.any():
        _choose_level(spans, tree, alone, around, verdict, duplicate_of)
    _cover_silent_calls(spans, tree, calls, money, verdict, duplicate_of)


def _choose_level(
    spans: Spans, tree: Tree, alone: Bools, around: Bools, verdict: npt.NDArray[np.int8], duplicate_of: Ints
) -> None:
    """Of nested aggregates count the inner ones, unless the outer one says more: then it is the total of all."""
    outer_of = tree.nearest_above(alone)
    counted: dict[int, list[int]] = {}  # rows counted in the subtree of each aggregate, itself included
    rows = np.flatnonzero(alone)
    for row in rows[np.argsort(-tree.depth[rows], kind="stable")].tolist():
        inside = counted.pop(~row, [])
        if around[row] and not _says_more(spans, row, inside):
            verdict[row] = WRAPPER
        else:
            for part in inside:
                verdict[part], duplicate_of[part] = DUPLICATE, row
            inside = [row]
        if outer_of[row] != UNKNOWN:
            counted.setdefault(~int(outer_of[row]), []).extend(inside)


def _says_more(spans: Spans, row: int, inside: list[int]) -> bool:
    more = False
    for column in (spans.input_tokens, spans.output_tokens):
        own, parts = max(int(column[row]), 0), int(np.maximum(column[inside], 0).sum())
        if own < parts:
            return False
        more = more or own > parts
    return more


def _cover_silent_calls(
    spans: Spans, tree: Tree, calls: Calls, money: Bools, verdict: npt.NDArray[np.int8], duplicate_of: Ints
) -> None:
    """A call that says no usage, below a counted aggregate that does, is part of what the aggregate says."""
    covering = tree.nearest(spans.aggregate & (verdict == COUNTED))
    silent = spans.leaf & ~money & (verdict == COUNTED) & (covering != UNKNOWN)
    for row in np.flatnonzero(silent).tolist():
        whole, part = calls.record(int(covering[row])), calls.record(row)
        if part.kind == whole.kind and models_agree(whole, part):
            for member in calls.rows(row):
                verdict[member], duplicate_of[member] = DUPLICATE, whole.row
