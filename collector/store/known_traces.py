"""What the store remembers of traces, provider response ids and root calls, so that most batches need no look-up.

Only spans of a trace that holds a model call matter to attribution. A batch whose traces hold none is a pure append,
and a span of a trace that was never seen cannot be stored already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.hashes import Hashes, text_hashes, trace_hashes
from collector.store.root_calls import RootCalls, RootIndex
from collector.store.seq_index import ABSENT, SeqIndex, Values
from collector.store.statements import fetch, query

Flags = npt.NDArray[np.bool_]
Key = tuple[str, str]  # org id, trace id


@dataclass(frozen=True, slots=True)
class BatchTraces:
    """The distinct traces of some spans, side by side; `of_span` is each span's place in them."""

    keys: list[Key]
    hashes: Hashes
    has_call: Flags
    first_row: npt.NDArray[np.int64]
    of_span: npt.NDArray[np.int64]

    @staticmethod
    def of(spans: pa.Table) -> BatchTraces:
        """`spans` has org_id, trace_id and call_kind."""
        org_ids, trace_ids = (_one_chunk(spans.column(name)) for name in ("org_id", "trace_id"))
        hashes = trace_hashes(org_ids, trace_ids)
        distinct, first_row, of_span = np.unique(hashes, return_index=True, return_inverse=True)
        first = pa.array(first_row)
        keys = zip(org_ids.take(first).to_pylist(), trace_ids.take(first).to_pylist(), strict=True)
        is_call = pc.is_valid(spans.column("call_kind")).to_numpy()
        has_call = np.bincount(of_span, weights=is_call, minlength=len(distinct)) > 0
        return BatchTraces(list(keys), distinct, has_call, first_row, of_span)


@dataclass(frozen=True, slots=True)
class Responses:
    """The distinct (response id, trace) pairs of some calls, side by side."""

    table: pa.Table  # org_id, response_id, start_time_ns
    hashes: Hashes
    traces: Hashes

    @staticmethod
    def of(spans: pa.Table) -> Responses:
        """`spans` are rows of `_ledger.span_log`."""
        calls = spans.filter(pc.and_(pc.is_valid(spans.column("response_id")), pc.is_valid(spans.column("call_kind"))))
        org_ids, ids, trace_ids = (_one_chunk(calls.column(name)) for name in ("org_id", "response_id", "trace_id"))
        hashes, traces = text_hashes(org_ids, ids), trace_hashes(org_ids, trace_ids)
        _, first = np.unique(hashes + np.uint64(31) * traces, return_index=True)
        start_ns = calls.column("start_time").cast(pa.int64())
        table = pa.table({"org_id": org_ids.cast(pa.string()), "response_id": ids, "start_time_ns": start_ns})
        return Responses(table.take(first), hashes[first], traces[first])


@dataclass(frozen=True, slots=True)
class Links:
    """What may connect calls with records of them in other traces."""

    responses: Responses
    roots: RootCalls

    @staticmethod
    def of(spans: pa.Table) -> Links:
        """`spans` are rows of `_ledger.span_log`."""
        return Links(Responses.of(spans), RootCalls.of(spans))


class KnownTraces:
    """Per trace the first span's seq and whether it holds a call; per response id the first trace that used it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._traces = SeqIndex(capacity)
        self._responses = SeqIndex(capacity)
        self._shared: set[int] = set()
        self.roots = RootIndex(capacity)

    @property
    def complete(self) -> bool:
        """Whether every stored trace is known: nothing has fallen out."""
        return len(self._traces) < self._capacity

    def load(self, connection: Any) -> None:
        """Rebuild from the ledger."""
        traces = fetch(connection, query("all_traces"), [self._capacity])
        hashes = trace_hashes(_one_chunk(traces.column("org_id")), _one_chunk(traces.column("trace_id")))
        self._traces.load(hashes, traces.column("state").to_numpy().astype(np.int64))
        pairs = fetch(connection, query("all_response_ids"), [self._capacity])
        org_ids, ids, trace_ids = (_one_chunk(pairs.column(name)) for name in ("org_id", "response_id", "trace_id"))
        self._remember_responses(text_hashes(org_ids, ids), trace_hashes(org_ids, trace_ids))
        self.roots.load(connection)

    def states(self, hashes: Hashes) -> tuple[Values, Flags]:
        """(seq of the first stored span or `ABSENT`, whether a stored span is a call) of each trace."""
        state = self._traces.find(hashes)
        known = state != ABSENT
        return np.where(known, state >> 1, ABSENT), known & ((state & 1) == 1)

    def remember(self, traces: BatchTraces, first_seq: int) -> None:
        """Call after the commit of the spans, the first of which got `first_seq`."""
        first, had_call = self.states(traces.hashes)
        first = np.where(first == ABSENT, traces.first_row + first_seq, first)
        self._traces.put(traces.hashes, 2 * first + (had_call | traces.has_call))

    def shared(self, responses: Responses) -> Flags:
        """Whether each response id is known from another trace than the one beside it."""
        return self._shared_elsewhere(responses.hashes, responses.traces)

    def remember_links(self, links: Links) -> None:
        """Call after the commit."""
        self._remember_responses(links.responses.hashes, links.responses.traces)
        self.roots.remember(links.roots)

    def _shared_elsewhere(self, hashes: Hashes, traces: Hashes) -> Flags:
        first_trace = self._responses.find(hashes)
        elsewhere: Flags = (first_trace != ABSENT) & (first_trace != _as_value(traces))
        if self._shared:
            elsewhere |= np.fromiter((key in self._shared for key in hashes.tolist()), bool, len(hashes))
        return elsewhere

    def _remember_responses(self, hashes: Hashes, traces: Hashes) -> None:
        self._shared.update(hashes[self._shared_elsewhere(hashes, traces)].tolist())
        distinct, count = np.unique(hashes, return_counts=True)
        self._shared.update(distinct[count > 1].tolist())
        fresh = self._responses.find(hashes) == ABSENT
        self._responses.put(hashes[fresh], _as_value(traces[fresh]))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 0:
        return pa.array([], column.type)
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def _as_value(hashes: Hashes) -> Values:
    """A hash as a value of `SeqIndex`, which holds 0 or more."""
    return (hashes >> np.uint64(1)).astype(np.int64)
