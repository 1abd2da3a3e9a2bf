"""What happens to requests before they are acknowledged: decoded, so that each sender hears what is wrong with its
spans, then journalled, so that nothing is lost whatever happens next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from collector import telemetry as metrics
from collector.applier import Applier, Unit
from collector.decode.request import Outcome, Request
from collector.errors import Overloaded
from collector.journal import Journal
from collector.pipeline import Pipeline
from collector.telemetry import Telemetry

ROOM_SECONDS = 2.0
"""How long acknowledgements wait for the ledger to catch up. Longer: senders, who have 10 s by default, give up without
an answer. Shorter: a pause of the disk becomes a refusal."""


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
        """Decode and journal a group with one sync; what to answer to each.

        Raises:
            Overloaded: the ledger is too far behind.
            StoreUnavailable: the disk is full or fails. In both cases nothing is acknowledged.
        """
        if not self._applier.wait_for_room(self._room_seconds):
            raise Overloaded("too much waits to be applied")
        decoded = self._pipeline.decode(requests)
        sent = tuple(
            (request, outcome.accepted_spans)
            for request, outcome in zip(requests, decoded.outcomes, strict=True)
            if outcome.accepted_spans
        )
        if sent:
            received_at_ns, started_seconds = time.time_ns(), time.perf_counter()
            first = self._journal.append([request for request, _ in sent], received_at_ns)
            self._telemetry.observe(metrics.JOURNAL_SECONDS, time.perf_counter() - started_seconds)
            kept = sent if self._pipeline.forwards else ()
            self._applier.hand_over(Unit(first, first + len(sent) - 1, received_at_ns, decoded.batch, kept))
        self._pipeline.count(decoded)
        return decoded.outcomes
