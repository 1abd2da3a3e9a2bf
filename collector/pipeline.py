"""The stages in the order in which spans meet them: decode, normalise, price, attribute, store; then forward.

One call of `Pipeline.process` is one transaction. Stages know columns only, never each other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from collector import telemetry as metrics
from collector.attribute import attribute
from collector.attribute.fallback import attribute_or_fall_back
from collector.decode import decode_requests
from collector.decode.request import Decoded, DecodeLimits, Outcome, Request
from collector.forward.costs import added_attributes
from collector.forward.job import ForwardJob
from collector.ledger import ledger_table
from collector.normalise import normalise_columns
from collector.price import price_columns
from collector.store import Store
from collector.telemetry import Telemetry
from otel_cost.call import CallKind
from otel_cost.pricing import RateCard

logger = logging.getLogger(__name__)


class Forwarder(Protocol):
    """Where committed requests go next."""

    def offer(self, job: ForwardJob) -> None:
        """Take a job without waiting."""


class Pipeline:
    """Runs the stages over a group of requests. Used by one thread."""

    def __init__(
        self,
        store: Store,
        card: RateCard,
        limits: DecodeLimits,
        forwarders: Sequence[Forwarder],
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._card = card
        self._limits = limits
        self._forwarders = forwarders
        self._telemetry = telemetry

    def process(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Commit the spans of all requests in one transaction; when this returns, they are on disk.

        Raises:
            StoreUnavailable: nothing was stored; sending the same again later is right.
        """
        started_seconds = time.perf_counter()
        decoded = decode_requests(requests, self._limits)
        batch = decoded.batch
        if batch.spans.num_rows:
            calls = normalise_columns(batch)
            costs = price_columns(calls, batch.spans.column("start_time_ns"), self._card)
            ledger = ledger_table(batch, calls, costs)
            self._telemetry.observe(metrics.PIPELINE_SECONDS, time.perf_counter() - started_seconds)
            verdicts = self._append(ledger)
            try:
                self._forward(requests, decoded, ledger, verdicts)
            except Exception:  # the spans are on disk: whatever else fails, their senders must hear that
                logger.exception("%d spans are stored and cannot be forwarded", ledger.num_rows)
        self._count(decoded)
        return decoded.outcomes

    def _append(self, ledger: pa.Table) -> Sequence[pa.Table]:
        """Store the batch; returns what attribution said of its traces."""
        verdicts: list[pa.Table] = []
        started_seconds = time.perf_counter()
        appended = self._store.append(ledger, lambda skeleton: self._attribute(skeleton, verdicts))
        self._telemetry.observe(metrics.COMMIT_SECONDS, time.perf_counter() - started_seconds)
        self._telemetry.observe(metrics.GROUP_SPANS, ledger.num_rows)
        self._telemetry.add(metrics.SPANS_STORED, appended.accepted)
        self._telemetry.add(metrics.SPANS_DUPLICATE, appended.duplicates)
        self._telemetry.add(metrics.SPANS_CHANGED, appended.changed)
        leaves = ledger.filter(pc.equal(ledger.column("call_kind").cast(pa.string()), CallKind.LEAF.value))
        for status in pc.value_counts(leaves.column("cost_status").cast(pa.string())):
            if status["values"].is_valid:
                self._telemetry.add(metrics.CALLS, status["counts"].as_py(), status["values"].as_py())
        return verdicts

    def _attribute(self, skeleton: pa.Table, results: list[pa.Table]) -> pa.Table:
        """The verdicts on whole traces, kept in `results`. Runs inside the append: spans beyond its start are new."""
        judged = attribute_or_fall_back(skeleton, self._store.position.seq + 1, attribute)
        for trace_id, error in zip(judged.failed_traces, judged.reasons, strict=True):
            logger.error("trace %s is stored, but counted span by span: attribution failed", trace_id, exc_info=error)
        self._telemetry.add(metrics.TRACES_UNJUDGED, len(judged.failed_traces))
        results.append(judged.verdicts)
        return judged.verdicts

    def _forward(
        self, requests: Sequence[Request], decoded: Decoded, ledger: pa.Table, verdicts: Sequence[pa.Table]
    ) -> None:
        if not self._forwarders:
            return
        added = added_attributes(ledger, verdicts)
        for request, outcome in zip(requests, decoded.outcomes, strict=True):
            if outcome.error is None and outcome.accepted_spans:
                job = ForwardJob(request.body, outcome.accepted_spans, added)
                for forwarder in self._forwarders:
                    forwarder.offer(job)

    def _count(self, decoded: Decoded) -> None:
        self._telemetry.add(metrics.SPANS_REJECTED, sum(outcome.rejected_spans for outcome in decoded.outcomes))
        self._telemetry.add(metrics.ATTRIBUTES_TRUNCATED, decoded.truncated_values)
        self._telemetry.add(metrics.ATTRIBUTES_DROPPED, decoded.dropped_attributes)
