"""Traces so large that they are not judged again for every span that arrives.

A large trace is judged whole when it has grown by a quarter, and when the store has a quiet moment or stops. Until then
its new spans are judged without the stored ones. Which traces wait is on disk, in the same transaction as their spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collector.store.hashes import Hashes, trace_hashes
from collector.store.known_traces import BatchTraces
from collector.store.rows import one_chunk

LARGE_SPANS = 1_000
"""Judging so many takes about 30 ms. Lower: traces of ordinary agents wait for their final verdicts. Higher: one span
at a time into such a trace takes the writer from all others."""

_GROWTH = 4
"""A fraction of the trace: judged again after a quarter more, n spans are judged about five times each."""

_REMEMBERED = 10_000

_AT_ONCE_SPANS = 100_000
"""Of traces that are judged together when there is time: more take more memory, about 2 KB a span."""


@dataclass(frozen=True, slots=True)
class PutOff:
    """Traces of one batch that are not judged whole now."""

    hashes: Hashes
    spans: npt.NDArray[np.int64]  # new ones of each
    keys: pa.Table  # org_id, trace_id


class LargeTraces:
    """How many spans each large trace had when it was judged, and how many came since."""

    def __init__(self, waiting: pa.Table | None = None) -> None:
        """`waiting` has org_id and trace_id of what was put off before."""
        self._judged: dict[int, int] = {}
        self._since: dict[int, int] = {}
        self._keys: dict[int, tuple[str, str]] = {}  # organisation and trace id of those in `_since`
        self._reopened: set[int] = set()  # of those: unless `_judged` has them, they are not large
        if waiting is not None and waiting.num_rows:
            hashes = trace_hashes(*(one_chunk(waiting.column(name)) for name in ("org_id", "trace_id"))).tolist()
            self._since = dict.fromkeys(hashes, 0)
            self._keys = dict(zip(hashes, _pairs(waiting), strict=True))

    @property
    def waiting(self) -> Set[int]:
        """Traces that must be judged whole yet."""
        return self._since.keys()

    def next_waiting(self) -> tuple[Hashes, list[tuple[str, str]]]:
        """Some of them (ascending), as many as can be judged at once; their organisations and ids."""
        chosen: list[int] = []
        spans = 0
        for trace, since in self._since.items():
            if spans >= _AT_ONCE_SPANS:
                break
            most = LARGE_SPANS if trace in self._reopened else _AT_ONCE_SPANS
            spans += self._judged.get(trace, most) + since
            chosen.append(trace)
        return np.sort(np.array(chosen, np.uint64)), [self._keys[trace] for trace in chosen]

    def put_off(self, traces: BatchTraces, spans: pa.Table) -> PutOff | None:
        """Which of the traces of `spans` to judge later; None: none."""
        if not self._judged:
            return None
        counts = np.bincount(traces.of_span, minlength=len(traces.hashes))
        at = [
            place
            for place, trace in enumerate(traces.hashes.tolist())
            if _GROWTH * (self._since.get(trace, 0) + counts[place]) < self._judged.get(trace, 0)
        ]
        if not at:
            return None
        keys = spans.select(["org_id", "trace_id"]).take(pa.array(traces.first_row[at]))
        return PutOff(traces.hashes[at], counts[at], keys)

    def new_to_wait(self, put_off: PutOff) -> pa.Table:
        """Keys of those that did not wait before."""
        fresh = [trace not in self._since for trace in put_off.hashes.tolist()]
        return put_off.keys.filter(pa.array(fresh, pa.bool_()))

    def reopen(self, put_off: PutOff) -> None:
        """Stored traces are to be judged again, large or not, though no span of theirs has come. After the commit."""
        self._reopened.update(trace for trace in put_off.hashes.tolist() if trace not in self._since)
        self.remember(put_off, {})

    def remember(self, put_off: PutOff | None, judged: Mapping[int, int]) -> None:
        """Call after the commit. `judged`: traces that were judged whole, and their spans."""
        for trace, spans in judged.items():
            self._since.pop(trace, None)
            self._keys.pop(trace, None)
            self._judged.pop(trace, None)
            self._reopened.discard(trace)
            if spans >= LARGE_SPANS:
                self._judged[trace] = spans
        if put_off is not None:
            new = zip(put_off.hashes.tolist(), put_off.spans.tolist(), _pairs(put_off.keys), strict=True)
            for trace, spans, key in new:
                self._since[trace] = self._since.get(trace, 0) + spans
                self._keys[trace] = key
        while len(self._judged) > _REMEMBERED:
            del self._judged[next(iter(self._judged))]


def _pairs(keys: pa.Table) -> list[tuple[str, str]]:
    return list(zip(keys.column("org_id").to_pylist(), keys.column("trace_id").to_pylist(), strict=True))
