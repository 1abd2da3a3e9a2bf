"""The collector's measurements of itself: one table of metrics, counted from any thread, shown as Prometheus text.

`docs/metrics.md` lists the same table for people, and that of `collector.metering.table`; a test holds them together.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from threading import Lock

from collector.exposition import Family, Metric, Sample, histogram, number, render
from collector.metering import table as money

logger = logging.getLogger(__name__)

LATENCY_BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZE_BUCKETS_REQUESTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)
SIZE_BUCKETS_SPANS = (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)


REQUESTS_ACCEPTED = Metric(
    "otel_cost_requests_accepted_total", "counter", "Trace requests acknowledged: they are on disk."
)
REQUESTS_REFUSED = Metric(
    "otel_cost_requests_refused_total",
    "counter",
    "Trace requests not taken: queue_full, store, stopping, malformed, too_large, unauthenticated, unsupported, "
    "sender_left, internal.",
    ("reason",),
)
REQUEST_SECONDS = Metric(
    "otel_cost_request_seconds",
    "histogram",
    "Time from the first byte of a trace request to its acknowledgement.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
REQUEST_BYTES = Metric("otel_cost_request_bytes_total", "counter", "Bytes of trace requests, decompressed.")
SPANS_STORED = Metric("otel_cost_spans_stored_total", "counter", "Spans added to the ledger.")
SPANS_DUPLICATE = Metric(
    "otel_cost_spans_duplicate_total", "counter", "Spans acknowledged and not added: the ledger already had them."
)
SPANS_CHANGED = Metric(
    "otel_cost_spans_changed_total",
    "counter",
    "Duplicates that differ from the span stored under the same trace and span id; the stored one is kept.",
)
TRACES_UNJUDGED = Metric(
    "otel_cost_traces_unjudged_total",
    "counter",
    "Times that a trace was counted span by span because attribution failed on it; the log says why.",
)
SPANS_REJECTED = Metric(
    "otel_cost_spans_rejected_total",
    "counter",
    "Spans refused one by one in a partial success; the answer to their sender says why.",
)
CALLS = Metric(
    "otel_cost_call_spans_total",
    "counter",
    "Spans of model calls received, by cost status; duplicates included.",
    ("status",),
)
ESTIMATE_FAILURES = Metric(
    "otel_cost_estimate_failures_total",
    "counter",
    "Calls whose tokens could not be estimated from their captured text, which stay as they are; the log says why.",
)
ATTRIBUTES_TRUNCATED = Metric(
    "otel_cost_attributes_truncated_total", "counter", "Attribute values cut to the longest length that is kept."
)
ATTRIBUTES_DROPPED = Metric(
    "otel_cost_attributes_dropped_total", "counter", "Attributes left out: more on a span than are kept."
)
SIGNALS_DROPPED = Metric(
    "otel_cost_signal_requests_dropped_total",
    "counter",
    "Metrics and logs requests answered and dropped, by signal: the ledger takes traces only.",
    ("signal",),
)
QUEUE_REQUESTS = Metric("otel_cost_queue_requests", "gauge", "Requests that wait to be acknowledged.")
QUEUE_BYTES = Metric("otel_cost_queue_bytes", "gauge", "Bytes of the requests that wait or are being journalled.")
QUEUE_LIMIT_BYTES = Metric("otel_cost_queue_limit_bytes", "gauge", "The memory limiter's bound on queue bytes.")
ACK_REQUESTS = Metric(
    "otel_cost_ack_requests", "histogram", "Requests acknowledged after one sync.", (), SIZE_BUCKETS_REQUESTS
)
DECODE_SECONDS = Metric(
    "otel_cost_decode_seconds", "histogram", "Time to decode one group of requests.", (), LATENCY_BUCKETS_SECONDS
)
JOURNAL_SECONDS = Metric(
    "otel_cost_journal_seconds",
    "histogram",
    "Time to write and sync one group of requests to the journal.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
JOURNAL_BYTES = Metric("otel_cost_journal_bytes", "gauge", "Bytes that the journal keeps, applied or not.")
JOURNAL_FILES = Metric("otel_cost_journal_files", "gauge", "Files of the journal.")
REPLAYED_REQUESTS = Metric(
    "otel_cost_journal_replayed_requests_total",
    "counter",
    "Requests that an earlier run acknowledged and that were applied, or put aside, when this one started.",
)
UNAPPLIED_BYTES = Metric(
    "otel_cost_unapplied_bytes", "gauge", "Memory of spans that are acknowledged and not in the ledger yet."
)
UNAPPLIED_LIMIT_BYTES = Metric(
    "otel_cost_unapplied_limit_bytes", "gauge", "Bound on unapplied bytes; at it acknowledgements wait."
)
APPLY_LAG_SECONDS = Metric(
    "otel_cost_apply_lag_seconds", "gauge", "Age of the oldest request that is acknowledged and not in the ledger yet."
)
APPLY_SECONDS = Metric(
    "otel_cost_apply_seconds",
    "histogram",
    "Time from pricing one group of acknowledged spans to having it in the ledger.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
APPLY_RETRIES = Metric(
    "otel_cost_apply_retries_total", "counter", "Times that the ledger refused acknowledged spans for the moment."
)
QUARANTINED_REQUESTS = Metric(
    "otel_cost_quarantined_requests",
    "gauge",
    "Acknowledged requests that could not be applied and lie in the quarantine folder.",
)
GROUP_SPANS = Metric(
    "otel_cost_commit_spans", "histogram", "Spans committed in one transaction.", (), SIZE_BUCKETS_SPANS
)
PIPELINE_SECONDS = Metric(
    "otel_cost_pipeline_seconds",
    "histogram",
    "Time to normalise and price one group of spans.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
COMMIT_SECONDS = Metric(
    "otel_cost_commit_seconds",
    "histogram",
    "Time of one transaction: attribute, insert, commit, fsync.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
PUBLISH_SECONDS = Metric(
    "otel_cost_publish_seconds",
    "histogram",
    "Time to refresh the published file.",
    (),
    LATENCY_BUCKETS_SECONDS,
)
PUBLISH_FAILURES = Metric("otel_cost_publish_failures_total", "counter", "Refreshes of the published file that failed.")
PUBLISHED_AT = Metric(
    "otel_cost_last_publish_timestamp_seconds", "gauge", "When the published file was last complete, Unix time."
)
PRICES_FAILURES = Metric(
    "otel_cost_prices_failures_total", "counter", "Times that price catalogues or a new card could not be used."
)
PRICES_READ_AT = Metric(
    "otel_cost_prices_read_timestamp_seconds",
    "gauge",
    "When price catalogues were last read, Unix time; 0 if never.",
)
FORWARDED_SPANS = Metric(
    "otel_cost_forwarded_spans_total", "counter", "Spans that a forwarding target accepted.", ("exporter",)
)
FORWARD_FAILED_SPANS = Metric(
    "otel_cost_forward_failed_spans_total",
    "counter",
    "Spans given up: refused for good by the target, or older than max_elapsed_time.",
    ("exporter",),
)
FORWARD_DROPPED_SPANS = Metric(
    "otel_cost_forward_dropped_spans_total",
    "counter",
    "Spans not forwarded because the exporter's queue was full, or at shutdown.",
    ("exporter",),
)
FORWARD_RETRIES = Metric(
    "otel_cost_forward_retries_total",
    "counter",
    "Requests to a forwarding target that will be tried again.",
    ("exporter",),
)
FORWARD_QUEUE_BYTES = Metric(
    "otel_cost_forward_queue_bytes", "gauge", "Bytes that wait for a forwarding target.", ("exporter",)
)
HEALTHY = Metric(
    "otel_cost_healthy", "gauge", "1 while spans are taken and applied, else 0; the health check says why not."
)
BUILD = Metric("otel_cost_build_info", "gauge", "Always 1; the version of the collector.", ("version",))
LEDGER_SPANS = Metric("otel_cost_ledger_last_span", "gauge", "Number of the last span of the ledger, from 1.")
SOURCE_FAILURES = Metric(
    "otel_cost_metrics_failures_total",
    "counter",
    "Times that some of these metrics could not be read; the log says why.",
)
START_TIME = Metric("process_start_time_seconds", "gauge", "When the collector started, Unix time.")
CPU_SECONDS = Metric("process_cpu_seconds_total", "counter", "CPU that the collector has used, user and system.")
RESIDENT_BYTES = Metric("process_resident_memory_bytes", "gauge", "Memory of the collector; absent where unknown.")
OPEN_FILES = Metric("process_open_fds", "gauge", "Open files and connections; absent where unknown.")

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""Every metric of the collector itself, in the order of the table above."""
ALL_METRICS = (*METRICS, *money.METRICS)

Source = Callable[[], Iterable[Family]]
"""Samples of some metrics of the table, made when somebody asks."""

_Key = tuple[Metric, tuple[str, ...]]


class Telemetry:
    """The counters of one collector. Every method may be called from any thread and costs about a microsecond."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sums: dict[_Key, float] = {}
        self._buckets: dict[_Key, list[int]] = {}
        self._gauges: dict[_Key, Callable[[], float]] = {}
        self._sources: list[Source] = []
        self.gauge(START_TIME, _constant(time.time()))

    def add(self, metric: Metric, amount: float = 1, *labels: str) -> None:
        """Add to a counter; `labels` are values in the order of the metric's label names."""
        if amount:
            with self._lock:
                key = (metric, labels)
                self._sums[key] = self._sums.get(key, 0) + amount

    def observe(self, metric: Metric, value: float) -> None:
        """Note one value of a histogram."""
        key: _Key = (metric, ())
        with self._lock:
            buckets = self._buckets.setdefault(key, [0] * (len(metric.buckets) + 1))
            buckets[bisect_left(metric.buckets, value)] += 1
            self._sums[key] = self._sums.get(key, 0) + value

    def gauge(self, metric: Metric, read: Callable[[], float], *labels: str) -> None:
        """Show what `read` returns at the moment of asking; `read` must be quick and safe from any thread."""
        with self._lock:
            self._gauges[(metric, labels)] = read

    def value(self, metric: Metric, *labels: str) -> float:
        """The sum of a counter or histogram, or a gauge's value; 0 when nothing was noted."""
        with self._lock:
            read = self._gauges.get((metric, labels))
            if read is None:
                return self._sums.get((metric, labels), 0)
        return read()

    def source(self, read: Source) -> None:
        """Show what `read` yields as well. It may take milliseconds; one that raises is left out and counted."""
        with self._lock:
            self._sources.append(read)

    def render(self, *, openmetrics: bool = False) -> str:
        """All metrics, in Prometheus' text format 0.0.4 or in OpenMetrics 1.0."""
        shown: dict[Metric, list[Sample]] = {metric: [] for metric in ALL_METRICS}
        for read in tuple(self._sources):
            try:
                for metric, samples in read():
                    shown[metric].extend(samples)
            except Exception:
                self.add(SOURCE_FAILURES)
                logger.exception("some metrics cannot be shown")
        for metric, samples in self._own():
            shown[metric].extend(samples)
        return render(shown.items(), openmetrics=openmetrics)

    def _own(self) -> Iterator[Family]:
        with self._lock:
            sums, gauges = dict(self._sums), dict(self._gauges)
            buckets = {key: list(counts) for key, counts in self._buckets.items()}
        of_metric: dict[Metric, dict[tuple[str, ...], float]] = {}
        for (metric, labels), total in sums.items():
            of_metric.setdefault(metric, {})[labels] = total
        for (metric, labels), read in gauges.items():
            of_metric.setdefault(metric, {})[labels] = read()
        for metric in METRICS:
            if metric.kind == "histogram":
                counts = buckets.get((metric, ()), [0] * (len(metric.buckets) + 1))
                yield metric, list(histogram(metric, counts, number(sums.get((metric, ()), 0))))
            elif metric not in of_metric and not metric.labels:
                yield metric, [] if metric in _ABSENT else [Sample((), "0")]
        for metric, samples in of_metric.items():
            if metric.kind != "histogram":
                yield metric, [_sample(metric, labels, samples[labels]) for labels in sorted(samples)]


def _sample(metric: Metric, labels: tuple[str, ...], value: float) -> Sample:
    return Sample(tuple(zip(metric.labels, labels, strict=True)), number(value))


def _constant(value: float) -> Callable[[], float]:
    return lambda: value


_ABSENT = frozenset({RESIDENT_BYTES, OPEN_FILES})
"""Not shown as 0 where nobody knows them."""
