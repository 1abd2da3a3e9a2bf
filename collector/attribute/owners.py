"""Who pays for a call, per dimension."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attribute.counting import Verdict
from collector.attribute.skeleton import UNKNOWN, Ints, Spans, encode, has_gaps, plain
from collector.attribute.tree import Tree
from otel_cost.call import DIMENSIONS


def resolve_owners(spans: Spans, tree: Tree, verdict: Verdict) -> dict[str, pa.Array]:
    """Per dimension the owner of every span, as strings.

    The span's own value, else its nearest ancestor's, else what the other records of the same call find on their
    way up, else the resource's, else the other records' resources'. A run without a name is its trace.
    """
    found = {name: _resolve(spans, name, tree, verdict) for name in DIMENSIONS}
    if found["run"].null_count:
        trace = plain(spans.column("trace_id"))
        found["run"] = trace if found["run"].null_count == len(spans) else pc.coalesce(found["run"], trace)
    return found


def _resolve(spans: Spans, name: str, tree: Tree, verdict: Verdict) -> pa.Array:
    own, resource = spans.column(name), spans.column(f"resource_{name}")
    if not has_gaps(own):
        return plain(own)  # every span says it: no one is asked
    if own.null_count == len(own) and (resource.null_count == len(resource) or not has_gaps(resource)):
        return plain(resource)  # no span says it, and all resources or none do
    return _resolve_one_by_one((own, resource), tree, verdict)


def _resolve_one_by_one(columns: tuple[pa.Array, pa.Array], tree: Tree, verdict: Verdict) -> pa.Array:
    """The rule itself; what `_resolve` tells from whole columns is what this would find."""
    own, resource = encode(*columns)
    codes = own.codes
    if (codes != UNKNOWN).any():
        near = tree.nearest(codes != UNKNOWN)
        codes = np.where(near != UNKNOWN, codes[near], UNKNOWN)
    codes = _fill(codes, verdict)
    codes = _fill(np.where(codes != UNKNOWN, codes, resource.codes), verdict)
    return own.values.take(pa.array(codes, mask=codes == UNKNOWN))


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
