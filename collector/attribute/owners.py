"""Who pays for a call, per dimension."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from collector.attribute.counting import Verdict
from collector.attribute.skeleton import UNKNOWN, Coded, Ints, Spans, encode
from collector.attribute.tree import Tree


def resolve_owners(spans: Spans, tree: Tree, verdict: Verdict) -> dict[str, Coded]:
    """Per dimension the owner of every span.

    The span's own value, else its nearest ancestor's, else what the other records of the same call find on their
    way up, else the resource's, else the other records' resources'. A run without a name is its trace.
    """
    return {
        name: Coded(_resolve(own, resource, tree, verdict), own.values)
        for name, (own, resource) in spans.owners.items()
        if name != "run"
    } | {"run": _runs(spans, tree, verdict)}


def _resolve(own: Coded, resource: Coded, tree: Tree, verdict: Verdict) -> Ints:
    codes = own.codes
    if len(own.values) and (codes != UNKNOWN).any():
        near = tree.nearest(codes != UNKNOWN)
        codes = np.where(near != UNKNOWN, codes[near], UNKNOWN)
    codes = _fill(codes, verdict)
    if not len(resource.values):
        return codes
    return _fill(np.where(codes != UNKNOWN, codes, resource.codes), verdict)


def _fill(codes: Ints, verdict: Verdict) -> Ints:
    """Give a kept record what a duplicate of it knows, the most believed one first."""
    filled = codes
    for kept, rows in verdict.groups.items():
        if codes[kept] == UNKNOWN:
            known = next((int(codes[row]) for row in rows if codes[row] != UNKNOWN), UNKNOWN)
            if known != UNKNOWN:
                filled = codes.copy() if filled is codes else filled
                filled[kept] = known
    return filled


def _runs(spans: Spans, tree: Tree, verdict: Verdict) -> Coded:
    own, resource = spans.owners["run"]
    codes = _resolve(own, resource, tree, verdict)
    trace = encode(spans.table["trace_id"])[0]
    shared = np.where(codes != UNKNOWN, codes, trace.codes + len(own.values))
    return Coded(shared, pa.concat_arrays([own.values, trace.values]))
