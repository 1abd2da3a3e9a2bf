"""Two records of one call that each began a trace of their own: two instrumentations, no span active around the call.

No id and no parent connects them. What is left is that one process made both: same service, model and tokens, and
practically the same time. Whole columns say which few spans need a look; only those are compared one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collector.attribute.calls import Calls
from collector.attribute.duplicates import MAX_SIBLINGS_COMPARED
from collector.attribute.identity import Record, lie_together, overlap_of_shorter, tokens_agree
from collector.attribute.skeleton import UNKNOWN, Bools, Ints, Spans, encode, pair_codes

ROOT_START_WINDOW_NS = 250_000_000
"""Two instrumentations of one call start it within a millisecond of each other, as they wrap the same function; threads
that wait for the interpreter's lock and a throttled container make it some hundred. A wider window would mostly find
more twins by chance: in a service whose instrumentations record different calls, they grow with it."""


def join_roots(calls: Calls) -> None:
    """Pair parentless calls of different traces and instrumentations, one to one, the closest starts first.

    Comes after all rules that have an id or a parent to go by: a record that they placed is not taken from its call.
    """
    pairs = []
    for rows in _runs(calls.spans):
        records = sorted((calls.record(row) for row in rows if row not in calls.wrappers), key=lambda found: found.key)
        for at, one in enumerate(records):
            for other in records[at + 1 : at + 1 + MAX_SIBLINGS_COMPARED]:
                apart_ns = other.start_ns - one.start_ns
                if apart_ns > ROOT_START_WINDOW_NS:
                    break
                if _same_call(one, other):
                    pairs.append((apart_ns, -overlap_of_shorter(one, other), one.key, other.key, one.row, other.row))
    for *_, one_row, other_row in sorted(pairs):
        scopes_differ = calls.scopes(one_row).isdisjoint(calls.scopes(other_row))
        if scopes_differ and len(calls.response_ids(one_row) | calls.response_ids(other_row)) <= 1:
            calls.join(one_row, other_row)


def _same_call(one: Record, other: Record) -> bool:
    if one.scope == other.scope or one.kind != other.kind:
        return False
    if one.response_id is not None and other.response_id is not None:
        return False  # equal ids have been joined, different ones are two calls
    if one.models.isdisjoint(other.models) or not tokens_agree(one, other):
        return False
    return lie_together(one, other)


def _runs(spans: Spans) -> Iterator[list[int]]:
    """Rows that could be records of one call: same service and input, each close to one of another scope.

    A call that failed says no input. What succeeded without saying it has nothing but the time in common.
    """
    is_known = (spans.input_tokens > 0) | (spans.failed & (spans.input_tokens == UNKNOWN))
    rows = np.flatnonzero(spans.leaf & (spans.parent == UNKNOWN) & is_known)
    rows = rows[spans.scope.codes[rows] != UNKNOWN]
    if not len(rows) or (spans.scope.codes[rows] == spans.scope.codes[rows[0]]).all():
        return
    service = encode(spans.table["service_name"])[0].codes
    rows = rows[service[rows] != UNKNOWN]
    keys = pair_codes(pair_codes(spans.org.codes[rows], service[rows]), spans.input_tokens[rows])
    order = np.lexsort((spans.start_ns[rows], keys))
    rows, keys = rows[order], keys[order]
    near = _near_another_scope(keys, spans.scope.codes[rows], spans.start_ns[rows])
    rows, keys = rows[near], keys[near]
    apart = (np.diff(keys) != 0) | (np.diff(spans.start_ns[rows]) > ROOT_START_WINDOW_NS)
    for run in np.split(rows, np.flatnonzero(apart) + 1):
        if len(run) > 1:
            yield run.tolist()


def _near_another_scope(keys: Ints, scopes: Ints, start_ns: Ints) -> Bools:
    """Which elements, ordered by key and start, have one of equal key and another scope within the window."""
    size = len(keys)
    near = np.zeros(size, np.bool_)
    changes = np.flatnonzero((np.diff(keys) != 0) | (np.diff(scopes) != 0)) + 1
    edges = np.concatenate([[0], changes, [size]]).astype(np.int64)
    stretch = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    for neighbour in (edges[stretch] - 1, edges[stretch + 1]):  # the nearest ones before and after its stretch
        here = np.flatnonzero((neighbour >= 0) & (neighbour < size))
        there = neighbour[here]
        close = np.abs(start_ns[there] - start_ns[here]) <= ROOT_START_WINDOW_NS
        near[here] |= (keys[there] == keys[here]) & close
    return near
