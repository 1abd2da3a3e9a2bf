"""Fills the memory of traces from the newest segments at start: columns only, until it is full."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.catalog import Catalog
from collector.store.hashes import Hashes, trace_hashes
from collector.store.known_traces import KnownTraces, Responses
from collector.store.root_calls import ROOT_COLUMNS, RootCalls, root_kinds
from collector.store.rows import one_chunk
from collector.store.segment_reader import Group, SegmentReader

_AHEAD = 4
"""Row groups that are read and hashed at once: about 30 MB each while they are."""

_COLUMNS = ["seq", "trace_id", *ROOT_COLUMNS]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one row group says of its traces."""

    traces: Hashes  # first and last span of each run of one trace
    seqs: npt.NDArray[np.int64]
    is_call: npt.NDArray[np.bool_]
    distinct: int
    responses: Responses
    roots: RootCalls


def load_known(catalog: Catalog, capacity: int) -> KnownTraces:
    """Remember the traces of the ledger, or the newest `capacity` of them. Raises SegmentUnreadable."""
    known = KnownTraces(capacity)
    groups = [group for segment in reversed(catalog.segments) for group in reversed(catalog.reader.groups(segment))]
    parts: list[_Part] = []
    roots: list[RootCalls] = []
    traces = responses = 0
    for part in _read(catalog.reader, groups):
        parts.append(part)
        traces += part.distinct
        if responses < capacity:
            known.remember_responses(part.responses)
            responses += len(part.responses.hashes)
        if len(roots) == 0 or sum(len(each.kinds) for each in roots) < capacity:
            roots.append(part.roots)
        if known.is_full(traces):
            break
    covered_from = max((group.last_seq + 1 for group in groups[len(parts) :]), default=0)
    if parts:
        seqs = np.concatenate([part.seqs for part in parts])
        order = np.argsort(seqs, kind="stable")
        hashes, is_call = (np.concatenate([getattr(part, name) for part in parts]) for name in ("traces", "is_call"))
        known.load(hashes[order], seqs[order], is_call[order], covered_from)
        known.roots.load(RootCalls.joined(roots[::-1]))
    return known


def _read(reader: SegmentReader, groups: list[Group]) -> Iterator[_Part]:
    """The parts of `groups` in their order, some of them made ahead."""
    with ThreadPoolExecutor(2, "otel-cost-load") as pool:
        waiting = [pool.submit(_part, reader, group) for group in groups[:_AHEAD]]
        for group in [*groups[_AHEAD:], *([None] * _AHEAD)]:
            if not waiting:
                return
            part = waiting.pop(0).result()
            if group is not None:
                waiting.append(pool.submit(_part, reader, group))
            try:
                yield part
            except GeneratorExit:
                for each in waiting:
                    each.cancel()
                raise


def _part(reader: SegmentReader, group: Group) -> _Part:
    rows = reader.read(group, _COLUMNS)
    hashes = trace_hashes(*(one_chunk(rows.column(name)) for name in ("org_id", "trace_id")))
    is_call = pc.is_valid(rows.column("call_kind")).to_numpy()
    seqs = rows.column("seq").to_numpy()
    distinct, first = np.unique(hashes, return_index=True)
    last = len(hashes) - 1 - np.unique(hashes[::-1], return_index=True)[1]
    has_call = np.isin(distinct, hashes[is_call])
    at = np.concatenate([first, last])
    order = np.argsort(at, kind="stable")
    roots = rows.take(pa.array(np.flatnonzero(root_kinds(rows))))
    return _Part(
        np.concatenate([distinct, distinct])[order],
        seqs[at][order],
        np.concatenate([has_call, has_call])[order],
        len(distinct),
        Responses.of(rows),
        RootCalls.of(roots),
    )
