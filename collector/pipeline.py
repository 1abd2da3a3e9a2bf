"""The stages in the order in which spans meet them: decode, normalise, price, attribute, store; then forward.

Stages know columns only, never each other. `process` runs them all on a group of requests, in one transaction. A
collector runs them apart: decoding before requests are acknowledged, the rest behind it (`collector.applier`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from collector import telemetry as metrics
from collector.attribute import attribute
from collector.attribute.fallback import attribute_or_fall_back
from collector.attribute.inclusive import inclusive_costs
from collector.compiled import library
from collector.decode import decode_requests
from collector.decode.columns import WITHOUT_LEASES, SpanBatch
from collector.decode.concat import concat_batches
from collector.decode.plain import plain_spans
from collector.decode.request import Decoded, DecodeLimits, Outcome, Request
from collector.estimate import Estimator, with_methods
from collector.forward.costs import added_attributes, inclusive_attributes
from collector.forward.job import ForwardJob, SpanKey
from collector.ledger import ledger_table
from collector.normalise import normalise_columns
from collector.price import card_table, price_calls
from collector.store import Appended, Store
from collector.telemetry import Telemetry
from otel_cost.call import CallKind
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards

logger = logging.getLogger(__name__)

Sent = tuple[Request, int]
"""A request, and how many of its spans were accepted."""


PART_SPANS = 16_384
"""Spans that are normalised and priced together: a whole group under load. Fewer: the fixed cost of a part, 3 ms,
shows, and parts are joined. More: their columns, up to 4 KB a span on the way, are in memory at once."""


class Forwarder(Protocol):
    """Where stored requests go next."""

    def offer(self, job: ForwardJob) -> None:
        """Take a job without waiting."""


class Judgement(NamedTuple):
    """What attribution was told of some traces, and what it said."""

    skeleton: pa.Table
    verdicts: pa.Table
    first_seq: int  # spans before it were stored already


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch on its way into the ledger."""

    ledger: pa.Table  # LEDGER_SCHEMA
    appended: Future[Appended]
    started_seconds: float  # by time.perf_counter
    verdicts: list[Judgement] = field(default_factory=list)
    """What attribution said of its traces, once it is stored; only kept for forwarders."""


class Pipeline:
    """The stages over one ledger. Methods may be called from different threads, `stored` and `forward` from one."""

    def __init__(
        self,
        store: Store,
        cards: Cards,
        limits: DecodeLimits,
        forwarders: Sequence[Forwarder],
        telemetry: Telemetry,
        *,
        estimates: bool = True,
    ) -> None:
        if library() is None:
            logger.info("decoding without the loops in C: slower, otherwise the same (docs/operations.md)")
        self.cards = cards
        """What calls are priced with; may be replaced at any time, for batches that follow."""
        self._store = store
        self._remembered: set[str] = set()
        self._limits = limits
        self._forwarders = forwarders
        self._telemetry = telemetry
        failures = metrics.ESTIMATE_FAILURES
        self._estimator = Estimator(lambda count: telemetry.add(failures, count)) if estimates else None

    @property
    def forwards(self) -> bool:
        """Whether requests are needed again once they are stored."""
        return bool(self._forwarders)

    def process(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Commit the spans of all requests in one transaction; when this returns, they are on disk.

        Raises:
            StoreUnavailable: nothing was stored; sending the same again later is right.
        """
        decoded = self.decode(requests)
        if decoded.batch.spans.num_rows:
            submitted = self.submit(self.ledger(deque([decoded.batch])))
            self.stored(submitted, submitted.appended.result())
            accepted = [outcome.accepted_spans for outcome in decoded.outcomes]
            self.forward(list(zip(requests, accepted, strict=True)), submitted)
        self.count(decoded)
        return decoded.outcomes

    def decode(self, requests: Sequence[Request]) -> Decoded:
        """The accepted spans of all requests, and what to answer to each."""
        started_seconds = time.perf_counter()
        decoded = decode_requests(requests, self._limits)
        self._telemetry.observe(metrics.DECODE_SECONDS, time.perf_counter() - started_seconds)
        return decoded

    def plain(self, requests: Sequence[Request], *, parse: bool) -> list[int] | None:
        """The spans of each request, if decoding would certainly take all of them; None: decoding has to tell.

        `parse`: whether to have each parsed that does not look so at first sight."""
        counts: list[int] = []
        for request in requests:
            count = plain_spans(request, self._limits, parse=parse)
            if count is None:
                return None
            counts.append(count)
        return counts

    def count(self, decoded: Decoded) -> None:
        """Note what decoding left out of requests that are now answered."""
        self._telemetry.add(metrics.SPANS_REJECTED, sum(outcome.rejected_spans for outcome in decoded.outcomes))
        self._telemetry.add(metrics.ATTRIBUTES_TRUNCATED, decoded.truncated_values)
        self._telemetry.add(metrics.ATTRIBUTES_DROPPED, decoded.dropped_attributes)

    def ledger(self, batches: deque[SpanBatch]) -> pa.Table:
        """What the ledger keeps of the spans, LEDGER_SCHEMA: normalised and priced, in their order.

        `batches` is emptied: each goes as soon as it has been read, for the columns of many spans on their way take
        several times the memory of the result.
        """
        started_seconds = time.perf_counter()
        parts: list[pa.Table] = []
        while batches:
            parts.append(self._part(concat_batches(_some(batches))))
        ledger = parts[0] if len(parts) == 1 else _joined(parts)
        self._telemetry.observe(metrics.PIPELINE_SECONDS, time.perf_counter() - started_seconds)
        return ledger

    def _part(self, batch: SpanBatch) -> pa.Table:
        calls, methods = normalise_columns(batch), None
        if self._estimator is not None:
            calls, methods = self._estimator.estimate(batch, calls)
        cards = self.cards
        costs = with_methods(price_calls(calls, batch.spans, cards), methods or {})
        for card in cards.made if cards.conditions else ():
            self.remember(card)  # met only now
        return ledger_table(batch, calls, costs)

    def use(self, base: RateCard) -> None:
        """Price what follows with another card, under the same overrides. It is kept in the ledger first."""
        cards = self.cards.use(base)
        self.remember(cards.card())
        self.cards = cards

    def remember(self, card: RateCard) -> None:
        """Keep a card in the ledger, once: all of it, which pricing itself never reads."""
        if card.digest not in self._remembered:
            self._store.remember_card(card.digest, lambda: card_table(card.reopened()))
            self._remembered.add(card.digest)

    def submit(self, ledger: pa.Table, journal: int = 0) -> Submitted:
        """Hand a batch to the store, without waiting for it. `journal`: its last record, 0 without a journal."""
        verdicts: list[Judgement] = []
        started_seconds = time.perf_counter()
        appended = self._store.submit(ledger, lambda skeleton: self._attribute(skeleton, verdicts), journal)
        return Submitted(ledger, appended, started_seconds, verdicts)

    def settled(self, applied: int) -> int:
        """See Store."""
        return self._store.settled(applied)

    def stored(self, submitted: Submitted, appended: Appended) -> None:
        """Note what became of a batch."""
        ledger = submitted.ledger
        self._telemetry.observe(metrics.COMMIT_SECONDS, time.perf_counter() - submitted.started_seconds)
        self._telemetry.observe(metrics.GROUP_SPANS, ledger.num_rows)
        self._telemetry.add(metrics.SPANS_STORED, appended.accepted)
        self._telemetry.add(metrics.SPANS_DUPLICATE, appended.duplicates)
        self._telemetry.add(metrics.SPANS_CHANGED, appended.changed)
        is_leaf = pc.equal(ledger.column("call_kind").cast(pa.string()), CallKind.LEAF.value)
        for status in pc.value_counts(ledger.column("cost_status").filter(is_leaf).cast(pa.string())):
            if status["values"].is_valid:
                self._telemetry.add(metrics.CALLS, status["counts"].as_py(), status["values"].as_py())

    def forward(self, sent: Sequence[Sent], submitted: Submitted) -> None:
        """Pass the requests of a stored batch on. Never raises: the spans are on disk, whatever else fails."""
        if not self._forwarders:
            return
        try:
            added = added_attributes(submitted.ledger, [judged.verdicts for judged in submitted.verdicts])
            _add_inclusive(added, submitted.verdicts)
            for request, accepted_spans in sent:
                if accepted_spans:
                    job = ForwardJob(request.body, accepted_spans, added)
                    for forwarder in self._forwarders:
                        forwarder.offer(job)
        except Exception:
            logger.exception("%d spans are stored and cannot be forwarded", submitted.ledger.num_rows)

    def _attribute(self, skeleton: pa.Table, results: list[Judgement]) -> pa.Table:
        """The verdicts on whole traces. Runs inside the append: spans beyond its start are new."""
        first_seq = self._store.position.seq + 1
        judged = attribute_or_fall_back(skeleton, first_seq, attribute)
        for trace_id, error in zip(judged.failed_traces, judged.reasons, strict=True):
            logger.error("trace %s is stored, but counted span by span: attribution failed", trace_id, exc_info=error)
        self._telemetry.add(metrics.TRACES_UNJUDGED, len(judged.failed_traces))
        if self._forwarders:
            results.append(Judgement(skeleton, judged.verdicts, first_seq))
        return judged.verdicts


def _add_inclusive(added: dict[SpanKey, dict[str, str]], judgements: Sequence[Judgement]) -> None:
    for judged in judgements:
        for found in inclusive_costs(judged.skeleton, judged.verdicts, judged.first_seq):
            key = bytes.fromhex(found.trace_id), bytes.fromhex(found.span_id)
            attributes = inclusive_attributes(found.cost_pico_usd, is_complete=found.is_complete)
            added.setdefault(key, {}).update(attributes)


def _joined(parts: Sequence[pa.Table]) -> pa.Table:
    """The parts as one table, each column in one chunk but for `attributes`: half of all bytes, and only written."""
    table = pa.concat_tables(parts)
    if not all(WITHOUT_LEASES in (part.schema.metadata or {}) for part in parts):
        table = table.replace_schema_metadata(None)
    place = table.schema.get_field_index("attributes")
    whole = table.remove_column(place).unify_dictionaries().combine_chunks()
    return whole.add_column(place, table.schema.field(place), table.column(place))


def _some(batches: deque[SpanBatch]) -> list[SpanBatch]:
    """The first batches, at least one, up to `PART_SPANS`; they are taken out of `batches`."""
    taken = [batches.popleft()]
    spans = int(taken[0].spans.num_rows)
    while batches and spans + batches[0].spans.num_rows <= PART_SPANS:
        taken.append(batches.popleft())
        spans += taken[-1].spans.num_rows
    return taken
