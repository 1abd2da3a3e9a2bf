"""What happens to requests before they are acknowledged: decoded, so that each sender hears what is wrong with its
spans, then journalled, so that nothing is lost whatever happens next. Those with which nothing can be wrong are decoded
later, together with others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from collector import telemetry as metrics
from collector.applier import Applier
from collector.decode.columns import SpanBatch
from collector.decode.request import Outcome, Request
from collector.errors import Overloaded
from collector.journal import Journal
from collector.pipeline import Pipeline, Sent
from collector.telemetry import Telemetry
from collector.units import Unit

ROOM_SECONDS = 2.0
"""How long acknowledgements wait for the ledger to catch up. Longer: senders, who have 10 s by default, give up without
an answer. Shorter: a pause of the disk becomes a refusal."""

SMALL_BYTES = 128 * 1024
"""Bodies of a group, up to which requests that are not plain at first sight are parsed, rather than decoded, before
they are acknowledged. Lower: groups of a hundred small requests pay a millisecond and more for columns while their
senders wait. Higher: parsing a span, ten microseconds, costs more than decoding it."""


class Acceptor:
    """The work of the committer's thread."""

    def __init__(
        self,
        pipeline: Pipeline,
        journal: Journal,
        applier: Applier,
        telemetry: Telemetry,
        room_seconds: float = ROOM_SECONDS,
    ) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._applier = applier
        self._telemetry = telemetry
        self._room_seconds = room_seconds

    def process(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Find out what of a group is taken, and journal that with one sync; what to answer to each.

        Raises:
            Overloaded: the ledger is too far behind.
            StoreUnavailable: the disk is full or fails. In both cases nothing is acknowledged.
        """
        if not self._applier.wait_for_room(self._room_seconds):
            raise Overloaded("too much waits to be applied")
        is_small = sum(len(request.body) for request in requests) <= SMALL_BYTES
        counts = self._pipeline.plain(requests, parse=is_small)
        if counts is not None:
            self._keep(list(zip(requests, counts, strict=True)), None)
            return [Outcome(count) for count in counts]
        decoded = self._pipeline.decode(requests)
        outcomes = zip(requests, decoded.outcomes, strict=True)
        sent = [(request, outcome.accepted_spans) for request, outcome in outcomes if outcome.accepted_spans]
        if sent:
            self._keep(sent, decoded.batch)
        self._pipeline.count(decoded)
        return decoded.outcomes

    def _keep(self, sent: Sequence[Sent], batch: SpanBatch | None) -> None:
        """Journal requests and hand them over; without a batch they are decoded later."""
        requests = tuple(request for request, _ in sent)
        received_at_ns, started_seconds = time.time_ns(), time.perf_counter()
        first = self._journal.append(requests, received_at_ns)
        self._telemetry.observe(metrics.JOURNAL_SECONDS, time.perf_counter() - started_seconds)
        unit = Unit(
            first=first,
            last=first + len(sent) - 1,
            received_at_ns=received_at_ns,
            spans=sum(spans for _, spans in sent),
            batch=batch,
            requests=requests if batch is None else (),
            sent=tuple(sent) if self._pipeline.forwards else (),
        )
        self._applier.hand_over(unit)
