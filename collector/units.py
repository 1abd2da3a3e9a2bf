"""What waits between the acknowledgement and the ledger: groups of requests, as columns or, small ones, as bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from collector.decode.columns import SpanBatch
from collector.decode.concat import batch_bytes
from collector.decode.request import Decoded, Request
from collector.journal import Record
from collector.pipeline import Sent

_UNIT_BYTES = 32 * 1024
"""What the Arrow tables of a unit take beside their buffers, roughly: about a hundred columns."""

_REQUEST_BYTES = 512
"""What a request takes beside its body."""

_SPANS_AT_ONCE = 16_384
"""Spans that are decoded together. Fewer: the fixed cost of a call, a millisecond, shows. More: the columns of larger
parts, before and after, are in memory at once."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Requests that were acknowledged together: records `first` to `last` of the journal, one per request."""

    first: int
    last: int
    received_at_ns: int
    spans: int
    batch: SpanBatch | None
    requests: tuple[Request, ...] = ()  # where there is no batch yet: all of them, of which all spans were accepted
    sent: tuple[Sent, ...] = ()  # only kept for forwarders: columns take less than bodies, and either is enough

    @property
    def size_bytes(self) -> int:
        """Memory that it holds; requests that are not decoded count for the columns that they become, too."""
        if self.batch is None:
            return sum(_REQUEST_BYTES + 2 * len(request.body) for request in self.requests)
        return _UNIT_BYTES + batch_bytes(self.batch) + sum(len(request.body) for request, _ in self.sent)


class Misjudged(NamedTuple):
    """A request whose sender was told that all of it was accepted, of which decoding has left something out."""

    record: Record
    reason: str


def batches_of(
    units: list[Unit], decode: Callable[[Sequence[Request]], Decoded]
) -> tuple[deque[SpanBatch], list[Misjudged]]:
    """The columns of all units, in order; neighbours that are not decoded yet are decoded together. Empties `units`."""
    batches: deque[SpanBatch] = deque()
    misjudged: list[Misjudged] = []
    for run in _runs(units):
        if run[0].batch is not None:
            batches.append(run[0].batch)
            continue
        records = [
            Record(number, unit.received_at_ns, request)
            for unit in run
            for number, request in enumerate(unit.requests, unit.first)
        ]
        decoded = decode([record.request for record in records])
        batches.append(decoded.batch)
        for record, outcome in zip(records, decoded.outcomes, strict=True):
            if outcome.rejected_spans or outcome.error is not None:
                misjudged.append(Misjudged(record, outcome.reason))
    units.clear()
    return batches, misjudged


def _runs(units: Sequence[Unit]) -> Iterator[list[Unit]]:
    """A unit with a batch alone; neighbours without one together, up to `_SPANS_AT_ONCE`."""
    run: list[Unit] = []
    spans = 0
    for unit in units:
        if run and (unit.batch is not None or run[0].batch is not None or spans + unit.spans > _SPANS_AT_ONCE):
            yield run
            run, spans = [], 0
        run.append(unit)
        spans += unit.spans
    if run:
        yield run
