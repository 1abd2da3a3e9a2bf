"""Fills the memory of traces from the newest segments at start: columns only, until it is full."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.catalog import Catalog
from collector.store.hashes import Hashes, trace_hashes
from collector.store.known_traces import KnownTraces, Links
from collector.store.root_calls import ROOT_COLUMNS, RootCalls
from collector.store.rows import one_chunk, own
from collector.store.segment_reader import Group, SegmentReader

_AHEAD = 2
"""Row groups that are read and hashed at once: up to 30 MB each while they are."""

_LINKED_ROWS = 1_000_000
"""Newest rows whose response ids and root calls are read. A second record of a call comes minutes after the first; all
of them would take five times as long to read."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one row group says of its traces."""

    traces: Hashes  # of the first and the last span of each run of one trace
    seqs: npt.NDArray[np.int64]
    is_call: npt.NDArray[np.bool_]  # whether one in the run is
    distinct: int
    links: Links | None


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
        if part.links is not None:
            roots.append(part.links.roots)
            responses += len(part.links.responses.hashes)
            if responses <= capacity // 2:  # beyond it the newest would fall out
                known.remember_responses(part.links.responses)
        if known.is_full(traces):
            break
    if parts:
        hashes, seqs = np.concatenate([part.traces for part in parts]), np.concatenate([part.seqs for part in parts])
        is_call = np.concatenate([part.is_call for part in parts])
        covered_from = max((group.last_seq + 1 for group in groups[len(parts) :]), default=0)
        known.load(hashes, seqs, is_call, covered_from)
        known.roots.load(RootCalls.joined(roots[::-1]))
    pa.default_memory_pool().release_unused()
    return known


def _read(reader: SegmentReader, groups: list[Group]) -> Iterator[_Part]:
    """The parts of `groups` in their order, some of them made ahead."""
    rows = np.cumsum([0, *(group.rows for group in groups)])
    waiting: deque[Future[_Part]] = deque()
    with ThreadPoolExecutor(_AHEAD, "otel-cost-load") as pool:
        try:
            for group, before in zip(groups, rows.tolist(), strict=False):
                waiting.append(pool.submit(_part, reader, group, linked=before < _LINKED_ROWS))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()


def _part(reader: SegmentReader, group: Group, *, linked: bool) -> _Part:
    names = ["org_id", "trace_id", "call_kind"]
    rows = reader.read(group, [*names, *(name for name in _LINK_COLUMNS if name not in names)] if linked else names)
    hashes = trace_hashes(*(one_chunk(rows.column(name)) for name in ("org_id", "trace_id")))
    if group.last_seq - group.first_seq + 1 == group.rows:
        seqs = np.arange(group.first_seq, group.last_seq + 1)
    else:
        seqs = reader.read(group, ["seq"]).column(0).to_numpy()
    ends = np.append(np.flatnonzero(hashes[1:] != hashes[:-1]), len(hashes) - 1)
    begins = np.append(0, ends[:-1] + 1)
    is_call = np.logical_or.reduceat(pc.is_valid(rows.column("call_kind")).to_numpy(), begins)
    at = np.stack([begins, ends], axis=1).ravel()
    distinct = len(np.unique(hashes[begins]))
    return _Part(hashes[at], seqs[at], np.repeat(is_call, 2), distinct, Links.of(own(rows)) if linked else None)


_LINK_COLUMNS = ("trace_id", *ROOT_COLUMNS, "derived")
