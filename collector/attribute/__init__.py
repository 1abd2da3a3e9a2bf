"""Which spans are model calls, each counted exactly once; who owns each; which were retries (docs/counting.md).

The stage is pure: whole traces in, one verdict per GenAI span out. The verdict depends on the set of spans alone,
never on the order in which they arrived, so a late span is handled by running its trace again.
"""

from __future__ import annotations

import pyarrow as pa

from collector.attribute.calls import Calls
from collector.attribute.counting import count
from collector.attribute.duplicates import join_shared_ids, join_siblings
from collector.attribute.nesting import join_nested
from collector.attribute.output import assemble
from collector.attribute.owners import resolve_owners
from collector.attribute.retries import find_retries
from collector.attribute.roots import join_roots
from collector.attribute.skeleton import read_skeleton
from collector.attribute.tree import build_tree

__all__ = ["attribute"]


def attribute(skeleton: pa.Table) -> pa.Table:
    """Judge every GenAI span of the traces in `skeleton`.

    `skeleton` has `SKELETON_SCHEMA`: all known spans of whole traces, and of the traces that may hold another record of
    their calls (a shared response id, a root call at the same time), in any order. The result has
    `ATTRIBUTION_SCHEMA`: one row per span whose `call_kind` is not NULL, in the order of `skeleton`. Malformed trees
    (missing parents, cycles, a span that is its own parent) never raise.
    """
    spans = read_skeleton(skeleton)
    tree = build_tree(spans)
    calls = Calls(spans, tree.depth)
    join_shared_ids(calls)
    join_siblings(calls)
    join_nested(calls, tree)
    join_roots(calls)
    verdict = count(spans, tree, calls)
    owners = resolve_owners(spans, tree, verdict)
    retries = find_retries(spans, calls, verdict, owners["agent"])
    return assemble(spans, verdict, owners, retries)
