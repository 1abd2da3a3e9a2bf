"""Two records of one call that share its response id, or that lie side by side under one parent.

Whole columns say which few spans need a look; only those are compared one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from collector.attribute.calls import Calls
from collector.attribute.identity import (
    MIN_SHARED_ID_CHARACTERS,
    Record,
    gap_ns,
    id_family,
    ids_disagree,
    lie_together,
    models_agree,
    overlap_of_shorter,
    same_usage_or_none,
    tokens_agree,
)
from collector.attribute.skeleton import UNKNOWN, Bools, Ints, pair_codes

SHARED_ID_WINDOW_NS = 24 * 3600 * 1_000_000_000
"""How far apart two traces may record the same response. Some servers reuse short ids sooner or later."""

MAX_RECORDED_LATER_NS = 1_000_000_000
"""Some instrumentations record a stream when it is over: so long after the exchange itself."""

MAX_CLUSTERS_COMPARED = 32
MAX_CLUSTER_SAMPLES = 8
"""A server may give one id to any number of responses: a record is compared with so many of the calls before it, and
with so many records of each."""

MAX_SIBLINGS_COMPARED = 64
"""A parent may have thousands of parallel calls; each is compared with so many that start next."""


def _runs(keys: Ints, rows: Ints) -> Iterator[list[int]]:
    """Rows in runs of equal key, runs of one left out."""
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    edges = np.flatnonzero(np.diff(keys)) + 1
    for run in np.split(rows, edges):
        if len(run) > 1:
            yield run.tolist()


def _repeated(codes: Ints) -> Bools:
    """Which elements have a value that occurs more than once. Codes are from 0, almost without gaps."""
    return np.asarray(np.bincount(codes)[codes] > 1)


def join_shared_ids(calls: Calls) -> None:
    """The same response id from the same issuer: within a trace, and across traces of an org within a day."""
    spans = calls.spans
    rows = np.flatnonzero(spans.leaf & (spans.response_id.codes >= 0))
    if len(rows) < 2:
        return
    again = _repeated(spans.response_id.codes[rows])
    if not again.any():
        return
    rows = rows[again]
    keys = pair_codes(spans.org.codes[rows], spans.response_id.codes[rows])
    again = _repeated(keys)
    for run in _runs(keys[again], rows[again]):
        families: dict[str, list[Record]] = {}
        for record in sorted((calls.record(row) for row in run), key=lambda record: record.key):
            families.setdefault(id_family(record.response_id or "", record.provider), []).append(record)
        for records in families.values():
            _cluster(calls, records)


def _cluster(calls: Calls, records: Iterable[Record]) -> None:
    """Join records of one response id, earliest first, each with the first cluster that it fits."""
    clusters: list[list[Record]] = []
    for record in records:
        for cluster in clusters[-MAX_CLUSTERS_COMPARED:]:
            if any(_same_response(known, record) for known in cluster):
                calls.join(cluster[0].row, record.row)
                if len(cluster) < MAX_CLUSTER_SAMPLES:
                    cluster.append(record)
                break
        else:
            clusters.append([record])


def _same_response(one: Record, other: Record) -> bool:
    """Records with one response id of one issuer are one call, unless they contradict each other.

    Within a trace another instrumentation may see other numbers (an aborted stream), and so it may in another trace
    right beside what was read on the wire. The same instrumentation must repeat itself (a response that is polled), and
    so must any other trace: some servers draw their ids from few.
    """
    if one.trace == other.trace and one.scope != other.scope:
        return True
    agree = not (one.has_usage and other.has_usage) or tokens_agree(one, other)
    if one.trace == other.trace:
        return agree
    close = abs(one.start_ns - other.start_ns) <= SHARED_ID_WINDOW_NS
    long_enough = len(one.response_id or "") >= MIN_SHARED_ID_CHARACTERS
    agree |= one.is_from_wire != other.is_from_wire and gap_ns(one, other) <= MAX_RECORDED_LATER_NS
    return agree and close and long_enough and models_agree(one, other)


def join_siblings(calls: Calls) -> None:
    """Two instrumentations side by side: same parent, other scope, same model and tokens, at the same time."""
    spans = calls.spans
    rows = np.flatnonzero(spans.leaf)
    if len(rows) < 2 or (spans.scope.codes[rows] == spans.scope.codes[rows[0]]).all():
        return
    parents = pair_codes(spans.trace[rows], spans.parent[rows])
    again = _repeated(parents)
    rows = rows[again]
    keys = pair_codes(parents[again], spans.input_tokens[rows])
    low, high = np.full(len(rows), np.iinfo(np.int64).max), np.full(len(rows), np.iinfo(np.int64).min)
    np.minimum.at(low, keys, spans.scope.codes[rows])
    np.maximum.at(high, keys, spans.scope.codes[rows])
    mixed = low[keys] != high[keys]
    pairs = []
    for run in _runs(keys[mixed], rows[mixed]):
        pairs += _pairs(sorted((calls.record(row) for row in run), key=lambda record: record.key))
    # Over all parents at once: ids may have joined siblings of one to those of another, and then the order matters.
    for *_, one_row, other_row in sorted(pairs):
        if calls.scopes(one_row).isdisjoint(calls.scopes(other_row)):
            calls.join(one_row, other_row)


def _pairs(records: list[Record]) -> list[tuple[Any, ...]]:
    """Siblings that may be one call, with what sorts the best overlap first; a call takes one record of each scope."""
    return [
        (-overlap_of_shorter(one, other), abs(one.start_ns - other.start_ns), one.key, other.key, one.row, other.row)
        for at, one in enumerate(records)
        for other in records[at + 1 : at + 1 + MAX_SIBLINGS_COMPARED]
        if _same_siblings(one, other)
    ]


def _same_siblings(one: Record, other: Record) -> bool:
    if one.scope == other.scope or one.scope == UNKNOWN or other.scope == UNKNOWN:
        return False
    if not lie_together(one, other) or one.kind != other.kind or ids_disagree(one, other):
        return False
    if not one.has_usage and (not one.models or not other.models or one.failed != other.failed):
        return False  # nothing but the time in common
    return models_agree(one, other) and same_usage_or_none(one, other)
