"""What the store remembers of traces and provider response ids, so that most batches need no look-up.

Only spans of a trace that holds a model call matter to attribution. A batch whose traces hold none is a pure append.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.store.seq_index import ABSENT, Hashes, SeqIndex, Values
from collector.store.statements import fetch, query

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class BatchTraces:
    """The distinct traces of new spans, side by side."""

    org_ids: list[str]
    trace_ids: list[str]
    hashes: Hashes
    has_call: Flags
    first_seq: Values


class KnownTraces:
    """Per trace the first span's seq and whether it holds a call; per response id the first trace that used it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._traces = SeqIndex(capacity)
        self._responses = SeqIndex(capacity)
        self._shared: set[int] = set()

    def load(self, connection: Any) -> None:
        """Rebuild from the ledger."""
        traces = fetch(connection, query("all_traces"), [self._capacity])
        self._traces.load(traces.column(0).to_numpy(), traces.column(1).to_numpy().astype(np.int64))
        responses = fetch(connection, query("all_response_ids"), [self._capacity])
        hashes = responses.column("response_hash").to_numpy()
        self._responses.load(hashes, _as_value(responses.column("trace_hash").to_numpy()))
        self._shared = set(hashes[responses.column("shared").to_numpy()].tolist())

    def states(self, traces: BatchTraces) -> tuple[Values, Flags]:
        """(seq of the first stored span or `ABSENT`, whether a stored span is a call) of each trace."""
        state = self._traces.find(traces.hashes)
        known = state != ABSENT
        return np.where(known, state >> 1, ABSENT), known & ((state & 1) == 1)

    def remember(self, traces: BatchTraces) -> None:
        """Call after the commit."""
        first, had_call = self.states(traces)
        first = np.where(first == ABSENT, traces.first_seq, first)
        self._traces.put(traces.hashes, 2 * first + (had_call | traces.has_call))

    def first_seq_of(self, trace_hashes: Hashes) -> Values:
        state = self._traces.find(trace_hashes)
        return np.where(state == ABSENT, 0, state >> 1)

    def shared_responses(self, response_hashes: Hashes, trace_hashes: Hashes) -> Flags:
        """Whether a response id is known from another trace than the one beside it."""
        first_trace = self._responses.find(response_hashes)
        elsewhere: Flags = (first_trace != ABSENT) & (first_trace != _as_value(trace_hashes))
        if self._shared:
            elsewhere |= np.fromiter((h in self._shared for h in response_hashes.tolist()), bool, len(response_hashes))
        return elsewhere

    def remember_responses(self, response_hashes: Hashes, trace_hashes: Hashes) -> None:
        """Call after the commit, with each pair of the batch once."""
        elsewhere = self.shared_responses(response_hashes, trace_hashes)
        self._shared.update(response_hashes[elsewhere].tolist())
        distinct, count = np.unique(response_hashes, return_counts=True)
        self._shared.update(distinct[count > 1].tolist())
        fresh = self._responses.find(response_hashes) == ABSENT
        self._responses.put(response_hashes[fresh], _as_value(trace_hashes[fresh]))


def _as_value(hashes: Hashes) -> Values:
    """A hash as a value of `SeqIndex`, which holds 0 or more."""
    return (hashes >> np.uint64(1)).astype(np.int64)
