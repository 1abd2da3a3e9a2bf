"""What the store remembers of traces, provider response ids and root calls, so that most batches need no look-up.

Only spans of a trace that holds a model call matter to attribution. A batch whose traces hold none is a pure append,
and a span of a trace that was never seen cannot be stored already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.hashes import Hashes, as_value, from_value, text_hashes, trace_hashes
from collector.store.root_calls import RootCalls, RootIndex
from collector.store.rows import one_chunk
from collector.store.seq_index import ABSENT, AgingIndex, SeqIndex, Values

Flags = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""First seq of a trace that is not stored."""

MAX_TRACES_OF_A_RESPONSE = 64
"""Traces remembered per response id, the newest: a server that gives one id to all its answers must not fill the
memory, nor have every trace read for each of them. Attribution itself compares a record with 32 others."""

_EXTENT_BITS = 22
_LONGEST = (1 << _EXTENT_BITS) - 1
"""The extent of a trace whose spans lie farther apart than this: anywhere before its last one."""


@dataclass(frozen=True, slots=True)
class BatchTraces:
    """The distinct traces of some spans, side by side; `of_span` is each span's place in them."""

    hashes: Hashes  # ascending
    has_call: Flags
    first_row: npt.NDArray[np.int64]
    last_row: npt.NDArray[np.int64]
    of_span: npt.NDArray[np.int64]

    @staticmethod
    def of(spans: pa.Table) -> BatchTraces:
        """`spans` has org_id, trace_id and call_kind."""
        hashes = trace_hashes(*(one_chunk(spans.column(name)) for name in ("org_id", "trace_id")))
        return BatchTraces.of_hashes(hashes, pc.is_valid(spans.column("call_kind")).to_numpy())

    @staticmethod
    def of_hashes(hashes: Hashes, is_call: Flags) -> BatchTraces:
        """From the hash of each span's trace, and whether the span is a call or a wrapper of one."""
        begins = np.append(0, np.flatnonzero(hashes[1:] != hashes[:-1]) + 1)[: len(hashes)]
        ends = np.append(begins[1:], len(hashes))[: len(begins)]
        distinct, first_run, of_run = np.unique(hashes[begins], return_index=True, return_inverse=True)
        of_span = np.repeat(of_run, ends - begins)
        has_call = np.zeros(len(distinct), np.bool_)
        has_call[of_span[is_call]] = True
        last_row = np.zeros(len(distinct), np.int64)
        last_row[of_run] = ends - 1  # of several values for one place numpy keeps the last
        return BatchTraces(distinct, has_call, begins[first_run], last_row, of_span)

    def taken(self, rows: npt.NDArray[np.int64], is_call: Flags) -> BatchTraces:
        """The traces of some of the spans."""
        return BatchTraces.of_hashes(self.hashes[self.of_span[rows]], is_call)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the spans of some traces are: from `first_seq` to `last_seq`, side by side."""

    hashes: Hashes  # ascending, distinct
    first_seq: Values  # `NEVER` for a trace that is not stored, as far as known
    last_seq: Values
    has_call: Flags

    @property
    def stored(self) -> Flags:
        """Whether the trace is known."""
        return np.asarray(self.first_seq != NEVER)

    def taken(self, flags: Flags) -> Places:
        """Some of them."""
        return Places(self.hashes[flags], self.first_seq[flags], self.last_seq[flags], self.has_call[flags])


@dataclass(frozen=True, slots=True)
class Responses:
    """The distinct (response id, trace) pairs of some calls, side by side."""

    hashes: Hashes  # ascending: an index answers several times as fast to what is asked in order
    traces: Hashes

    @staticmethod
    def of(spans: pa.Table) -> Responses:
        """`spans` has org_id, trace_id, response_id and call_kind."""
        calls = spans.select(["org_id", "response_id", "trace_id", "call_kind"])
        if calls.column("response_id").null_count or calls.column("call_kind").null_count:
            fits = pc.and_(pc.is_valid(calls.column("response_id")), pc.is_valid(calls.column("call_kind")))
            calls = calls.filter(fits)
        org_ids, ids, trace_ids = (one_chunk(calls.column(name)) for name in ("org_id", "response_id", "trace_id"))
        hashes, traces = text_hashes(org_ids, ids), trace_hashes(org_ids, trace_ids)
        order = np.argsort(hashes)
        if (hashes[order[1:]] == hashes[order[:-1]]).any():
            order = np.lexsort((traces, hashes))
        hashes, traces = hashes[order], traces[order]
        fresh = np.append(True, (hashes[1:] != hashes[:-1]) | (traces[1:] != traces[:-1]))[: len(hashes)]
        return Responses(hashes[fresh], traces[fresh])


@dataclass(frozen=True, slots=True)
class Links:
    """What may connect calls with records of them in other traces."""

    responses: Responses
    roots: RootCalls

    @staticmethod
    def of(spans: pa.Table) -> Links:
        """`spans` has the kept columns of the segments' rows."""
        return Links(Responses.of(spans), RootCalls.of(spans))


class KnownTraces:
    """Per trace where its spans are and whether one is a call; per response id the traces that used it.

    The traces with the oldest last spans fall out first, so that every trace with a span from `covered_from` on is
    known. A value holds, from the top: the seq of the last span, how far before it the first one is, the flag.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._traces = SeqIndex(capacity)
        self._responses = AgingIndex(capacity)
        self._shared: dict[int, list[int]] = {}  # response -> traces, where there are several
        self._loaded_from = 0
        self._asked: tuple[Hashes, Values] | None = None
        self.roots = RootIndex(capacity)

    @property
    def covered_from(self) -> int:
        """Spans before this seq may be of traces that are not known; 0 when all are."""
        dropped = self._traces.largest_dropped
        return max(self._loaded_from, 0 if dropped == ABSENT else (dropped >> (_EXTENT_BITS + 1)) + 1)

    def is_full(self, traces: int) -> bool:
        """Whether so many traces are as many as can be held."""
        return traces >= self._capacity

    def load(self, traces: Hashes, seqs: Values, is_call: Flags, covered_from: int) -> None:
        """Begin with some spans, the first and last of each trace among them; none before `covered_from` is known."""
        self._loaded_from = covered_from
        if not len(traces):
            return
        order = np.argsort(traces)
        traces, seqs, is_call = traces[order], seqs[order], is_call[order]
        begins = np.append(0, np.flatnonzero(traces[1:] != traces[:-1]) + 1)
        last = np.maximum.reduceat(seqs, begins)
        extent = np.minimum(last - np.minimum.reduceat(seqs, begins), _LONGEST)
        self._traces.load(traces[begins], _packed(last, extent, np.logical_or.reduceat(is_call, begins)))

    def places(self, hashes: Hashes) -> Places:
        """Where the spans of each trace (ascending) are."""
        state = self._traces.find(hashes)
        known = state != ABSENT
        last = state >> (_EXTENT_BITS + 1)
        extent = (state >> 1) & _LONGEST
        first = np.where(extent == _LONGEST, 0, last - extent)
        return Places(hashes, np.where(known, first, NEVER), np.where(known, last, 0), known & ((state & 1) == 1))

    def remember(self, traces: BatchTraces, first_seq: int) -> None:
        """Call after the commit of the spans, the first of which got `first_seq`."""
        before = self.places(traces.hashes)
        last = traces.last_row + first_seq
        extent = np.minimum(last - np.minimum(before.first_seq, traces.first_row + first_seq), _LONGEST)
        self._traces.put(traces.hashes, _packed(last, extent, before.has_call | traces.has_call))

    def elsewhere(self, responses: Responses) -> Hashes:
        """Other traces, stored, that have one of these response ids."""
        state = self._states(responses.hashes)
        known = from_value(state)
        found = known[(state != ABSENT) & (known != responses.traces)].tolist()
        if self._shared:
            for response, trace in zip(responses.hashes.tolist(), responses.traces.tolist(), strict=True):
                found.extend(other for other in self._shared.get(response, ()) if other != trace)
        return np.unique(np.array(found, np.uint64))

    def _states(self, hashes: Hashes) -> Values:
        """What is known of each response; what was asked last, before a commit, is asked again after it."""
        if self._asked is None or self._asked[0] is not hashes:
            self._asked = hashes, self._responses.find(hashes)
        return self._asked[1]

    def remember_links(self, links: Links) -> None:
        """Call after the commit."""
        self.remember_responses(links.responses)
        self.roots.remember(links.roots)

    def remember_responses(self, responses: Responses) -> None:
        """The same of response ids alone."""
        hashes, traces = responses.hashes, responses.traces
        if not len(hashes):
            return
        is_first = np.append(True, hashes[1:] != hashes[:-1])
        first = np.flatnonzero(is_first)
        state = self._states(hashes)
        one = np.where(state == ABSENT, as_value(traces[first[np.cumsum(is_first) - 1]]), state)
        for at in np.flatnonzero(one != as_value(traces)).tolist():
            others = self._shared.setdefault(int(hashes[at]), [])
            trace = int(traces[at])
            if trace not in others:
                others.append(trace)
                del others[:-MAX_TRACES_OF_A_RESPONSE]
        fresh = first[state[first] == ABSENT]
        self._asked = None
        if self._responses.put(hashes[fresh], as_value(traces[fresh])) and self._shared:
            shared = np.fromiter(self._shared, np.uint64, len(self._shared))
            for gone in shared[self._responses.find(shared) == ABSENT].tolist():
                del self._shared[gone]


def _packed(last: Values, extent: Values, has_call: Flags) -> Values:
    return (last << (_EXTENT_BITS + 1)) | (extent << 1) | has_call
